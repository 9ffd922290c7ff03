"""Whether the table of codecs' costs holds on this machine, up to the speed of its core.

    python benchmarks/codec_costs.py        # a minute; docs/costs.md tells of the table

Each setting is measured beside the loop of reference, in the same process, and compared with what the clock
charges: 1.00 is as charged, 2.00 twice as long. A ratio beyond 3 either way is marked, and the exit status is
1. What the table cannot know shows here: another processor's caches, vector units and branch predictors, and
how well the codes at hand compress. CPU time is measured, so a busy machine does little harm.
"""

from __future__ import annotations

import math
import sys

import torch

from slsim.codecs import create
from slsim.codecs.costs import cost_of, loop_s
from slsim.codecs.timing import activations, encode_and_decode, reference_loop

SHAPES = ((10, 32, 7, 7), (10, 64, 16, 16), (10, 64, 32, 32))
REPEATS = 9
FACTOR = 3.0
SETTINGS = (
    ("cast", {}),
    ("kmeans", {}),
    ("kmeans", {"bits": 2, "iterations": 3}),
    ("ms", {}),
    ("ms", {"bits": 3, "rounding": "centroid", "sparsity": 0.9}),
    ("ms", {"lossless": "zstd"}),
    ("ms", {"scope": "sample"}),
    ("qsgd", {}),
    ("qu", {}),
    ("qu", {"bits": 5, "scope": "channel"}),
    ("qu", {"lossless": "zstd", "zstd_level": 5}),
    ("randk", {"sparsity": 0.8}),
    ("rt", {}),
    ("rt", {"alpha": 0.5, "sparsity": 0.7}),
    ("sp", {}),
)


def main() -> int:
    torch.set_num_threads(1)
    missed = 0
    print("| codec | elements | map | encode | decode |\n|---|---|---|---|---|")
    for name, parameters in SETTINGS:
        codec = create(name, **parameters)
        for shape in SHAPES:
            for sparse in (True, False):
                speed = loop_s() / reference_loop()
                cost = cost_of(codec, shape, sparse)
                took = encode_and_decode(codec, activations(shape, sparse), REPEATS)
                assert cost.core_s is not None
                charged = [
                    math.prod(shape) * sum(pair) for pair in zip(cost.core_s, cost.lossless_s, strict=True)
                ]
                ratios = [speed * own / due for own, due in zip(took, charged, strict=True)]
                bad = [not 1 / FACTOR <= ratio <= FACTOR for ratio in ratios]
                missed += sum(bad)
                shown = [f"{ratio:.2f}{' MISSES' * off}" for ratio, off in zip(ratios, bad, strict=True)]
                kind = "after a ReLU" if sparse else "dense"
                label = ", ".join([name, *(f"{key} {value}" for key, value in parameters.items())])
                print(f"| {label} | {math.prod(shape):,} | {kind} | {' | '.join(shown)} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
