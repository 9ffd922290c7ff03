"""Holds the simulated clock against real TCP: network namespaces, shaped links, real bytes.

`validate` measures and predicts. Below it: `lab` builds the network and takes it down again, `peers` are
the programs inside it, `measure` has them do the experiments, `predict` asks slsim's clock about the same.
`tables` prints and saves what came out.
"""

from slsim.validation.comparison import Comparison, Experiment, Validation
from slsim.validation.predict import rounds_of
from slsim.validation.validate import DELAYS_S, FULL, QUICK, Plan, validate

__all__ = [
    "DELAYS_S",
    "FULL",
    "QUICK",
    "Comparison",
    "Experiment",
    "Plan",
    "Validation",
    "rounds_of",
    "validate",
]
