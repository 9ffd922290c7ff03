"""Encoding and decoding take at most two copies of the input beside it and the result."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from codec_cases import CASES

ELEMENTS = 1 << 20
COPY = 4 * ELEMENTS
SLACK = 8_000_000  # temporaries of a chunk, lookup tables: they do not grow with the input


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that Python and numpy hold at a time while `call` runs, beyond what they held before."""
    call()  # what is made once, such as tables and imports, is there
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    result = call()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    del result
    return peak


@pytest.mark.parametrize("key", [key for key in CASES if "iterations" not in key])
def test_at_most_two_extra_copies(key: str) -> None:
    codec = CASES[key]
    normal = np.random.default_rng(0).standard_normal(ELEMENTS, dtype=np.float32)
    activations = torch.from_numpy(normal).reshape(16, 64, 32, 32)
    encoded = codec.encode(activations, np.random.default_rng(1))
    assert peak_bytes(lambda: codec.encode(activations, np.random.default_rng(1))) <= (
        2 * COPY + 2 * encoded.num_bytes + SLACK
    )
    assert peak_bytes(lambda: codec.decode(encoded)) <= COPY + 2 * COPY + SLACK
