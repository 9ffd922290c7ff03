"""Max-min fair rates by progressive filling, compiled.

The flows are given in groups: those of one group cross the same pools and have the same limit, so they have
the same rate for ever and need one virtual clock (see `fair_queue.py`).

All rates rise together from 0. A group that reaches its limit stays there; when a pool is full, all groups
on it stay where they are; the others go on. So every flow ends at its limit or has a bottleneck: a full pool
on which no other flow is faster.

Source: D. Bertsekas and R. Gallager, Data Networks, 2nd ed., section 6.5.2 (Max-Min Flow Control).

A change leaves alone what was fixed at lower rates than those it concerns. So the filling leaves marks, and
the next one goes back only to the last of them that still holds.

`filling_changes.py` has the bookkeeping, and `filling_arrays.py` says what is where.
"""

from __future__ import annotations

import numpy as np

from slsim.network.filling_arrays import (
    BY_LIMIT,
    CLOCK,
    COUNT,
    DUE,
    FILLED,
    FINISH,
    FIRST,
    FIXED,
    FLOWING,
    GOAL,
    LAST_MARK,
    LENGTH,
    LEVEL,
    LEVELS,
    LIMIT,
    LIMITED,
    MARKS,
    NEXT,
    NOW,
    NUM_FIXED,
    NUM_MARKS,
    ORDER,
    POOL,
    RISING,
    SINCE,
    SIZE,
    SPARE,
    SPEED,
    Floats,
    Groups,
    Hops,
    Ints,
    inlined,
    kernel,
)
from slsim.network.filling_changes import change


@kernel
def fill(
    now_s: float,
    pool_floats: Floats,
    pool_ints: Ints,
    members: Groups,
    group_floats: Floats,
    group_ints: Ints,
    hops: Hops,
    marks: Floats,
    changes: Ints,
    totals: Ints,
) -> float:
    """Count what has come and gone, and let all groups flow at their fair rate from `now_s` on.

    Returns what `first_finish` does. The level of a pool is the rate at which it fills up if nothing stops
    before; it rises as groups are fixed, so an old one is a lower bound.
    """
    change(pool_floats, pool_ints, members, group_floats, group_ints, hops, marks, changes, totals)
    _go_back(pool_floats, pool_ints, group_floats, group_ints, marks, totals)
    size, flowing, num_limited, mark = totals[SIZE], totals[FLOWING], totals[LIMITED], totals[LAST_MARK]
    filled, limits, by_limit = group_floats[FILLED], group_floats[LIMIT], group_ints[BY_LIMIT]
    now, levels, lowest = pool_floats[NOW], _levels(pool_floats), _lowest(pool_ints)
    counts, pools, order = group_ints[COUNT], hops[POOL], group_ints[ORDER]
    num_fixed, next_limited, reached = int(marks[mark, FIXED]), int(marks[mark, NEXT]), marks[mark, LEVEL]
    apart = 1 + max(flowing // (NUM_MARKS - 1), now.shape[0])
    next_mark = num_fixed + apart
    while num_fixed < flowing:
        pool, level = lowest[1], levels[1]
        if next_limited < num_limited:
            group = by_limit[next_limited]
            if limits[group] <= level:
                reached = max(reached, limits[group])
                next_limited += 1
                if filled[group] < 0:
                    _fix(group, limits[group], now, filled, counts, pools)
                    order[num_fixed] = group
                    num_fixed += 1
                continue
        rate = now[pool, SPARE] / now[pool, RISING] if now[pool, RISING] > 0 else np.inf
        if rate > level:
            _rise(levels, lowest, pool, rate)
            continue
        if num_fixed >= next_mark and mark + 1 < NUM_MARKS:
            mark += 1
            next_mark = num_fixed + apart
            _copy(now, pool_floats[MARKS + mark])
            marks[mark, LEVEL], marks[mark, FIXED], marks[mark, NEXT] = reached, num_fixed, next_limited
        reached = max(reached, rate)
        first, end = num_fixed, pool_ints[FIRST, pool] + pool_ints[LENGTH, pool]
        for place in range(pool_ints[FIRST, pool], end):
            order[num_fixed] = members[place]  # without a branch, which nobody could predict
            num_fixed += filled[members[place]] < 0
        for place in range(first, num_fixed):
            _fix(order[place], rate, now, filled, counts, pools)
    totals[LAST_MARK], totals[NUM_FIXED] = mark, num_fixed
    _set_speeds(now_s, group_floats, size)
    return _first(group_floats, group_ints, size)


@kernel
def _go_back(
    pool_floats: Floats, pool_ints: Ints, group_floats: Floats, group_ints: Ints, marks: Floats, totals: Ints
) -> None:
    """All is as it was at the last mark."""
    mark, now = totals[LAST_MARK], pool_floats[NOW]
    filled, counts, order = group_floats[FILLED], group_ints[COUNT], group_ints[ORDER]
    for place in range(int(marks[mark, FIXED]), totals[NUM_FIXED]):
        filled[order[place]] = -1.0 if counts[order[place]] > 0 else 0.0
    _copy(pool_floats[MARKS + mark], now)
    levels, lowest, num_pools = _levels(pool_floats), _lowest(pool_ints), now.shape[0]
    for pool in range(num_pools):
        is_rising = pool > 0 and now[pool, RISING] > 0
        levels[num_pools + pool] = now[pool, SPARE] / now[pool, RISING] if is_rising else np.inf
        lowest[num_pools + pool] = pool
    for node in range(num_pools - 1, 0, -1):
        left, right = levels[2 * node], levels[2 * node + 1]
        levels[node] = min(left, right)
        lowest[node] = lowest[2 * node] if left <= right else lowest[2 * node + 1]


@inlined
def _copy(source: Floats, target: Floats) -> None:
    """Faster than an assignment, for which one of unknown layout has to be ready."""
    old, new = source.reshape(source.size), target.reshape(target.size)
    for i in range(len(old)):
        new[i] = old[i]


@inlined
def _levels(pool_floats: Floats) -> Floats:
    """A tree of pools, the one that would be full first at the top: a node has the lower level of the two
    nodes below, `2 * node` and the next. The number of columns is a power of two; the last nodes are they."""
    levels: Floats = pool_floats[LEVELS].reshape(2 * pool_floats.shape[1])
    return levels


@inlined
def _lowest(pool_ints: Ints) -> Ints:
    """The pool that has the level of each node of the tree."""
    return pool_ints[:FIRST].reshape(2 * pool_ints.shape[1])


@inlined
def _rise(levels: Floats, lowest: Ints, pool: int, level: float) -> None:
    """A pool has another level. This needs no branches, which nobody could predict."""
    node = len(levels) // 2 + pool
    levels[node] = level
    while node > 1:
        other, other_level = lowest[node ^ 1], levels[node ^ 1]
        is_other = other_level < level
        pool = other if is_other else pool
        level = other_level if is_other else level
        node >>= 1
        lowest[node], levels[node] = pool, level


@inlined
def _fix(group: int, rate: float, now: Floats, filled: Floats, counts: Ints, pools: Hops) -> None:
    """The flows of `group` rise no further."""
    filled[group] = rate
    count = float(counts[group])
    taken = rate * count
    for i in range(pools.shape[1]):
        pool = pools[group, i]
        if pool == 0:
            break
        now[pool, SPARE] -= taken
        now[pool, RISING] -= count


@kernel
def _set_speeds(now_s: float, group_floats: Floats, size: int) -> None:
    """A group that keeps its rate is not touched, so nothing is rounded."""
    filled, speed, finish = group_floats[FILLED], group_floats[SPEED], group_floats[FINISH]
    clock, since, goal = group_floats[CLOCK], group_floats[SINCE], group_floats[GOAL]
    for group in range(size):
        new, old, bits, since_s = filled[group], speed[group], clock[group], since[group]
        bits_now = bits + old * (now_s - since_s)
        bits = bits_now if new != old else bits
        since_s = now_s if new != old else since_s
        clock[group], since[group], speed[group] = bits, since_s, new
        finish[group] = since_s + (goal[group] - bits) / new if new > 0 else np.inf


@kernel
def first_finish(group_floats: Floats, group_ints: Ints, size: int) -> float:
    """When the first flow ends (s); DUE lists the groups in which one does, up to a -1."""
    finish, goal, speed = group_floats[FINISH], group_floats[GOAL], group_floats[SPEED]
    clock, since = group_floats[CLOCK], group_floats[SINCE]
    for group in range(size):
        rate = speed[group]
        finish[group] = since[group] + (goal[group] - clock[group]) / rate if rate > 0 else np.inf
    return _first(group_floats, group_ints, size)


@inlined
def _first(group_floats: Floats, group_ints: Ints, size: int) -> float:
    finish, goal, due = group_floats[FINISH], group_floats[GOAL], group_ints[DUE]
    first_s, count = np.inf, 0
    for group in range(size):
        if finish[group] <= first_s and goal[group] < np.inf:
            if finish[group] < first_s:
                first_s, count = finish[group], 0
            due[count] = group
            count += 1
    due[count] = -1
    return first_s
