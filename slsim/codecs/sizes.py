"""Counting: how many elements are kept, how many bytes packed codes take. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Literal, TypeAlias

Shape: TypeAlias = tuple[int, ...]
Scope = Literal["tensor", "sample"]


CHUNK = 1 << 16  # elements that float64 and index temporaries are made for at a time; a multiple of 8


def chunks(num_elements: int, size: int = CHUNK) -> Iterator[slice]:
    """Slices of `size` that cover `num_elements`; the last may be shorter."""
    return (slice(start, min(start + size, num_elements)) for start in range(0, num_elements, size))


@lru_cache(maxsize=1024)
def kept_elements(sparsity: float, num_elements: int) -> int:
    """k = floor((1 - sparsity) · d), in exact decimal arithmetic: (1 - 0.9) · 10 is 1. At least 1 where there
    is an element, unless all are to be dropped: a mask alone teaches nothing."""
    k = int((1 - Decimal(repr(sparsity))) * num_elements)
    return max(k, 1) if sparsity < 1 and num_elements else k


def packed_bytes(num_elements: int, bits: int) -> int:
    """ceil(bits · d / 8)."""
    return (num_elements * bits + 7) // 8


def parts(shape: Shape, scope: Scope) -> tuple[int, int]:
    """How many parts a tensor is encoded in, and the elements of each: one for the whole tensor, or one for
    each sample (the first dimension; a tensor without dimensions is one sample). An empty tensor has none."""
    num_elements = math.prod(shape)
    if num_elements == 0:
        return 0, 0
    count = shape[0] if scope == "sample" and shape else 1
    return count, num_elements // count
