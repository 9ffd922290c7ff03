"""Studies: a scenario run, reopened, replayed; what is finished is kept."""

from slsim.study.study import Interrupted, Study, conduct, open_study, replay, run
from slsim.study.training import Observer, Silent

__all__ = ["Interrupted", "Observer", "Silent", "Study", "conduct", "open_study", "replay", "run"]
