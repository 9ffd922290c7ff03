"""Where the seconds of an average round go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slsim.analysis.network_use import fairness, round_spread
from slsim.analysis.runs import Run, named
from slsim.clock import by_group
from slsim.recording import Phase
from slsim.recording.kinds import phase_column


def breakdown(runs: Sequence[Run]) -> pd.DataFrame:
    """Where the seconds of an average round go, one row a run.

    Each phase has a column (of the average client; they add up to `round_s`), and each group of phases one
    such as `in_devices_s`. The bottleneck is the group on which the client that the round waited for, the
    last at the barrier, spent most of its time; its share is that of the round. Then how long rounds took,
    and Jain's index of the clients' transfer rates (see `network_use`).
    """
    phases = dict.fromkeys(phase for run in runs for phase in run.timeline.phases)
    ordered = sorted(phases, key=lambda phase: not phase.group)  # the barrier's wait is the last
    return pd.DataFrame([_breakdown_row(run, ordered) for run in runs])


def _breakdown_row(run: Run, phases: Sequence[Phase]) -> dict[str, Any]:
    average, (most, share) = run.timeline.average_round(), run.timeline.bottleneck()
    return {
        **named(run),
        **{phase_column(phase.name): average.get(phase.name, 0.0) for phase in phases},
        "round_s": sum(average.values()),
        **{f"in_{group}_s": seconds for group, seconds in by_group(average, phases).items()},
        "bottleneck": most,
        "bottleneck_share": share,
        **round_spread(run),
        "fairness": fairness(run),
    }
