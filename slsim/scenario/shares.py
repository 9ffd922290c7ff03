"""Who gets which: shares of the clients, in whole clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def assign(shares: Sequence[tuple[T, float]], count: int) -> list[T]:
    """What each of `count` clients gets: shares rounded by largest remainder, in the order of `shares`."""
    total = sum(share for _, share in shares)
    exact = [share / total * count for _, share in shares]
    sizes = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: sizes[i] - exact[i])
    for position in by_remainder[: count - sum(sizes)]:
        sizes[position] += 1
    return [item for (item, _), size in zip(shares, sizes, strict=True) for _ in range(size)]
