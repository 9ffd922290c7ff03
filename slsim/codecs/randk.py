"""`randk`: random-k sparsification, unbiased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from slsim.codecs import kernels
from slsim.codecs.base import check_finite
from slsim.codecs.format import Rng, Values
from slsim.codecs.topk import MaskedK, Positions

if TYPE_CHECKING:
    import torch


class RandK(MaskedK):
    """Random-k: k elements drawn uniformly, scaled by d / k, so that the mean over draws is the tensor.

    Wangni et al., NeurIPS 2018 (arXiv 1710.09854), with equal probabilities. Without a generator, as at
    inference, the draw is a fixed one. Body: that of `sp`, ceil(d / 8) + 4k bytes. A scaled value beyond
    float32 is refused.
    """

    def keep(self, values: Values, k: int, rng: Rng) -> tuple[Values, Positions]:
        check_finite(bool(np.isfinite(values).all()), self)
        drawn = self._draw(values.size, k, rng)
        with np.errstate(over="ignore"):  # told by check_finite
            kept: Values = values[drawn] * np.float32(self.scale(values.size, k))
        check_finite(bool(np.isfinite(kept).all()), self)
        return kept, drawn.astype(np.uint32)

    def _draw(self, size: int, k: int, rng: Rng) -> NDArray[np.int64]:
        return kernels.sorted_distinct(rng or np.random.default_rng(0), size, k)

    def scale(self, size: int, k: int) -> float:
        return float(np.float32(size / max(k, 1)))

    def mark_rows(self, rows: torch.Tensor, k: int, rngs: Sequence[Rng]) -> torch.Tensor:
        from slsim.codecs import device

        return device.mark(rows, np.stack([self._draw(rows.shape[1], k, rng) for rng in rngs]))
