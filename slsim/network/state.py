"""The state of a live network: one `LinkState` for each link, one `FlowState` for each transfer, and what a
`Solver` does with them.

Nothing here has a clock of its own: the caller gives the time (`now_s`, seconds).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import simpy

from slsim.network.links import Link, LinkUsage


class LinkState:
    """A link with its current rate (bit/s), the flows on it, and what it has done so far.

    A fair link that a single flow uses is folded: it is one more limit of that flow, `sole`. When a second
    one enters, it becomes a pool, whose rate `solver` divides, until it is empty.
    """

    __slots__ = (
        "_busy_s",
        "_capacity_bits",
        "_carried_bits",
        "_credit_bits",
        "_is_per_flow",
        "_is_shaped",
        "_since_s",
        "flowing",
        "link",
        "num_sharing",
        "passed",
        "queue",
        "rate_bps",
        "sole",
        "solver",
    )

    def __init__(self, link: Link, now_s: float) -> None:
        self.link = link
        self.rate_bps = 0.0 if link.opportunities else link.rate_bps
        self.flowing: dict[FlowState, None] = {}  # an ordered set: the results do not depend on hashes
        self.queue: deque[FlowState] = deque()  # of a FIFO link: all that arrived, first the one served
        self.num_sharing = 0  # flows on a fair link that it limits: all but the one that has its credit
        self.sole: FlowState | None = None  # the flow that a fair link is folded into
        self.solver: Solver | None = None  # that divides the rate of a pool
        self.passed: dict[FlowState, int] = {}  # of an opportunity link: bits, by the flows on it
        self._carried_bits = 0.0  # by flows that have left
        self._capacity_bits = 0.0  # could have been carried while busy, until _since_s
        self._credit_bits = 8 * link.burst_bytes  # at _since_s
        self._busy_s = 0.0  # until _since_s
        self._since_s = now_s
        self._is_per_flow = link.sharing == "per_flow"
        self._is_shaped = link.burst_bytes > 0

    def enter(self, flow: FlowState, now_s: float) -> None:
        """Let `flow` begin to flow over this link."""
        if self._is_per_flow or not self.flowing:
            self._account(now_s)
        self.flowing[flow] = None

    def leave(self, flow: FlowState, now_s: float) -> None:
        """Let `flow` go, which has carried all its bytes over this link."""
        if self._is_per_flow or len(self.flowing) == 1:
            self._account(now_s)
        del self.flowing[flow]
        self.passed.pop(flow, None)
        self._carried_bits += flow.num_bits

    def take_credit(self, num_bits: int) -> float:
        """Return the tokens (bits) that a flow of `num_bits` takes as it enters: at most what is left."""
        taken = min(self._credit_bits, num_bits)
        self._credit_bits -= taken
        self._capacity_bits += taken
        return taken

    def wanted(self, flow: FlowState) -> int:
        """Return the bits of `flow` that wait at this opportunity link, having passed the one before."""
        place = flow.path.gates.index(self)
        before = flow.path.gates[place - 1].passed.get(flow, 0) if place else flow.num_bits
        return before - self.passed.get(flow, 0)

    def let_pass(self, flow: FlowState, num_bits: int) -> None:
        """Let `num_bits` more bits of `flow` pass this opportunity link."""
        self.passed[flow] = self.passed.get(flow, 0) + num_bits
        self._capacity_bits += num_bits

    def set_rate(self, rate_bps: float, now_s: float) -> None:
        """Change the rate of the link from now on; the caller has to tell the solver that divides it."""
        self._account(now_s)
        self.rate_bps = rate_bps

    def usage(self, now_s: float) -> LinkUsage:
        """Return the bytes carried, the seconds busy, and the bytes that could have been carried then."""
        bits = self._carried_bits + sum(flow.num_bits - flow.bits_left(now_s) for flow in self.flowing)
        self._account(now_s)
        return LinkUsage(bits / 8, self._busy_s, self._capacity_bits / 8)

    def _account(self, now_s: float) -> None:
        """Count up to now what a busy link could have carried, or what the bucket of an idle link got."""
        elapsed_s = now_s - self._since_s
        bits = self.rate_bps * elapsed_s
        self._since_s = now_s
        if self.flowing:
            self._busy_s += elapsed_s
            self._capacity_bits += bits * len(self.flowing) if self._is_per_flow else bits
        elif self._is_shaped:
            self._credit_bits = min(self._credit_bits + bits, 8 * self.link.burst_bytes)


class Path:
    """The links of a route, sorted by what they do to a flow."""

    __slots__ = ("fair", "fifo", "gates", "latency_s", "limits", "links", "shaped")

    def __init__(self, links: Iterable[LinkState]) -> None:
        self.links = tuple(links)
        self.latency_s = math.fsum(state.link.latency_s for state in self.links)
        self.gates = tuple(state for state in self.links if state.link.opportunities)
        rated = [state for state in self.links if not state.link.opportunities]
        self.fair = tuple(state for state in rated if state.link.sharing == "fair")
        self.fifo = tuple(state for state in self.links if state.link.sharing == "fifo")
        self.limits = tuple(state for state in rated if state.link.sharing != "fair")
        self.shaped = tuple(state for state in self.links if state.link.burst_bytes)


class FlowState(simpy.Event):
    """A transfer from its sending to its last byte: the event that fires with the time of that.

    It flows in segments. In each, the links of `limits` limit it on its own (per-flow links, and FIFO links,
    which serve one flow at a time), and those of `fair` together with others. `credits` has the links to
    come: after so many of its bits, in rising order. A segment ends at the next of these, or where the bits
    end that have passed the opportunity links of its route.
    """

    turn = 0  # the order of arrival at FIFO links
    credits: Sequence[tuple[float, LinkState]] = ()
    bits_done = 0.0  # at the end of this segment
    bits_after = 0.0  # in the segments that follow

    # What follows belongs to the solver that the flow is with.
    solver: Solver | None = None
    limit_bps = math.inf  # whatever the other flows do
    pools: tuple[LinkState, ...] = ()
    entry: tuple[float, int, FlowState] | None = None  # the one that counts in a heap
    is_sharing = False  # or limited, of a fair queue
    bits = 0.0  # to go at since_s
    since_s = 0.0
    group: Any = None  # of a mesh

    def __init__(
        self, env: simpy.Environment, path: Path, num_bytes: int, cap_bps: float, number: int
    ) -> None:
        super().__init__(env)
        self.path = path
        self.num_bits = 8 * num_bytes
        self.cap_bps = cap_bps  # math.inf is none
        self.number = number  # the order of sending, over the whole network
        self.limits = path.limits
        self.fair = path.fair

    def take_credits(self) -> None:
        """Take the tokens in the buckets of the links that the flow has just entered."""
        credits = [(link.take_credit(self.num_bits), link) for link in self.path.shaped]
        self.credits = sorted((credit for credit in credits if credit[0]), key=itemgetter(0))
        self.fair = ()

    def next_segment(self) -> tuple[float, tuple[LinkState, ...]]:
        """Return the bits of the segment that begins, and the fair links that limit the flow from now on.

        Without bits, the flow waits for opportunities.
        """
        start = self.bits_done
        self.credits = [credit for credit in self.credits if credit[0] > start]
        free = {link for _, link in self.credits}
        before, self.fair = self.fair, tuple(link for link in self.path.fair if link not in free)
        self.limits = tuple(link for link in self.path.limits if link not in free)
        self.bits_done = self.credits[0][0] if self.credits else float(self.num_bits)
        if self.path.gates:
            self.bits_done = min(self.bits_done, float(self.path.gates[-1].passed.get(self, 0)))
        self.bits_after = self.num_bits - self.bits_done
        return self.bits_done - start, tuple(link for link in self.fair if link not in before)

    def bits_left(self, now_s: float) -> float:
        """Return the bits that have not crossed yet."""
        bits = self.solver.bits_left(self, now_s) if self.solver else 0.0
        return self.bits_after + max(0.0, bits)


class Solver(ABC):
    """Some flows whose rates depend on one another, and on no other flow.

    Rates are in bit/s, times in seconds, sizes in bits. Flows come and go (`add`, `remove`) and limits
    change while a time `now_s` lasts; at its end `settle` finds the rates that hold from then on, which sets
    `first_s`, the time at which the first flow ends (inf if none does, as in an outage). At that time `due`
    hands out those that do. `wake` is the event that waits for it, scheduled for `wake_s`.
    """

    __slots__ = ("first_s", "wake", "wake_s")

    def __init__(self) -> None:
        self.first_s = math.inf
        self.wake: simpy.Event | None = None
        self.wake_s = math.inf

    @abstractmethod
    def add(self, flow: FlowState, bits: float, now_s: float) -> None:
        """Take `flow`, which has `bits` to go; its `limit_bps` and `pools` are set. Set `flow.solver`."""

    @abstractmethod
    def remove(self, flow: FlowState, now_s: float) -> float:
        """Give `flow` away; return the bits that it still has to go."""

    @abstractmethod
    def settle(self, now_s: float) -> None:
        """Find the rates from `now_s` on and `first_s`, when nothing more happens at `now_s`."""

    @abstractmethod
    def due(self) -> list[FlowState]:
        """Give away and return the flows that end at `first_s`, in the order in which they were sent."""

    @abstractmethod
    def bits_left(self, flow: FlowState, now_s: float) -> float:
        """Return the bits that `flow` has to go; rounding may make it slightly negative."""

    @abstractmethod
    def flows(self) -> list[FlowState]:
        """Return all flows, in the order in which they were sent."""

    @abstractmethod
    def pools(self) -> list[LinkState]:
        """Return the links that are divided here."""

    @abstractmethod
    def rate_changed(self, link: LinkState) -> None:
        """Note that one of `pools` has another rate."""
