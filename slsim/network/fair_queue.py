"""One shared link: max-min fair sharing in virtual time.

Every flow on the link has a limit of its own. The flows whose limit is below the level go at their limit; the
others share equally what is left, at the level. So the sharing flows end in the order of their goals: a
goal is the virtual bits at which the flow will have got all its bits, where the virtual bits are those of
a flow that has always shared. A change costs O(log n), however many flows share.

Sources: A. Demers, S. Keshav and S. Shenker, Analysis and Simulation of a Fair Queueing Algorithm, SIGCOMM
1989; A. Parekh and R. Gallager, A Generalized Processor Sharing Approach to Flow Control in Integrated
Services Networks, IEEE/ACM Transactions on Networking 1(3), 1993 (virtual time).
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush

from slsim.network.flow_heap import Entry, FlowHeap, by_number
from slsim.network.state import FlowState, LinkState, Solver


class FairQueue(Solver):
    """The flows whose only pool is `link`."""

    __slots__ = (
        "_by_finish",
        "_by_goal",
        "_clock",
        "_first_sharing_s",
        "_highest",
        "_level",
        "_limited",
        "_link",
        "_lowest",
        "_since_s",
    )

    def __init__(self, link: LinkState) -> None:
        super().__init__()
        self._link = link
        self._by_goal = FlowHeap()  # the sharing flows
        self._by_finish = FlowHeap()  # the limited flows
        self._lowest: list[Entry] = []  # sharing flows by limit, lowest first; some have left
        self._highest: list[Entry] = []  # limited flows by limit, highest first (negative); some have left
        self._limited = ExactSum()  # of the limits of the limited flows
        self._level = 0.0  # bit/s of every sharing flow; 0 if there is none, or in an outage
        self._clock = 0.0  # virtual bits at _since_s
        self._since_s = 0.0
        self._first_sharing_s = math.inf  # when the first of the sharing flows ends

    def add(self, flow: FlowState, bits: float, now_s: float) -> None:
        flow.solver = self
        if flow.limit_bps > self._level > 0 or flow.limit_bps == math.inf:  # a guess that settle puts right
            self._share(flow, bits, now_s)
        else:
            self._limit(flow, bits, now_s)

    def remove(self, flow: FlowState, now_s: float) -> float:
        bits = max(0.0, self.bits_left(flow, now_s))
        if flow.is_sharing:
            self._by_goal.discard(flow)
        else:
            self._by_finish.discard(flow)
            self._limited.add(-flow.limit_bps)
        flow.solver = None
        return bits

    def settle(self, now_s: float) -> None:
        by_goal, by_finish, highest, lowest = self._by_goal, self._by_finish, self._highest, self._lowest
        level = self._level_now()
        if (highest and -highest[0][0] > level) or (lowest and lowest[0][0] <= level):
            level = self._sort_by_limit(level, now_s)
        if level != self._level:
            self._clock += self._level * (now_s - self._since_s)
            self._since_s, self._level = now_s, level
        if by_goal.size:
            sharing_s = self._since_s + (by_goal.first() - self._clock) / level if level else math.inf
        else:
            self._clock = self._level = 0.0
            sharing_s = math.inf
        self._first_sharing_s = sharing_s
        limited_s = by_finish.first() if by_finish.size else math.inf
        self.first_s = sharing_s if sharing_s < limited_s else limited_s

    def due(self) -> list[FlowState]:
        flows = []
        first_s, by_finish, by_goal = self.first_s, self._by_finish, self._by_goal
        while by_finish.size and by_finish.first() <= first_s:
            flow = by_finish.pop()
            self._limited.add(-flow.limit_bps)
            flows.append(flow)
        sharing_s = self._first_sharing_s
        while sharing_s <= first_s:
            flows.append(by_goal.pop())
            if not by_goal.size:
                break
            sharing_s = self._since_s + (by_goal.first() - self._clock) / self._level
        for flow in flows:
            flow.solver = None
        return by_number(flows)

    def bits_left(self, flow: FlowState, now_s: float) -> float:
        if flow.is_sharing:
            assert flow.entry is not None
            return flow.entry[0] - (self._clock + self._level * (now_s - self._since_s))
        return flow.bits - flow.limit_bps * (now_s - flow.since_s)

    def flows(self) -> list[FlowState]:
        return by_number(self._by_goal.flows() + self._by_finish.flows())

    def pools(self) -> list[LinkState]:
        return [self._link]

    def rate_changed(self, link: LinkState) -> None:
        pass  # settle looks at it

    def _share(self, flow: FlowState, bits: float, now_s: float) -> None:
        flow.is_sharing = True
        self._by_goal.push(self._clock + self._level * (now_s - self._since_s) + bits, flow)
        limit_bps = flow.limit_bps
        if limit_bps < math.inf:
            heappush(self._lowest, (limit_bps, flow.number, flow))
            if len(self._lowest) > 2 * self._by_goal.size + 64:
                self._lowest = [entry for entry in self._lowest if self._counts(entry, True)]
                heapify(self._lowest)

    def _limit(self, flow: FlowState, bits: float, now_s: float) -> None:
        flow.is_sharing = False
        flow.bits, flow.since_s = bits, now_s
        self._limited.add(flow.limit_bps)
        self._by_finish.push(now_s + bits / flow.limit_bps if flow.limit_bps else math.inf, flow)
        heappush(self._highest, (-flow.limit_bps, flow.number, flow))
        if len(self._highest) > 2 * self._by_finish.size + 64:
            self._highest = [entry for entry in self._highest if self._counts(entry, False)]
            heapify(self._highest)

    def _counts(self, entry: Entry, is_sharing: bool) -> bool:
        limit_bps, _, flow = entry
        return flow.solver is self and flow.is_sharing is is_sharing and flow.limit_bps == abs(limit_bps)

    def _sort_by_limit(self, level: float, now_s: float) -> float:
        """Move flows between the limited and the sharing until each is where it belongs; return the level."""
        highest = self._highest
        while highest:
            limit_bps, _, flow = highest[0]
            if flow.solver is self and not flow.is_sharing and flow.limit_bps == -limit_bps:
                if -limit_bps <= level:
                    break
                bits = self.remove(flow, now_s)
                flow.solver = self
                self._share(flow, bits, now_s)
                level = self._level_now()
            heappop(highest)
        lowest = self._lowest
        while lowest:
            limit_bps, _, flow = lowest[0]
            if flow.solver is self and flow.is_sharing and flow.limit_bps == limit_bps:
                if limit_bps > level:
                    break
                bits = self.remove(flow, now_s)
                flow.solver = self
                self._limit(flow, bits, now_s)
                level = self._level_now()
            heappop(lowest)
        return level

    def _level_now(self) -> float:
        """Return the rate of each sharing flow, in bit/s, with the limited flows as they are.

        Without sharing flows, return inf if the limited flows fit, else 0.
        """
        limited = self._limited
        if not self._link.rate_bps:
            return 0.0  # exactly: the sum of limits may be a little off
        spare_bps = (self._link.rate_bps - limited.sum) - limited.error
        if self._by_goal.size:
            return spare_bps / self._by_goal.size
        return math.inf if spare_bps >= 0 else 0.0


class ExactSum:
    """A running sum that does not drift: it keeps what rounding takes away (D. Knuth, The Art of Computer
    Programming, vol. 2, section 4.2.2)."""

    __slots__ = ("error", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.error = 0.0  # what rounding has taken from `sum`

    def add(self, x: float) -> None:
        old = self.sum
        self.sum = new = old + x
        added = new - old
        self.error += (old - (new - added)) + (x - added)
