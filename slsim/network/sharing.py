"""Max-min fair shares by progressive filling: a pure function, without a clock.

Source: D. Bertsekas and R. Gallager, Data Networks, 2nd ed., section 6.5.2 (Max-Min Flow Control).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

L = TypeVar("L", bound=Hashable)


def max_min_rates(
    routes: Sequence[Sequence[L]], capacity_bps: Mapping[L, float], cap_bps: Sequence[float]
) -> list[float]:
    """The max-min fair rate of every flow, in bit/s, in the order of `routes`.

    Flow i crosses the links `routes[i]` (each at most once) and never exceeds `cap_bps[i]` (bit/s, > 0;
    `inf` is no cap). `capacity_bps` holds the capacity (bit/s, > 0) of every link that occurs. A flow with
    an empty route needs a finite cap: nothing else would limit it.

    All flows rise together from 0. One that reaches its cap stays there; when a link is full, all flows on
    it stay where they are; the others go on. So every flow ends at its cap or has a bottleneck: a full link
    on which no other flow is faster.
    """
    limits, pools = _limits_and_pools(routes, capacity_bps, cap_bps)
    pools_of: list[list[_Pool]] = [[] for _ in routes]
    for pool in pools:
        for flow in pool.flows:
            pools_of[flow].append(pool)

    rates: list[float | None] = [None] * len(routes)

    def fix(flow: int, rate_bps: float) -> None:
        rates[flow] = rate_bps
        for pool in pools_of[flow]:
            pool.spare_bps -= rate_bps
            pool.num_rising -= 1

    for flow in sorted(range(len(routes)), key=limits.__getitem__):
        while rates[flow] is None:
            bottleneck = min((pool for pool in pools if pool.num_rising), key=_Pool.full_at_bps, default=None)
            if bottleneck is None or limits[flow] <= bottleneck.full_at_bps():
                fix(flow, limits[flow])
            else:
                level_bps = bottleneck.full_at_bps()
                for member in bottleneck.flows:
                    if rates[member] is None:
                        fix(member, level_bps)
    return [rate for rate in rates if rate is not None]


class _Pool:
    """A link that several flows cross, while they rise."""

    __slots__ = ("flows", "num_rising", "spare_bps")

    def __init__(self, capacity_bps: float, flows: list[int]) -> None:
        self.spare_bps = capacity_bps  # not taken by flows that have stopped rising
        self.num_rising = len(flows)
        self.flows = flows

    def full_at_bps(self) -> float:
        """The rate of the rising flows at which this link is full, if none of them stops before."""
        return self.spare_bps / self.num_rising


def _limits_and_pools(
    routes: Sequence[Sequence[L]], capacity_bps: Mapping[L, float], cap_bps: Sequence[float]
) -> tuple[list[float], list[_Pool]]:
    """Fold every link with a single flow into that flow's cap; pool the links that several flows cross."""
    flows_on: dict[L, list[int]] = {}
    for flow, route in enumerate(routes):
        for link in route:
            flows_on.setdefault(link, []).append(flow)

    limits = list(cap_bps)
    pools = []
    for link, flows in flows_on.items():
        if len(flows) == 1:
            limits[flows[0]] = min(limits[flows[0]], capacity_bps[link])
        else:
            pools.append(_Pool(capacity_bps[link], flows))
    return limits, pools
