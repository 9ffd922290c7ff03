"""All rounds at once, by arithmetic on columns: for synchronous protocols on links that are simple enough.

Simple enough are access links of constant rates and nothing else, used by the fluid transport: an own link
for each client, or one for all that is shared fairly or first in, first out. Every resource is then used at
one step of the chain, so that the steps can be taken one after another for all clients of all rounds; a
property test holds this to SimPy's times.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from slsim.devices import Device, Work
from slsim.network import Link, LinkUsage, barrier
from slsim.network.transport import Fluid
from slsim.protocols import PHASES, Cast, Compute, Download, Due, Protocol, Serve, Step, Synchronous, Upload
from slsim.recording import Turns
from slsim.simulation.timeline import Timeline

Floats = NDArray[np.float64]
PLACE = {phase: place for place, phase in enumerate(PHASES)}


def can_play(protocol: Protocol, cast: Cast) -> bool:
    """Whether protocol, links and transport are simple enough."""
    topology = cast.topology
    return (
        isinstance(protocol, Synchronous)
        and isinstance(topology.transport, Fluid)
        and topology.network.is_steady
        and topology.rate_caps_bps is None
        and all(_is_simple(routes) for routes in (topology.uplinks, topology.downlinks))
        and not set(topology.uplinks) & set(topology.downlinks)
    )


def _is_simple(routes: tuple[tuple[str, ...], ...]) -> bool:
    """Own links for all, or one for all."""
    return all(len(route) == 1 for route in routes) and len(set(routes)) in (1, len(routes))


def are_barriers(turns: Turns) -> bool:
    """Whether each round has turns, and no client two of them."""
    if not (np.diff(turns.offsets) > 0).all():
        return False
    round_of = np.repeat(np.arange(len(turns.offsets) - 1), np.diff(turns.offsets))
    same_round = round_of[1:] == round_of[:-1]
    if (np.diff(turns.client)[same_round] > 0).all():
        return True
    pairs = round_of * (turns.client.max() + 1) + turns.client
    return len(np.unique(pairs)) == len(pairs)


def play(protocol: Protocol, cast: Cast, turns: Turns) -> tuple[Timeline, Mapping[str, Due]]:
    """The timeline of all rounds, and what was sent over each link."""
    assert isinstance(protocol, Synchronous)
    round_ = _Rounds(cast, turns)
    for step in protocol.chain(turns, cast.workload):
        round_.take(step)
    return round_.timeline(), round_.due


class _Rounds:
    """All rounds in progress: `now_s` is each turn's own clock, from its round's start."""

    def __init__(self, cast: Cast, turns: Turns) -> None:
        self._cast = cast
        self._turns = turns
        self._devices = _device_numbers(cast, turns)
        self.now_s = np.zeros(len(turns.client))
        self.seconds = np.zeros((len(turns.client), len(PHASES)))
        self.links: dict[str, LinkUsage] = {}
        self.due: dict[str, Due] = {}

    def take(self, step: Step) -> None:
        """Every turn's next step."""
        match step:
            case Compute(phase, works):
                self._spend(phase, self.now_s + self._device_seconds(works))
            case Upload(num_bytes):
                self._spend("uplink", self._cross(self._cast.topology.uplinks, num_bytes))
            case Download(num_bytes):
                self._spend("downlink", self._cross(self._cast.topology.downlinks, num_bytes))
            case Serve(works):
                service_s = np.broadcast_to(self._cast.server.seconds(*works), self.now_s.shape)
                slots = self._cast.server_slots
                begin_s, end_s = barrier.queue(self.now_s, service_s, self._turns.offsets, slots)
                served = service_s > 0  # the others do not queue
                begin_s, end_s = (np.where(served, at_s, self.now_s) for at_s in (begin_s, end_s))
                self._spend("server wait", begin_s)
                self._spend("server compute", end_s)

    def _spend(self, phase: str, until_s: Floats) -> None:
        self.seconds[:, PLACE[phase]] += until_s - self.now_s  # type: ignore[index]
        self.now_s = until_s

    def _device_seconds(self, works: tuple[Work, ...]) -> Floats:
        kinds, number_of = self._devices
        seconds = np.broadcast_to(kinds[0].seconds(*works), self.now_s.shape)
        for number, device in enumerate(kinds[1:], start=1):
            seconds = np.where(number_of == number, device.seconds(*works), seconds)
        return seconds

    def _cross(self, routes: tuple[tuple[str, ...], ...], num_bytes: int | NDArray[np.int64]) -> Floats:
        links = self._cast.topology.links
        framed = self._cast.topology.framing.framed(np.broadcast_to(num_bytes, self.now_s.shape))
        if len(set(routes)) == 1 and len(routes) > 1:
            return self._cross_one(links[routes[0][0]], framed)
        return self._cross_own([links[route[0]] for route in routes], framed)

    def _cross_own(self, links: list[Link], framed: NDArray[np.int64]) -> Floats:
        clients = self._turns.client
        rates_bps = np.array([link.rate_bps for link in links])
        latencies_s = np.array([link.latency_s for link in links])
        carried = np.bincount(clients, weights=framed, minlength=len(links))
        busy_s = 8 * carried / rates_bps
        transfers = np.bincount(clients, minlength=len(links))
        for client in range(len(links)):
            use = float(carried[client]), float(busy_s[client]), int(transfers[client])
            self._note(links[client], *use)
        return barrier.dedicated(self.now_s, framed, rates_bps[clients], latencies_s[clients])

    def _cross_one(self, link: Link, framed: NDArray[np.int64]) -> Floats:
        cross = barrier.fifo if link.sharing == "fifo" else barrier.fair
        end_s, busy_s = cross(self.now_s, framed, self._turns.offsets, link.rate_bps, link.latency_s)
        self._note(link, float(framed.sum()), float(busy_s.sum()), len(framed))
        return end_s

    def _note(self, link: Link, num_bytes: float, busy_s: float, transfers: int) -> None:
        if not num_bytes:
            return
        self.due[link.name] = Due(round(num_bytes), transfers)
        self.links[link.name] = LinkUsage(num_bytes, busy_s, busy_s * link.rate_bps / 8)

    def timeline(self) -> Timeline:
        """After the last step: the barrier."""
        offsets = self._turns.offsets
        ends_s = np.maximum.reduceat(self.now_s, offsets[:-1])
        self._spend("barrier wait", np.repeat(ends_s, np.diff(offsets)))
        return Timeline(np.cumsum(ends_s), offsets, self._turns.client, self.seconds, self.links)


def _device_numbers(cast: Cast, turns: Turns) -> tuple[list[Device], NDArray[np.int64]]:
    """The distinct devices, and for each turn which of them computes it."""
    kinds = {id(device): device for device in cast.clients}
    numbers = {identity: number for number, identity in enumerate(kinds)}
    of_client = np.array([numbers[id(device)] for device in cast.clients])
    return list(kinds.values()), of_client[turns.client]
