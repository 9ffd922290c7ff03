"""A study: the runs of a scenario, their tables and figures; opened again, checked and replayed.

What it needs are its recordings alone: no data, no trained weights, and no code that it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import analysis
from slsim.analysis import Run
from slsim.checks import Check, check_runs
from slsim.circumstances import circumstances
from slsim.errors import RecordingError, ReplayError
from slsim.own_code import own_code, with_absolute_code
from slsim.report import figures
from slsim.report.notes import measured_codecs
from slsim.results import StudyFolder, environment
from slsim.scenario import Case, load, override, plan, read
from slsim.study.failures import Failure
from slsim.study.inputs import localised
from slsim.study.integrity import faults
from slsim.study.opening import Stored, learned_text
from slsim.study.placing import described
from slsim.study.playing import play

if TYPE_CHECKING:
    import pandas as pd


class Study:
    """A study's runs, its summary and its folder.

    `failures` are the trainings that a run could not do, `damaged` has an error for each training that is
    there and cannot be read; `trust` says whether a replay may run code of the study's own.
    """

    def __init__(
        self,
        folder: StudyFolder,
        runs: Sequence[Run],
        *,
        failures: Sequence[Failure] = (),
        damaged: Sequence[RecordingError] = (),
        trust: bool = True,
    ) -> None:
        self._folder = folder
        self._trust = trust
        self.runs = tuple(runs)
        self.failures = tuple(failures)
        self.damaged = tuple(damaged)
        self.summary: pd.DataFrame = analysis.summarise(runs)
        self.breakdown: pd.DataFrame = analysis.breakdown(runs)

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the tables has to know of how their numbers came about."""
        return tuple(dict.fromkeys(note for run in self.runs for note in measured_codecs(run.recording)))

    @property
    def alarms(self) -> dict[str, str]:
        """What the clock found wrong in itself, by run."""
        return {run.label: run.timeline.alarm for run in self.runs if run.timeline.alarm}

    def save(self, manifest: Mapping[str, Any]) -> None:
        """Write the tables and the manifest, and last the figures drawn from the tables."""
        self._folder.save_table("summary", self.summary)
        self._folder.save_table("curves", analysis.curves(self.runs))
        self._folder.save_table("breakdown", self.breakdown)
        measurements = analysis.measurements(self.runs)
        if len(measurements):
            self._folder.save_table("measurements", measurements)
        self._folder.save_manifest(
            {**environment(), "seed": self.runs[0].scenario.seed, **manifest, **self._faults()}
        )
        figures.draw_runs(self._folder)

    def _faults(self) -> dict[str, Any]:
        """What went wrong, for the manifest."""
        failed = {"failed": {one.label: one.reason for one in self.failures}} if self.failures else {}
        return {**failed, **({"alarms": self.alarms} if self.alarms else {})}

    def check(self) -> list[Check]:
        """Whether bytes, multipliers, times and the saved summary follow from the recordings, whether these
        can be read, and whether the clock contradicts itself."""
        wrong = [Check("recordings", False, str(error)) for error in self.damaged]
        wrong += [Check(f"clock of {label}", False, alarm) for label, alarm in self.alarms.items()]
        damaged = faults(self._folder)
        wrong += [Check(file, False, why) for file, why in damaged.items()]
        saved = None if "summary.csv" in damaged else self._folder.load_table("summary")
        with own_code("never"):
            return wrong + check_runs(self.runs, saved)

    def replay(self, overrides: Mapping[str, Any]) -> Study:
        """The same trainings under other links, devices or targets, without training: `overrides` is dotted
        key → value, or a list of values to sweep over; without any it is the study as it is. Raises
        `ReplayError` when a change would need a training, `ScenarioError` when it makes no sense. Saved below
        `replays/`."""
        return replay(self._folder, overrides, trust=self._trust)


def open_study(path: str | Path, *, trust: bool = False) -> Study:
    """The study in a results folder, played again from its recordings; nothing is written. Code that it names
    is not run, unless `trust`, and then only what the clock needs. Raises `StudyError` when there is none,
    `OwnCodeError` when the clock needs code, `RecordingError` when all its recordings are damaged."""
    folder = StudyFolder.open(Path(path))
    with own_code("where needed" if trust else "never"):
        cases = load(folder.scenario_file).cases
        stored = Stored(folder, cases)
        runs = play(cases, stored.recordings, stored.of)
        if not runs:
            raise stored.nothing()
        return Study(folder, runs, damaged=stored.damaged, trust=trust)


def replay(folder: StudyFolder, overrides: Mapping[str, Any], *, trust: bool = False) -> Study:
    """See `Study.replay`. Code that `overrides` name is run; code that the study names, only as by
    `open_study`."""
    if not overrides:
        return open_study(folder.path, trust=trust)
    if "name" in overrides:
        raise ReplayError("a replay is called by what it changes, so its name cannot be set")
    overrides, trusted = with_absolute_code(overrides)
    source = f"{folder.path} with " + ", ".join(f"{key} = {value!r}" for key, value in overrides.items())
    with own_code("where needed" if trust else "never", trusted):
        asked = plan(override(read(folder.scenario_file), overrides), source, folder.path)
        before = load(folder.scenario_file).cases
        _check_replayable(asked.cases, before, source)
        stored = Stored(folder, asked.cases)
        runs = play(asked.cases, stored.recordings, stored.of)
        if not runs:
            raise stored.nothing()
        document, files = localised(asked.document())
        replayed = folder.replay(folder.trainings.parent, described(overrides, document))
        replayed.sweep()
        replayed.save_scenario(document, files)
        study = Study(replayed, runs, damaged=stored.damaged, trust=trust)
        study.save({**circumstances(), "replay_of": "../..", "set": overrides})
        return study


def _check_replayable(asked: Sequence[Case], before: Sequence[Case], source: str) -> None:
    """Raises `ReplayError` where a case is not one of the trainings `before`."""
    learned = {learned_text(case.scenario) for case in before}
    for case in asked:
        if learned_text(case.scenario) not in learned:
            raise ReplayError(
                f"{source}: that changes what is learned, so no recording can answer it; "
                "change links, devices or the target, or `slsim run` the scenario with the same --set"
            )
