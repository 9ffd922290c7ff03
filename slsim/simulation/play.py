"""A protocol's rounds on the clock, by SimPy: who computes, sends and waits when.

On links that do not change, and with connections that remember nothing, a round begins with everyone idle
and ends at a barrier: equal records take equal time, and each distinct record is simulated once. Otherwise
all rounds are simulated one after another on one clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import simpy

from slsim.devices import AS_STATED, Assumptions
from slsim.errors import ClockError
from slsim.network import LinkUsage, topology
from slsim.protocols import PHASES, Cast, Due, Protocol, Span, Stage, Workload
from slsim.recording import Costs, RoundRecord, Turns
from slsim.scenario import Scenario
from slsim.scenario.shares import assign
from slsim.simulation import columns, invariants
from slsim.simulation.costs import CODEC_OF
from slsim.simulation.timeline import Timeline

PLACE = {phase: place for place, phase in enumerate(PHASES)}


@dataclass(frozen=True)
class RoundTiming:
    """How long one round took, each client's spans within it (from its start), and what links did in it."""

    duration_s: float
    spans: tuple[Span, ...]
    links: Mapping[str, LinkUsage]
    due: Mapping[str, Due]


class CountedClock(simpy.Environment):
    """A clock that stops a round in which too much happens. Raises `ClockError` then."""

    def __init__(self, most_events: int) -> None:
        super().__init__()
        self._most = self._left = most_events

    def step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ClockError(
                f"after {self._most:,} events of one round, {self.now:g} s on its clock, it has not ended: "
                "rates that change so often, or so many segments, cannot be played"
            )
        super().step()


class Simulation:
    """One protocol on one cast: plays rounds, one after another. With `most_events` a round that takes more
    of SimPy's events than that is an error, a `ClockError`."""

    def __init__(self, protocol: Protocol, cast: Cast, most_events: int | None = None) -> None:
        self._protocol = protocol
        self._cast = cast
        self._most_events = most_events
        self._known: dict[RoundRecord, RoundTiming] = {}

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        costs: Costs,
        assumptions: Assumptions = AS_STATED,
        most_events: int | None = None,
    ) -> Simulation:
        """The simulation that a scenario's protocol, clients, server and network describe; `assumptions`
        are factors on what its devices assume."""
        shares = [
            (share.device.create().under(assumptions), share.share) for share in scenario.clients.device
        ]
        count = scenario.clients.count
        codecs = {kind: getattr(scenario.codec, which).name for kind, which in CODEC_OF.items()}
        cast = Cast(
            clients=assign(shares, count),
            server=scenario.server.device.create().under(assumptions),
            server_slots=scenario.server.parallel,
            topology=topology.build(scenario.network, count, scenario.seed),
            workload=Workload(costs, codecs),
        )
        return cls(scenario.training.protocol.create(), cast, most_events)

    def run(self, rounds: Sequence[RoundRecord], turns: Turns | None = None) -> Timeline:
        """All rounds, one after another, from time 0. `turns` are their columns, if somebody has them
        already. Times that contradict each other are told in the timeline's `alarm`. Raises `ClockError` when
        a round does not end as it must."""
        if columns.can_play(self._protocol, self._cast):
            turns = turns or Turns.of(rounds)
            if turns is not None and columns.are_barriers(turns):
                return self._checked(*columns.play(self._protocol, self._cast, turns))
        return self.run_with_simpy(rounds)

    def run_with_simpy(self, rounds: Sequence[RoundRecord]) -> Timeline:
        """The same by SimPy, whatever the links are."""
        if self._is_steady:
            timings = [self.play(record) for record in rounds]
            return self._checked(_timeline(timings), _total_due(timings))
        return self._checked(*self._play_on_one_clock(rounds))

    def _checked(self, timeline: Timeline, due: Mapping[str, Due]) -> Timeline:
        return replace(timeline, alarm=invariants.alarm(timeline, self._cast, due))

    def _stage(self) -> Stage:
        if self._most_events is None:
            return Stage(self._cast)
        return Stage(self._cast, CountedClock(self._most_events))

    @property
    def _is_steady(self) -> bool:
        """Whether a round takes the same time whenever it is played."""
        network, transport = self._cast.topology.network, self._cast.topology.transport
        return self._protocol.replayable and network.is_steady and not transport.remembers

    def play(self, record: RoundRecord) -> RoundTiming:
        """The timing of one round, from time 0, with everyone idle before."""
        if record not in self._known:
            stage = self._stage()
            self._simulate(stage, record)
            self._known[record] = RoundTiming(
                stage.env.now, tuple(stage.spans), stage.flows.used(), stage.due()
            )
        return self._known[record]

    def _simulate(self, stage: Stage, record: RoundRecord) -> None:
        stage.env.run(until=stage.env.process(self._protocol.play(stage, record)))
        if stage.flows.in_flight:
            raise ClockError(
                f"the clock is wrong: a round ended while {stage.flows.in_flight} messages were on their way"
            )

    def _play_on_one_clock(self, rounds: Iterable[RoundRecord]) -> tuple[Timeline, Mapping[str, Due]]:
        stage = self._stage()
        parts = []
        for record in rounds:
            began_s = stage.env.now
            self._simulate(stage, record)
            parts.append(RoundTiming(stage.env.now - began_s, _from(began_s, stage.spans), {}, {}))
            stage.spans.clear()
        return _timeline(parts, stage.flows.used()), stage.due()


def _from(began_s: float, spans: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(Span(s.client, s.phase, s.start_s - began_s, s.end_s - began_s) for s in spans)


def _timeline(timings: Sequence[RoundTiming], links: Mapping[str, LinkUsage] | None = None) -> Timeline:
    """Rounds one after another; `links` is what links did in all of them, else it is added up."""
    clients: list[int] = []
    rows: list[list[float]] = []
    offsets = [0]
    tables: dict[int, tuple[list[int], list[list[float]]]] = {}  # of rounds that occur again
    for timing in timings:
        table = tables.get(id(timing))
        if table is None:
            table = tables[id(timing)] = _seconds(timing)
        clients += table[0]
        rows += table[1]
        offsets.append(len(clients))
    return Timeline(
        round_ends_s=np.cumsum([timing.duration_s for timing in timings], dtype=np.float64),
        offsets=np.array(offsets),
        clients=np.array(clients, dtype=np.int64),
        seconds=np.array(rows, dtype=np.float64).reshape(-1, len(PHASES)),
        links={name: used for name, used in (links or _total_usage(timings)).items() if used.num_bytes},
    )


def _seconds(timing: RoundTiming) -> tuple[list[int], list[list[float]]]:
    """The clients of a round, and for each its seconds by phase; whenever it does nothing, it waits."""
    rows: dict[int, list[float]] = {}
    last_s: dict[int, float] = {}
    for span in timing.spans:
        row = rows.setdefault(span.client, [0.0] * len(PHASES))
        row[PLACE[span.phase]] += span.end_s - span.start_s
        row[PLACE["barrier wait"]] += span.start_s - last_s.get(span.client, 0.0)
        last_s[span.client] = span.end_s
    for client, row in rows.items():
        row[PLACE["barrier wait"]] += timing.duration_s - last_s[client]
    return list(rows), list(rows.values())


def _total_usage(timings: Iterable[RoundTiming]) -> dict[str, LinkUsage]:
    totals: dict[str, LinkUsage] = {}
    for timing in timings:
        for name, used in timing.links.items():
            before = totals.get(name, LinkUsage(0.0, 0.0, 0.0))
            totals[name] = LinkUsage(
                before.num_bytes + used.num_bytes,
                before.busy_s + used.busy_s,
                before.capacity_bytes + used.capacity_bytes,
            )
    return totals


def _total_due(timings: Iterable[RoundTiming]) -> dict[str, Due]:
    totals: dict[str, Due] = {}
    for timing in timings:
        for name, due in timing.due.items():
            totals[name] = totals.get(name, Due()).plus(due)
    return totals
