"""The network's own view of a run: what links carried and how busy they were, how long rounds took, and how
evenly clients were served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from slsim.analysis.runs import Run, named
from slsim.network import LinkUsage

ACCESS = ("uplink", "downlink")  # a client's own links; all other links are shared
MOST_LINKS = 20  # of a role that have a row each
COLUMNS = (
    *("run", "setting", "seed", "link", "role", "links", "shared", "wire_bytes", "busy_s"),
    *("utilisation", "utilisation_least", "utilisation_most"),
)


def links(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run and link, of links that carried anything. Clients' own uplinks and downlinks are one row
    each way (`links` says how many they are), and so are shared links of a role with more than 20.

    `wire_bytes` are those that crossed, headers included, `busy_s` the seconds in which something was under
    way, `utilisation` what was carried ÷ what could have been from the first second to the last (0 … 1). Of
    several links, bytes and seconds are sums, and the utilisation is the mean, with the `…_least` and the
    `…_most`.
    """
    rows = [{**named(run), **row} for run in runs for row in _links_of(run)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _links_of(run: Run) -> Iterator[dict[str, Any]]:
    times = run.timeline
    for role in dict.fromkeys(times.roles.values()):
        own = times.used_as(role)
        shared = role not in ACCESS
        each = shared and len(own) <= MOST_LINKS
        groups = {name: [usage] for name, usage in own.items()} if each else {f"{role}s": [*own.values()]}
        for name, usages in groups.items():
            shares = [_utilisation(usage, times.makespan_s) for usage in usages]
            yield {
                "link": name,
                "role": role,
                "links": len(usages),
                "shared": shared,
                "wire_bytes": sum(usage.num_bytes for usage in usages),
                "busy_s": sum(usage.busy_s for usage in usages),
                "utilisation": float(np.mean(shares)),
                "utilisation_least": min(shares),
                "utilisation_most": max(shares),
            }


def _utilisation(usage: LinkUsage, makespan_s: float) -> float:
    """What a link carried ÷ what it could have carried all the time, at the rate that it had while busy."""
    if not (makespan_s and usage.capacity_bytes):
        return 0.0
    return usage.num_bytes / usage.capacity_bytes * usage.busy_s / makespan_s


def round_spread(run: Run) -> dict[str, float]:
    """How long rounds took, in seconds: the median, the 95th percentile, and the longest; 0 without any."""
    durations_s = run.timeline.durations_s
    if not durations_s.size:
        return dict.fromkeys(("round_median_s", "round_p95_s", "round_longest_s"), 0.0)
    middle, high = np.percentile(durations_s, (50, 95))
    return {
        "round_median_s": float(middle),
        "round_p95_s": float(high),
        "round_longest_s": float(durations_s.max()),
    }


def fairness(run: Run) -> float:
    """Jain's index of the clients' mean transfer rates, bytes ÷ seconds on their way up and down: 1 where all
    have the same, 1 / n where one of n has everything (Jain, Chiu, Hawe, DEC-TR-301, 1984, Eq. 2). NaN where
    fewer than two clients transfer anything."""
    times, recording = run.timeline, run.recording
    on_links = [place for place, phase in enumerate(times.phases) if phase.group in ACCESS]
    steps = recording.steps
    count = 1 + max(int(times.clients.max(initial=-1)), int(steps.clients.max(initial=-1)))
    if count < 1 or not on_links:
        return float("nan")
    seconds = np.bincount(times.clients, weights=times.seconds[:, on_links].sum(axis=1), minlength=count)
    repeated = np.bincount(recording.rounds, minlength=len(steps))[steps.round_of]
    own = steps.clients >= 0
    num_bytes = np.bincount(
        steps.clients[own], weights=(steps.rows["num_bytes"] * repeated)[own], minlength=count
    )
    moved = (seconds > 0) & (num_bytes > 0)
    rates = num_bytes[moved] / seconds[moved]
    return float(rates.sum() ** 2 / (len(rates) * (rates**2).sum())) if len(rates) > 1 else float("nan")
