"""The solver of flows that share no link."""

from __future__ import annotations

import math

from slsim.network.flow_heap import FlowHeap, by_number
from slsim.network.state import FlowState, LinkState, Solver


class Apart(Solver):
    """Flows that share no link: each goes as fast as its limit."""

    __slots__ = ("_by_finish",)

    def __init__(self) -> None:
        super().__init__()
        self._by_finish = FlowHeap()

    def add(self, flow: FlowState, bits: float, now_s: float) -> None:
        flow.solver = self
        flow.bits, flow.since_s = bits, now_s
        self._by_finish.push(now_s + bits / flow.limit_bps if flow.limit_bps else math.inf, flow)

    def remove(self, flow: FlowState, now_s: float) -> float:
        self._by_finish.discard(flow)
        flow.solver = None
        return max(0.0, self.bits_left(flow, now_s))

    def settle(self, now_s: float) -> None:  # noqa: ARG002
        self.first_s = self._by_finish.first()

    def due(self) -> list[FlowState]:
        flows = []
        while self._by_finish.first() <= self.first_s:
            flow = self._by_finish.pop()
            flow.solver = None
            flows.append(flow)
        return by_number(flows)

    def bits_left(self, flow: FlowState, now_s: float) -> float:
        if flow.limit_bps == math.inf:
            return 0.0
        return flow.bits - flow.limit_bps * (now_s - flow.since_s)

    def flows(self) -> list[FlowState]:
        return by_number(self._by_finish.flows())

    def pools(self) -> list[LinkState]:
        return []

    def rate_changed(self, link: LinkState) -> None:  # noqa: ARG002
        raise AssertionError("no link is divided here")
