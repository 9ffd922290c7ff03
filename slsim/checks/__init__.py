"""Sanity checks of a study: do bytes follow from the formats, multipliers from ratios and steps, seconds
from bytes and rates, and tables from recordings? Each check states its arithmetic, so that a reader can do it
again.
"""

from __future__ import annotations

from collections.abc import Sequence

from slsim.analysis import Run
from slsim.checks.errors import check_bounds
from slsim.checks.messages import check_sizes, format_of
from slsim.checks.multipliers import check_multiplier
from slsim.checks.tables import Tables, check_tables
from slsim.checks.times import check_time
from slsim.verdict import Check

__all__ = ["check_bounds", "check_runs", "format_of"]


def check_runs(runs: Sequence[Run], computed: Tables, saved: Tables) -> list[Check]:
    """All checks of a study's runs, and of its tables as they are saved, those of these that could be read;
    `computed` are the same tables from the recordings."""
    trainings = {run.training: run.recording for run in runs}
    return [
        *(check for name, recording in trainings.items() for check in check_sizes(name, recording)),
        *(check for name, recording in trainings.items() for check in check_bounds(name, recording)),
        *(check for run in runs for check in check_multiplier(run)),
        *(check for run in runs for check in check_time(run)),
        *check_tables(computed, saved),
    ]
