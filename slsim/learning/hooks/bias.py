"""The size of a mean that is known only through noisy draws, and how sure one can be of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

QUANTILE = 1.96  # of the normal distribution: two sides of 95 %
LEAST_DRAWS = 8


@dataclass(frozen=True)
class Bias:
    """‖E d‖: an estimate and the ends of its 95 % interval, in the unit of d."""

    value: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0


def estimate_bias(draws: torch.Tensor) -> Bias:
    """‖E d‖ from independent draws of d, [draws, elements].

    The norm of the draws' mean would be too large, by their own noise. The mean of ⟨d_i, d_j⟩ over i ≠ j has
    no such term: it is the U-statistic (Hoeffding, 1948) whose expectation is ‖E d‖². Its variance is the
    jackknife's, leaving one draw out at a time (Arvesen, 1969); the interval is normal, on the squared scale,
    cut off at zero, and its ends' roots are given. Where E d = 0 the statistic is degenerate and the
    jackknife's variance about twice too large: there the interval errs towards "not significant".
    """
    count = len(draws)
    assert count >= LEAST_DRAWS, f"{count} draws are too few"
    products = (draws @ draws.T).double()
    rows = products.sum(dim=1) - products.diagonal()
    total = rows.sum()
    squared = float(total) / (count * (count - 1))
    without = (total - 2 * rows) / ((count - 1) * (count - 2))
    variance = (count - 1) / count * float(((without - without.mean()) ** 2).sum())
    reach = QUANTILE * math.sqrt(variance)
    return Bias(*(math.sqrt(max(end, 0.0)) for end in (squared, squared - reach, squared + reach)))
