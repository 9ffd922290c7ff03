"""Recordings on the clocks of cases: each recording on each network and its devices once."""

from __future__ import annotations

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
from slsim.recording import Recording
from slsim.scenario import Scenario

Ends = NDArray[np.float64]
Place = tuple[str, str]  # devices, and links


class Clocks:
    """Plays recordings, told apart by the keys of their trainings, which `know` makes known."""

    def __init__(self) -> None:
        self._recordings: dict[str, Recording] = {}
        self._timelines: dict[tuple[str, Place], Timeline] = {}
        self._ends: dict[tuple[str, Place, Assumptions], Ends] = {}
        self._clocks: dict[tuple[Place, Assumptions], Clock] = {}
        self._programs: dict[tuple[str, str, Assumptions], Program] = {}
        self._places: dict[tuple[int, ...], tuple[Place, Any]] = {}

    def know(self, recordings: Mapping[str, Recording]) -> None:
        """Add recordings, by key."""
        self._recordings |= recordings

    def timeline(self, key: str, scenario: Scenario) -> Timeline:
        """The recording of the training `key` on a scenario's devices and network."""
        place = self._place(scenario)
        if (key, place) not in self._timelines:
            clock, program = self._clock(key, place, scenario, AS_STATED)
            self._timelines[key, place] = clock.play(self._recordings[key], program)
        return self._timelines[key, place]

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
        place = self._place(scenario)
        if assumptions == AS_STATED and (key, place) in self._timelines:
            return self._timelines[key, place].round_ends_s
        if (key, place, assumptions) not in self._ends:
            clock, program = self._clock(key, place, scenario, assumptions)
            self._ends[key, place, assumptions] = clock.round_ends_s(self._recordings[key], program)
        return self._ends[key, place, assumptions]

    def _clock(
        self, key: str, place: Place, scenario: Scenario, assumptions: Assumptions
    ) -> tuple[Clock, Program]:
        """The clock of a place, and what a training's steps take on the devices there."""
        if (place, assumptions) not in self._clocks:
            self._clocks[place, assumptions] = Clock.of(scenario, assumptions)
        clock, devices = self._clocks[place, assumptions], place[0]
        if (key, devices, assumptions) not in self._programs:
            self._programs[key, devices, assumptions] = clock.program(self._recordings[key])
        return clock, self._programs[key, devices, assumptions]

    def _place(self, scenario: Scenario) -> Place:
        """All that the clock takes from a scenario, as text: its devices, and its links. A scenario and its
        baseline share the tables."""
        tables = (scenario.clients, scenario.server, scenario.network)
        known = (scenario.seed, *map(id, tables))
        if known not in self._places:
            clients, server, network = (table.model_dump(mode="json", exclude_none=True) for table in tables)
            place = (
                json.dumps([clients["count"], clients["device"], server]),
                json.dumps([scenario.seed, network]),
            )
            self._places[known] = place, tables  # kept, so that no other table gets the same id
        return self._places[known][0]
