"""Where the seconds of an average round go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from slsim.analysis.runs import Run
from slsim.clock import Timeline
from slsim.recording import Phase
from slsim.recording.kinds import GROUPS, phase_column


def breakdown(runs: Sequence[Run]) -> pd.DataFrame:
    """Where the seconds of an average round go, one row a run.

    Each phase has a column (of the average client; they add up to `round_s`), and each group of phases one
    such as `in_devices_s`. The bottleneck is the group on which the client that the round waited for, the
    last at the barrier, spent most of its time; its share is that of the round.
    """
    phases = dict.fromkeys(phase for run in runs for phase in run.timeline.phases)
    ordered = sorted(phases, key=lambda phase: not phase.group)  # the barrier's wait is the last
    return pd.DataFrame([_breakdown_row(run, ordered) for run in runs])


def bottleneck(timeline: Timeline) -> tuple[str, float]:
    """The group of phases on which the client that the average round waited for spent most of its time, and
    its share of the round; "none" where nothing takes time."""
    critical = timeline.critical_round()
    shares, total_s = _by_group(critical, timeline.phases), sum(critical.values())
    most = max(shares, key=shares.__getitem__)
    return (most, shares[most] / total_s) if total_s else ("none", 0.0)


def _breakdown_row(run: Run, phases: Sequence[Phase]) -> dict[str, Any]:
    average, (most, share) = run.timeline.average_round(), bottleneck(run.timeline)
    return {
        "run": run.label,
        **{phase_column(phase.name): average.get(phase.name, 0.0) for phase in phases},
        "round_s": sum(average.values()),
        **{f"in_{group}_s": seconds for group, seconds in _by_group(average, phases).items()},
        "bottleneck": most,
        "bottleneck_share": share,
    }


def _by_group(seconds: Mapping[str, float], phases: Sequence[Phase]) -> dict[str, float]:
    """Seconds in each group of phases, the usual groups first."""
    groups = dict.fromkeys((*GROUPS, *(phase.group for phase in phases if phase.group)), 0.0)
    for phase in phases:
        if phase.group:
            groups[phase.group] += seconds.get(phase.name, 0.0)
    return groups
