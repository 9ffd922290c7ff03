"""Encoding and decoding take at most two copies of the input beside it and the result."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from codec_cases import CASES, DEFAULTS, every

Result = TypeVar("Result")

ELEMENTS = 1 << 20
COPY = 4 * ELEMENTS
SLACK = 8_000_000  # temporaries of a chunk, lookup tables: they do not grow with the input
NORMAL = torch.from_numpy(np.random.default_rng(0).standard_normal(ELEMENTS, dtype=np.float32))


def peak_bytes(call: Callable[[], Result]) -> tuple[int, Result]:
    """The most that Python and numpy hold at a time while `call` runs, beyond what they held before; and
    what it gives."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    result = call()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak, result


# Copies come from how a codec works, not from its numbers; what is varied together names the ways of each.
WAYS = [key for key in CASES if "scope" in key or "rounding" in key or "dtype" in key]


@every("key", [*DEFAULTS, *WAYS, *(f"{name}-zstd" for name in DEFAULTS)])
def test_at_most_two_extra_copies(key: str) -> None:
    codec = CASES[key]
    activations = NORMAL.reshape(16, 64, 32, 32)
    few = activations[:, :, :1, :4]
    codec.decode(codec.encode(few, np.random.default_rng(1)))  # what is made once, such as tables, is there
    peak, encoded = peak_bytes(lambda: codec.encode(activations, np.random.default_rng(1)))
    assert peak <= 2 * COPY + 2 * encoded.num_bytes + SLACK
    peak, _ = peak_bytes(lambda: codec.decode(encoded))
    assert peak <= COPY + 2 * COPY + SLACK
