"""Statistics over seeds: means with intervals, medians with ranges, paired differences.

Seeds are independent repetitions, and there are few of them, so every interval is Student's:
mean ± t · s / √n with the quantile t of n - 1 degrees of freedom. Of ratios (multipliers, speed-ups) the same
is done with their logarithms: the mean is the geometric one, and a ratio and its inverse are treated alike.
Of one seed there is no interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
EQUAL = 1e-9  # relative; differences below are rounding in floats

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean, and the ends of its 95 % interval; NaN where there are fewer than two values."""

    mean: float
    low: float
    high: float


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean of values and its interval; NaN of none."""
    return Estimate(*(float(one[0]) for one in intervals(np.array([values], np.float64))))


def ratio_of(values: Sequence[float]) -> Estimate:
    """The geometric mean of ratios above 0, and its interval; NaN of none."""
    return Estimate(*(float(one[0]) for one in ratio_intervals(np.array([values], np.float64))))


def intervals(values: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Means, and the low and the high ends of their intervals, of each row; NaN in a row is left out."""
    table = np.asarray(values, np.float64)
    there = ~np.isnan(table)
    counts = there.sum(axis=1)
    known = np.where(there, table, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, known.sum(axis=1) / counts, np.nan)
        squares = np.where(there, (table - means[:, None]) ** 2, 0.0).sum(axis=1)
        deviations = np.sqrt(squares / (counts - 1))
        halves = np.where(counts > 1, _quantiles(counts) * deviations / np.sqrt(counts), np.nan)
    return means, means - halves, means + halves


def ratio_intervals(values: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The same of ratios above 0, by their logarithms."""
    table = np.asarray(values, np.float64)
    means, low, high = (np.exp(one) for one in intervals(np.log(table)))
    alone = (~np.isnan(table)).sum(axis=1) == 1
    means[alone] = np.nansum(table[alone], axis=1)  # as it is, to the last digit
    return means, low, high


def is_less(values: Sequence[float], others: Sequence[float]) -> bool:
    """Whether `values` are significantly less than `others`, both above 0, paired by place (one a seed): the
    interval of the mean logarithm of their ratios is below 0. Never where a value is infinite or missing, or
    there are fewer than two pairs."""
    pairs = np.array([values, others], np.float64)
    if pairs.shape[1] < 2 or not (np.isfinite(pairs) & (pairs > 0)).all():
        return False
    return mean_of(np.log(pairs[0] / pairs[1]).tolist()).high < -EQUAL


def _quantiles(counts: NDArray[np.int64]) -> Floats:
    """Student's quantile for each number of values; NaN below two."""
    found = {count: quantile(count) for count in np.unique(counts).tolist()}
    return np.array([found[count] for count in counts.tolist()], np.float64)


@cache
def quantile(count: int) -> float:
    """What the standard error of so many values is multiplied by for half of their 95 % interval; NaN below
    two values."""
    if count < 2:
        return math.nan
    from scipy.special import stdtrit  # a tenth of a second, which one seed does not need

    return float(stdtrit(count - 1, (1 + CONFIDENCE) / 2))
