"""What ends a training before its epochs do (`training.stop`): bytes, simulated time, or the target."""

from __future__ import annotations

import math
from collections.abc import Callable

from slsim.clock import RunningClock
from slsim.errors import RecordingError, TrainingError
from slsim.recording import Recording, Steps
from slsim.results import StudyFolder
from slsim.scenario import Scenario
from slsim.scenario.training_table import StopTable
from slsim.study.training import Training


def depends_on(training: Training) -> Training | None:
    """The training that must be finished before `training` begins: the uncompressed run, where that ends
    `training` by what it held. None where there is none."""
    scenario = training.scenario
    if scenario.stop is None or not scenario.stop.target or scenario.training.target_margin is None:
        return None
    return Training.of(scenario.baseline())


def aim_of(training: Training, folder: StudyFolder) -> float | None:
    """The accuracy (0 … 1) at which `training` ends by what the uncompressed run in `folder` held; infinite
    where that learned nothing. None where that is not there, or does not matter."""
    from slsim.analysis import target_of  # it needs pandas

    if (before := depends_on(training)) is None:
        return None
    try:
        baseline = folder.load_training(before.name)
    except RecordingError:
        return None
    target = target_of(training.scenario.training, baseline.test_set, baseline)
    return math.inf if target.reason else target.accuracy


def target_for(training: Training, aim: float | None) -> float | None:
    """The accuracy (0 … 1) at which `training` ends; None where no accuracy ends it. `aim` is that of
    `aim_of`. Raises `TrainingError` where what it depends on is missing."""
    settings, stop = training.scenario.training, training.scenario.stop
    if stop is None or not stop.target:
        return None
    if settings.target_margin is None:
        return float(settings.target_accuracy)
    if aim is None:
        raise TrainingError(
            "it stops at a target that is taken from the uncompressed run, which failed; so it was not begun"
        )
    return aim


def over(scenario: Scenario, target: float | None) -> Callable[[Recording], str]:
    """What says of a recording as it grows whether its training is to end, and by which key of
    `training.stop`; an empty text where it goes on. `target` is that of `target_for`."""
    stop = scenario.stop
    return (lambda _: "") if stop is None else _Over(scenario, stop, target)


class _Over:
    """Looks at a recording, which grows from call to call."""

    def __init__(self, scenario: Scenario, stop: StopTable, target: float | None) -> None:
        self._stop, self._target = stop, target
        self._settings = scenario.training
        self._clock = RunningClock(scenario) if stop.time is not None else None
        self._per_distinct: list[tuple[int, int]] = []  # bytes up and down of the rounds that differ
        self._counted, self._sent, self._received = 0, 0, 0

    def __call__(self, recording: Recording) -> str:
        self._count(recording)
        stop = self._stop
        limits = {
            "uplink": (stop.uplink, self._sent),
            "downlink": (stop.downlink, self._received),
            "bytes": (stop.bytes, self._sent + self._received),
        }
        for name, (most, so_far) in limits.items():
            if most is not None and so_far >= most:
                return name
        if self._clock is not None and stop.time is not None and self._clock.ended_s(recording) >= stop.time:
            return "time"
        return "target" if self._is_reached(recording) else ""

    def _count(self, recording: Recording) -> None:
        """Add the rounds that are new to the bytes so far."""
        for number in recording.rounds[self._counted :].tolist():
            if number == len(self._per_distinct):
                self._per_distinct.append(both_ways(recording.steps_of(number)))
            sent, received = self._per_distinct[number]
            self._sent, self._received = self._sent + sent, self._received + received
        self._counted = recording.num_rounds

    def _is_reached(self, recording: Recording) -> bool:
        if self._target is None or math.isinf(self._target):
            return False
        from slsim.analysis import target_of

        settings = self._settings.model_copy(update={"target_accuracy": self._target})
        target = target_of(settings, recording.test_set, None)
        return target.outcome(recording).is_reached


def both_ways(steps: Steps) -> tuple[int, int]:
    """Bytes that the clients sent and received in one round; a message between clients counts both ways."""
    sent, received = (
        int(steps.total("num_bytes", steps.crosses(link))[0]) for link in ("uplink", "downlink")
    )
    return sent, received
