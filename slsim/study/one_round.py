"""One round of a scenario on its clock, to see whether the clock can play it at all."""

from __future__ import annotations

from slsim import boundary
from slsim.errors import ClockError, SlsimError
from slsim.recording import Costs, Recording, RoundRecord
from slsim.scenario import Scenario
from slsim.simulation import Simulation

MOST_EVENTS = 2_000_000  # of one round on the clock, and for each client:
EVENTS_A_CLIENT = 2_000


def check_first_round(scenario: Scenario, recording: Recording) -> None:
    """Plays the first round of a training by a third party's protocol, which no synthetic one stands for."""
    if boundary.is_outside(type(scenario.training.protocol.create())):
        play_record(scenario, recording.costs, recording.rounds[0])


def play_record(scenario: Scenario, costs: Costs, record: RoundRecord) -> None:
    """Plays one round on a scenario's clock. Raises `ClockError` when it never ends, or not at a finite time;
    `ComponentError` when a component of one's own is at fault."""
    most = MOST_EVENTS + EVENTS_A_CLIENT * scenario.clients.count
    try:
        timeline = Simulation.of(scenario, costs, most_events=most).run([record])
    except SlsimError:
        raise
    except Exception as error:
        raise ClockError(
            f"the clock cannot play this network and these devices: {boundary.told(error)}"
        ) from error
    if timeline.alarm:
        raise ClockError(timeline.alarm)
