"""Studies: a scenario run, reopened, replayed; what is finished is kept."""

from slsim.study.conducting import Interrupted, conduct, run
from slsim.study.study import Study, open_study, replay
from slsim.study.training import Observer, Silent

__all__ = ["Interrupted", "Observer", "Silent", "Study", "conduct", "open_study", "replay", "run"]
