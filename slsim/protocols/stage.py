"""The stage on which a protocol plays its rounds: clients that compute, a server that queues, a network.

Every verb is a SimPy process to `yield from`, and notes the span of simulated time that it took.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, cast

import simpy

from slsim.devices import Device, Work
from slsim.network.topology import Topology
from slsim.network.transport import Connection, Line
from slsim.protocols.steps import Compute, Download, Phase, Serve, Step, Upload, Workload
from slsim.recording import Direction

Process: TypeAlias = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Span:
    """What a client was in the midst of, from `start_s` to `end_s` of the clock."""

    client: int
    phase: Phase
    start_s: float
    end_s: float


class Due(NamedTuple):
    """What must have crossed a link: bytes, headers included, and in how many transfers at most."""

    num_bytes: int = 0
    transfers: int = 0

    def plus(self, other: Due) -> Due:
        return Due(self.num_bytes + other.num_bytes, self.transfers + other.transfers)


@dataclass(frozen=True)
class Cast:
    """Everyone on stage: the clients' devices, the server, the links between them, and the work there is."""

    clients: Sequence[Device]
    server: Device
    server_slots: int
    topology: Topology
    workload: Workload


@dataclass
class Stage:
    """A clock with everyone on it, idle at time 0. It may be kept from round to round."""

    cast: Cast
    env: simpy.Environment = field(default_factory=simpy.Environment)
    spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flows = self.cast.topology.network.attach(self.env)
        self._slots = simpy.Resource(self.env, capacity=self.cast.server_slots)
        self._connections: dict[tuple[int, Direction], Connection] = {}
        self._sent: dict[tuple[str, ...], Due] = {}  # by route

    @property
    def workload(self) -> Workload:
        return self.cast.workload

    def perform(self, client: int, steps: Iterable[Step]) -> Process:
        """A client's steps, one after another."""
        for step in steps:
            match step:
                case Compute(phase, works):
                    yield from self.compute(client, phase, *works)
                case Upload(num_bytes):
                    yield from self.upload(client, cast(int, num_bytes))
                case Serve(works):
                    yield from self.serve(client, *works)
                case Download(num_bytes):
                    yield from self.download(client, cast(int, num_bytes))

    def compute(self, client: int, phase: Phase, *works: Work) -> Process:
        """The client's device works."""
        start_s = self.env.now
        yield self.env.timeout(cast(float, self.cast.clients[client].seconds(*works)))
        self._note(client, phase, start_s)

    def upload(self, client: int, num_bytes: int) -> Process:
        """A message crosses from the client to the server."""
        start_s = self.env.now
        yield from self._send(client, "up", self.cast.topology.uplinks[client], num_bytes)
        self._note(client, "uplink", start_s)

    def download(self, client: int, num_bytes: int) -> Process:
        """A message crosses from the server to the client."""
        start_s = self.env.now
        yield from self._send(client, "down", self.cast.topology.downlinks[client], num_bytes)
        self._note(client, "downlink", start_s)

    def serve(self, client: int, *works: Work) -> Process:
        """The server works for the client, after those who came before (first come, first served); a client
        for whom there is nothing to do does not queue."""
        start_s = self.env.now
        service_s = cast(float, self.cast.server.seconds(*works))
        if not service_s:
            return
        with self._slots.request() as slot:
            yield slot
            self._note(client, "server wait", start_s)
            start_s = self.env.now
            yield self.env.timeout(service_s)
        self._note(client, "server compute", start_s)

    def together(self, processes: Sequence[Process]) -> simpy.Event:
        """All of `processes` at once; the event is the barrier at which the last one arrives."""
        return self.env.all_of([self.env.process(process) for process in processes])

    def due(self) -> Mapping[str, Due]:
        """What each link must have carried by the time that all messages have arrived."""
        due: dict[str, Due] = {}
        for route, sent in self._sent.items():
            for link in route:
                due[link] = due.get(link, Due()).plus(sent)
        return due

    def _send(self, client: int, direction: Direction, route: tuple[str, ...], num_bytes: int) -> Process:
        topology = self.cast.topology
        connection = self._connections.get((client, direction))
        if connection is None:
            cap_bps = topology.rate_caps_bps[client] if topology.rate_caps_bps else None
            round_trip_s = topology.round_trip_s(client)
            line = Line(self.env, self.flows, route, round_trip_s, topology.framing, cap_bps)
            connection = self._connections[client, direction] = topology.transport.connect(line)
        packets = -(-num_bytes // topology.framing.segment_bytes)
        sent = Due(topology.framing.framed(num_bytes), packets)
        self._sent[route] = self._sent.get(route, Due()).plus(sent)
        yield from connection.send(num_bytes)

    def _note(self, client: int, phase: Phase, start_s: float) -> None:
        self.spans.append(Span(client, phase, start_s, self.env.now))
