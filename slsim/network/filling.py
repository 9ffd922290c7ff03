"""Max-min fair rates by progressive filling, compiled.

The flows are given in groups: the flows of one group cross the same pools and have the same limit, so they
have the same rate at all times and need one virtual clock (see `fair_queue.py`).

All rates rise together from 0. A group that reaches its limit keeps that rate; when a pool is full, all
groups on it keep the rate that they have; the others rise further. So every flow ends at its limit or has a
bottleneck: a full pool on which no other flow is faster.

Source: D. Bertsekas and R. Gallager, Data Networks, 2nd ed., section 6.5.2 (Max-Min Flow Control).
"""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.compiled import compiled

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Groups: TypeAlias = Any  # an array of GROUP: mypy knows no fields

GROUP = np.dtype(
    [
        ("count", np.float64),  # flows
        ("limit_bps", np.float64),
        ("speed_bps", np.float64),
        ("clock_bits", np.float64),  # what a flow of the group has got at since_s
        ("since_s", np.float64),
        ("goal_bits", np.float64),  # the clock at which the first flow ends; inf without flows
        ("finish_s", np.float64),  # when that is
    ]
)


@compiled()
def settle(now_s: float, groups: Groups, hops: Ints, by_limit: Ints, pools_bps: Floats, anew: bool) -> float:
    """Let all groups flow at their fair rates from `now_s` on; return when the first flow ends, in seconds.

    `hops[group]` are the pools that a group crosses; 0, which is no pool, fills up the row of a group that
    crosses fewer than others. `by_limit` has all groups in any order; `settle` sorts it by limit.
    `pools_bps` are the rates of pools. Where `anew` is False, rates stay what they are.
    """
    if anew:
        rates_bps = _fair_rates(groups, hops, by_limit, pools_bps)
        for i in range(groups.size):
            group = groups[i]
            if rates_bps[i] != group.speed_bps:  # otherwise nothing is rounded
                group.clock_bits += group.speed_bps * (now_s - group.since_s)
                group.since_s, group.speed_bps = now_s, rates_bps[i]
    first_s = np.inf
    for i in range(groups.size):
        group = groups[i]
        left_bits = group.goal_bits - group.clock_bits
        group.finish_s = group.since_s + left_bits / group.speed_bps if group.speed_bps > 0 else np.inf
        first_s = min(first_s, group.finish_s)
    return first_s


@compiled()
def _fair_rates(groups: Groups, hops: Ints, by_limit: Ints, pools_bps: Floats) -> Floats:
    """Return the rate of a flow of each group, in bit/s.

    The heap has for each pool the rate at which it would be full if nothing held its groups before. That rate
    rises as groups are fixed, so an old one is a lower bound, and is renewed when it comes to the top.
    """
    _sort_by_limit(by_limit, groups)
    spare_bps = pools_bps.copy()  # what the fixed groups leave
    rising = np.zeros(pools_bps.size)  # flows that are not fixed
    sizes = np.zeros(pools_bps.size + 1, np.int64)
    rates_bps = np.zeros(groups.size)
    for group in range(groups.size):
        count = groups[group].count
        if count > 0:
            rates_bps[group] = -1.0  # until it is fixed
            for i in range(hops.shape[1]):  # iterating over hops[group] would take several times as long
                rising[hops[group, i]] += count
                sizes[hops[group, i]] += 1
    begins = np.cumsum(sizes)  # members[begins[pool] : begins[pool + 1]] will be the groups on a pool
    members = np.empty(begins[-1], np.int64)
    for group in range(groups.size):
        if rates_bps[group] < 0:
            for i in range(hops.shape[1]):
                begins[hops[group, i]] -= 1
                members[begins[hops[group, i]]] = group

    heap = [(spare_bps[pool] / rising[pool], pool) for pool in range(1, rising.size) if rising[pool] > 0]
    heapify(heap)
    num_limited = 0
    while len(heap) > 0:
        level_bps, pool = heap[0]
        first = num_limited
        while num_limited < by_limit.size and groups[by_limit[num_limited]].limit_bps <= level_bps:
            num_limited += 1
        if num_limited > first:
            to_fix = by_limit[first:num_limited]
        elif rising[pool] > 0 and spare_bps[pool] / rising[pool] > level_bps:
            heapreplace(heap, (spare_bps[pool] / rising[pool], pool))
            continue
        else:  # the pool is full, or all its groups are fixed
            heappop(heap)
            to_fix = members[begins[pool] : begins[pool + 1]]
        for i in range(to_fix.size):
            group = to_fix[i]
            if rates_bps[group] < 0:
                count, rate_bps = groups[group].count, min(groups[group].limit_bps, level_bps)
                rates_bps[group] = rate_bps
                for k in range(hops.shape[1]):
                    spare_bps[hops[group, k]] -= rate_bps * count
                    rising[hops[group, k]] -= count
    return rates_bps


@compiled()
def _sort_by_limit(by_limit: Ints, groups: Groups) -> None:
    """Sort by insertion: few groups are new since the last time."""
    for i in range(1, by_limit.size):
        group, limit_bps, k = by_limit[i], groups[by_limit[i]].limit_bps, i
        while k > 0 and groups[by_limit[k - 1]].limit_bps > limit_bps:
            by_limit[k] = by_limit[k - 1]
            k -= 1
        by_limit[k] = group
