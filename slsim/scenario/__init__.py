"""The scenario file: typed, frozen tables with defaults, checked whole before anything runs.

`load(path)` gives a `Plan` with one `Case` for every combination of its sweep and every seed.
"""

from slsim.scenario.axes import Axis, axes
from slsim.scenario.choice import Augmentation, Choice, Partition
from slsim.scenario.labels import codec_labels, full_label, run_labels, setting_labels, training_labels
from slsim.scenario.network import NetworkTable
from slsim.scenario.plan import Case, Plan, load, override, plan, read
from slsim.scenario.rates import LinkClass, RateTable, only_rates, rewrite_traces
from slsim.scenario.tables import Scenario

__all__ = [
    "Augmentation",
    "Axis",
    "Case",
    "Choice",
    "LinkClass",
    "NetworkTable",
    "Partition",
    "Plan",
    "RateTable",
    "Scenario",
    "axes",
    "codec_labels",
    "full_label",
    "load",
    "only_rates",
    "override",
    "plan",
    "read",
    "rewrite_traces",
    "run_labels",
    "setting_labels",
    "training_labels",
]
