"""Where the transfers of a live network stand: one `LinkState` a link, one `FlowState` a transfer.

Bookkeeping without a clock of its own: whoever calls says what time it is (`now_s`, seconds).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import simpy

from slsim.network.links import Link, LinkUsage


class LinkState:
    """A link with its current rate (bit/s), the flows on it, and what it has done so far."""

    __slots__ = ("_busy_s", "_busy_since_s", "_carried_bits", "flowing", "link", "queue", "rate_bps")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.rate_bps = link.rate_bps
        self.flowing: dict[FlowState, None] = {}  # an ordered set: the results do not depend on hashes
        self.queue: deque[FlowState] = deque()  # of a FIFO link: all that arrived, first the one served
        self._carried_bits = 0.0  # by flows that have left
        self._busy_s = 0.0  # until the link last fell idle
        self._busy_since_s = 0.0

    def enter(self, flow: FlowState, now_s: float) -> None:
        """`flow` begins to flow over this link; to say so twice changes nothing."""
        if not self.flowing:
            self._busy_since_s = now_s
        self.flowing[flow] = None

    def leave(self, flow: FlowState, now_s: float) -> None:
        """`flow` has carried all its bytes over this link."""
        del self.flowing[flow]
        self._carried_bits += flow.num_bits
        if not self.flowing:
            self._busy_s += now_s - self._busy_since_s

    def usage(self, now_s: float) -> LinkUsage:
        """Bytes carried and seconds busy up to now."""
        bits = self._carried_bits + sum(flow.num_bits - flow.bits_left(now_s) for flow in self.flowing)
        busy_s = self._busy_s + (now_s - self._busy_since_s if self.flowing else 0.0)
        return LinkUsage(bits / 8, busy_s)


class Path:
    """The links of a route, sorted by what they do to a flow."""

    __slots__ = ("fifo", "latency_s", "links", "per_flow", "shared")

    def __init__(self, links: Iterable[LinkState]) -> None:
        self.links = tuple(links)
        self.latency_s = math.fsum(state.link.latency_s for state in self.links)
        self.per_flow = tuple(state for state in self.links if state.link.sharing == "per_flow")
        self.shared = tuple(state for state in self.links if state.link.sharing != "per_flow")
        self.fifo = tuple(state for state in self.links if state.link.sharing == "fifo")


class FlowState:
    """A transfer from its sending to its last byte.

    `finish_s` follows from the rate and holds until the rate changes. `wake` is the event that its group of
    flows (see `connected`) has scheduled for its first finish; any older event of the group is void.
    """

    __slots__ = (
        "_bits_left",
        "_since_s",
        "arrived",
        "finish_s",
        "num_bits",
        "number",
        "path",
        "rate_bps",
        "rate_cap_bps",
        "wake",
    )

    def __init__(self, path: Path, num_bytes: int, rate_cap_bps: float | None, arrived: simpy.Event) -> None:
        self.path = path
        self.num_bits = 8 * num_bytes
        self.rate_cap_bps = math.inf if rate_cap_bps is None else rate_cap_bps
        self.arrived = arrived  # fires with the time at which the last byte has arrived
        self.number = -1  # the order of arrival at the route, over the whole network
        self.rate_bps = 0.0
        self.finish_s = math.inf
        self.wake: simpy.Event | None = None
        self._bits_left = float(self.num_bits)  # at _since_s
        self._since_s = 0.0

    def own_limit_bps(self) -> float:
        """The most this flow can go whatever the others do: its cap and its per-flow links."""
        return min([self.rate_cap_bps, *(link.rate_bps for link in self.path.per_flow)])

    def bits_left(self, now_s: float) -> float:
        """What has not crossed yet, in bits."""
        return max(0.0, self._bits_left - self.rate_bps * (now_s - self._since_s))

    def set_rate(self, rate_bps: float, now_s: float) -> None:
        """Flow at `rate_bps` from now on. The same rate as before changes nothing, so nothing is rounded."""
        if rate_bps != self.rate_bps:
            self._bits_left = self.bits_left(now_s)
            self._since_s = now_s
            self.rate_bps = rate_bps
            self.finish_s = now_s + self._bits_left / rate_bps


def connected(flow: FlowState) -> tuple[list[FlowState], dict[LinkState, float]]:
    """The flows whose rates depend on `flow`'s, itself included, and the rates of the links they share.

    Two flows depend on each other if both are flowing over one fair or FIFO link, or if a chain of such
    flows joins them.
    """
    flows = {flow: None}
    rates_bps: dict[LinkState, float] = {}
    to_visit = [flow]
    while to_visit:
        for link in to_visit.pop().path.shared:
            if link in rates_bps:
                continue
            rates_bps[link] = link.rate_bps
            for other in link.flowing:
                if other not in flows:
                    flows[other] = None
                    to_visit.append(other)
    return list(flows), rates_bps
