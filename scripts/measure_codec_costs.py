"""Measures what the codecs that ship cost one core, and writes `slsim/codecs/costs.toml`.

    python scripts/measure_codec_costs.py                        # some minutes, on an idle machine
    python scripts/measure_codec_costs.py "context codes" ms     # those only; the others stay

Each setting differs from a codec's defaults in one parameter. A setting's times at four sizes are fitted by
a line: seconds a part (the whole tensor, or with a scope of its own each sample) and seconds an element.
Where only some are measured, their times are translated to the core of reference by its loop.
"""

from __future__ import annotations

import datetime
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from slsim.circumstances import processor_name
from slsim.codecs import Codec, create, lossless
from slsim.codecs.context import Context
from slsim.codecs.costs import FILE, loop_s, parts_of
from slsim.codecs.lossless import Segment, Stage, Zstd
from slsim.codecs.timing import activations, encode_and_decode, gradients, median_of, reference_loop

SHAPES = ((10, 8, 7, 7), (10, 32, 7, 7), (10, 64, 16, 16), (10, 64, 32, 32))
FEW = (10, 10)  # a fifth size for the stage "context": as many as a small message has kept values
REPEATS = 9
KINDS, BLOCK = ("sparse", "dense"), "[[settings]]\n"
Measure = Callable[[Codec, NDArray[np.float32], int], tuple[float, float]]
Contents = list[tuple[bytes, Segment]]  # at each size
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
    "fedlite": {"subvectors": (16, 128), "centroids": (8, 32), "iterations": (1, 30)},
    "ics": {"rate": (0.05, 0.5, 1.0)},
    "randtopk": {"rate": (0.005, 0.2, 0.5), "alpha": (0.0,)},
    "sl-fac": {"energy": (0.5, 0.99)},
    "splitfc": {"reduction": (4.0, 64.0), "bits": (0.5, 2.0)},
    "splitfc-drop": {"reduction": (4.0, 64.0)},
    "tah": {"bits": (4, 6), "tile": (16, 256)},
}
CODES = {1: ("sp", {}), 2: ("ms", {}), 3: ("qu", {}), 4: ("qu", {"bits": 4}), 8: ("qu", {"bits": 8})}
LEARNING = ("dsq", "ics", "lsq", "randtopk", "splitfc", "splitfc-drop")  # whose coders see gradients
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


def lines(codec: Codec, measure: Measure = encode_and_decode) -> dict[str, dict[str, list[float]]]:
    """The fitted lines of a codec for tensors after a ReLU, and for dense ones."""
    return {kind: both_ways(codec, kind == "sparse", measure) for kind in KINDS}


def both_ways(codec: Codec, sparse: bool, measure: Measure) -> dict[str, list[float]]:
    """The fitted lines of what `measure` gives two times of, such as encoding and decoding."""
    points = []
    for shape in SHAPES:
        times = measure(codec, activations(shape, sparse), REPEATS)
        points.append((float(parts_of(codec, shape)), float(np.prod(shape)), *times))
    return {
        "encode": line(fitted([(p, d, e) for p, d, e, _ in points])),
        "decode": line(fitted([(p, d, t) for p, d, _, t in points])),
    }


def stage_times(stage: Stage, content: bytes, segment: Segment, repeats: int) -> tuple[float, float]:
    """Seconds that a lossless stage takes to compress a segment and to decompress it."""
    frames = memoryview(lossless.compress(content, [segment], stage))
    encode = median_of(lambda: lossless.compress(content, [segment], stage), repeats)
    decode = median_of(lambda: lossless.decompress(frames, [segment], stage), repeats)
    return encode, decode


def stage_lines(stage: Stage, contents: Contents, in_items: bool) -> dict[str, list[float]]:
    """The fitted lines of a lossless stage: a part is a segment, and an element a byte or an item."""
    repeats = 3 if isinstance(stage, Zstd) and stage.level > 9 else REPEATS
    points = [
        (
            1.0,
            float(segment.num_items if in_items else len(content)),
            *stage_times(stage, content, segment, repeats),
        )
        for content, segment in contents
    ]
    return {
        "encode": line(fitted([(p, d, e) for p, d, e, _ in points])),
        "decode": line(fitted([(p, d, t) for p, d, _, t in points])),
    }


def codes_of(codec: Codec, sparse: bool, shapes: tuple[tuple[int, ...], ...]) -> Contents:
    """What a stage compresses: a codec's segment that has an item for each element, at each size."""
    found = []
    for shape in shapes:
        content = bytes(codec.encode(torch.from_numpy(activations(shape, sparse))).content)
        start = 0
        for segment in codec.segments(shape, len(content)):
            if segment.shape is not None:
                found.append((content[start : start + segment.num_bytes], segment))
            start += segment.num_bytes
    return found


def rows(only: set[str]) -> Iterator[dict[str, Any]]:
    """The settings of the codecs and stages in `only`, or where it is empty of all, as they are measured."""
    for name, parameters in settings():
        if not only or name in only:
            yield {"codec": name, "parameters": parameters, **lines(create(name, **parameters))}
    sparse = create("sp")  # what codecs do that hand values on to another, here to one that does nothing:
    others: dict[str, tuple[Codec, Measure]] = {
        "gather": (create("masked").paired(sparse), partial(encode_and_decode, beside=sparse)),
        "change": (create("delta", codec="identity"), encode_and_decode),
    }
    for name in LEARNING:
        others[f"{name} gradients"] = (create(name), gradients)
    others["correction"] = (create("identity", correction=1.0), gradients)
    for name, (codec, measure) in others.items():
        if not only or name in only:
            yield {"codec": name, "parameters": {}, **lines(codec, measure)}
    for name, parameters, stage, codec in stages():
        if not only or name in only:
            in_items = isinstance(stage, Context)
            shapes = (FEW, *SHAPES) if in_items else SHAPES
            contents = {kind: codes_of(codec, kind == "sparse", shapes) for kind in KINDS}
            found = {kind: stage_lines(stage, contents[kind], in_items) for kind in KINDS}
            yield {"codec": name, "parameters": parameters, **found}


def stages() -> Iterator[tuple[str, dict[str, Any], Stage, Codec]]:
    """The settings of the lossless stages, and the codec whose codes, or floats, they compress."""
    for codec, name in ((create("ms"), "zstd codes"), (create("identity"), "zstd floats")):
        for level in ZSTD_LEVELS:
            yield name, {"level": level} if level > 1 else {}, Zstd(level), codec
    for bits, (name, parameters) in CODES.items():
        yield "context codes", {"bits": bits} if bits > 1 else {}, Context(), create(name, **parameters)
    yield "context floats", {}, Context(), create("identity")


def written(row: dict[str, Any]) -> str:
    parameters = ", ".join(f"{key} = {value!r}".replace("'", '"') for key, value in row["parameters"].items())
    text = f'{BLOCK}codec = "{row["codec"]}"\nparameters = {{ {parameters} }}\n'.replace("{  }", "{}")
    for kind in KINDS:
        text += f"{kind} = {{ encode = {row[kind]['encode']}, decode = {row[kind]['decode']} }}\n"
    return text + "\n"


def main() -> int:
    torch.set_num_threads(1)
    only, loop, measured = set(sys.argv[1:]), [reference_loop()], []
    for row in rows(only):
        measured.append(row)
        print(written(row).replace("\n", "  "), flush=True)
        loop.append(reference_loop())
    if only:
        speed = loop_s() / float(np.median(loop))
        old = FILE.read_text(encoding="utf-8").split(BLOCK)
        kept = [block for block in old[1:] if block.split('"')[1] not in only]
        new = [written(translated(row, speed)).removeprefix(BLOCK) for row in measured]
        text = BLOCK.join([old[0], *(block.strip() + "\n\n" for block in [*kept, *new])])
    else:
        text = head(loop) + "".join(map(written, measured))
    FILE.write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0


def translated(row: dict[str, Any], speed: float) -> dict[str, Any]:
    """The row as the core of reference would have measured it, which takes `speed` times as long."""
    lines = {
        kind: {way: [float(f"{time * speed:.3g}") for time in row[kind][way]] for way in ("encode", "decode")}
        for kind in KINDS
    }
    return row | lines


def head(loop: list[float]) -> str:
    low, middle, high = np.quantile(loop, [0.25, 0.5, 0.75])
    return (
        "# By scripts/measure_codec_costs.py. Encode and decode: µs a part, ns an element (of zstd a\n"
        "# segment, a byte; of context a segment, an item; of gradients at the sender, at the receiver);\n"
        "# sparse: after a ReLU, dense: normal numbers.\n\n"
        f'[measured]\ndate = "{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"\n'
        f'processor = "{processor_name()}"\n'
        f"repeats = {REPEATS}\nseconds = {round(time.monotonic() - STARTED)}\n"
        f"loop_s = {middle:.4g}  # of the loop of reference, in {len(loop)} measurements\n"
        f"loop_spread_s = {high - low:.2g}\n\n"
    )


if __name__ == "__main__":
    STARTED = time.monotonic()
    sys.exit(main())
