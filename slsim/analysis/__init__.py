"""From recordings and timelines to tables: curves, what a target cost, traffic multipliers, speed-ups; over
seeds their means, intervals and what these prove.

Nothing here trains or simulates; the tables are what is saved and what every figure is drawn from.
"""

from slsim.analysis.breakdown import breakdown
from slsim.analysis.crossovers import AS_STATED, crossovers
from slsim.analysis.frontier import (
    COUNTED,
    Staircase,
    accuracy_at,
    bd_rate,
    bd_rates_over,
    staircase,
    staircases,
)
from slsim.analysis.network_use import links
from slsim.analysis.one_round import one_round
from slsim.analysis.per_run import (
    ACCOUNTINGS,
    FAILED,
    compression_ratio,
    outcomes_of_both,
    runs_table,
    speed_up,
    traffic_multiplier,
)
from slsim.analysis.runs import (
    SUPPOSED,
    Lost,
    Run,
    Timed,
    cumulative,
    curves,
    measurements,
    seconds_at,
    timeline,
)
from slsim.analysis.statistics import CONFIDENCE, intervals, ratio_intervals
from slsim.analysis.summary import ELSEWHERE, FASTER_BY, estimated, summarise
from slsim.analysis.target import (
    NO_TARGET,
    NOT_REACHED,
    REACHED,
    Outcome,
    Target,
    diverged_in,
    held,
    in_words,
    target_of,
)

__all__ = [
    "ACCOUNTINGS",
    "AS_STATED",
    "CONFIDENCE",
    "COUNTED",
    "ELSEWHERE",
    "FAILED",
    "FASTER_BY",
    "NOT_REACHED",
    "NO_TARGET",
    "REACHED",
    "SUPPOSED",
    "Lost",
    "Outcome",
    "Run",
    "Staircase",
    "Target",
    "Timed",
    "accuracy_at",
    "bd_rate",
    "bd_rates_over",
    "breakdown",
    "compression_ratio",
    "crossovers",
    "cumulative",
    "curves",
    "diverged_in",
    "estimated",
    "held",
    "in_words",
    "intervals",
    "links",
    "measurements",
    "one_round",
    "outcomes_of_both",
    "ratio_intervals",
    "runs_table",
    "seconds_at",
    "speed_up",
    "staircase",
    "staircases",
    "summarise",
    "target_of",
    "timeline",
    "traffic_multiplier",
]
