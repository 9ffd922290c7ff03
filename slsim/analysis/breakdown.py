"""Where the seconds of an average round go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from slsim.analysis.runs import Run, named
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


def _breakdown_row(run: Run, phases: Sequence[Phase]) -> dict[str, Any]:
    average, critical = run.timeline.average_round(), run.timeline.critical_round()
    shares = _by_group(critical, phases)
    bottleneck = max(shares, key=shares.__getitem__)
    total_s = sum(critical.values())
    return {
        **named(run),
        **{phase_column(phase.name): average.get(phase.name, 0.0) for phase in phases},
        "round_s": sum(average.values()),
        **{f"in_{group}_s": seconds for group, seconds in _by_group(average, phases).items()},
        "bottleneck": bottleneck if total_s else "none",
        "bottleneck_share": shares[bottleneck] / total_s if total_s else 0.0,
    }


def _by_group(seconds: Mapping[str, float], phases: Sequence[Phase]) -> dict[str, float]:
    """Seconds in each group of phases, the usual groups first."""
    groups = dict.fromkeys((*GROUPS, *(phase.group for phase in phases if phase.group)), 0.0)
    for phase in phases:
        if phase.group:
            groups[phase.group] += seconds.get(phase.name, 0.0)
    return groups
