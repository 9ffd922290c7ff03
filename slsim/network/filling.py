"""Max-min fair rates by progressive filling, compiled.

The flows are given in groups: those of one group cross the same pools and have the same limit, so they have
the same rate for ever and need one virtual clock (see `fair_queue.py`).

All rates rise together from 0. A group that reaches its limit stays there; when a pool is full, all groups
on it stay where they are; the others go on. So every flow ends at its limit or has a bottleneck: a full pool
on which no other flow is faster.

Source: D. Bertsekas and R. Gallager, Data Networks, 2nd ed., section 6.5.2 (Max-Min Flow Control).

A change leaves alone what was fixed at lower rates than those it concerns. So the filling leaves marks, and
the next one goes back only to the last of them that still holds.

The arrays are few, because handing one to compiled code costs as much as filling a hundred flows does. numba
renews what it keeps on disk when this file changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Hops: TypeAlias = NDArray[np.int32]
Rows = Row = Floats
Groups, IntRow = Hops, Ints
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

# The arrays; a column is a pool or a group. Pool 0 is none: short routes are filled up with it.
LEVELS, NOW, MARKS = range(3)  # pool_floats[i, pool]: see `fill`; from MARKS on what NOW was at each mark
SPARE, RISING = range(2)  # pool_floats[NOW, pool]: bit/s that the fixed groups leave; flows not fixed yet
HEAP, FIRST, LENGTH, ROOM = range(4)  # pool_ints: pools by level; where its groups are in members
LIMIT, SPEED, CLOCK, SINCE, GOAL, FILLED, FINISH = range(7)  # group_floats: bit/s, virtual bits, seconds
COUNT, BY_LIMIT, DUE, ORDER, TODO = range(5)  # group_ints: flows; groups by limit; that end first; as fixed
POOL, PLACE = range(2)  # hops[:, group, i]: a pool of its route; where the group is among its members
LEVEL, FIXED, NEXT = range(3)  # marks: no group fixed is faster; how many those are; the next with a limit
SIZE, LIMITED, CHANGES = range(3)  # changes[0]: groups, groups with a limit, rows from 2 on that count
LAST_MARK, NUM_FIXED, END = range(3)  # changes[1]: of the last filling; members that are used
GROUP, MORE, IS_NEW = range(3)  # changes[2:]: a group, flows that have come, whether it is not in BY_LIMIT
NUM_MARKS = 10


def _kernel(function: AnyFunction) -> AnyFunction:
    return cast(AnyFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _inlined(function: AnyFunction) -> AnyFunction:
    """For what is called often: a call with arrays costs as much as a few dozen additions."""
    return cast(AnyFunction, numba.njit(inline="always", error_model="numpy")(function))


@_kernel
def fill(
    now_s: float,
    pool_floats: Rows,
    pool_ints: Ints,
    members: Groups,
    group_floats: Floats,
    group_ints: Ints,
    hops: Hops,
    marks: Floats,
    changes: Ints,
) -> float:
    """Count what has come and gone, and let all groups flow at their fair rate from `now_s` on.

    Returns what `first_finish` does. The level of a pool is the rate at which it fills up if nothing stops
    before; it rises as groups are fixed, so an old one is a lower bound.
    """
    _change(pool_floats, pool_ints, members, group_floats, group_ints, hops, marks, changes)
    heap_size = _go_back(pool_floats, pool_ints, group_floats, group_ints, marks, changes)
    size, num_limited, mark = changes[0, SIZE], changes[0, LIMITED], changes[1, LAST_MARK]
    filled, limits, by_limit = group_floats[FILLED], group_floats[LIMIT], group_ints[BY_LIMIT]
    level, now, heap = pool_floats[LEVELS, :, 0], pool_floats[NOW], pool_ints[HEAP]
    counts, pools, order, todo = group_ints[COUNT], hops[POOL], group_ints[ORDER], group_ints[TODO]
    num_fixed, next_limited, reached = int(marks[mark, FIXED]), int(marks[mark, NEXT]), marks[mark, LEVEL]
    apart = 1 + max(size // (NUM_MARKS - 1), now.shape[0])
    next_mark = num_fixed + apart
    while heap_size > 0:
        pool = heap[0]
        if now[pool, RISING] == 0:
            heap_size -= 1
            _sift_down(heap, level, heap_size, heap[heap_size])
            continue
        if next_limited < num_limited:
            group = by_limit[next_limited]
            if limits[group] <= level[pool]:
                reached = max(reached, limits[group])
                next_limited += 1
                if filled[group] < 0:
                    _fix(group, limits[group], now, filled, counts, pools)
                    order[num_fixed] = group
                    num_fixed += 1
                continue
        rate = now[pool, SPARE] / now[pool, RISING]
        if rate > level[pool]:
            level[pool] = rate
            _sift_down(heap, level, heap_size, pool)
            continue
        if num_fixed >= next_mark and mark + 1 < NUM_MARKS:
            mark += 1
            next_mark = num_fixed + apart
            pool_floats[MARKS + mark] = now
            marks[mark, LEVEL], marks[mark, FIXED], marks[mark, NEXT] = reached, num_fixed, next_limited
        reached = max(reached, rate)
        length = 0
        for place in range(pool_ints[FIRST, pool], pool_ints[FIRST, pool] + pool_ints[LENGTH, pool]):
            group = members[place]  # without a branch, which nobody could predict
            todo[length] = group
            length += filled[group] < 0
        for place in range(length):
            group = todo[place]
            _fix(group, rate, now, filled, counts, pools)
            order[num_fixed + place] = group
        num_fixed += length
    changes[1, LAST_MARK], changes[1, NUM_FIXED] = mark, num_fixed
    _set_speeds(now_s, group_floats, size)
    return first_finish(group_floats, group_ints, size)


@_kernel
def _change(
    pool_floats: Rows,
    pool_ints: Ints,
    members: Groups,
    group_floats: Floats,
    group_ints: Ints,
    hops: Hops,
    marks: Floats,
    changes: Ints,
) -> None:
    """Count what has come and gone, at the last mark that this leaves valid, too, and at those before."""
    counts, filled = group_ints[COUNT], group_floats[FILLED]
    for row in range(2, changes[0, CHANGES] + 2):
        group, more = changes[row, GROUP], changes[row, MORE]
        mark = _last_valid(group, more, pool_floats, group_floats, counts, hops, marks, changes[1, LAST_MARK])
        changes[1, LAST_MARK] = mark
        counts[group] += more
        for i in range(hops.shape[2]):
            pool = hops[POOL, group, i]
            for k in range(mark + 1):
                pool_floats[MARKS + k, pool, RISING] += more if pool else 0
        if counts[group] == more:
            filled[group] = -1.0
            _list(pool_ints, members, hops, group, changes)
        elif counts[group] == 0:
            _unlist(pool_ints, members, hops, group)
        if changes[row, IS_NEW] and group_floats[LIMIT, group] < np.inf:
            _insert(group, group_floats[LIMIT], group_ints[BY_LIMIT], changes[0, LIMITED])
            changes[0, LIMITED] += 1


@_kernel
def _last_valid(
    group: int,
    more: int,
    pool_floats: Rows,
    group_floats: Floats,
    counts: Row,
    hops: Hops,
    marks: Floats,
    mark: int,
) -> int:
    """The last mark, up to `mark`, at which the group would still be rising before and after the change."""
    while mark > 0:
        level = marks[mark, LEVEL]
        is_valid = group_floats[LIMIT, group] > level and (
            counts[group] == 0 or group_floats[FILLED, group] > level
        )
        if more > 0:
            for i in range(hops.shape[2]):
                pool = hops[POOL, group, i]
                spare, rising = pool_floats[MARKS + mark, pool, SPARE], pool_floats[MARKS + mark, pool, RISING]
                is_valid = is_valid and (pool == 0 or spare >= level * (rising + more))
        if is_valid:
            break
        mark -= 1
    return mark


@_kernel
def _insert(group: int, limits: Row, by_limit: IntRow, place: int) -> None:
    while place > 0 and limits[by_limit[place - 1]] > limits[group]:
        by_limit[place] = by_limit[place - 1]
        place -= 1
    by_limit[place] = group


@_kernel
def _list(pool_ints: Ints, members: Groups, hops: Hops, group: int, changes: Ints) -> None:
    """Make a group a member of its pools."""
    for i in range(hops.shape[2]):
        pool = hops[POOL, group, i]
        if pool == 0:
            continue
        if pool_ints[LENGTH, pool] == pool_ints[ROOM, pool]:
            _make_room(pool_ints, members, pool, changes)
        place = pool_ints[LENGTH, pool]
        members[pool_ints[FIRST, pool] + place] = group
        hops[PLACE, group, i] = place
        pool_ints[LENGTH, pool] += 1


@_kernel
def _unlist(pool_ints: Ints, members: Groups, hops: Hops, group: int) -> None:
    """The last member of each pool takes the group's place."""
    for i in range(hops.shape[2]):
        pool, place = hops[POOL, group, i], hops[PLACE, group, i]
        if pool == 0:
            continue
        pool_ints[LENGTH, pool] -= 1
        first = pool_ints[FIRST, pool]
        last = members[first + pool_ints[LENGTH, pool]]
        members[first + place] = last
        for j in range(hops.shape[2]):
            if hops[POOL, last, j] == pool:
                hops[PLACE, last, j] = place


@_kernel
def _make_room(pool_ints: Ints, members: Groups, pool: int, changes: Ints) -> None:
    """Move a pool's members to the end, where there is room for twice as many; or all, if the end is near."""
    first, length, end = pool_ints[FIRST, pool], pool_ints[LENGTH, pool], changes[1, END]
    room = 2 * length + 2
    if end + room <= members.size:
        members[end : end + length] = members[first : first + length]
        pool_ints[FIRST, pool], pool_ints[ROOM, pool], changes[1, END] = end, room, end + room
        return
    old, end = members.copy(), 0
    for one in range(1, pool_ints.shape[1]):
        first, length = pool_ints[FIRST, one], pool_ints[LENGTH, one]
        members[end : end + length] = old[first : first + length]
        pool_ints[FIRST, one], pool_ints[ROOM, one] = end, 2 * length + 2
        end += 2 * length + 2
    changes[1, END] = end


@_kernel
def forget_empty_groups(group_ints: Ints, changes: Ints) -> None:
    """Groups without flows are no longer among those with a limit; their columns can be used again."""
    kept = 0
    for place in range(changes[0, LIMITED]):
        group = group_ints[BY_LIMIT, place]
        if group_ints[COUNT, group] > 0:
            group_ints[BY_LIMIT, kept] = group
            kept += 1
    changes[0, LIMITED] = kept
    changes[1, LAST_MARK] = 0


@_kernel
def _go_back(
    pool_floats: Rows, pool_ints: Ints, group_floats: Floats, group_ints: Ints, marks: Floats, changes: Ints
) -> int:
    """All is as it was at the last mark. Makes a heap of the pools, the one that would be full first at the
    top; returns its size."""
    mark, now, level, heap = changes[1, LAST_MARK], pool_floats[NOW], pool_floats[LEVELS, :, 0], pool_ints[HEAP]
    for place in range(int(marks[mark, FIXED]), changes[1, NUM_FIXED]):
        group = group_ints[ORDER, place]
        group_floats[FILLED, group] = -1.0 if group_ints[COUNT, group] > 0 else 0.0
    now[:] = pool_floats[MARKS + mark]
    size = 0
    for pool in range(1, pool_ints.shape[1]):
        level[pool] = now[pool, SPARE] / now[pool, RISING]
        heap[size] = pool
        size += now[pool, RISING] > 0
    for place in range(size // 2 - 1, -1, -1):
        _sift(heap, level, size, place, heap[place])
    return size


@_inlined
def _sift_down(heap: IntRow, level: Row, size: int, pool: int) -> None:
    """Put `pool` in the place of the top of the heap, and then where it belongs."""
    _sift(heap, level, size, 0, pool)


@_inlined
def _sift(heap: IntRow, level: Row, size: int, place: int, pool: int) -> None:
    key = level[pool]
    child = 2 * place + 1
    while child < size:
        if child + 1 < size and level[heap[child + 1]] < level[heap[child]]:
            child += 1
        if level[heap[child]] >= key:
            break
        heap[place] = heap[child]
        place = child
        child = 2 * place + 1
    heap[place] = pool


@_inlined
def _fix(group: int, rate: float, now: Floats, filled: Row, counts: IntRow, pools: Hops) -> None:
    """The flows of `group` rise no further."""
    filled[group] = rate
    count = float(counts[group])
    taken = rate * count
    for i in range(pools.shape[1]):
        pool = pools[group, i]
        now[pool, SPARE] -= taken
        now[pool, RISING] -= count


@_kernel
def _set_speeds(now_s: float, group_floats: Floats, size: int) -> None:
    """A group that keeps its rate is not touched, so nothing is rounded."""
    filled, speed = group_floats[FILLED], group_floats[SPEED]
    clock, since = group_floats[CLOCK], group_floats[SINCE]
    for group in range(size):
        changed = filled[group] != speed[group]
        clock[group] += speed[group] * (now_s - since[group]) if changed else 0.0
        since[group] = now_s if changed else since[group]
        speed[group] = filled[group]


@_kernel
def first_finish(group_floats: Floats, group_ints: Ints, size: int) -> float:
    """When the first flow ends (s); DUE lists the groups in which one does, up to a -1."""
    finish, goal, speed = group_floats[FINISH], group_floats[GOAL], group_floats[SPEED]
    clock, since, due = group_floats[CLOCK], group_floats[SINCE], group_ints[DUE]
    for group in range(size):
        finish[group] = since[group] + (goal[group] - clock[group]) / speed[group]
    first_s, count = np.inf, 0
    for group in range(size):
        if finish[group] <= first_s and goal[group] < np.inf:
            if finish[group] < first_s:
                first_s, count = finish[group], 0
            due[count] = group
            count += 1
    due[count] = -1
    return first_s
