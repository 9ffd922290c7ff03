"""The flows of a solver, by a key: the time or the virtual bits at which each ends."""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush

from slsim.network.state import FlowState

Entry = tuple[float, int, FlowState]


class FlowHeap:
    """Flows by a key, the smallest first. A flow has at most one entry that counts, `flow.entry`."""

    __slots__ = ("_heap", "size")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self.size = 0  # without the entries that do not count any more

    def push(self, key: float, flow: FlowState) -> None:
        flow.entry = entry = (key, flow.number, flow)
        heappush(self._heap, entry)
        self.size += 1

    def discard(self, flow: FlowState) -> None:
        """Take out any flow; its entry stays until it comes to the top, or such entries are the majority."""
        flow.entry = None
        self.size -= 1
        if len(self._heap) > 2 * self.size + 64:
            self._heap = [entry for entry in self._heap if entry[2].entry is entry]
            heapify(self._heap)

    def flows(self) -> list[FlowState]:
        """Return all flows, in any order."""
        return [entry[2] for entry in self._heap if entry[2].entry is entry]

    def first(self) -> float:
        """Return the smallest key; inf if there is none."""
        heap = self._heap
        while heap and heap[0][2].entry is not heap[0]:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop(self) -> FlowState:
        """Take out the first flow, right after `first` has found one."""
        flow = heappop(self._heap)[2]
        self.size -= 1
        flow.entry = None
        return flow


def by_number(flows: list[FlowState]) -> list[FlowState]:
    """Sort flows in the order in which they were sent; return the same list."""
    flows.sort(key=lambda flow: flow.number)
    return flows
