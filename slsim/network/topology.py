"""Which links there are between the clients and the server, from a scenario's [network].

A client's messages cross, on their way up: its access link, the medium of its cell, its access point and
what is above that, and the server's ingress; on their way down, the same places in reverse order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from slsim import seeds
from slsim.network.framing import Framing
from slsim.network.links import Link, RateChange, Sharing
from slsim.network.network import Network
from slsim.network.transport import Transport
from slsim.scenario import NetworkTable
from slsim.scenario.network import JitterTable, TreeLevel
from slsim.scenario.rates import RateTable
from slsim.scenario.shares import assign
from slsim.traces import Opportunities, Trace

Route = tuple[str, ...]
Stream = Callable[[], Iterator[RateChange]]
MATHIS = math.sqrt(3 / 2)


@dataclass(frozen=True)
class Topology:
    """A network, each client's route up to the server and down from it (names of links), and what messages
    are sent with. `rate_caps_bps` are the rates that loss leaves each client, up and down; None without loss.
    """

    network: Network
    uplinks: tuple[Route, ...]
    downlinks: tuple[Route, ...]
    transport: Transport
    framing: Framing = field(default_factory=Framing)
    rate_caps_bps: tuple[float, ...] | None = None

    def _latency_s(self, route: Route) -> float:
        return sum(self.links[name].latency_s for name in route)

    @cached_property
    def links(self) -> dict[str, Link]:
        """The network's links by name."""
        return {link.name: link for link in self.network.links}

    def route(self, sender: int, receiver: int) -> Route:
        """The links between a client and the server, or from one client's own link to another's. The server
        is -1."""
        if receiver < 0:
            return self.uplinks[sender]
        if sender < 0:
            return self.downlinks[receiver]
        return self.uplinks[sender][0], self.downlinks[receiver][-1]

    def round_trip_s(self, *ends: int) -> float:
        """There and back between clients and the server, in seconds; between two clients that of both."""
        return sum(
            self._latency_s(self.uplinks[client]) + self._latency_s(self.downlinks[client])
            for client in ends
            if client >= 0
        )

    def rate_cap_bps(self, *ends: int) -> float | None:
        """What loss leaves a connection, in bit/s on the wire: in inverse proportion to its round trip. None
        without loss."""
        if self.rate_caps_bps is None:
            return None
        return 1 / sum(1 / self.rate_caps_bps[client] for client in ends if client >= 0)


def build(table: NetworkTable, clients: int, seed: int = 0) -> Topology:
    """Return the topology that a scenario's [network] describes, for that many clients. `seed` is for jitter.

    The role of each link is "uplink" or "downlink" (access links), "medium" (of a cell), "access point",
    "ingress" or "egress".
    """
    access_up, access_down = (_Access(table, name, clients, seed) for name in ("uplink", "downlink"))
    above_up, above_down = _Above(table, "up"), _Above(table, "down")
    lines = [
        *itertools.chain(*zip(access_up.lines, access_down.lines, strict=True)),
        *{line.link.name: line for line in (*above_up.lines, *above_down.lines)}.values(),
    ]
    network = Network([line.link for line in lines], streams=[line.stream for line in lines if line.stream])
    framing = Framing(table.framing.segment, table.framing.header)
    topology = Topology(
        network,
        tuple((access_up.name(client), *above_up.route(client)) for client in range(clients)),
        tuple((*reversed(above_down.route(client)), access_down.name(client)) for client in range(clients)),
        table.transport.create(),
        framing,
    )
    if not table.loss:
        return topology
    packet_bits = 8 * (framing.segment_bytes + framing.header_bytes)
    caps = (_mathis_bps(packet_bits, topology.round_trip_s(client), table.loss) for client in range(clients))
    return Topology(network, topology.uplinks, topology.downlinks, topology.transport, framing, tuple(caps))


def _mathis_bps(packet_bits: int, round_trip_s: float, loss: float) -> float:
    """Return the rate that TCP sustains where a share `loss` of its packets is lost, in bit/s on the wire: a
    packet a round trip, times √(3/2) / √loss.

    Source: Mathis, Semke, Mahdavi and Ott, "The macroscopic behavior of the TCP congestion avoidance
    algorithm", Computer Communication Review 27(3), 1997.
    """
    return packet_bits / round_trip_s * MATHIS / math.sqrt(loss)


@dataclass(frozen=True)
class _Line:
    """A link, and how its rate changes."""

    link: Link
    stream: Stream | None = None


def _line(name: str, rate: float | RateTable, number: int = 0, **of_link: Any) -> _Line:
    """Return a link of a constant rate, or one that follows the trace that is due to `number`; `of_link` has
    the other fields of the `Link`."""
    trace = rate.trace_of(number) if isinstance(rate, RateTable) else None
    if trace is None:
        rate_bps = rate.rate if isinstance(rate, RateTable) else rate
        assert rate_bps is not None
        return _Line(Link(name, rate_bps, **of_link))
    assert isinstance(rate, RateTable)
    shift_s = number * (rate.shift or 0.0)
    if isinstance(trace, Opportunities):
        shifted = replace(trace, shift_s=math.fmod(shift_s, trace.period_s))
        return _Line(Link(name, trace.mean_bps, opportunities=shifted, **of_link))
    begins_bps = next(trace.changes(shift_s))[1]
    link = Link(name, begins_bps or trace.best_bps, **of_link)
    return _Line(link, partial(_follow, name, trace, shift_s))


def _follow(link: str, trace: Trace, shift_s: float) -> Iterator[RateChange]:
    """Yield the changes of a link that has the trace's first rate already, if that is above 0."""
    for number, (time_s, rate_bps) in enumerate(trace.changes(shift_s)):
        if number or not rate_bps:
            yield RateChange(time_s, link, rate_bps)


def _jitter(link: str, rate_bps: float, jitter: JitterTable, seed: int) -> Iterator[RateChange]:
    rng = seeds.generator(seed, f"jitter {link}")
    for step in itertools.count():
        factor = rng.uniform(1 - jitter.spread, 1 + jitter.spread)
        yield RateChange(step * jitter.every, link, rate_bps * factor)


class _Access:
    """The access links of one direction: one for each client, or one for all."""

    def __init__(self, table: NetworkTable, direction: str, clients: int, seed: int) -> None:
        self._direction = direction
        self._for_all = table.sharing != "dedicated"
        sharing: Sharing = "fifo" if table.sharing == "fifo" else "fair"
        count = 1 if self._for_all else clients
        self.lines: list[_Line] = []
        for client, one in enumerate(assign([(one, one.share) for one in table.access(direction)], count)):
            name, latency_s = self.name(client), table.latency_s(one)
            line = _line(
                name,
                one,
                client,
                latency_s=latency_s,
                sharing=sharing,
                burst_bytes=table.burst,
                role=direction,
            )
            if table.jitter:
                line = replace(line, stream=partial(_jitter, name, line.link.rate_bps, table.jitter, seed))
            self.lines.append(line)

    def name(self, client: int) -> str:
        return self._direction if self._for_all else f"{self._direction}{client}"


class _Above:
    """What lies between the access links and the server, in one direction, from the clients upward."""

    def __init__(self, table: NetworkTable, direction: str) -> None:
        edge, name = (table.ingress, "ingress") if direction == "up" else (table.egress, "egress")
        self._edge = [_line(name, edge, role=name)] if edge else []
        self._medium = [_line("medium", table.medium, role="medium")] if table.medium else []
        self._levels = [
            [_tree_line(level, number, place, direction) for place in range(level.count)]
            for number, level in enumerate(table.access_points, start=1)
        ]

    @property
    def lines(self) -> list[_Line]:
        return [*self._medium, *itertools.chain(*self._levels), *self._edge]

    def route(self, client: int) -> Route:
        """Return the links above a client's access link.

        Clients are dealt out to access points in turn, and each level of access points to the next in turn.
        """
        places, place = [], client
        for level in self._levels:
            place %= len(level)
            places.append(level[place])
        return tuple(line.link.name for line in (*self._medium, *places, *self._edge))


def _tree_line(level: TreeLevel, number: int, place: int, direction: str) -> _Line:
    name = f"tree{number}.{place}" + ("" if level.duplex == "half" else f".{direction}")
    return _line(name, level.rate, place, latency_s=level.latency, role="access point")
