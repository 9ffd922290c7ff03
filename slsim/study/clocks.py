"""Recordings on the clocks of cases: each that differs in its steps on each network and its devices, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim.analysis import SUPPOSED, Run, Timed
from slsim.clock import Clock, Timeline
from slsim.clock.program import Program
from slsim.devices import AS_STATED, Assumptions
from slsim.errors import FaultsError
from slsim.recording import STEP, Recording
from slsim.scenario import Scenario

Ends = NDArray[np.float64]
Place = tuple[str, str]  # devices, and links


class Clocks:
    """Plays recordings, told apart by the keys of their trainings, which `know` makes known. Those whose
    steps are the same, as with several seeds of a codec of fixed size, are played once."""

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}
        self._steps: dict[str, str] = {}  # what was done in each recording, as a hash
        self._timelines: dict[tuple[str, Place], Timeline] = {}
        self._ends: dict[tuple[str, Place, Assumptions], Ends] = {}
        self._clocks: dict[tuple[Place, Assumptions], Clock] = {}
        self._programs: dict[tuple[str, str, Assumptions], Program] = {}
        self._places: dict[tuple[int, ...], tuple[Place, Any]] = {}

    def know(self, recordings: Mapping[str, Recording]) -> None:
        """Add recordings, by key."""
        self._recordings |= recordings
        self._steps |= {key: _hash(recording) for key, recording in recordings.items()}

    def timeline(self, key: str, scenario: Scenario) -> Timeline:
        """The recording of the training `key` on a scenario's devices and network."""
        steps, place = self._steps[key], self._place(scenario)
        if (steps, place) not in self._timelines:
            clock, program = self._clock(key, place, scenario, AS_STATED)
            self._timelines[steps, place] = clock.play(self._recordings[key], program)
        return self._timelines[steps, place]

    def baseline(self, key: str, scenario: Scenario) -> Timeline | None:
        """The same of a case's uncompressed run, where it is there and the devices have times for it."""
        if key not in self._recordings:
            return None
        try:
            return self.timeline(key, scenario.baseline())
        except FaultsError:  # measured devices, whose file has the codecs of the cases alone
            return None

    def timed(self, key: str, baseline_key: str, scenario: Scenario, assumptions: Assumptions) -> Timed:
        """When the rounds of a training end, and those of its baseline, if devices cost what is assumed."""
        baseline = None
        if baseline_key in self._recordings:
            try:
                baseline = self._ends_of(baseline_key, scenario.baseline(), assumptions)
            except FaultsError:
                baseline = None
        return Timed(self._ends_of(key, scenario, assumptions), baseline)

    def supposed(self, run: Run, key: str, baseline_key: str) -> dict[str, Timed]:
        """A run and its baseline under each of the assumptions `SUPPOSED`; nothing where the run did not
        reach its target, for that has no time then."""
        if not run.outcome.is_reached:
            return {}
        return {
            name: self.timed(key, baseline_key, run.scenario, assumptions)
            for name, assumptions in SUPPOSED.items()
        }

    def _ends_of(self, key: str, scenario: Scenario, assumptions: Assumptions) -> Ends:
        steps, place = self._steps[key], self._place(scenario)
        if assumptions == AS_STATED and (steps, place) in self._timelines:
            return self._timelines[steps, place].round_ends_s
        if (steps, place, assumptions) not in self._ends:
            clock, program = self._clock(key, place, scenario, assumptions)
            self._ends[steps, place, assumptions] = clock.round_ends_s(self._recordings[key], program)
        return self._ends[steps, place, assumptions]

    def _clock(
        self, key: str, place: Place, scenario: Scenario, assumptions: Assumptions
    ) -> tuple[Clock, Program]:
        """The clock of a place, and what a training's steps take on the devices there."""
        if (place, assumptions) not in self._clocks:
            self._clocks[place, assumptions] = Clock.of(scenario, assumptions)
        clock, which = self._clocks[place, assumptions], (self._steps[key], place[0], assumptions)
        if which not in self._programs:
            self._programs[which] = clock.program(self._recordings[key])
        return clock, self._programs[which]

    def _place(self, scenario: Scenario) -> Place:
        """All that the clock takes from a scenario, as text: its devices, and its links. A scenario and its
        baseline share the tables."""
        tables = (scenario.clients, scenario.server, scenario.network)
        known = (scenario.seed, *map(id, tables))
        if known not in self._places:
            clients, server, network = (table.model_dump(mode="json", exclude_none=True) for table in tables)
            place = (
                json.dumps([clients["count"], clients["device"], server]),
                json.dumps([scenario.seed if scenario.network.jitter else None, network]),
            )
            self._places[known] = place, tables  # kept, so that no other table gets the same id
        return self._places[known][0]


def _hash(recording: Recording) -> str:
    """Of all that the clock takes from a recording."""
    steps = recording.steps
    words = json.dumps([steps.words.texts, recording.phases])
    digest = hashlib.blake2b(words.encode())
    for column in (recording.rounds, steps.offsets, *map(steps.rows.__getitem__, STEP.names or ())):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
