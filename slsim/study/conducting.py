"""Conduct a study: which trainings a plan needs, which are there already, and what to do where one fails.

Trainings are told apart by a key of everything that what is learned depends on; runs that differ only
in links, devices or the target share one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slsim.circumstances import circumstances
from slsim.errors import DiskError, RecordingError, SlsimError, StudyError
from slsim.events import Notice, Planned, Reused, Tell, silent
from slsim.locks import is_locked
from slsim.recording import Recording
from slsim.results import StudyFolder, environment, slug
from slsim.scenario import Case, Plan
from slsim.study.checkpoint import Checkpoint
from slsim.study.crews import Staffing
from slsim.study.failures import AllFailed, Failure, noted
from slsim.study.finding import There
from slsim.study.former import keep_former
from slsim.study.inputs import localised
from slsim.study.job import Outcome, State
from slsim.study.keys import check_names
from slsim.study.placing import ORIGIN, folder_for, origin
from slsim.study.playing import play
from slsim.study.preflight import check_document, rehearse
from slsim.study.preparing import Manners
from slsim.study.reuse import reinstate, supersede
from slsim.study.scheduling import Schedule
from slsim.study.stopping import depends_on
from slsim.study.study import Study
from slsim.study.training import Training, made_by_this_version, trainings_of
from slsim.units import DURATION


class Interrupted(StudyError):
    """Ctrl-C: `finished` of `planned` trainings are kept in `folder`."""

    exit_status = 130

    def __init__(self, finished: int, planned: int, folder: Path, fresh: bool = False) -> None:
        self.finished, self.planned = finished, planned
        without = " without --fresh" if fresh else ""
        super().__init__(
            f"Interrupted: {finished} of {planned} trainings are finished and kept in {folder}; "
            f"run the same command again{without} to do the rest"
        )


def conduct(
    asked: Plan,
    results: Path,
    *,
    fresh: bool = False,
    any_version: bool = False,
    tell: Tell = silent,
    staffing: Staffing | None = None,
) -> Study:
    """Train what a plan needs, play every case on the clock, save tables and figures. A training that fails
    is noted, and the others are done. What is finished is used again: not if `fresh`, and of `any_version` of
    slsim where that is said."""
    folder = folder_for(asked, results)
    if folder.path.name != asked.name:
        tell(Notice(f"{results / asked.name} has other settings; these go to {folder.path}"))
    return _Conductor(asked, folder, fresh, any_version, tell, staffing or Staffing()).study()


@dataclass(frozen=True)
class OnlyOne:
    """A training that was done by itself: `number` of `planned`, `there` of which are finished by now. It was
    "trained" in `wall_s` seconds, or "found" there."""

    label: str
    state: State
    wall_s: float
    number: int
    planned: int
    there: int

    def __str__(self) -> str:
        done = f"trained in {DURATION.pretty(self.wall_s)}" if self.state == "trained" else "there already"
        rest = "; slsim run without --only makes the tables"
        return (
            f"{self.label} (training {self.number} of {self.planned}): {done}. "
            f"{self.there} of {self.planned} are there{rest * (self.there == self.planned)}"
        )


def conduct_only(
    asked: Plan,
    results: Path,
    number: int,
    *,
    any_version: bool = False,
    tell: Tell = silent,
    device: str = "cpu",
) -> OnlyOne:
    """Do one of a plan's trainings, `number` counted from 1 as in `Forecast.trainings`, and before it the
    uncompressed run where that sets its target and is not there; no tables. Several processes may do so at
    once. Raises `StudyError` for a number that there is not, `AllFailed` where the training fails."""
    folder = folder_for(asked, results)
    return _Conductor(asked, folder, False, any_version, tell, Staffing(device, workers=1)).only(number)


class _Conductor:
    """One study on its way from a plan to its tables."""

    def __init__(
        self,
        asked: Plan,
        folder: StudyFolder,
        fresh: bool,
        any_version: bool,
        tell: Tell,
        staffing: Staffing,
    ) -> None:
        self._asked, self._folder, self._fresh = asked, folder, fresh
        self._any_version, self._tell, self._staffing = any_version, tell, staffing
        self._started_s = time.monotonic()
        self._circumstances = circumstances()
        self._trainings = trainings_of(asked.cases)
        self._done: dict[str, Recording] = {}  # by key
        self._walls: dict[str, float] = {}  # by name
        self._failures: list[Failure] = []

    def study(self) -> Study:
        """Do all of it. Raises as `run` says."""
        self._check()
        there = self._there([] if self._fresh else self._trainings)
        due = self._due(there, self._trainings)
        self._train(there, due, self._asked.cases)
        study = self._saved() if due else self._unchanged()
        if study is None:
            raise AllFailed(self._failures)
        return study

    def only(self, number: int) -> OnlyOne:
        """Do one training, as `conduct_only` says."""
        planned = len(self._trainings)
        if not 1 <= number <= planned:
            raise StudyError(
                f"there is no training {number}: {self._asked.name} has {planned}, "
                f"which `slsim plan` numbers from 1 to {planned}"
            )
        self._check()
        training = self._trainings[number - 1]
        before = depends_on(training)
        wanted = [one for one in self._trainings if before is not None and one.key == before.key]
        wanted.append(training)
        keys = {one.key for one in wanted}
        there = self._there(wanted)
        due = self._due(there, wanted)
        cases = [case for case in self._asked.cases if Training.of(case.scenario).key in keys]
        outcome = self._train(there, due, cases, wanted).get(training.name)
        if training.key not in self._done:
            raise AllFailed(self._failures)
        finished = len(self._there(self._trainings).recordings)
        state: State = "found" if outcome is None else outcome.state
        return OnlyOne(training.label, state, self._walls[training.name], number, planned, finished)

    def _check(self) -> None:
        """Raises `ScenarioError` for what cannot be written down, or told apart."""
        check_document(self._asked)
        check_names(self._asked.cases, self._asked.name)
        self._inputs = localised(self._asked.document())  # as they are now: they may be edited meanwhile

    def _there(self, trainings: Sequence[Training]) -> There:
        return There.of(self._asked, self._folder, trainings, self._any_version)

    def _due(self, there: There, wanted: Sequence[Training]) -> list[Training]:
        return [training for training in wanted if training.key not in there.recordings]

    def _train(
        self,
        there: There,
        due: Sequence[Training],
        cases: Sequence[Case],
        wanted: Sequence[Training] | None = None,
    ) -> Mapping[str, Outcome]:
        """Do the trainings that are due, which `cases` need, and give what became of them, by name. Where
        only some are `wanted`, no tables are saved when it is interrupted. Raises as `run` says."""
        planned = wanted or self._trainings
        crew = self._staffing.crew(due, self._tell)
        self._tell(Planned(tuple(training.label for training in planned), crew.workers))
        executor = crew.open()  # its processes import what they need while the cases are rehearsed
        try:
            known: Manners = {}
            rehearse(cases, there.recordings.keys(), crew.rehearsal, known)
            self._begin(there, due)
            schedule = Schedule(due, self._folder, crew, self._tell)
            try:
                tried = known if crew.rehearsal == self._staffing.device else {}
                schedule.run(executor, tried, _waits(due))
            except KeyboardInterrupt:
                self._take(schedule.outcomes)
                if wanted is None:
                    self._saved()
                raise self._interrupted() from None
        except BaseException:
            crew.kill(executor)
            raise
        self._take(schedule.outcomes)
        return schedule.outcomes

    def _begin(self, there: There, due: Sequence[Training]) -> None:
        """Take up what is there, and write down what is asked, before the first training. Raises
        `DiskError`; then nothing has begun."""
        self._folder.sweep()
        if (former := keep_former(self._folder, self._asked)) is not None:
            had = f"{self._folder.path} had other settings"
            self._tell(Notice(f"{had}: its tables, figures and scenario are in {former} now"))
        there.settle(self._tell)
        recordings = there.recordings.values() if self._any_version else ()
        if older := sum(not made_by_this_version(each) for each in recordings):
            self._tell(Notice(f"{older} of the trainings used again were made by other versions of slsim"))
        for training in self._trainings:
            if training.key in there.recordings:
                self._done[training.key] = there.recordings[training.key]
                self._note_wall(training)
                self._remove_checkpoint(training)  # left there when it was killed just after it was saved
                self._tell(Reused(training.label))
        if not due:
            return
        # A fresh run that is killed is not to find finished what it was to do again.
        names = [training.name for training in self._trainings]
        superseded = supersede(self._folder, names) if self._fresh else []
        try:
            self._folder.save_scenario(*self._inputs)
            self._folder.save_manifest({**environment(), **self._manifest()})
        except SlsimError:
            reinstate(self._folder, superseded)
            raise
        for training in self._trainings if self._fresh else []:
            self._remove_checkpoint(training)

    def _remove_checkpoint(self, training: Training) -> None:
        """Unless another process is just writing it."""
        if not is_locked(self._folder.training(training.name)):
            Checkpoint(self._folder.checkpoint(training.name)).remove()

    def _take(self, outcomes: Mapping[str, Outcome]) -> None:
        """Take up what became of the trainings."""
        for training in self._trainings:
            outcome = outcomes.get(training.name)
            if outcome is None:
                continue
            if outcome.failure is not None:
                self._failures.append(outcome.failure)
                continue
            try:
                self._done[training.key] = self._folder.load_training(training.name)
            except RecordingError as error:  # somebody's else, in the meantime
                self._failures.append(noted(error, training.label, training.name, self._folder))
            else:
                self._note_wall(training)

    def _note_wall(self, training: Training) -> None:
        wall: Any = self._done[training.key].provenance.get("wall_s", 0.0)
        self._walls[training.name] = wall

    def _manifest(self) -> dict[str, Any]:
        return {
            **self._circumstances,
            ORIGIN: origin(self._asked, self._folder.path),
            "set": self._asked.overrides,
            "trainings": [training.name for training in self._trainings],
            "runs_planned": len(self._asked.cases),
        }

    def _saved(self) -> Study | None:
        """Play, save and give what can be: the cases whose training is there. Of a case whose clock fails,
        the reason is added to the failures."""

        def failed(label: str, error: SlsimError) -> None:
            self._failures.append(noted(error, label, f"clock-{slug(label)}", self._folder))

        failures = tuple(self._failures)
        played = play(self._asked.cases, self._done, failures=failures, failed=failed)
        if not played.runs:
            return None
        walls = {
            "wall_s": round(time.monotonic() - self._started_s, 3),
            "training_wall_s": self._walls,
        }
        study = Study(self._folder, played, failures=self._failures)
        self._folder.save_scenario(*self._inputs)
        study.save({**self._manifest(), **walls, "runs": len(played.runs)})
        return study

    def _unchanged(self) -> Study | None:
        """The study where nothing was trained: a disk that is full does not matter then."""
        try:
            return self._saved()
        except DiskError as error:
            self._tell(Notice(f"Nothing was trained, and the tables are as they were: {error}"))
            played = play(self._asked.cases, self._done, failures=self._failures)
            return Study(self._folder, played, failures=self._failures)

    def _interrupted(self) -> Interrupted:
        return Interrupted(len(self._done), len(self._trainings), self._folder.path, self._fresh)


def _waits(due: Sequence[Training]) -> Callable[[Training], str | None]:
    """Gives the name of the training that one has to wait for, of those that are due; None where there is
    none."""
    names = {training.name for training in due}
    before = {training.name: other.name for training in due if (other := depends_on(training)) is not None}
    return lambda training: name if (name := before.get(training.name)) in names else None
