"""Who gets which: shares of the clients, in whole clients.

The shares of a list add up to 1, within 1 % (three times 0.333 is a third each, and so are three times 33 %);
or none of a list has one, and all are equal. `clients.device` and the links of `[network]` follow this rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

TOLERANCE = 0.01  # of the sum of shares
MEANING = "The share of the clients. All shares add up to 1 (within 1 %), or all are left out and equal."


def check(shares: Sequence[float | None]) -> None:
    """Raise ValueError unless the shares of a list are all there and add up to 1, or are all left out."""
    given = [share for share in shares if share is not None]
    if not given:
        return
    if len(given) < len(shares):
        without = next(place for place, share in enumerate(shares) if share is None)
        raise ValueError(f"give each a share, or none (then all are equal); [{without}] has none")
    total = sum(given)
    if abs(total - 1) > TOLERANCE + 1e-9:
        raise ValueError(f"the shares must add up to 1 (within 1 %), they add up to {total:g}")


def assign(shares: Sequence[tuple[T, float | None]], count: int) -> list[T]:
    """What each of `count` clients gets: shares rounded by largest remainder, in the order of `shares`, which
    `check` has found right."""
    weights = [1.0 if share is None else share for _, share in shares]
    total = sum(weights)
    exact = [weight / total * count for weight in weights]
    sizes = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: sizes[i] - exact[i])
    for position in by_remainder[: count - sum(sizes)]:
        sizes[position] += 1
    return [item for (item, _), size in zip(shares, sizes, strict=True) for _ in range(size)]
