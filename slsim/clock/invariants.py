"""What must hold of every timeline, checked after every run: a clock that contradicts itself says so.

Tolerances follow from the arithmetic, which is float64. An instant is a multiple of one ulp of the clock, so
a transfer's start and end are each off by half an ulp, and its duration by one. Whoever shares its link, or
changes the link's rate, has its end computed anew, and a bucket of tokens divides it in two: `ROUNDINGS` ulps
a transfer cover that. So a link's busy time is off by transfers × `ROUNDINGS` × ulp(makespan) seconds, and
what it could have carried then by that times its rate: on a clock of an hour and a link of 1 Gbps 0.0002
bytes a transfer. Sums of n terms are off by n / 2⁵³ of themselves at most; `SUMS` is for a million terms.
"""

from __future__ import annotations

import math

import numpy as np

from slsim.clock.stage import Stage
from slsim.clock.timeline import Timeline
from slsim.clock.usage import Due, Played
from slsim.network import LinkUsage

ROUNDINGS = 4
SUMS = 1e-9  # relative


def alarm(timeline: Timeline, stage: Stage, played: Played) -> str:
    """What does not hold, in words; empty when all does: time never runs backward; each client's phases add
    up to its round; each link carried what was sent over it, and no more than rate × busy
    time."""
    wrong = _of_time(timeline) or _of_phases(timeline)
    due, only_limits = played.due, _only_limits(stage) - played.joint
    for name in {**timeline.links, **due}:
        wrong = wrong or _of_link(name, timeline, due.get(name, Due()), stage, name in only_limits)
    return f"the clock is wrong: {wrong}" if wrong else ""


def _of_time(timeline: Timeline) -> str:
    if not np.isfinite(timeline.round_ends_s).all():
        return "a round does not end at a finite time"
    if (timeline.durations_s < 0).any():
        return "a round ends before the one before it"
    if (timeline.seconds < -SUMS * max(timeline.makespan_s, 1.0)).any():
        return "a client spends less than no time in a phase"
    return ""


def _of_phases(timeline: Timeline) -> str:
    durations_s = np.repeat(timeline.durations_s, np.diff(timeline.offsets))
    off_s = np.abs(timeline.seconds.sum(axis=1) - durations_s)
    if not (off_s > SUMS * max(timeline.makespan_s, 1.0)).any():
        return ""
    worst = int(off_s.argmax())
    return (
        f"of client {timeline.clients[worst]} in one round, the phases add up to "
        f"{timeline.seconds[worst].sum()} s, the round takes {durations_s[worst]} s"
    )


def _only_limits(stage: Stage) -> set[str]:
    """Links that nothing but themselves can slow down: alone on their routes, and no caps."""
    topology = stage.topology
    if topology.rate_caps_bps is not None:
        return set()
    routes = {*topology.uplinks, *topology.downlinks}
    shared = {link for route in routes if len(route) > 1 for link in route}
    return {route[0] for route in routes if len(route) == 1} - shared


def _of_link(name: str, timeline: Timeline, due: Due, stage: Stage, is_only_limit: bool) -> str:
    usage = timeline.links.get(name, LinkUsage(0.0, 0.0, 0.0))
    carried, could, makespan_s = usage.num_bytes, usage.capacity_bytes, timeline.makespan_s
    if abs(carried - due.num_bytes) > SUMS * due.num_bytes:
        return f"{due.num_bytes} bytes were sent over link {name}, {carried} arrived"
    grid_s = due.transfers * ROUNDINGS * math.ulp(makespan_s)
    mean_bps = 8 * could / usage.busy_s if usage.busy_s else 0.0
    rate_bps = max(stage.topology.links[name].rate_bps, mean_bps)
    slack = SUMS * max(due.num_bytes, could) + grid_s * rate_bps / 8
    if carried > could + slack or (is_only_limit and carried < could - slack):
        return f"link {name} carried {carried} bytes, rate × busy time is {could}"
    if usage.busy_s > makespan_s * (1 + SUMS) + grid_s:
        return f"link {name} was busy for {usage.busy_s} of {makespan_s} s"
    return ""
