"""What divides the rates of links among flows, and knows which of its flows ends first."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from heapq import heappop, heappush

import simpy

from slsim.network.state import FlowState, LinkState


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
        """`flow` has `bits` to go, and its `limit_bps` and `pools` are set. Sets `flow.solver`."""

    @abstractmethod
    def remove(self, flow: FlowState, now_s: float) -> float:
        """`flow` goes elsewhere, with the bits that it still has to go."""

    @abstractmethod
    def settle(self, now_s: float) -> None:
        """Everything that happens at `now_s` has happened: find rates and `first_s`."""

    @abstractmethod
    def due(self) -> list[FlowState]:
        """The flows that end at `first_s`, in the order in which they were sent; they are here no more."""

    @abstractmethod
    def bits_left(self, flow: FlowState, now_s: float) -> float:
        """What `flow` has to go, or a little less than nothing."""

    @abstractmethod
    def flows(self) -> list[FlowState]:
        """All of them, in the order in which they were sent."""

    @abstractmethod
    def pools(self) -> list[LinkState]:
        """The links that are divided here."""

    @abstractmethod
    def rate_changed(self, link: LinkState) -> None:
        """One of `pools` has another rate."""


Entry = tuple[float, int, FlowState]


class FlowHeap:
    """Flows by a key, smallest first. A flow has at most one entry that counts, `flow.entry`.

    A heap; but when very many have come and now they go, they are sorted once, which is kinder to the
    processor's cache than taking each from a large heap.
    """

    __slots__ = ("_heap", "_sorted", "size")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._sorted: list[Entry] = []  # the smallest at the end
        self.size = 0  # without the entries that do not count any more

    def push(self, key: float, flow: FlowState) -> None:
        flow.entry = entry = (key, flow.number, flow)
        heappush(self._heap, entry)
        self.size += 1

    def discard(self, flow: FlowState) -> None:
        """Take out a flow that is not the first; its entry goes when it comes to the top."""
        flow.entry = None
        self.size -= 1
        if len(self._heap) + len(self._sorted) > 2 * self.size + 64:
            self._sort([entry for entry in self._heap + self._sorted if entry[2].entry is entry])

    def flows(self) -> list[FlowState]:
        """All of them."""
        return [entry[2] for entry in self._heap + self._sorted if entry[2].entry is entry]

    def first(self) -> float:
        """The smallest key; inf if there is none."""
        heap, in_order = self._heap, self._sorted
        while heap and heap[0][2].entry is not heap[0]:
            heappop(heap)
        if in_order:
            while in_order and in_order[-1][2].entry is not in_order[-1]:
                in_order.pop()
            if in_order and not (heap and heap[0] < in_order[-1]):
                return in_order[-1][0]
        return heap[0][0] if heap else math.inf

    def pop(self) -> FlowState:
        """Take out the first; right after `first` has found one."""
        heap, in_order = self._heap, self._sorted
        if len(heap) > _LARGE + len(in_order) // 4:
            self._sort(heap + in_order)
            heap, in_order = self._heap, self._sorted
        entry = in_order.pop() if in_order and (not heap or in_order[-1] < heap[0]) else heappop(heap)
        self.size -= 1
        flow = entry[2]
        flow.entry = None
        return flow

    def _sort(self, entries: list[Entry]) -> None:
        entries.sort(reverse=True)
        self._heap, self._sorted = [], entries


_LARGE = 4096  # entries; below that a heap is as fast


def by_number(flows: list[FlowState]) -> list[FlowState]:
    """In the order in which they were sent."""
    if len(flows) > 1:
        flows.sort(key=lambda flow: flow.number)
    return flows


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
