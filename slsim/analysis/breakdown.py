"""Where the seconds of an average round go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slsim.analysis.runs import Run
from slsim.protocols.steps import CULPRITS, PHASES, phase_column


def breakdown(runs: Sequence[Run]) -> pd.DataFrame:
    """Where the seconds of an average round go: one row a run, a column a phase (of the average client; they
    add up to `round_s`), and the bottleneck: what the client that the round waited for, the last at the
    barrier, spent most of its time on, and the share of the round that it did."""
    return pd.DataFrame([_breakdown_row(run) for run in runs])


def _breakdown_row(run: Run) -> dict[str, Any]:
    average, critical = run.timeline.average_round(), run.timeline.critical_round()
    shares = {name: sum(critical[phase] for phase in phases) for name, phases in CULPRITS.items()}
    bottleneck = max(shares, key=shares.__getitem__)
    total_s = sum(critical.values())
    return {
        "run": run.label,
        **{phase_column(phase): average[phase] for phase in PHASES},
        "round_s": sum(average.values()),
        "bottleneck": bottleneck if total_s else "none",
        "bottleneck_share": shares[bottleneck] / total_s if total_s else 0.0,
    }
