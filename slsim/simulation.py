"""Plays a protocol's rounds over a network and gives the Timeline: when each round ended, and where the
time went.

A round of a replayable protocol begins with everyone idle and ends at a barrier, and links do not
change; so equal records take equal time, and each distinct record is simulated once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim import devices
from slsim.network import topology
from slsim.protocols import Cast, Protocol, Span, Stage
from slsim.recording import Costs, RoundRecord
from slsim.scenario import Scenario


@dataclass(frozen=True)
class RoundTiming:
    """How long one round took, each client's spans within it, and each link's bytes and busy seconds."""

    duration_s: float
    spans: tuple[Span, ...]
    link_bytes: Mapping[str, float]
    link_busy_s: Mapping[str, float]


@dataclass(frozen=True)
class Timeline:
    """A whole training on the clock. `round_ends_s[i]` is when round i + 1 ended."""

    round_ends_s: NDArray[np.float64]
    phases_s: Mapping[str, float]
    link_bytes: Mapping[str, float]
    link_busy_s: Mapping[str, float]

    @property
    def makespan_s(self) -> float:
        """Simulated time to the last event."""
        return float(self.round_ends_s[-1]) if self.round_ends_s.size else 0.0


class Simulation:
    """One protocol on one cast: plays rounds, one after another."""

    def __init__(self, protocol: Protocol, cast: Cast) -> None:
        self._protocol = protocol
        self._cast = cast
        self._known: dict[RoundRecord, RoundTiming] = {}

    @classmethod
    def of(cls, scenario: Scenario, costs: Costs) -> Simulation:
        """The simulation that a scenario's protocol, clients, server and network describe."""
        shares = [(share.device.create(), share.share) for share in scenario.clients.device]
        count = scenario.clients.count
        cast = Cast(
            clients=devices.assign(shares, count),
            server=scenario.server.device.create(),
            server_slots=scenario.server.parallel,
            topology=topology.build(scenario.network, count),
            costs=costs,
        )
        return cls(scenario.training.protocol.create(), cast)

    def play(self, record: RoundRecord) -> RoundTiming:
        """The timing of one round."""
        if record not in self._known:
            self._known[record] = self._simulate(record)
        return self._known[record]

    def _simulate(self, record: RoundRecord) -> RoundTiming:
        stage = Stage(self._cast)
        stage.env.run(until=stage.env.process(self._protocol.play(stage, record)))
        usage = stage.flows.usage()
        return RoundTiming(
            duration_s=stage.env.now,
            spans=tuple(stage.spans),
            link_bytes={name: used.num_bytes for name, used in usage.items()},
            link_busy_s={name: used.busy_s for name, used in usage.items()},
        )

    def run(self, rounds: Iterable[RoundRecord]) -> Timeline:
        """All rounds, one after another, from time 0."""
        timings = [self.play(record) for record in rounds]
        spans = ((span.phase, span.end_s - span.start_s) for timing in timings for span in timing.spans)
        return Timeline(
            round_ends_s=np.cumsum([timing.duration_s for timing in timings]),
            phases_s=_totals(spans),
            link_bytes=_totals(item for timing in timings for item in timing.link_bytes.items()),
            link_busy_s=_totals(item for timing in timings for item in timing.link_busy_s.items()),
        )


def _totals(items: Iterable[tuple[str, float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for name, value in items:
        totals[name] = totals.get(name, 0.0) + value
    return totals
