"""What `splitfc` needs to know of columns: a column is one feature over the samples of a mini-batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.compiled import compiled

PerColumn = NDArray[np.float64]


class Moments(NamedTuple):
    """Of each column: the mean, the sum of the squared differences from it, and the extremes."""

    means: PerColumn
    squares: PerColumn
    lows: PerColumn
    highs: PerColumn


@compiled()
def column_moments(rows: NDArray[np.float32]) -> Moments:
    """The moments of the columns of `rows`, [samples, features], in float64; there is one sample at least."""
    samples, features = rows.shape
    means, squares = np.zeros(features), np.zeros(features)
    lows, highs = np.full(features, np.inf), np.full(features, -np.inf)
    for b in range(samples):
        for i in range(features):
            value = np.float64(rows[b, i])
            means[i] += value
            lows[i], highs[i] = min(lows[i], value), max(highs[i], value)
    for i in range(features):
        means[i] = min(max(means[i] / samples, lows[i]), highs[i])
    for b in range(samples):
        for i in range(features):
            difference = rows[b, i] - means[i]
            squares[i] += difference * difference
    return Moments(means, squares, lows, highs)
