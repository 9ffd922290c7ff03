"""How codecs' times grow with the elements d of a tensor, and with the k of them that are kept.

    python benchmarks/codec_orders.py docs/figures/codec_orders.png     # minutes, on one core

Every codec that ships encodes and decodes maps of ten samples after a ReLU: of 2^12 to 2^21 elements with its
defaults, and, where a parameter says how much is kept, of 2^18 elements with 0.1 % to 50 % of them. CPU time
of one thread, medians, in seconds of the core of reference, so that runs on other machines compare. Prints
for each codec the exponent of d over the three largest sizes (1: linear) and how many times longer 50 % take
than 0.1 %, and writes the figure, with lines of the orders d and d·log₂ k to compare slopes with. Exit status
1 where an exponent exceeds 1.3; some exceed 1, as larger maps leave the caches.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from slsim.codecs import Codec, create, registry
from slsim.codecs.costs import loop_s
from slsim.codecs.timing import activations, encode_and_decode, reference_loop
from slsim.report.figures.palette import ink
from slsim.scenario.titles import title

SIZES = tuple(2**power for power in range(12, 22, 3))
FIXED = 2**18
SHARES = (0.001, 0.005, 0.02, 0.1, 0.5)
KEEP = {  # the parameter that says how much is kept, for a share
    **dict.fromkeys(("sp", "rt", "randk", "ms"), lambda share: {"sparsity": round(1 - share, 6)}),
    **dict.fromkeys(("randtopk", "ics"), lambda share: {"rate": share}),
    **dict.fromkeys(("splitfc-drop",), lambda share: {"reduction": 1 / share}),
}
MORE = {"masked": create("sp")}  # codecs that need one of the other direction
REPEATS, SECONDS = 7, 1.0
LINEAR = 1.3

Times = dict[str, dict[float, tuple[float, float]]]


def map_of(elements: int) -> tuple[int, ...]:
    """Ten samples' maps of about so many elements together."""
    side = 2 ** max(2, round(math.log2(elements / 10 / 64) / 2))
    return (10, max(1, round(elements / 10 / side**2)), side, side)


def seconds(codec: Codec, shape: tuple[int, ...], beside: Codec | None) -> tuple[float, float]:
    """Seconds of the core of reference to encode and to decode a map."""
    values = activations(shape, sparse=True)
    encode, decode = encode_and_decode(codec, values, REPEATS, seconds=SECONDS, beside=beside)
    speed = loop_s() / reference_loop()
    return encode * speed, decode * speed


def measured(name: str) -> tuple[dict[float, tuple[float, float]], dict[float, tuple[float, float]]]:
    """Times of a codec by d, and by the share that is kept where it has one."""
    beside = MORE.get(name)
    codec = create(name) if beside is None else create(name).paired(beside)
    by_size = {}
    for size in SIZES:
        shape = map_of(size)
        by_size[float(math.prod(shape))] = seconds(codec, shape, beside)
    keep = KEEP.get(name)
    shape = map_of(FIXED)
    by_share = {share: seconds(create(name, **keep(share)), shape, None) for share in SHARES} if keep else {}
    return by_size, by_share


def exponents(by_size: dict[float, tuple[float, float]]) -> tuple[float, float]:
    """By which power of d the times grow over the three largest sizes, by least squares."""
    sizes, times = np.log(list(by_size)[-3:]), np.log(list(by_size.values())[-3:])
    encode, decode = (float(np.polyfit(sizes, column, 1)[0]) for column in times.T)
    return encode, decode


def drawn(
    found: dict[str, tuple[dict[float, tuple[float, float]], dict[float, tuple[float, float]]]],
) -> Figure:
    """Encoding and decoding over d, and over the share that is kept."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(2, 2, sharey="col")
    for column, way in enumerate(("encode", "decode")):
        for row in (0, 1):
            axis = axes[row][column]
            for name, both in found.items():
                if points := both[row]:
                    look = ink(name)
                    axis.plot(
                        list(points),
                        [times[column] for times in points.values()],
                        color=look.colour,
                        marker=look.marker,
                        markersize=4,
                        linewidth=1,
                        label=title(name, {}),
                    )
            axis.set(xscale="log", yscale="log", ylabel=f"{way}, s on the core of reference")
            axis.grid(alpha=0.3)
        sizes = np.array(SIZES, dtype=float)
        axes[0][column].plot(sizes, 1e-9 * sizes, "k--", linewidth=1, label="order d (1 ns)")
        orders = 1e-9 * sizes * np.log2(np.maximum(2, 0.04 * sizes))
        axes[0][column].plot(sizes, orders, "k:", linewidth=1, label="order d·log₂ k (1 ns, k = 4 % of d)")
        axes[0][column].set(xlabel="elements d (defaults)")
        axes[1][column].set(xlabel=f"share that is kept, k / d (d = {FIXED:,})")
    axes[0][1].legend(fontsize=6, ncols=2, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def main() -> int:
    torch.set_num_threads(1)
    mpl.rcParams["font.size"] = 8
    found, missed = {}, 0
    ways = ("encode", "decode")
    heads = [f"{what}, {way}" for what in ("exponent of d", "ns an element", "50 % ÷ 0.1 %") for way in ways]
    print(f"| codec | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    for name in registry.names():
        found[name] = measured(name)
        powers = exponents(found[name][0])
        largest = max(found[name][0])
        each = [1e9 * time / largest for time in found[name][0][largest]]
        bad = max(powers) > LINEAR
        missed += bad
        kept = list(found[name][1].values())
        longer = (
            [f"{last / first:.1f}" for first, last in zip(kept[0], kept[-1], strict=True)]
            if kept
            else ["", ""]
        )
        cells = [title(name, {}), *(f"{one:.2f}" for one in (*powers, *each)), *longer]
        print(f"| {' | '.join(cells)} |{' MORE THAN LINEAR' if bad else ''}", flush=True)
    if len(sys.argv) > 1:
        drawn(found).savefig(Path(sys.argv[1]), dpi=150)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
