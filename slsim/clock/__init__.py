"""The clock: plays recorded steps over a network and devices. It knows no protocol and no tensor.

Two ways lead to the same times: `arithmetic` on the columns of all rounds at once where links are simple,
`events` by SimPy elsewhere. `invariants` are checked after every run.
"""

from slsim.clock.clock import Clock
from slsim.clock.running import RunningClock
from slsim.clock.stage import Stage
from slsim.clock.timeline import Timeline, by_group

__all__ = ["Clock", "RunningClock", "Stage", "Timeline", "by_group"]
