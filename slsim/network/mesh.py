"""The solver of flows that cross two shared links or more, and of the flows that share links with these.

All rates are filled anew, in compiled code, whenever one may change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from slsim.network import filling
from slsim.network.flow_heap import FlowHeap, by_number
from slsim.network.state import FlowState, LinkState, Solver

Key = tuple[tuple[LinkState, ...], float]  # pools and limit


class Group:
    """Flows of equal pools and equal limit, by the virtual bits at which they end.

    `column` is the place of the group in the arrays of a mesh.
    """

    __slots__ = ("by_goal", "column", "key")

    def __init__(self, key: Key, column: int) -> None:
        self.key = key
        self.column = column
        self.by_goal = FlowHeap()


class Mesh(Solver):
    """The flows on pools that flows join, directly or by a chain of others.

    The numbers of groups are in an array (see `filling.GROUP`) for compiled code. Python reads and writes
    single numbers by a memoryview of each field, which takes a tenth of the time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[LinkState, int] = {}  # places in _pools_bps; 0 is no pool
        self._pools_bps = np.zeros(1)
        self._groups: dict[Key, Group] = {}
        self._by_column: dict[int, Group] = {}
        self._unused: list[int] = []  # columns
        self._changed: dict[Group, None] = {}  # an ordered set
        self._must_fill = False
        self._array, self._hops = np.zeros(0, filling.GROUP), np.zeros((0, 2), np.int64)
        self._by_limit = np.zeros(0, np.int64)
        self._make_room(0)

    def flows(self) -> list[FlowState]:
        return by_number([flow for group in self._groups.values() for flow in group.by_goal.flows()])

    def pools(self) -> list[LinkState]:
        return [link for link in self._pools if link.solver is self]

    def join(self, link: LinkState) -> None:
        """Take over the flows on this pool from now on."""
        if link not in self._pools:
            self._pools[link] = len(self._pools) + 1
            self._pools_bps = np.append(self._pools_bps, 0.0)
        link.solver = self
        self.rate_changed(link)

    def rate_changed(self, link: LinkState) -> None:
        self._pools_bps[self._pools[link]] = link.rate_bps
        self._must_fill = True

    def add(self, flow: FlowState, bits: float, now_s: float) -> None:
        key = (flow.pools, flow.limit_bps)
        group = self._groups.get(key) or self._new_group(key)
        flow.solver, flow.group = self, group
        group.by_goal.push(self._clock_bits(group, now_s) + bits, flow)
        self._changed[group] = None

    def remove(self, flow: FlowState, now_s: float) -> float:
        bits = max(0.0, self.bits_left(flow, now_s))
        flow.group.by_goal.discard(flow)
        self._changed[flow.group] = None
        flow.solver = flow.group = None
        return bits

    def settle(self, now_s: float) -> None:
        """Fill, unless as many flows of each group have come as have gone."""
        for group in self._changed:
            size = group.by_goal.size
            self._goal[group.column] = group.by_goal.first()
            if self._count[group.column] != size:
                self._count[group.column] = size
                self._must_fill = True
            if not size:
                del self._groups[group.key]
                self._unused.append(group.column)
        self._changed.clear()
        self.first_s = filling.settle(
            now_s, self._array, self._hops, self._by_limit, self._pools_bps, self._must_fill
        )
        self._must_fill = False

    def due(self) -> list[FlowState]:
        flows = []
        for column in np.flatnonzero(self._array["finish_s"] <= self.first_s).tolist():
            group = self._by_column[column]
            since_s, clock_bits, speed_bps = self._since[column], self._clock[column], self._speed[column]
            while since_s + (group.by_goal.first() - clock_bits) / speed_bps <= self.first_s:
                flow = group.by_goal.pop()
                flow.solver = flow.group = None
                flows.append(flow)
            self._changed[group] = None
        return by_number(flows)

    def bits_left(self, flow: FlowState, now_s: float) -> float:
        assert flow.entry is not None
        return flow.entry[0] - self._clock_bits(flow.group, now_s)

    def _clock_bits(self, group: Group, now_s: float) -> float:
        """Return the virtual bits of `group` now."""
        column = group.column
        bits: float = self._clock[column] + self._speed[column] * (now_s - self._since[column])
        return bits

    def _new_group(self, key: Key) -> Group:
        """Return a group without flows, at a column that no other has."""
        pools, limit_bps = key
        if not self._unused or len(pools) > self._hops.shape[1]:
            self._make_room(len(pools))
        column = self._unused.pop()
        group = self._groups[key] = self._by_column[column] = Group(key, column)
        self._limit[column] = limit_bps
        self._clock[column] = 0.0  # a small number is more exact
        self._hops[column] = 0
        self._hops[column, : len(pools)] = [self._pools[link] for link in pools]
        return group

    def _make_room(self, num_pools: int) -> None:
        """Make room for twice as many groups, and for routes of `num_pools` pools."""
        size, (_, width) = self._array.size, self._hops.shape
        more = max(64, size)
        self._array = np.append(self._array, np.zeros(more, filling.GROUP))
        self._hops = np.pad(self._hops, ((0, more), (0, max(0, num_pools - width))))
        self._by_limit = np.append(self._by_limit, np.arange(size, size + more))
        self._unused += reversed(range(size, size + more))
        fields: Any = self._array
        names = ("count", "limit_bps", "speed_bps", "clock_bits", "since_s", "goal_bits")
        views: list[Any] = [memoryview(fields[name]) for name in names]
        self._count, self._limit, self._speed, self._clock, self._since, self._goal = views
