"""The clock beside a training in progress: each round is played when it has been recorded."""

from __future__ import annotations

import numpy as np

from slsim.clock.clock import Clock
from slsim.clock.events import LiveStage
from slsim.clock.program import Program
from slsim.clock.stage import Stage
from slsim.recording import Recording
from slsim.scenario import Scenario


class RunningClock:
    """The devices and links of a scenario, on which a recording is played as it grows. The times are those of
    `Clock.play`; no round is played twice where each begins as the others do."""

    def __init__(self, scenario: Scenario) -> None:
        self._stage = Stage.of(scenario)
        topology = self._stage.topology
        self._is_steady = topology.network.is_steady and not topology.transport.remembers
        self._durations_s: dict[int, float] = {}  # of the rounds that differ
        self._live: LiveStage | None = None
        self._played, self._now_s = 0, 0.0

    def ended_s(self, recording: Recording) -> float:
        """Simulated seconds from time 0 to the end of the last round of `recording`, which is the recording
        of the call before with more rounds. Raises `ClockError`."""
        for number in recording.rounds[self._played :].tolist():
            self._now_s = self._after(recording, number)
        self._played = recording.num_rounds
        return self._now_s

    def _after(self, recording: Recording, number: int) -> float:
        if not self._is_steady:
            return self._played_live(recording, number)
        if number not in self._durations_s:
            once = np.zeros(1, np.int64)
            played = Clock(self._stage).run(recording.steps_of(number), once, recording.phases)
            self._durations_s[number] = played.makespan_s
        return self._now_s + self._durations_s[number]

    def _played_live(self, recording: Recording, number: int) -> float:
        program = Program.of(recording.steps_of(number), self._stage)
        if self._live is None:
            self._live = LiveStage(self._stage, program)
        self._live.follow(program)
        self._live.play(0)
        self._live.spans.clear()
        return float(self._live.env.now)
