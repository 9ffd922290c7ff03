"""What must hold of every timeline, checked after every run: a clock that contradicts itself says so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from slsim.errors import ClockError
from slsim.network import LinkUsage
from slsim.protocols import Cast
from slsim.simulation.timeline import Timeline

TOLERANCE = 1e-9  # relative: of sums of many floats


def check(timeline: Timeline, cast: Cast, bytes_due: Mapping[str, int]) -> None:
    """Time never runs backward; each client's phases add up to its round; each link carried what was sent
    over it, and no more than rate × busy time. `bytes_due` is what was sent, by link. Raises `ClockError`."""
    _time_runs_forward(timeline)
    _phases_add_up(timeline)
    only_limits = _only_limits(cast)
    for name in {**timeline.links, **bytes_due}:
        usage = timeline.links.get(name, LinkUsage(0.0, 0.0, 0.0))
        _link_agrees(name, usage, timeline.makespan_s, bytes_due.get(name, 0), name in only_limits)


def _time_runs_forward(timeline: Timeline) -> None:
    if not np.isfinite(timeline.round_ends_s).all() or (timeline.durations_s < 0).any():
        raise ClockError("the clock is wrong: a round ends before the one before it")
    if (timeline.seconds < -TOLERANCE * max(timeline.makespan_s, 1.0)).any():
        raise ClockError("the clock is wrong: a client spends less than no time in a phase")


def _phases_add_up(timeline: Timeline) -> None:
    durations_s = np.repeat(timeline.durations_s, np.diff(timeline.offsets))
    off_s = np.abs(timeline.seconds.sum(axis=1) - durations_s)
    if (off_s > TOLERANCE * np.maximum(timeline.makespan_s, 1.0)).any():
        worst = int(off_s.argmax())
        raise ClockError(
            f"the clock is wrong: of client {timeline.clients[worst]} in one round, the phases add up to "
            f"{timeline.seconds[worst].sum()} s, the round takes {durations_s[worst]} s"
        )


def _only_limits(cast: Cast) -> set[str]:
    """Links that nothing but themselves can slow down: alone on their routes, and no caps."""
    topology = cast.topology
    if topology.rate_caps_bps is not None:
        return set()
    routes = {*topology.uplinks, *topology.downlinks}
    shared = {link for route in routes if len(route) > 1 for link in route}
    return {route[0] for route in routes if len(route) == 1} - shared


def _link_agrees(name: str, usage: LinkUsage, makespan_s: float, due: int, is_only_limit: bool) -> None:
    carried, could = usage.num_bytes, usage.capacity_bytes
    slack = TOLERANCE * max(due, could, 1.0)
    if abs(carried - due) > slack:
        raise ClockError(f"the clock is wrong: {due} bytes were sent over link {name}, {carried} arrived")
    if carried > could + slack or (is_only_limit and carried < could - slack):
        raise ClockError(
            f"the clock is wrong: link {name} carried {carried} bytes, rate × busy time is {could}"
        )
    if usage.busy_s > makespan_s * (1 + TOLERANCE):
        raise ClockError(f"the clock is wrong: link {name} was busy for {usage.busy_s} of {makespan_s} s")
