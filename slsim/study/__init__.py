"""Studies: a scenario planned, run, reopened, replayed; what is finished is kept.

Each name is imported when it is first asked for: a plan needs no pandas.
"""

from typing import TYPE_CHECKING

from slsim import lazy

if TYPE_CHECKING:
    from slsim.study.comparing import compare
    from slsim.study.conducting import Interrupted, conduct, conduct_only
    from slsim.study.crews import Staffing
    from slsim.study.planning import foresee, plan
    from slsim.study.running import run
    from slsim.study.study import Study, open_study, replay

__all__ = [
    "Interrupted",
    "Staffing",
    "Study",
    "compare",
    "conduct",
    "conduct_only",
    "foresee",
    "open_study",
    "plan",
    "replay",
    "run",
]

_HOMES = {
    "comparing": ("compare",),
    "conducting": ("Interrupted", "conduct", "conduct_only"),
    "crews": ("Staffing",),
    "planning": ("foresee", "plan"),
    "running": ("run",),
    "study": ("Study", "open_study", "replay"),
}
__getattr__ = lazy.attributes(__name__, _HOMES)
