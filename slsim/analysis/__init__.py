"""From recordings and timelines to tables: curves, what a target cost, traffic multipliers, speed-ups.

Nothing here trains or simulates; the tables are what is saved and what every figure is drawn from.
"""

from slsim.analysis.breakdown import breakdown
from slsim.analysis.links import Link, swept_in, swept_links
from slsim.analysis.runs import SUPPOSED, Run, Timed, cumulative, curve, curves, measurements, seconds_at
from slsim.analysis.summary import compression_ratio, rounds_of_both, summarise, traffic_multiplier
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
    "NOT_REACHED",
    "NO_TARGET",
    "REACHED",
    "SUPPOSED",
    "Link",
    "Outcome",
    "Run",
    "Target",
    "Timed",
    "breakdown",
    "compression_ratio",
    "cumulative",
    "curve",
    "curves",
    "diverged_in",
    "held",
    "in_words",
    "measurements",
    "rounds_of_both",
    "seconds_at",
    "summarise",
    "swept_in",
    "swept_links",
    "target_of",
    "traffic_multiplier",
]
