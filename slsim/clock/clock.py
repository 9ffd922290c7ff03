"""The clock: plays a recording's rounds on a stage and gives the timeline.

On links that do not change, and with connections that remember nothing, a round begins with everyone idle
and ends at a barrier: equal rounds take equal time, and each distinct one is played once. Otherwise all
rounds are played one after another on one clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from slsim.clock import events, invariants
from slsim.clock.arithmetic import Arithmetic, links_are_simple
from slsim.clock.events import LiveStage, Span
from slsim.clock.program import Program
from slsim.clock.stage import Stage
from slsim.clock.timeline import Timeline
from slsim.clock.usage import Due, Played, total_due, total_usage
from slsim.devices import AS_STATED, Assumptions
from slsim.network import LinkUsage
from slsim.recording import SERVER, Phase, Recording, Steps
from slsim.recording.kinds import BARRIER_WAIT, PEER_WAIT, PHASES, SERVER_WAIT
from slsim.scenario import Scenario

Ints = NDArray[np.int64]


class Clock:
    """One stage, on which recordings are played. With `most_events` a round that takes more of SimPy's events
    than that raises `ClockError`.

    Example:
        >>> import slsim
        >>> from slsim.devices import Assumptions
        >>> run = slsim.open_study("results/quickstart").played[0]
        >>> cheap = Clock.of(run.scenario, Assumptions(overhead=0.0)).play(run.recording)
        >>> cheap.makespan_s < run.timeline.makespan_s
        True
    """

    def __init__(self, stage: Stage, most_events: int | None = None) -> None:
        self._stage = stage
        self._most_events = most_events

    @classmethod
    def of(
        cls, scenario: Scenario, assumptions: Assumptions = AS_STATED, most_events: int | None = None
    ) -> Clock:
        """The clock of a scenario's clients, server and network."""
        return cls(Stage.of(scenario, assumptions), most_events)

    def program(self, recording: Recording) -> Program:
        """What a recording's steps take on this clock's devices, whatever its links are."""
        return Program.of(recording.steps, self._stage)

    def play(self, recording: Recording, program: Program | None = None) -> Timeline:
        """All rounds of a recording, one after another, from time 0; `program` is what its steps take on
        these devices, where that is known. Raises `ClockError`."""
        return self.run(recording.steps, recording.rounds, recording.phases, program)

    def round_ends_s(self, recording: Recording, program: Program | None = None) -> NDArray[np.float64]:
        """When each round of a recording ends (s, from 0), as `play` has it, and nothing else."""
        steps, rounds = recording.steps, recording.rounds
        program = program or self.program(recording)
        phases = _phases(steps, recording.phases)
        played = self._by_arithmetic(program, steps, rounds, phases)
        if played is None:
            return self._with_events(program, steps, rounds, phases).round_ends_s
        return np.cumsum(played.durations_s[rounds])

    def _by_arithmetic(
        self, program: Program, steps: Steps, rounds: Ints, phases: tuple[Phase, ...]
    ) -> Played | None:
        """The rounds that differ, where arithmetic can play them."""
        if not links_are_simple(self._stage):
            return None
        arithmetic = Arithmetic(program, self._stage, np.bincount(rounds, minlength=len(steps)))
        return arithmetic.play(_columns(steps, phases), len(phases)) if arithmetic.can_play else None

    def run(
        self,
        steps: Steps,
        rounds: Ints,
        groups: dict[str, str] | None = None,
        program: Program | None = None,
    ) -> Timeline:
        """Rounds one after another, from time 0: `rounds` says which of `steps` each one does, `groups` the
        group of each phase that is not one of the usual. Times that contradict each other are told in the
        timeline's `alarm`. Raises `ClockError` when a round does not end as it must."""
        rounds = np.asarray(rounds, dtype=np.int64)
        program = program or Program.of(steps, self._stage)
        phases = _phases(steps, groups or {})
        played = self._by_arithmetic(program, steps, rounds, phases)
        if played is not None:
            return self._timeline(phases, played, rounds)
        return self._with_events(program, steps, rounds, phases)

    def run_with_events(self, steps: Steps, rounds: Ints, groups: dict[str, str] | None = None) -> Timeline:
        """The same by SimPy, whatever the links are."""
        program = Program.of(steps, self._stage)
        return self._with_events(program, steps, np.asarray(rounds, np.int64), _phases(steps, groups or {}))

    def _with_events(
        self, program: Program, steps: Steps, rounds: Ints, phases: tuple[Phase, ...]
    ) -> Timeline:
        columns, topology = _columns(steps, phases), self._stage.topology
        if not topology.network.is_steady or topology.transport.remembers:
            live = LiveStage(self._stage, program, self._most_events)
            parts = []
            for number in rounds.tolist():
                began_s = live.env.now
                live.play(number)
                parts.append(_tabled(live.spans, began_s, live.env.now, columns, len(phases)))
                live.spans.clear()
            played = _joined(parts, len(phases), live.flows.used(), live.due(), live.joint())
            return self._timeline(phases, played, np.arange(len(rounds)))
        parts, used, due = [], [], []
        joint: set[str] = set()
        times = np.bincount(rounds, minlength=len(steps)).tolist()
        for number in range(len(steps)):
            live = LiveStage(self._stage, program, self._most_events)
            live.play(number)
            parts.append(_tabled(live.spans, 0.0, live.env.now, columns, len(phases)))
            used.append((live.flows.used(), times[number]))
            due.append((live.due(), times[number]))
            joint |= live.joint()
        return self._timeline(
            phases, _joined(parts, len(phases), total_usage(used), total_due(due), joint), rounds
        )

    def _timeline(self, phases: tuple[Phase, ...], played: Played, rounds: Ints) -> Timeline:
        durations_s, offsets, clients, seconds = played.repeated(rounds)
        links = {name: used for name, used in played.links.items() if used.num_bytes}
        timeline = Timeline(
            phases=phases,
            round_ends_s=np.cumsum(durations_s),
            offsets=offsets,
            clients=clients,
            seconds=seconds,
            links=links,
            roles={name: self._stage.topology.links[name].role for name in links},
        )
        return replace(timeline, alarm=invariants.alarm(timeline, self._stage, played))


def _phases(steps: Steps, groups: dict[str, str]) -> tuple[Phase, ...]:
    """The usual phases, and after them those that only these steps have; the barrier's is the last."""
    usual = {phase.name: phase for phase in PHASES if phase != BARRIER_WAIT}
    names = [name for name in steps.words.texts["phase"][1:] if name != BARRIER_WAIT.name]
    own = {name: Phase(name, groups.get(name, name)) for name in names if name not in usual}
    if ((steps.rows["waits_for"] >= 0) & (steps.rows["who"] != SERVER)).any():
        own[PEER_WAIT.name] = PEER_WAIT
    return (*usual.values(), *own.values(), BARRIER_WAIT)


def _columns(steps: Steps, phases: tuple[Phase, ...]) -> Ints:
    """The place among `phases` of each phase's number in the steps, and at the end, so that they are found by
    their negative numbers too, of the waits for another client and for the server."""
    places = {phase.name: place for place, phase in enumerate(phases)}
    names = steps.words.texts["phase"]
    waits = {events.PEER_WAIT: PEER_WAIT, events.SERVER_WAIT: SERVER_WAIT}
    columns = np.full(len(names) + len(waits), -1, dtype=np.int64)
    columns[: len(names)] = [places.get(name, -1) for name in names]
    for number, phase in waits.items():
        columns[number] = places.get(phase.name, -1)
    return columns


Tabled = tuple[float, list[int], list[list[float]]]  # duration (s), clients, and the seconds of each


def _tabled(spans: list[Span], began_s: float, ended_s: float, columns: Ints, size: int) -> Tabled:
    """The clients of a round, and for each its seconds by phase; whenever it does nothing, it waits."""
    barrier_wait = size - 1
    rows: dict[int, list[float]] = {}
    last_s: dict[int, float] = {}
    for client, phase, start_s, end_s, _ in spans:
        row = rows.setdefault(client, [0.0] * size)
        start_s, end_s = start_s - began_s, end_s - began_s
        row[columns[phase]] += end_s - start_s
        row[barrier_wait] += start_s - last_s.get(client, 0.0)
        last_s[client] = end_s
    duration_s = ended_s - began_s
    for client, row in rows.items():
        row[barrier_wait] += duration_s - last_s[client]
    return duration_s, list(rows), list(rows.values())


def _joined(
    parts: list[Tabled], width: int, links: Mapping[str, LinkUsage], due: Mapping[str, Due], joint: set[str]
) -> Played:
    """One table of all rounds, of `width` phases."""
    sizes = [len(clients) for _, clients, _ in parts]
    return Played(
        durations_s=np.array([duration_s for duration_s, _, _ in parts], dtype=np.float64),
        offsets=np.cumsum([0, *sizes], dtype=np.int64),
        clients=np.array([client for _, clients, _ in parts for client in clients], dtype=np.int64),
        seconds=np.array([row for _, _, rows in parts for row in rows], dtype=np.float64).reshape(-1, width),
        links=links,
        due=due,
        joint=frozenset(joint),
    )
