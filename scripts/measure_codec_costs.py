"""Measures what the codecs that ship cost one core, and writes `slsim/codecs/costs.toml`.

    python scripts/measure_codec_costs.py            # some minutes, on an idle machine

Each setting differs from a codec's defaults in one parameter. A setting's times at four sizes are fitted by
a line: seconds a part (the whole tensor, or with a scope of its own each sample) and seconds an element.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slsim.circumstances import processor_name
from slsim.codecs import Codec, create, lossless
from slsim.codecs.costs import FILE, parts_of
from slsim.codecs.lossless import Segment, Stage, Zstd
from slsim.codecs.timing import activations, encode_and_decode, median_of, reference_loop

SHAPES = ((10, 8, 7, 7), (10, 32, 7, 7), (10, 64, 16, 16), (10, 64, 32, 32))
REPEATS = 9
LEAST_PART_S, LEAST_ELEMENT_S = 1e-6, 1e-11
SETTINGS: dict[str, dict[str, tuple[Any, ...]]] = {
    "cast": {"dtype": ("bfloat16", "float8_e4m3", "float8_e5m2")},
    "qu": {"bits": (1, 2, 4, 8), "rounding": ("stochastic",), "scope": ("sample", "channel")},
    "qsgd": {"bits": (2, 8), "bucket_size": (16, 64, 4096)},
    "sp": {"sparsity": (0.0, 0.5, 0.9, 0.99, 1.0), "scope": ("sample",)},
    "rt": {"sparsity": (0.0, 0.5, 0.9, 0.99, 1.0), "alpha": (0.0, 1.0), "scope": ("sample",)},
    "randk": {"sparsity": (0.0, 0.5, 0.9, 0.99, 1.0), "scope": ("sample",)},
    "kmeans": {"bits": (1, 2, 4, 8), "iterations": (0, 1, 30)},
    "lsq": {"bits": (1, 2, 4, 8)},
    "dsq": {"bits": (1, 2, 4, 8)},
    "sl-acc": {"groups": (1, 2, 8, 16), "least_bits": (4, 8), "most_bits": (2, 4)},
    "ms": {
        "sparsity": (0.0, 0.5, 0.9, 1.0),
        "bits": (1, 3, 4, 8),
        "rounding": ("nearest", "centroid"),
        "scope": ("sample",),
    },
    "dsq": {"bits": (2, 8)},
    "fedlite": {"subvectors": (16, 128), "centroids": (8, 32), "iterations": (1, 30)},
    "ics": {"rate": (0.05, 0.5, 1.0)},
    "lsq": {"bits": (2, 8)},
    "randtopk": {"rate": (0.005, 0.2, 0.5), "alpha": (0.0,)},
    "sl-acc": {"groups": (1, 16)},
    "sl-fac": {"energy": (0.5, 0.99)},
    "splitfc": {"reduction": (4.0, 64.0), "bits": (0.5, 2.0)},
    "splitfc-drop": {"reduction": (4.0, 64.0)},
    "tah": {"bits": (4, 6), "tile": (16, 256)},
}
ZSTD_LEVELS = (1, 3, 6, 9, 12, 15, 19)


def settings() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, parameters in SETTINGS.items():
        yield name, {}
        for key, values in parameters.items():
            for value in values:
                yield name, {key: value}


def fitted(points: list[tuple[float, float, float]]) -> tuple[float, float]:
    """Seconds a part and an element, of (parts, elements, seconds), by least squares of relative errors."""
    parts, elements, seconds = np.array(points).T
    columns = np.stack([parts, elements], axis=1) / seconds[:, None]
    part_s, element_s = np.linalg.lstsq(columns, np.ones(len(points)), rcond=None)[0]
    if part_s < LEAST_PART_S or element_s < LEAST_ELEMENT_S:
        element_s = float(np.median(seconds / elements))
        part_s = LEAST_PART_S
    return float(part_s), float(element_s)


def line(values: tuple[float, float]) -> list[float]:
    """µs a part, ns an element."""
    return [float(f"{values[0] * 1e6:.3g}"), float(f"{values[1] * 1e9:.3g}")]


def lines(codec: Codec, beside: Codec | None = None) -> dict[str, dict[str, list[float]]]:
    """The fitted lines of a codec for tensors after a ReLU, and for dense ones."""
    return {kind: both_ways(codec, kind == "sparse", beside) for kind in ("sparse", "dense")}


def both_ways(codec: Codec, sparse: bool, beside: Codec | None) -> dict[str, list[float]]:
    """The fitted lines of encoding and decoding."""
    points = []
    for shape in SHAPES:
        times = encode_and_decode(codec, activations(shape, sparse), REPEATS, beside=beside)
        points.append((float(parts_of(codec, shape)), float(np.prod(shape)), *times))
    return {
        "encode": line(fitted([(p, d, e) for p, d, e, _ in points])),
        "decode": line(fitted([(p, d, t) for p, d, _, t in points])),
    }


def stage_times(
    stage: Stage, content: bytes, segments: list[Segment], repeats: int = REPEATS
) -> tuple[float, float]:
    """Seconds that a lossless stage takes to compress `content` and to decompress it."""
    frames = memoryview(lossless.compress(content, segments, stage))
    encode = median_of(lambda: lossless.compress(content, segments, stage), repeats)
    decode = median_of(lambda: lossless.decompress(frames, segments, stage), repeats)
    return encode, decode


def zstd(contents: list[tuple[bytes, list[Segment]]], level: int) -> dict[str, list[float]]:
    """The same of the lossless stage, a part being a segment, and a byte in place of an element."""
    stage, points = Zstd(level), []
    for content, segments in contents:
        repeats = 3 if level > 9 else REPEATS
        points.append((len(segments), len(content), *stage_times(stage, content, segments, repeats)))
    return {
        "encode": line(fitted([(p, d, e) for p, d, e, _ in points])),
        "decode": line(fitted([(p, d, t) for p, d, _, t in points])),
    }


def contents(width: int, sparse: bool) -> list[tuple[bytes, list[Segment]]]:
    """What the stage compresses: float32 (width 4), or packed codes of two bits (width 1)."""
    found = []
    for shape in SHAPES:
        values = torch.from_numpy(activations(shape, sparse))
        codec = create("identity") if width == 4 else create("ms", bits=2)
        content = bytes(codec.encode(values).content)
        if width == 1:
            content = content[: codec.segments(shape, len(content))[0].num_bytes]
        found.append((content, [Segment(len(content), width)]))
    return found


def rows() -> Iterator[dict[str, Any]]:
    for name, parameters in settings():
        yield {"codec": name, "parameters": parameters, **lines(create(name, **parameters))}
    sparse = create("sp")  # what codecs do that hand values on to another, here to one that does nothing:
    yield {"codec": "gather", "parameters": {}, **lines(create("masked").paired(sparse), sparse)}
    yield {"codec": "change", "parameters": {}, **lines(create("delta", codec="identity"))}
    for width, name in ((1, "zstd codes"), (4, "zstd floats")):
        for level in ZSTD_LEVELS:
            found = {kind: zstd(contents(width, kind == "sparse"), level) for kind in ("sparse", "dense")}
            yield {"codec": name, "parameters": {"level": level} if level > 1 else {}, **found}


def written(row: dict[str, Any]) -> str:
    parameters = ", ".join(f"{key} = {value!r}".replace("'", '"') for key, value in row["parameters"].items())
    text = f'[[settings]]\ncodec = "{row["codec"]}"\nparameters = {{ {parameters} }}\n'.replace("{  }", "{}")
    for kind in ("sparse", "dense"):
        text += f"{kind} = {{ encode = {row[kind]['encode']}, decode = {row[kind]['decode']} }}\n"
    return text + "\n"


def main() -> int:
    torch.set_num_threads(1)
    loop = [reference_loop()]
    blocks = []
    for row in rows():
        blocks.append(written(row))
        print(blocks[-1].replace("\n", "  "), flush=True)
        loop.append(reference_loop())
    low, middle, high = np.quantile(loop, [0.25, 0.5, 0.75])
    head = (
        "# Written by scripts/measure_codec_costs.py. Encode and decode: µs a part, ns an element (of zstd:\n"
        "# a segment, a byte); sparse: after a ReLU, dense: normal numbers.\n\n"
        f'[measured]\ndate = "{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"\n'
        f'processor = "{processor_name()}"\n'
        f"repeats = {REPEATS}\nseconds = {round(time.monotonic() - STARTED)}\n"
        f"loop_s = {middle:.4g}  # of the loop of reference, in {len(loop)} measurements\n"
        f"loop_spread_s = {high - low:.2g}\n\n"
    )
    Path(FILE).write_text(head + "".join(blocks).rstrip() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    STARTED = time.monotonic()
    sys.exit(main())
