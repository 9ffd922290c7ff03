"""`rt`: randomized top-k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import check_finite
from slsim.codecs.format import Rng, Values
from slsim.codecs.topk import MaskedK, Positions

if TYPE_CHECKING:
    import torch


class RT(MaskedK):
    """Randomized top-k: each of k draws takes one of the top k, or with probability alpha one of the rest.

    Uniform inside each group, without replacement (Zheng et al., IJCAI 2023); without a generator, as
    at inference, it is plain top-k. The body is that of `sp`: ceil(d / 8) + 4k bytes. Unlike there, the
    top is taken over the whole tensor unless `scope` says "sample", and the gradient that returns is not
    masked.
    """

    alpha: float = Field(
        0.1, strict=True, ge=0, le=1, description="The probability that a draw takes none of the top k."
    )

    def keep(self, values: Values, k: int, rng: Rng) -> tuple[Values, Positions]:
        top = kernels.select(values, k, True)
        check_finite(top.finite, self)
        if rng is None or k == 0:
            return top.kept, top.places
        return kernels.exchange(values, top.kept, top.places, *self._draw(values.size, k, rng))

    def _draw(
        self, size: int, k: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which of the top leave, and the ranks among the rest of those that come in their place."""
        leaving = min(int(rng.binomial(k, self.alpha)), size - k)
        return kernels.distinct_flags(rng, k, leaving), kernels.sorted_distinct(rng, size - k, leaving)

    def mark_rows(self, rows: torch.Tensor, k: int, rngs: Sequence[Rng]) -> torch.Tensor:
        from slsim.codecs import device

        top = device.top_k(rows, k).mask
        if k == 0 or all(rng is None for rng in rngs):
            return top
        size = rows.shape[1]
        nothing = (np.zeros(k, np.bool_), np.empty(0, np.int64))
        draws = [nothing if rng is None else self._draw(size, k, rng) for rng in rngs]
        leaving, coming = ([np.flatnonzero(drop) for drop, _ in draws], [ranks for _, ranks in draws])
        return device.exchange(top, _filled_up(leaving, size), _filled_up(coming, size))

    def bytes_touched(self) -> tuple[float, float]:
        encoding, decoding = super().bytes_touched()
        return encoding + 4 * 2 * self.alpha * (1 - self.sparsity), decoding  # the exchange


def _filled_up(ragged: Sequence[NDArray[np.int64]], value: int) -> NDArray[np.int64]:
    """Rows of equal length."""
    out = np.full((len(ragged), max(row.size for row in ragged)), value, np.int64)
    for filled, row in zip(out, ragged, strict=True):
        filled[: row.size] = row
    return out
