"""Recordings on the clocks of cases: each recording on each network and its devices once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple

from slsim.analysis import SUPPOSED, Run, Timed
from slsim.clock import Clock, Timeline
from slsim.devices import AS_STATED, Assumptions
from slsim.errors import FaultsError
from slsim.recording import Recording
from slsim.scenario import Scenario


class Clocks:
    """Plays recordings, told apart by the keys of their trainings."""

    def __init__(self, recordings: Mapping[str, Recording]) -> None:
        self._recordings = recordings
        self._known: dict[str, Timeline] = {}

    def timeline(self, key: str, scenario: Scenario, assumptions: Assumptions = AS_STATED) -> Timeline:
        """The recording of the training `key` on a scenario's devices and network."""
        table = scenario.table()
        devices = [table["clients"]["device"], table["server"]]
        clock = [key, table["network"], devices, astuple(assumptions)]
        name = json.dumps(clock)
        if name not in self._known:
            self._known[name] = Clock.of(scenario, assumptions).play(self._recordings[key])
        return self._known[name]

    def baseline(self, key: str, scenario: Scenario, assumptions: Assumptions = AS_STATED) -> Timeline | None:
        """The same of a case's uncompressed run, where it is there and the devices have times for it."""
        if key not in self._recordings:
            return None
        try:
            return self.timeline(key, scenario.baseline(), assumptions)
        except FaultsError:  # measured devices, whose file has the codecs of the cases alone
            return None

    def supposed(self, run: Run, key: str, baseline_key: str) -> dict[str, Timed]:
        """A run and its baseline under each of the assumptions `SUPPOSED`; nothing where the run did not
        reach its target, for that has no time then."""
        if not run.outcome.is_reached:
            return {}
        return {
            name: Timed(
                self.timeline(key, run.scenario, assumptions),
                self.baseline(baseline_key, run.scenario, assumptions),
            )
            for name, assumptions in SUPPOSED.items()
        }
