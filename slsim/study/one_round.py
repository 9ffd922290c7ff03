"""One round of a scenario on its clock, to see whether the clock can play it at all."""

from __future__ import annotations

import numpy as np

from slsim import boundary
from slsim.clock import Clock
from slsim.errors import ClockError, SlsimError
from slsim.recording import Recording, Steps
from slsim.scenario import Scenario

MOST_EVENTS = 2_000_000  # of one round on the clock, and for each client:
EVENTS_A_CLIENT = 2_000


def check_first_round(scenario: Scenario, recording: Recording) -> None:
    """Plays the first round of a training by a third party's protocol, which may do what its rehearsal did
    not."""
    if boundary.is_outside(type(scenario.training.protocol.create())):
        play_round(scenario, recording.steps.only(0))


def play_round(scenario: Scenario, steps: Steps) -> None:
    """Plays one round on a scenario's clock. Raises `ClockError` when it never ends, or not at a finite time;
    `ComponentError` when a component of one's own is at fault."""
    most = MOST_EVENTS + EVENTS_A_CLIENT * scenario.clients.count
    try:
        timeline = Clock.of(scenario, most_events=most).run(steps, np.zeros(1, np.int64))
    except SlsimError:
        raise
    except Exception as error:
        raise ClockError(
            f"the clock cannot play this network and these devices: {boundary.told(error)}"
        ) from error
    if timeline.alarm:
        raise ClockError(timeline.alarm)
