"""The stage on which a protocol plays its rounds: clients that compute, a server that queues, a network.

Built new for each round, at time 0; every verb is a SimPy process to `yield from`, and notes the span of
simulated time that it took.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import simpy

from slsim.devices import Device, Work
from slsim.network.topology import Topology
from slsim.recording import Costs

Process: TypeAlias = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Span:
    """What a client was in the midst of, from `start_s` to `end_s` of its round."""

    client: int
    phase: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Cast:
    """Everyone on stage: the clients' devices, the server, the links between them, and the costs."""

    clients: Sequence[Device]
    server: Device
    server_slots: int
    topology: Topology
    costs: Costs


@dataclass
class Stage:
    """One round in progress."""

    cast: Cast
    env: simpy.Environment = field(default_factory=simpy.Environment)
    spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flows = self.cast.topology.network.attach(self.env)
        self._slots = simpy.Resource(self.env, capacity=self.cast.server_slots)

    @property
    def costs(self) -> Costs:
        return self.cast.costs

    def compute(self, client: int, phase: str, work: Work) -> Process:
        """The client's device works."""
        start_s = self.env.now
        yield self.env.timeout(self.cast.clients[client].seconds(work))
        self._note(client, phase, start_s)

    def upload(self, client: int, num_bytes: int) -> Process:
        """A message crosses from the client to the server."""
        start_s = self.env.now
        yield self.flows.send(self.cast.topology.uplinks[client], num_bytes)
        self._note(client, "uplink", start_s)

    def download(self, client: int, num_bytes: int) -> Process:
        """A message crosses from the server to the client."""
        start_s = self.env.now
        yield self.flows.send(self.cast.topology.downlinks[client], num_bytes)
        self._note(client, "downlink", start_s)

    def serve(self, client: int, work: Work) -> Process:
        """The server works for the client, after those who came before (first come, first served)."""
        start_s = self.env.now
        with self._slots.request() as slot:
            yield slot
            self._note(client, "server queue", start_s)
            start_s = self.env.now
            yield self.env.timeout(self.cast.server.seconds(work))
        self._note(client, "server compute", start_s)

    def together(self, processes: Sequence[Process]) -> simpy.Event:
        """All of `processes` at once; the event is the barrier at which the last one arrives."""
        return self.env.all_of([self.env.process(process) for process in processes])

    def _note(self, client: int, phase: str, start_s: float) -> None:
        self.spans.append(Span(client, phase, start_s, self.env.now))
