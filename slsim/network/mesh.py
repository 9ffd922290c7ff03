"""Several shared links at once, where flows cross two of them or more: all rates are filled anew whenever
one may change, in compiled code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from slsim.network import filling
from slsim.network.filling_arrays import (
    CHANGES,
    CLOCK,
    DUE,
    GOAL,
    GROUP,
    LAST_MARK,
    LIMIT,
    MARKS,
    MORE,
    NUM_MARKS,
    POOL,
    SINCE,
    SIZE,
    SPARE,
    SPEED,
)
from slsim.network.solver import FlowHeap, Solver, by_number
from slsim.network.state import FlowState, LinkState

Key = tuple[tuple[LinkState, ...], float]  # pools and limit


class Group:
    """Flows of equal pools and equal limit, by the virtual bits at which they end.

    It has a column of the mesh's arrays for ever; when it has been empty for a while, it may get another key.
    """

    __slots__ = ("by_goal", "column", "key", "num_counted")

    def __init__(self, column: int) -> None:
        self.key: Key = ((), math.inf)
        self.column = column
        self.by_goal = FlowHeap()
        self.num_counted = 0  # flows at the last filling


class Mesh(Solver):
    """The flows on pools that flows join, directly or by a chain of others.

    A pool that has come stays until it is empty. The numbers are in arrays (see `filling_arrays.py`); single
    elements are read and written by memoryviews, the fastest way from Python.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[LinkState, int] = {}  # columns; 0 is no pool
        self._groups: dict[Key, Group] = {}
        self._by_column: list[Group] = []
        self._unused: list[Group] = []
        self._changed: dict[Group, None] = {}  # an ordered set
        self._empty: dict[Group, None] = {}  # have no flows, and keep their key for a while
        self._must_fill = False
        self._pool_floats, self._pool_ints = np.zeros((MARKS + NUM_MARKS, 8, 2)), np.zeros((5, 8), np.int64)
        self._members = np.zeros(0, np.uint32)
        self._group_floats, self._group_ints = np.zeros((7, 0)), np.zeros((4, 1), np.int64)
        self._hops = np.zeros((2, 0, 2), np.uint32)
        self._marks = np.zeros((NUM_MARKS, 3))
        self._changes, self._totals = np.zeros((8, 2), np.int64), np.zeros(7, np.int64)
        self._floats = _elements(self._group_floats)

    def flows(self) -> list[FlowState]:
        return by_number([flow for group in self._groups.values() for flow in group.by_goal.flows()])

    def pools(self) -> list[LinkState]:
        return [link for link in self._pools if link.solver is self]

    def join(self, link: LinkState) -> None:
        """From now on the flows on this pool are here."""
        column = self._pools.setdefault(link, len(self._pools) + 1)
        if column >= self._pool_floats.shape[1]:
            self._pool_floats = np.pad(self._pool_floats, ((0, 0), (0, column), (0, 0)))
            self._pool_ints = np.pad(self._pool_ints, ((0, 0), (0, column)))
            self._make_room()
        link.solver = self
        self.rate_changed(link)

    def rate_changed(self, link: LinkState) -> None:
        self._pool_floats[MARKS, self._pools[link], SPARE] = link.rate_bps
        self._totals[LAST_MARK] = 0
        self._must_fill = True

    def add(self, flow: FlowState, bits: float, now_s: float) -> None:
        key = (flow.pools, flow.limit_bps)
        group = self._groups.get(key)
        if group is None:
            group = self._new_group(key)
        if not group.by_goal.size and not group.num_counted:
            self._floats[CLOCK, group.column] = 0.0  # it stands still; a small number is a more exact one
        flow.solver, flow.group = self, group
        group.by_goal.push(self._clock_at(group, now_s) + bits, flow)
        self._changed[group] = None

    def remove(self, flow: FlowState, now_s: float) -> float:
        bits = max(0.0, self.bits_left(flow, now_s))
        flow.group.by_goal.discard(flow)
        self._changed[flow.group] = None
        flow.solver = flow.group = None
        return bits

    def settle(self, now_s: float) -> None:
        """Fill, unless as many flows of each group have come as have gone."""
        num_changes = self._count_changes()
        size = len(self._by_column) - len(self._unused)
        if not num_changes and not self._must_fill:
            self.first_s = filling.first_finish(self._group_floats, self._group_ints, size)
            return
        self._must_fill = False
        self._totals[SIZE], self._totals[CHANGES] = size, num_changes
        self.first_s = filling.fill(
            now_s,
            self._pool_floats,
            self._pool_ints,
            self._members,
            self._group_floats,
            self._group_ints,
            self._hops,
            self._marks,
            self._changes,
            self._totals,
        )

    def due(self) -> list[FlowState]:
        flows = []
        for column in self._due_columns():
            group = self._by_column[column]
            since_s, clock = self._floats[SINCE, column], self._floats[CLOCK, column]
            speed_bps = self._floats[SPEED, column]
            while since_s + (group.by_goal.first() - clock) / speed_bps <= self.first_s:
                flow = group.by_goal.pop()
                flow.solver = flow.group = None
                flows.append(flow)
            self._changed[group] = None
        return by_number(flows)

    def bits_left(self, flow: FlowState, now_s: float) -> float:
        assert flow.entry is not None
        return flow.entry[0] - self._clock_at(flow.group, now_s)

    def _count_changes(self) -> int:
        """Write what has changed into the arrays; the number of groups that are larger or smaller."""
        if len(self._changed) > self._changes.shape[0]:
            self._changes = np.pad(self._changes, ((0, 2 * len(self._changed)), (0, 0)))
        floats, changes, row = self._floats, _elements(self._changes), 0
        for group in self._changed:
            size = group.by_goal.size
            floats[GOAL, group.column] = group.by_goal.first()
            if size != group.num_counted:
                changes[row, GROUP] = group.column
                changes[row, MORE] = size - group.num_counted
                group.num_counted = size
                row += 1
            if size:
                self._empty.pop(group, None)
            else:
                self._empty[group] = None
        self._changed.clear()
        return row

    def _due_columns(self) -> list[int]:
        ints = _elements(self._group_ints)
        columns = [ints[DUE, 0]]
        while (column := ints[DUE, len(columns)]) >= 0:
            columns.append(column)
        return columns

    def _clock_at(self, group: Group, now_s: float) -> float:
        floats, column = self._floats, group.column
        clock: float = floats[CLOCK, column] + floats[SPEED, column] * (now_s - floats[SINCE, column])
        return clock

    def _new_group(self, key: Key) -> Group:
        pools, limit_bps = key
        if len(pools) > self._hops.shape[2]:
            self._hops = np.pad(self._hops, ((0, 0), (0, 0), (0, len(pools) - self._hops.shape[2])))
            self._make_room()
        group = self._unused_group()
        group.key = key
        self._groups[key] = group
        self._floats[LIMIT, group.column] = limit_bps
        hops, column = _elements(self._hops), group.column
        for i in range(len(pools)):
            hops[POOL, column, i] = self._pools[pools[i]]
        for i in range(len(pools), hops.shape[2]):
            hops[POOL, column, i] = 0
        return group

    def _unused_group(self) -> Group:
        """One that has been empty for longest, if there are many; or else a new one."""
        if len(self._empty) > 64 + len(self._groups) // 8:
            for group in self._empty:
                if not group.by_goal.size:
                    del self._empty[group], self._groups[group.key]
                    return group
        if not self._unused:
            self._double()
        return self._unused.pop()

    def _double(self) -> None:
        """Make room for twice as many groups."""
        old = len(self._by_column)
        more = max(64, old)
        self._group_floats = np.pad(self._group_floats, ((0, 0), (0, more)))
        self._group_ints = np.pad(self._group_ints, ((0, 0), (0, more)))
        self._hops = np.pad(self._hops, ((0, 0), (0, more), (0, 0)))
        self._make_room()
        self._floats = _elements(self._group_floats)
        groups = [Group(column) for column in range(old, old + more)]
        self._by_column += groups
        self._unused += reversed(groups)

    def _make_room(self) -> None:
        """For the members of pools: enough for twice as many as there can be, so they seldom move."""
        room = 4 * (self._hops[0].size + self._pool_ints.shape[1])
        self._members = np.pad(self._members, (0, max(0, room - self._members.size)))


def _elements(array: Any) -> Any:
    """For single elements from Python, ten times as fast as the array."""
    return memoryview(array)
