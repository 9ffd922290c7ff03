"""Transports: what a message goes through between the sender's first byte and the receiver's last.

`fluid` knows rate and latency only. `tcp` adds slow start: a connection's window of segments must be
acknowledged before the next, larger one is sent, so a short message over a long path is mostly waiting.
Framing, which both have, is `framing.py`; who gets which share of a link is the network's business. A
transport is named and checked without SimPy, which only an open connection needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field

from slsim.network.framing import Framing
from slsim.registry import Component, Registry

if TYPE_CHECKING:
    import simpy

    from slsim.network.flows import Flows

Sending: TypeAlias = "Generator[simpy.Event, Any, None]"


class Transport(Component, ABC):
    """What messages between a client and the server are sent with. A subclass is final.

    Example:
        >>> Tcp(connections="fresh").remembers, Tcp().remembers
        (False, True)
    """

    @property
    @abstractmethod
    def remembers(self) -> bool:
        """Whether a message's time depends on messages that the connection carried before."""

    @abstractmethod
    def connect(self, line: Line) -> Connection:
        """A connection from one sender to one receiver, on which nothing has been sent yet."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where a connection runs: a route of a live network, its round trip, and what limits it.

    `round_trip_s` is the latency there and back (s), `rate_cap_bps` (bit/s on the wire) what loss leaves.
    """

    env: simpy.Environment
    flows: Flows
    route: tuple[str, ...]
    round_trip_s: float
    framing: Framing
    rate_cap_bps: float | None = None


class Connection(ABC):
    """One direction between a client and the server."""

    @abstractmethod
    def send(self, num_bytes: int) -> Sending:
        """A SimPy process that ends when the last of `num_bytes` (a payload, without headers) has arrived."""


registry: Registry[Transport] = Registry("transport", Transport)  # type: ignore[type-abstract]  # only a bound
register = registry.register


class Fluid(Transport):
    """Rate and latency only: a message waits the latency, then flows at its share of the links."""

    @property
    def remembers(self) -> bool:
        return False

    def connect(self, line: Line) -> Connection:
        return _FluidConnection(line)


class _FluidConnection(Connection):
    def __init__(self, line: Line) -> None:
        self._line = line

    def send(self, num_bytes: int) -> Sending:
        line = self._line
        yield line.flows.send(line.route, line.framing.framed(num_bytes), line.rate_cap_bps)


class Tcp(Transport):
    """Slow start: a window of segments that doubles each round trip until the path is full.

    A message leaves in windows; while a window takes less than a round trip to send, the sender is idle
    until its acknowledgement returns, then sends twice as many segments. Once a window takes a round trip
    or more, the path is full and the rest follows at the message's share of the links. RFC 5681 (slow
    start), RFC 6928 (10 segments to begin with). Connection set-up, losses and their recovery, delayed
    acknowledgements and the reset of an idle connection's window are not modelled.
    """

    window: int = Field(
        10, strict=True, ge=1, description="The number of segments that a fresh connection sends at once."
    )
    connections: Literal["persistent", "fresh"] = Field(
        "persistent", description="Whether a client keeps its window, or connects anew for each message."
    )

    @property
    def remembers(self) -> bool:
        return self.connections == "persistent"

    def connect(self, line: Line) -> Connection:
        return _TcpConnection(line, self.window, keeps_window=self.remembers)


class _TcpConnection(Connection):
    def __init__(self, line: Line, window: int, keeps_window: bool) -> None:
        self._line = line
        self._initial = self._segments = window
        self._keeps_window = keeps_window

    def send(self, num_bytes: int) -> Sending:
        line, env = self._line, self._line.env
        if not self._keeps_window:
            self._segments = self._initial
        yield env.timeout(line.flows.latency_s(line.route))
        left = num_bytes
        path_is_full = False
        while left:
            window = self._segments * line.framing.segment_bytes
            chunk = left if path_is_full else min(left, window)
            began_s = env.now
            yield line.flows.flow(line.route, line.framing.framed(chunk), line.rate_cap_bps)
            left -= chunk
            idle_s = began_s + line.round_trip_s - env.now
            path_is_full = path_is_full or idle_s <= 0
            if chunk == window and not path_is_full:
                self._segments *= 2
                if left:
                    yield env.timeout(idle_s)
