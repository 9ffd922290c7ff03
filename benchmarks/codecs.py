"""How fast codecs are, as ratios to a memcpy of the same activation map and to plain torch.

    python benchmarks/codecs.py            # about two minutes; prints the tables of docs/codec-speed.md
    python benchmarks/codecs.py --quick    # the targets only

One core, 26 MB of float32 (a feature map after a ReLU, and a smooth positive one), medians; each
measurement of a codec is taken between two of memcpy, in the same process, because machines are shared.
1.00 means as fast as memcpy; a target that is missed is marked, and the exit status is 1.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from slsim.codecs import MS, Codec, create

ELEMENTS = 6_553_600
REPEATS = 41


@dataclass(frozen=True)
class Case:
    """A codec, and the ratios to memcpy that its two directions are to reach, where there is a target."""

    label: str
    codec: Codec
    encode_target: float | None = None
    decode_target: float | None = None


def cases(quick: bool) -> Iterator[Case]:
    yield Case("MS 99 %, 2 bits", create("ms"), 0.30, 0.70)
    yield Case("MS 99 %, 2 bits, zstd", create("ms", lossless="zstd"), 0.12)
    yield Case("MS 99 %, 2 bits, context", create("ms", lossless="context"))
    yield Case("SP 95.875 %", create("sp"), 0.20)
    yield Case("RT 95.875 %", create("rt"), 0.20)
    yield Case("QU 3 bits", create("qu", bits=3), 0.35, 0.35)
    yield Case("QU 4 bits", create("qu", bits=4), 0.35, 0.35)
    if quick:
        return
    yield Case("SP 95.875 %, zstd", create("sp", lossless="zstd"))
    yield Case("SP 95.875 %, context", create("sp", lossless="context"))
    yield Case("QU 3 bits, zstd", create("qu", lossless="zstd"))
    yield Case("QU 3 bits, context", create("qu", lossless="context"))
    yield Case("QU 8 bits, zstd", create("qu", bits=8, lossless="zstd"))
    yield Case("QU 8 bits, context", create("qu", bits=8, lossless="context"))
    yield Case("MS 3 bits", create("ms", bits=3))
    yield Case("MS 4 bits", create("ms", bits=4))
    yield Case("MS 2 bits, nearest", create("ms", rounding="nearest"))
    yield Case("MS 2 bits, centroid", create("ms", rounding="centroid"))
    yield Case("identity", create("identity"))
    yield Case("cast float16", create("cast"))
    yield Case("QU 8 bits", create("qu", bits=8))
    yield Case("QSGD 4 bits", create("qsgd"))
    yield Case("randk 95.875 %", create("randk"))
    yield Case("kmeans 3 bits, 10 iterations", create("kmeans"))
    yield Case("FedLite q 1152, L 2", create("fedlite"))
    yield Case("SplitFC R 16, 0.1 bits", create("splitfc"))
    yield Case("SplitFC-Drop R 16", create("splitfc-drop"))
    yield Case("ICS 20 %", create("ics"))
    yield Case("RandTopk 5 %", create("randtopk"))
    yield Case("LSQ 3 bits", create("lsq"))
    yield Case("DSQ 3 bits", create("dsq"))
    yield Case("SL-ACC", create("sl-acc"))
    yield Case("SL-FAC", create("sl-fac"))
    yield Case("TAH-Quant", create("tah"))


def maps() -> dict[str, torch.Tensor]:
    """The feature maps that are encoded."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(ELEMENTS, dtype=np.float32)
    smooth = np.abs(np.sin(np.linspace(0, 2000, ELEMENTS))).astype(np.float32) + 0.1 * np.abs(noise)
    shape = (25, 64, 64, 64)
    return {
        "relu(normal)": torch.from_numpy(np.maximum(noise, 0)).reshape(shape),
        "smooth and positive": torch.from_numpy(smooth).reshape(shape),
    }


def plain_torch_ms(x: torch.Tensor, k: int) -> bytes:
    """MS with 2 bits as one writes it with torch alone: topk over the map, masks, shifts."""
    flat = x.flatten()
    top = torch.topk(flat, k)
    positions = top.indices.sort().values
    threshold = top.values.min()
    codes = torch.floor(flat * 3 / threshold).clamp_(max=2).to(torch.uint8)
    codes[positions] = 3
    packed = codes[0::4] << 6 | codes[1::4] << 4 | codes[2::4] << 2 | codes[3::4]
    return packed.numpy().tobytes() + flat[positions].numpy().tobytes()


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    result = call()
    elapsed = time.perf_counter() - start
    del result
    return elapsed


def ratio_to_memcpy(call: Callable[[], object], source: torch.Tensor, repeats: int = REPEATS) -> float:
    """Median seconds of memcpy into a buffer that is there ÷ median seconds of `call`."""
    array = source.numpy()
    buffer = array.copy()
    for _ in range(3):
        call()
    times = [(seconds(call), seconds(lambda: np.copyto(buffer, array))) for _ in range(repeats)]
    own, memcpy = (statistics.median(column) for column in zip(*times, strict=True))
    return memcpy / own


def report(ratio: float, target: float | None) -> str:
    if target is None:
        return f"{ratio:.3f}"
    return f"**{ratio:.3f}** ≥ {target:.2f}" if ratio >= target else f"**{ratio:.3f} MISSES {target:.2f}**"


def measure(case: Case, x: torch.Tensor) -> tuple[str, bool]:
    rng = np.random.default_rng(7)
    payload = case.codec.encode(x, rng)
    slow = case.label.startswith(("kmeans", "QSGD", "randk")) or "context" in case.label
    repeats = 5 if slow else REPEATS
    encode = ratio_to_memcpy(lambda: case.codec.encode(x, rng), x, repeats)
    decode = ratio_to_memcpy(lambda: case.codec.decode(payload), x, repeats)
    met = encode >= (case.encode_target or 0) and decode >= (case.decode_target or 0)
    size = 4 * x.numel() / payload.num_bytes
    directions = f"{report(encode, case.encode_target)} | {report(decode, case.decode_target)}"
    row = f"| {case.label} | {directions} | {size:.2f}× |"
    return row, met


def against_torch(x: torch.Tensor) -> tuple[str, bool]:
    """The MS encoder against plain torch, both on one thread."""
    k = ELEMENTS // 100
    codec = MS()
    own = statistics.median(seconds(lambda: codec.encode(x)) for _ in range(REPEATS))
    plain = statistics.median(seconds(lambda: plain_torch_ms(x, k)) for _ in range(7))
    return f"MS encode is {plain / own:.0f} times faster than plain torch (target: 20).", plain / own >= 20


def main() -> int:
    torch.set_num_threads(1)
    quick = "--quick" in sys.argv
    all_met = True
    for name, x in maps().items():
        print(f"\n{name}, {4 * x.numel() / 1e6:.0f} MB; ratios to memcpy\n")
        print("| codec | encode | decode | compression |\n|---|---|---|---|")
        for case in cases(quick):
            row, met = measure(case, x)
            print(row, flush=True)
            all_met &= met
        line, met = against_torch(x)
        print(f"\n{line}")
        all_met &= met
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
