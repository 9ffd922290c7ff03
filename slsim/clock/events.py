"""Play rounds by SimPy: lanes that compute, send and wait, a server that queues, a live network."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import simpy

from slsim.clock.program import NOTHING, Program
from slsim.clock.stage import Stage
from slsim.clock.usage import Due
from slsim.errors import ClockError
from slsim.network.transport import Connection, Line
from slsim.recording import SERVER

Process: TypeAlias = Generator[simpy.Event, Any, None]
Span: TypeAlias = tuple[int, int, float, float, int]  # client, phase, begin and end (s), and the step

SERVER_WAIT, PEER_WAIT = -1, -2  # in place of a phase's number


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


class LiveStage:
    """A stage at work, idle at time 0. It may be kept from round to round."""

    def __init__(self, stage: Stage, program: Program, most_events: int | None = None) -> None:
        self.env = simpy.Environment() if most_events is None else CountedClock(most_events)
        self.flows = stage.topology.network.attach(self.env)
        self.spans: list[Span] = []
        self._topology = stage.topology
        self._slots = simpy.Resource(self.env, capacity=stage.server_slots)
        self._connections: dict[tuple[int, int], Connection] = {}
        self._sent: dict[tuple[str, ...], Due] = {}  # by route
        self._program = program
        self._over: dict[int, simpy.Event] = {}

    def follow(self, program: Program) -> None:
        """Play rounds of another program from now on."""
        self._program = program

    def play(self, number: int) -> None:
        """Play one round of the program, from now on to its end. Raises `ClockError`."""
        try:
            self.env.run(until=self.env.process(self._round(number)))
        except RuntimeError as error:  # what SimPy raises when nothing is left to happen
            raise ClockError(f"the clock is wrong: a round does not end ({error})") from error
        if self.flows.in_flight:
            raise ClockError(
                f"the clock is wrong: a round ended while {self.flows.in_flight} messages were on their way"
            )

    def due(self) -> Mapping[str, Due]:
        """What each link must have carried by the time that all messages have arrived."""
        due: dict[str, Due] = {}
        for route, sent in self._sent.items():
            for link in route:
                due[link] = due.get(link, Due()).plus(sent)
        return due

    def joint(self) -> set[str]:
        """The links that some transfer crossed together with others."""
        return {link for route in self._sent if len(route) > 1 for link in route}

    def _round(self, number: int) -> Process:
        program = self._program
        begin, end = np.searchsorted(program.round, [number, number + 1])
        awaited = program.waits_for[begin:end]
        self._over = {step: self.env.event() for step in awaited[awaited != NOTHING].tolist()}
        sections, lanes = program.section[begin:end], program.lane[begin:end]
        edges = np.flatnonzero(np.diff(lanes) | np.diff(sections)) + 1
        bounds = [begin, *(begin + edges), end]
        by_section: dict[int, list[tuple[int, int]]] = {}
        for first, last in pairwise(bounds):
            by_section.setdefault(int(program.section[first]), []).append((int(first), int(last)))
        for lanes_of in by_section.values():
            yield self.env.all_of([self.env.process(self._lane(*lane)) for lane in lanes_of])

    def _lane(self, begin: int, end: int) -> Process:
        program, env = self._program, self.env
        for step in range(begin, end):
            start_s = env.now
            awaited = int(program.waits_for[step])
            if awaited != NOTHING:
                yield self._over[awaited]
                if program.who[step] != SERVER and env.now > start_s:
                    self.spans.append((int(program.client[step]), PEER_WAIT, start_s, env.now, step))
                    start_s = env.now
            client, phase = int(program.client[step]), int(program.phase[step])
            if program.is_transfer[step]:
                yield from self._transfer(step)
                self.spans.append((client, phase, start_s, env.now, step))
            elif program.who[step] == SERVER:
                yield from self._serve(step, start_s)
            else:
                yield env.timeout(float(program.seconds[step]))
                self.spans.append((client, phase, start_s, env.now, step))
            if step in self._over:
                self._over[step].succeed()

    def _serve(self, step: int, start_s: float) -> Process:
        """The server works after those who came before (first come, first served). A client for whom there is
        nothing to do does not queue."""
        program, env = self._program, self.env
        service_s, client = float(program.seconds[step]), int(program.client[step])
        if not service_s:
            self.spans.append((client, SERVER_WAIT, start_s, env.now, step))
            return
        with self._slots.request() as slot:
            yield slot
            self.spans.append((client, SERVER_WAIT, start_s, env.now, step))
            start_s = env.now
            yield env.timeout(service_s)
        self.spans.append((client, int(program.phase[step]), start_s, env.now, step))

    def _transfer(self, step: int) -> Process:
        topology = self._topology
        who, to = int(self._program.who[step]), int(self._program.to[step])
        num_bytes = int(self._program.num_bytes[step])
        connection = self._connections.get((who, to))
        if connection is None:
            connection = self._connections[who, to] = self._connect(who, to)
        route = topology.route(who, to)
        packets = -(-num_bytes // topology.framing.segment_bytes)
        sent = Due(topology.framing.framed(num_bytes), packets)
        self._sent[route] = self._sent.get(route, Due()).plus(sent)
        yield from connection.send(num_bytes)

    def _connect(self, who: int, to: int) -> Connection:
        topology = self._topology
        line = Line(
            self.env,
            self.flows,
            topology.route(who, to),
            topology.round_trip_s(who, to),
            topology.framing,
            topology.rate_cap_bps(who, to),
        )
        return topology.transport.connect(line)
