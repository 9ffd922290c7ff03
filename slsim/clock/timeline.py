"""The timeline: a whole training on the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slsim.network import LinkUsage
from slsim.recording import Phase
from slsim.recording.kinds import GROUPS


@dataclass(frozen=True)
class Timeline:
    """When each round ended, and where each client's seconds went.

    `round_ends_s[r]` is when round r ended (s, from 0). A turn is a client's part of a round: the turns
    `offsets[r]:offsets[r + 1]` are round r's, `clients` says whose they are, and `seconds`, [turns, phases],
    how long each spent in each of `phases`; a turn's phases add up to its round's duration. `links` has what
    each link carried that carried anything, `roles` what each is ("uplink", "downlink", …). `alarm` says how
    these contradict one another, which a fault in slsim brings about; it is empty where they do not.

    Example:
        >>> import slsim
        >>> timeline = slsim.open_study("results/quickstart").played[0].timeline
        >>> len(timeline.round_ends_s), timeline.bottleneck()[0]
        (360, 'uplink')
    """

    phases: tuple[Phase, ...]
    round_ends_s: NDArray[np.float64]
    offsets: NDArray[np.int64]
    clients: NDArray[np.int64]
    seconds: NDArray[np.float64]
    links: Mapping[str, LinkUsage]
    roles: Mapping[str, str] = field(default_factory=dict)
    alarm: str = ""

    @property
    def makespan_s(self) -> float:
        """Simulated time to the last event, in seconds."""
        return float(self.round_ends_s[-1]) if self.round_ends_s.size else 0.0

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """How long each round took, in seconds."""
        return np.diff(self.round_ends_s, prepend=0.0)

    def used_as(self, role: str) -> dict[str, LinkUsage]:
        """What the links of a role carried, by name."""
        return {name: usage for name, usage in self.links.items() if self.roles.get(name) == role}

    def spent(self, phase: str) -> NDArray[np.float64]:
        """Seconds of each turn in a phase; 0 where no step is of that phase."""
        names = [one.name for one in self.phases]
        return self.seconds[:, names.index(phase)] if phase in names else np.zeros(len(self.clients))

    def average_round(self) -> dict[str, float]:
        """Seconds in each phase, of the average client of the average round; they add up to its duration."""
        return self._mean_of_rounds(np.ones(len(self.clients)))

    def critical_round(self) -> dict[str, float]:
        """Seconds in each phase, of the client that the average round waited for: the last at the barrier."""
        waits_s = self.spent("barrier wait")
        sizes = np.diff(self.offsets)
        least_s = np.repeat(np.minimum.reduceat(waits_s, self.offsets[:-1][sizes > 0]), sizes[sizes > 0])
        return self._mean_of_rounds((waits_s <= least_s).astype(float))

    def mean_rounds(self) -> NDArray[np.float64]:
        """Seconds of each round's average client in each phase, [rounds, phases]; 0 where nobody took
        part."""
        sizes = np.diff(self.offsets)
        means = np.zeros((len(sizes), len(self.phases)))
        if (some := sizes > 0).any():
            means[some] = np.add.reduceat(self.seconds, self.offsets[:-1][some]) / sizes[some, None]
        return means

    def bottleneck(self) -> tuple[str, float]:
        """Return the group of phases on which the client that the average round waited for spent most of its
        time, and its share of the round; "none" and 0 where nothing takes time."""
        critical = self.critical_round()
        shares, total_s = by_group(critical, self.phases), sum(critical.values())
        most = max(shares, key=shares.__getitem__)
        return (most, shares[most] / total_s) if total_s else ("none", 0.0)

    def _mean_of_rounds(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Each round's mean over its turns by weight, and of these the mean over rounds."""
        names = [phase.name for phase in self.phases]
        sizes = np.diff(self.offsets)
        if not (sizes > 0).any():
            return dict.fromkeys(names, 0.0)
        starts = self.offsets[:-1][sizes > 0]
        sums = np.add.reduceat(self.seconds * weights[:, None], starts, axis=0)
        means = (sums / np.add.reduceat(weights, starts)[:, None]).sum(axis=0) / len(sizes)
        return dict(zip(names, means.tolist(), strict=True))


def by_group(seconds: Mapping[str, float], phases: Sequence[Phase]) -> dict[str, float]:
    """Return the seconds in each group of phases, the usual groups first. `seconds` are by phase."""
    groups = dict.fromkeys((*GROUPS, *(phase.group for phase in phases if phase.group)), 0.0)
    for phase in phases:
        if phase.group:
            groups[phase.group] += seconds.get(phase.name, 0.0)
    return groups
