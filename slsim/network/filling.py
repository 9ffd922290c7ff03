"""Max-min fair rates by progressive filling, compiled.

The flows are given in groups: those of one group cross the same pools and have the same limit, so they have
the same rate for ever and need one virtual clock (see `fair_queue.py`).

All rates rise together from 0. A group that reaches its limit stays there; when a pool is full, all groups
on it stay where they are; the others go on. So every flow ends at its limit or has a bottleneck: a full pool
on which no other flow is faster.

Source: D. Bertsekas and R. Gallager, Data Networks, 2nd ed., section 6.5.2 (Max-Min Flow Control).

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
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

# Rows of the arrays; a column is a pool or a group. Pool 0 is none: short routes are filled up with it.
RATE, SPARE, LEVEL = range(3)  # pool_floats: bit/s; what the fixed groups leave of it; see `fill`
FLOWS, RISING, HEAD, HEAP = range(4)  # pool_ints: flows; those not fixed yet; first hop; pools by level
LIMIT, SPEED, CLOCK, SINCE, GOAL, FILLED, FINISH = range(7)  # group_floats: bit/s, virtual bits, seconds
COUNT, BY_LIMIT, DUE = range(3)  # group_ints: flows; the groups with a limit, by it; those that end first
POOL, NEXT = range(2)  # hops[:, group, i]: a pool of its route; the next hop on that pool, -1 if last
_SHIFT, _MASK = 8, (1 << 8) - 1  # a hop is a group's number and, in the lower bits, its i
SIZE, LIMITED, CHANGES = range(3)  # changes[0]: groups, groups with a limit, rows from 1 on that count
GROUP, MORE, IS_NEW = range(3)  # changes[1:]: a group, flows that have come, whether it is not listed yet


def _kernel(function: AnyFunction) -> AnyFunction:
    return cast(AnyFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _inlined(function: AnyFunction) -> AnyFunction:
    """For what is called often: a call with arrays costs as much as a few dozen additions."""
    return cast(AnyFunction, numba.njit(inline="always", error_model="numpy")(function))


@_kernel
def fill(
    now_s: float,
    pool_floats: Floats,
    pool_ints: Ints,
    group_floats: Floats,
    group_ints: Ints,
    hops: Hops,
    changes: Ints,
) -> float:
    """Count what has come and gone, and let all groups flow at their fair rate from `now_s` on.

    Returns what `first_finish` does. LEVEL of a pool is the rate at which it fills up if nothing stops
    before; it rises as groups are fixed, so an old one is a lower bound.
    """
    _change(pool_ints, group_floats, group_ints, hops, changes)
    size, num_limited = changes[0, SIZE], changes[0, LIMITED]
    filled, limits, by_limit = group_floats[FILLED], group_floats[LIMIT], group_ints[BY_LIMIT]
    spare, level, rising, heap = pool_floats[SPARE], pool_floats[LEVEL], pool_ints[RISING], pool_ints[HEAP]
    counts, pools, next_hops = group_ints[COUNT], hops[POOL], hops[NEXT]
    for group in range(size):
        filled[group] = -1.0 if counts[group] > 0 else 0.0
    heap_size = _start(pool_floats, pool_ints)
    next_limited = 0
    while heap_size > 0:
        pool = heap[0]
        if rising[pool] == 0:
            heap_size -= 1
            _sift_down(heap, level, heap_size, heap[heap_size])
            continue
        if next_limited < num_limited:
            group = by_limit[next_limited]
            if limits[group] <= level[pool]:
                if filled[group] < 0:
                    _fix(group, limits[group], spare, rising, filled, counts, pools)
                next_limited += 1
                continue
        rate = spare[pool] / rising[pool]
        if rate > level[pool]:
            level[pool] = rate
            _sift_down(heap, level, heap_size, pool)
            continue
        hop = pool_ints[HEAD, pool]
        while hop >= 0:
            group = hop >> _SHIFT
            if filled[group] < 0:
                _fix(group, rate, spare, rising, filled, counts, pools)
            hop = next_hops[group, hop & _MASK]
    _set_speeds(now_s, group_floats, size)
    return first_finish(group_floats, group_ints, size)


@_kernel
def _change(pool_ints: Ints, group_floats: Floats, group_ints: Ints, hops: Hops, changes: Ints) -> None:
    for row in range(1, changes[0, CHANGES] + 1):
        group, more = changes[row, GROUP], changes[row, MORE]
        group_ints[COUNT, group] += more
        for i in range(hops.shape[2]):
            pool_ints[FLOWS, hops[POOL, group, i]] += more
        if changes[row, IS_NEW]:
            _list(pool_ints, hops, group)
            limits, by_limit, place = group_floats[LIMIT], group_ints[BY_LIMIT], changes[0, LIMITED]
            if limits[group] < np.inf:
                changes[0, LIMITED] += 1
                while place > 0 and limits[by_limit[place - 1]] > limits[group]:
                    by_limit[place] = by_limit[place - 1]
                    place -= 1
                by_limit[place] = group


@_kernel
def _list(pool_ints: Ints, hops: Hops, group: int) -> None:
    """Put a group on the lists of its pools."""
    for i in range(hops.shape[2]):
        pool = hops[POOL, group, i]
        hops[NEXT, group, i] = pool_ints[HEAD, pool]
        pool_ints[HEAD, pool] = (group << _SHIFT) | i


@_kernel
def forget_empty_groups(pool_ints: Ints, group_ints: Ints, hops: Hops, changes: Ints) -> None:
    """Take groups without flows off all lists; their columns can be used again."""
    pool_ints[HEAD, :] = -1
    for group in range(changes[0, SIZE]):
        if group_ints[COUNT, group] > 0:
            _list(pool_ints, hops, group)
    kept = 0
    for place in range(changes[0, LIMITED]):
        group = group_ints[BY_LIMIT, place]
        if group_ints[COUNT, group] > 0:
            group_ints[BY_LIMIT, kept] = group
            kept += 1
    changes[0, LIMITED] = kept


@_kernel
def _start(pool_floats: Floats, pool_ints: Ints) -> int:
    """Nothing flows yet: a heap of the pools, the one that would be full first at the top."""
    size = 0
    for pool in range(1, pool_ints.shape[1]):
        flows = pool_ints[FLOWS, pool]
        if flows > 0:
            pool_floats[SPARE, pool] = pool_floats[RATE, pool]
            pool_ints[RISING, pool] = flows
            pool_floats[LEVEL, pool] = pool_floats[RATE, pool] / flows
            pool_ints[HEAP, size] = pool
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        _sift(pool_ints[HEAP], pool_floats[LEVEL], size, place, pool_ints[HEAP, place])
    return size


@_inlined
def _sift_down(heap: Ints, level: Floats, size: int, pool: int) -> None:
    """Put `pool` in the place of the top of the heap, and then where it belongs."""
    _sift(heap, level, size, 0, pool)


@_inlined
def _sift(heap: Ints, level: Floats, size: int, place: int, pool: int) -> None:
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
def _fix(
    group: int, rate: float, spare: Floats, rising: Ints, filled: Floats, counts: Ints, pools: Hops
) -> None:
    """The flows of `group` rise no further."""
    filled[group] = rate
    count = counts[group]
    taken = rate * count
    for i in range(pools.shape[1]):
        pool = pools[group, i]
        spare[pool] -= taken
        rising[pool] -= count


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
