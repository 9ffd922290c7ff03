"""Groups of flows that have come and gone: in the arrays of a mesh, and in the marks of its last filling."""

from __future__ import annotations

import numpy as np

from slsim.network.filling_arrays import (
    BY_LIMIT,
    CHANGES,
    COUNT,
    END,
    FILLED,
    FIRST,
    FLOWING,
    GROUP,
    LAST_MARK,
    LENGTH,
    LEVEL,
    LIMIT,
    LIMITED,
    MARKS,
    MORE,
    PLACE,
    POOL,
    RISING,
    ROOM,
    SPARE,
    Floats,
    Groups,
    Hops,
    Ints,
    kernel,
)


@kernel
def change(
    pool_floats: Floats,
    pool_ints: Ints,
    members: Groups,
    group_floats: Floats,
    group_ints: Ints,
    hops: Hops,
    marks: Floats,
    changes: Ints,
    totals: Ints,
) -> None:
    """Count what has come and gone, at the last mark that this leaves valid, too, and at those before."""
    counts, filled, limits = group_ints[COUNT], group_floats[FILLED], group_floats[LIMIT]
    for row in range(totals[CHANGES]):
        group, more = changes[row, GROUP], changes[row, MORE]
        mark = _last_valid(group, more, pool_floats, group_floats, counts, hops, marks, totals[LAST_MARK])
        totals[LAST_MARK] = mark
        counts[group] += more
        for i in range(hops.shape[2]):
            pool = hops[POOL, group, i]
            for k in range(mark + 1):
                pool_floats[MARKS + k, pool, RISING] += more if pool else 0
        if counts[group] == more:
            filled[group] = -1.0
            totals[FLOWING] += 1
            _list(pool_ints, members, hops, group, totals)
            if limits[group] < np.inf:
                _insert(group, limits, group_ints[BY_LIMIT], totals)
        elif counts[group] == 0:
            filled[group] = 0.0
            totals[FLOWING] -= 1
            _unlist(pool_ints, members, hops, group)
            if limits[group] < np.inf:
                _take_out(group, limits, group_ints[BY_LIMIT], totals)


@kernel
def _last_valid(
    group: int,
    more: int,
    pool_floats: Floats,
    group_floats: Floats,
    counts: Ints,
    hops: Hops,
    marks: Floats,
    mark: int,
) -> int:
    """The last mark, up to `mark`, at which the group would still be rising before and after the change."""
    while mark > 0:
        level = marks[mark, LEVEL]
        is_valid = group_floats[LIMIT, group] > level
        is_valid = is_valid and (counts[group] == 0 or group_floats[FILLED, group] > level)
        if more > 0:
            for i in range(hops.shape[2]):
                pool = hops[POOL, group, i]
                needed = level * (pool_floats[MARKS + mark, pool, RISING] + more)
                is_valid = is_valid and (pool == 0 or pool_floats[MARKS + mark, pool, SPARE] >= needed)
        if is_valid:
            break
        mark -= 1
    return mark


@kernel
def _first_at(limit: float, limits: Floats, by_limit: Ints, size: int) -> int:
    """Where groups of this limit begin."""
    first, last = 0, size
    while first < last:
        middle = (first + last) // 2
        if limits[by_limit[middle]] < limit:
            first = middle + 1
        else:
            last = middle
    return first


@kernel
def _insert(group: int, limits: Floats, by_limit: Ints, totals: Ints) -> None:
    first = _first_at(limits[group], limits, by_limit, totals[LIMITED])
    for place in range(totals[LIMITED], first, -1):
        by_limit[place] = by_limit[place - 1]
    by_limit[first] = group
    totals[LIMITED] += 1


@kernel
def _take_out(group: int, limits: Floats, by_limit: Ints, totals: Ints) -> None:
    place = _first_at(limits[group], limits, by_limit, totals[LIMITED])
    while by_limit[place] != group:
        place += 1
    totals[LIMITED] -= 1
    for later in range(place, totals[LIMITED]):
        by_limit[later] = by_limit[later + 1]


@kernel
def _list(pool_ints: Ints, members: Groups, hops: Hops, group: int, totals: Ints) -> None:
    """Make a group a member of its pools."""
    for i in range(hops.shape[2]):
        pool = hops[POOL, group, i]
        if pool == 0:
            continue
        if pool_ints[LENGTH, pool] == pool_ints[ROOM, pool]:
            _make_room(pool_ints, members, pool, totals)
        place = pool_ints[LENGTH, pool]
        members[pool_ints[FIRST, pool] + place] = group
        hops[PLACE, group, i] = place
        pool_ints[LENGTH, pool] += 1


@kernel
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


@kernel
def _make_room(pool_ints: Ints, members: Groups, pool: int, totals: Ints) -> None:
    """Move a pool's members to the end, where there is room for twice as many; or all, if the end is near."""
    first, length, end = pool_ints[FIRST, pool], pool_ints[LENGTH, pool], totals[END]
    room = 2 * length + 2
    if end + room <= members.size:
        members[end : end + length] = members[first : first + length]
        pool_ints[FIRST, pool], pool_ints[ROOM, pool], totals[END] = end, room, end + room
        return
    old, end = members.copy(), 0
    for one in range(1, pool_ints.shape[1]):
        first, length = pool_ints[FIRST, one], pool_ints[LENGTH, one]
        members[end : end + length] = old[first : first + length]
        pool_ints[FIRST, one], pool_ints[ROOM, one] = end, 2 * length + 2
        end += 2 * length + 2
    totals[END] = end
