"""Where the transfers of a live network stand: one `LinkState` a link, one `FlowState` a transfer.

Bookkeeping without a clock of its own: whoever calls says what time it is (`now_s`, seconds).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import simpy

from slsim.network.links import Link, LinkUsage

if TYPE_CHECKING:
    from slsim.network.solver import Solver


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
        """`flow` begins to flow over this link."""
        flowing = self.flowing
        if flowing:
            if self._is_per_flow:
                self._account(now_s)
        elif self._is_shaped:
            self._account(now_s)
        else:
            self._since_s = now_s
        flowing[flow] = None

    def leave(self, flow: FlowState, now_s: float) -> None:
        """`flow` has carried all its bytes over this link."""
        flowing = self.flowing
        if self._is_per_flow:
            self._account(now_s)
        elif len(flowing) == 1:
            elapsed_s = now_s - self._since_s
            self._since_s = now_s
            self._busy_s += elapsed_s
            self._capacity_bits += self.rate_bps * elapsed_s
        del flowing[flow]
        self.passed.pop(flow, None)
        self._carried_bits += flow.num_bits

    def take_credit(self, num_bits: int) -> float:
        """Tokens (bits) for a flow of `num_bits` that has just entered: what those before have left."""
        taken = min(self._credit_bits, num_bits)
        self._credit_bits -= taken
        self._capacity_bits += taken
        return taken

    def wanted(self, flow: FlowState) -> int:
        """Bits of `flow` that wait at this opportunity link: those that have passed the one before."""
        place = flow.path.gates.index(self)
        before = flow.path.gates[place - 1].passed.get(flow, 0) if place else flow.num_bits
        return before - self.passed.get(flow, 0)

    def let_pass(self, flow: FlowState, num_bits: int) -> None:
        """So many more bits of `flow` pass this opportunity link."""
        self.passed[flow] = self.passed.get(flow, 0) + num_bits
        self._capacity_bits += num_bits

    def set_rate(self, rate_bps: float, now_s: float) -> None:
        """From now on the link has another rate; whoever divides it has to be told."""
        self._account(now_s)
        self.rate_bps = rate_bps

    def usage(self, now_s: float) -> LinkUsage:
        """Bytes carried, seconds busy, and bytes that could have been carried then, up to now."""
        bits = self._carried_bits + sum(flow.num_bits - flow.bits_left(now_s) for flow in self.flowing)
        self._account(now_s)
        return LinkUsage(bits / 8, self._busy_s, self._capacity_bits / 8)

    def _account(self, now_s: float) -> None:
        """Until now: what a busy link could have carried, or what an idle one's bucket got."""
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
        """It has just entered its links: take what tokens are in their buckets."""
        credits = [(link.take_credit(self.num_bits), link) for link in self.path.shaped]
        self.credits = sorted((credit for credit in credits if credit[0]), key=itemgetter(0))
        self.fair = ()

    def next_segment(self) -> tuple[float, tuple[LinkState, ...]]:
        """The bits of the segment that begins, and the fair links that limit the flow from now on. No bits:
        the flow waits for opportunities."""
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
        """What has not crossed yet, in bits."""
        bits = self.solver.bits_left(self, now_s) if self.solver else 0.0
        return self.bits_after + max(0.0, bits)
