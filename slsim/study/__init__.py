"""Studies: a scenario run, reopened, replayed; what is finished is kept."""

from slsim.study.conducting import Interrupted, conduct, run
from slsim.study.crews import Staffing
from slsim.study.study import Study, open_study, replay

__all__ = ["Interrupted", "Staffing", "Study", "conduct", "open_study", "replay", "run"]
