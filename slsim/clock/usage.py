"""What rounds on the clock came to: durations, each client's seconds, and what links did and had to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.network import LinkUsage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Due(NamedTuple):
    """What must have crossed a link: bytes, headers included, and in how many transfers at most."""

    num_bytes: int = 0
    transfers: int = 0

    def plus(self, other: Due) -> Due:
        """Both together."""
        return Due(self.num_bytes + other.num_bytes, self.transfers + other.transfers)


@dataclass(frozen=True)
class Played:
    """Rounds that were played: how long each took (s), and its turns as a `Timeline` has them; what links did
    and had to do, and those links that some transfer crossed together with others."""

    durations_s: Floats
    offsets: Ints
    clients: Ints
    seconds: Floats
    links: Mapping[str, LinkUsage]
    due: Mapping[str, Due]
    joint: frozenset[str] = frozenset()

    def repeated(self, rounds: Ints) -> tuple[Floats, Ints, Ints, Floats]:
        """Durations, offsets, clients and seconds of a training whose rounds are these."""
        sizes = np.diff(self.offsets)[rounds]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        turns = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][rounds] - offsets[:-1], sizes)
        return self.durations_s[rounds], offsets, self.clients[turns], self.seconds[turns]


def total_usage(usages: Iterable[tuple[Mapping[str, LinkUsage], int]]) -> dict[str, LinkUsage]:
    """Add up what links did, each so many times."""
    totals: dict[str, LinkUsage] = {}
    for links, times in usages:
        for name, used in links.items():
            before = totals.get(name, LinkUsage(0.0, 0.0, 0.0))
            totals[name] = LinkUsage(
                before.num_bytes + times * used.num_bytes,
                before.busy_s + times * used.busy_s,
                before.capacity_bytes + times * used.capacity_bytes,
            )
    return totals


def total_due(dues: Iterable[tuple[Mapping[str, Due], int]]) -> dict[str, Due]:
    """Add up what links had to carry, each so many times."""
    totals: dict[str, Due] = {}
    for of_links, times in dues:
        for name, due in of_links.items():
            repeated = Due(times * due.num_bytes, times * due.transfers)
            totals[name] = totals.get(name, Due()).plus(repeated)
    return totals
