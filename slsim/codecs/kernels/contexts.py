"""Count levels by channel and neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slsim.compiled import compiled


@compiled()
def count_contexts(levels: NDArray[np.uint8], classes: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    """Add levels [samples, channels, rows, columns] to counts [channels or 1, left, upper, levels], where
    neighbours count by their class and those outside are of class 0."""
    samples, channels, rows, columns = levels.shape
    for sample in range(samples):
        for channel in range(channels):
            own = counts[channel % counts.shape[0]]
            for y in range(rows):
                for x in range(columns):
                    left = classes[levels[sample, channel, y, x - 1]] if x > 0 else 0
                    upper = classes[levels[sample, channel, y - 1, x]] if y > 0 else 0
                    own[left, upper, levels[sample, channel, y, x]] += 1
