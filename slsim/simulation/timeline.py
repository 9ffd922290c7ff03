"""The Timeline: a whole training on the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.network import LinkUsage
from slsim.protocols import PHASES


@dataclass(frozen=True)
class Timeline:
    """When each round ended, and where each client's seconds went.

    `round_ends_s[r]` is when round r ended (s, from 0). A turn is a client's part of a round: the turns
    `offsets[r]:offsets[r + 1]` are round r's, `clients` says whose they are, and `seconds` [turns,
    len(PHASES)] how long each spent in each phase; a turn's phases add up to its round's duration. `links`
    has what each link carried that carried anything. `alarm` says how these contradict one another, which a
    fault in slsim or in a protocol of one's own brings about; it is empty where they do not.
    """

    round_ends_s: NDArray[np.float64]
    offsets: NDArray[np.int64]
    clients: NDArray[np.int64]
    seconds: NDArray[np.float64]
    links: Mapping[str, LinkUsage]
    alarm: str = ""

    @property
    def makespan_s(self) -> float:
        """Simulated time to the last event."""
        return float(self.round_ends_s[-1]) if self.round_ends_s.size else 0.0

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """How long each round took."""
        return np.diff(self.round_ends_s, prepend=0.0)

    def average_round(self) -> dict[str, float]:
        """Seconds in each phase, of the average client of the average round; they add up to its duration."""
        return self._mean_of_rounds(np.ones(len(self.clients)))

    def critical_round(self) -> dict[str, float]:
        """Seconds in each phase, of the client that the average round waited for: the last at the barrier."""
        waits_s = self.seconds[:, PHASES.index("barrier wait")]
        sizes = np.diff(self.offsets)
        least_s = np.repeat(np.minimum.reduceat(waits_s, self.offsets[:-1][sizes > 0]), sizes[sizes > 0])
        return self._mean_of_rounds((waits_s <= least_s).astype(float))

    def _mean_of_rounds(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Each round's mean over its turns by weight, and of these the mean over rounds."""
        sizes = np.diff(self.offsets)
        if not (sizes > 0).any():
            return dict.fromkeys(PHASES, 0.0)
        starts = self.offsets[:-1][sizes > 0]
        sums = np.add.reduceat(self.seconds * weights[:, None], starts, axis=0)
        means = (sums / np.add.reduceat(weights, starts)[:, None]).sum(axis=0) / len(sizes)
        return dict(zip(PHASES, means.tolist(), strict=True))
