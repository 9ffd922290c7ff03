"""The scenario file: typed, frozen tables with defaults, checked whole before anything runs.

`load(path)` gives a `Plan` with one `Case` for every combination of its sweep.
"""

from slsim.scenario.choice import Augmentation, Choice, Partition
from slsim.scenario.labels import full_label, run_labels
from slsim.scenario.network import NetworkTable
from slsim.scenario.plan import Case, Plan, load, override, plan, read
from slsim.scenario.rates import LinkClass, RateTable, only_rates, rewrite_traces
from slsim.scenario.tables import Scenario

__all__ = [
    "Augmentation",
    "Case",
    "Choice",
    "LinkClass",
    "NetworkTable",
    "Partition",
    "Plan",
    "RateTable",
    "Scenario",
    "full_label",
    "load",
    "only_rates",
    "override",
    "plan",
    "read",
    "rewrite_traces",
    "run_labels",
]
