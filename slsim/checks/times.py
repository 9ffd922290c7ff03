"""Do simulated seconds follow from bytes and rates?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from slsim.analysis import Run
from slsim.checks.lines import RELATIVE_TOLERANCE
from slsim.network import LinkUsage
from slsim.verdict import Check

LINKS = ("uplink", "downlink")
CARRIED, BUSY, MAKESPANS = "bytes on links", "busy times of links", "makespans"  # the groups of these checks


def check_time(run: Run) -> Iterator[Check]:
    """Simulated time against bytes and rates: what the access links carried, how long they were busy, and
    a lower bound of the makespan."""
    for link in LINKS:
        yield _check_carried(run, link)
    for link, usage, best_bps, burst_bytes in _slowest_links(run):
        bound_s = 8 * (usage.num_bytes - burst_bytes * run.recording.num_rounds) / best_bps
        yield Check(
            f"busy time of {link}, {run.label}",
            usage.busy_s >= bound_s * (1 - RELATIVE_TOLERANCE),
            f"busy {usage.busy_s:.6f} s ≥ {bound_s:.6f} s = 8 × {usage.num_bytes:,.0f} bytes / "
            f"{best_bps:,.0f} bit/s" + (f", less {burst_bytes:,.0f} bytes a round" if burst_bytes else ""),
            group=BUSY,
        )
    bound_s = float(run.recording.totals(_least_round_s(run))[-1])
    yield Check(
        f"makespan of {run.label}",
        run.timeline.makespan_s >= bound_s * (1 - RELATIVE_TOLERANCE),
        f"{run.timeline.makespan_s:.6f} s ≥ {bound_s:.6f} s, transfers and latencies that nothing can hide",
        group=MAKESPANS,
    )


def _check_carried(run: Run, link: str) -> Check:
    """The bytes on the wire against the messages' own, in segments with their headers."""
    framing = run.scenario.network.framing
    sizes, times = _transfers(run, link)
    sent, segments = int((sizes * times).sum()), int((-(-sizes // framing.segment) * times).sum())
    due = sent + framing.header * segments
    links = run.timeline.used_as(link).values()
    carried = sum(usage.num_bytes for usage in links)
    return Check(
        f"bytes on the {link}s of {run.label}",
        math.isclose(carried, due, rel_tol=RELATIVE_TOLERANCE),
        f"{sent:,} bytes + {segments:,} segments × {framing.header} bytes of header = {due:,}; "
        f"carried {carried:,.0f} in {sum(usage.busy_s for usage in links):.6f} s",
        group=CARRIED,
    )


def _transfers(run: Run, link: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bytes of each transfer that crosses links of a role, and how often it was done."""
    steps = run.recording.steps
    first = np.flatnonzero(~steps.rows["joined"])
    sizes = np.add.reduceat(steps.rows["num_bytes"], first) if first.size else np.zeros(0, np.int64)
    crossing = steps.crosses(link)[first]
    times = np.bincount(run.recording.rounds, minlength=len(steps))[steps.round_of[first]]
    return sizes[crossing], times[crossing]


def _slowest_links(run: Run) -> Iterator[tuple[str, LinkUsage, float, float]]:
    """Of uplinks and of downlinks, the one that was busy longest: its name, what it did, the best rate that
    it ever had (bit/s), and what it let pass at once (bytes)."""
    for link in LINKS:
        if own := run.timeline.used_as(link):
            busiest = max(own, key=lambda name: own[name].busy_s)
            yield busiest, own[busiest], _best_rate(run, link), run.scenario.network.burst


def _best_rate(run: Run, name: str) -> float:
    """The best rate that any access link of that direction has at any time, in bit/s."""
    table = run.scenario.network
    spread = table.jitter.spread if table.jitter else 0.0
    return max(one.best_bps for one in table.access(name)) * (1 + spread)


def _least_round_s(run: Run) -> NDArray[np.float64]:
    """Of each of the rounds that differ: the longest that one client's own transfers and latencies must take,
    in seconds."""
    table, steps = run.scenario.network, run.recording.steps
    first = np.flatnonzero(~steps.rows["joined"])
    sizes = np.add.reduceat(steps.rows["num_bytes"], first) if first.size else np.zeros(0, np.int64)
    least_s = np.zeros(len(first))
    for link in LINKS:
        latency_s = min(table.latency_s(one) for one in table.access(link))
        transfer_s = latency_s + np.maximum(0.0, sizes - table.burst) * 8 / _best_rate(run, link)
        least_s = np.maximum(least_s, np.where(steps.crosses(link)[first], transfer_s, 0.0))
    clients = run.scenario.clients.count
    keys = steps.round_of[first] * clients + steps.clients[first]
    own = np.bincount(keys, weights=least_s, minlength=len(steps) * clients)
    longest: NDArray[np.float64] = own.reshape(len(steps), clients).max(axis=1)
    return longest
