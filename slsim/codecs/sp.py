"""`sp`: top-k sparsification with a position mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slsim.codecs import kernels
from slsim.codecs.base import check_finite
from slsim.codecs.format import Rng, Values
from slsim.codecs.topk import MaskedK, Positions

if TYPE_CHECKING:
    import torch


class SP(MaskedK):
    """Top-k sparsification: the k elements of largest magnitude, the others decode to 0.

    Among equals the first are kept; a sparsity of 1 sends a mask alone. Body: ceil(d / 8) bytes of mask and
    4k of float32 values.
    """

    @property
    def draws(self) -> bool:
        return False

    def keep(self, values: Values, k: int, rng: Rng) -> tuple[Values, Positions]:
        del rng
        top = kernels.select(values, k, True)
        check_finite(top.finite, self)
        return top.kept, top.places

    def mark_rows(self, rows: torch.Tensor, k: int, rngs: Sequence[Rng]) -> torch.Tensor:
        from slsim.codecs import device

        del rngs
        return device.top_k(rows, k).mask
