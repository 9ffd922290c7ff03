"""A study, conducted: which trainings a plan needs, which are there already, and the clock over each.

Trainings are told apart by a key of everything that what is learned depends on; runs that differ only
in links, devices or the target share one.
"""

from __future__ import annotations

import json
import time
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import analysis
from slsim.analysis import Run
from slsim.checks import Check, check_runs
from slsim.errors import ReplayError, SlsimError, StudyError
from slsim.recording import Recording, Turns
from slsim.report import figures
from slsim.results import StudyFolder, environment, slug
from slsim.scenario import Case, Plan, Scenario, full_label, load, override, plan, read, run_labels
from slsim.simulation import Simulation, Timeline
from slsim.study.checkpoint import Checkpoint
from slsim.study.failures import ENDS_THE_STUDY, AllFailed, Failure, noted
from slsim.study.fingerprints import Fingerprints
from slsim.study.preflight import check_document, rehearse
from slsim.study.reuse import FILES, finished, reusable, supersede
from slsim.study.training import (
    Observer,
    Silent,
    Training,
    train,
    training_key,
    trainings_of,
)

if TYPE_CHECKING:
    import pandas as pd


LONGEST_NAME = 80  # of a replay's folder; longer ones end in a checksum


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


class Study:
    """A study's runs, its summary and its folder; `failures` are the trainings that a run could not do."""

    def __init__(self, folder: StudyFolder, runs: Sequence[Run], failures: Sequence[Failure] = ()) -> None:
        self._folder = folder
        self.runs = tuple(runs)
        self.failures = tuple(failures)
        self.summary: pd.DataFrame = analysis.summarise(runs)
        self.breakdown: pd.DataFrame = analysis.breakdown(runs)

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def alarms(self) -> dict[str, str]:
        """What the clock found wrong in itself, by run."""
        return {run.label: run.timeline.alarm for run in self.runs if run.timeline.alarm}

    def save(self) -> None:
        """Writes the tables, and the figures drawn from them."""
        self._folder.save_table("summary", self.summary)
        self._folder.save_table("curves", analysis.curves(self.runs))
        self._folder.save_table("breakdown", self.breakdown)
        probes = analysis.probes(self.runs)
        if len(probes):
            self._folder.save_table("probes", probes)
        figures.draw_runs(self._folder)

    def check(self) -> list[Check]:
        """Whether bytes, multipliers, times and the saved summary follow from the recordings."""
        return check_runs(self.runs, self._folder.load_table("summary"))

    def replay(self, overrides: Mapping[str, Any]) -> Study:
        """The same trainings under other links, devices or targets, without training: `overrides` is dotted
        key → value, or a list of values to sweep over. Raises `ReplayError` when a change would need a
        training, `ScenarioError` when it makes no sense. Saved below `replays/`."""
        return replay(self._folder, overrides)


def run(
    scenario: str | Path,
    results: str | Path = "results",
    *,
    overrides: Mapping[str, Any] | None = None,
    fresh: bool = False,
    observer: Observer | None = None,
    device: str = "cpu",
) -> Study:
    """Runs the scenario file, reusing what is finished in `results/<name>` unless `fresh`. After a fresh run
    that was interrupted, one that is not does the rest of it: it reuses nothing older.

    A training that fails is left out, with a warning; the others are done. Raises `ScenarioError` before
    anything is written; `AllFailed` when no training could be done; `Interrupted` on Ctrl-C, with everything
    that was finished saved; `StudyError` and `DataError` when disk or data do not play along.
    """
    asked = load(scenario, overrides)
    study = conduct(asked, Path(results), fresh=fresh, observer=observer or Silent(), device=device)
    for failure in study.failures:
        warnings.warn(f"a training failed: {failure}", stacklevel=2)
    return study


def conduct(asked: Plan, results: Path, *, fresh: bool, observer: Observer, device: str = "cpu") -> Study:
    """Trains what a plan needs, plays every case on the clock, saves tables and figures. A training that
    fails is noted, and the others are done."""
    folder = StudyFolder.of(results / asked.name)
    trainings = trainings_of(asked.cases)
    observer.study_planned([training.label for training in trainings])
    started = time.monotonic()
    walls: dict[str, float] = {}
    done: dict[str, Recording] = {}
    failures: list[Failure] = []
    fingerprints = Fingerprints()
    check_document(asked)
    kept = [] if fresh else [training.key for training in trainings if finished(folder, training.name)]
    rehearse(asked.cases, kept, device)

    def forget() -> None:
        """What a fresh run was asked for and has not done yet is not to be found finished by the next one."""
        if fresh:
            supersede(folder, [training.name for training in trainings if training.key not in done])

    def ready() -> None:
        folder.save_scenario(asked.document())
        forget()

    if fresh:
        for training in trainings:
            Checkpoint(folder.checkpoint(training.name)).remove()
    try:
        for training in trainings:
            try:
                done[training.key] = _obtain(training, folder, fingerprints, fresh, observer, device, ready)
                walls[training.name] = done[training.key].provenance["wall_s"]
            except ENDS_THE_STUDY:
                raise
            except SlsimError as error:
                ready()
                failures.append(noted(error, training.label, training.name, folder))
                observer.training_failed(training.label, str(error))
    except KeyboardInterrupt:
        forget()
        _finish(asked.cases, done, folder, started, walls, failures)
        raise Interrupted(len(done), len(trainings), folder.path, fresh) from None
    study = _finish(asked.cases, done, folder, started, walls, failures)
    if study is None:
        raise AllFailed(failures)
    return study


def _obtain(
    training: Training,
    folder: StudyFolder,
    fingerprints: Fingerprints,
    fresh: bool,
    observer: Observer,
    device: str,
    ready: Callable[[], None],
) -> Recording:
    """A training's recording, there already or made now. `ready` is called before the first round, and not
    before the data have been found: where they are missing, nothing is written."""
    files = fingerprints.of(training.scenario)
    checkpoint = Checkpoint(folder.checkpoint(training.name), files)
    found = None if fresh else reusable(folder, training.name, files)
    if found is not None:
        checkpoint.remove()  # left there when the training was killed just after it was saved
        ready()
        observer.training_reused(training.label)
        return found

    def begin() -> None:
        checkpoint.files = fingerprints.of(training.scenario)  # some may have been fetched just now
        ready()

    _, recording = train(training, observer, checkpoint, device, ready=begin)
    if checkpoint.files:
        recording.provenance[FILES] = checkpoint.files
    folder.save_training(training.name, recording)
    folder.error_file(training.name).unlink(missing_ok=True)
    checkpoint.remove()
    observer.training_finished(training.label, recording.status, recording.provenance["wall_s"])
    return recording


def _finish(
    cases: Sequence[Case],
    recordings: Mapping[str, Recording],
    folder: StudyFolder,
    started: float,
    walls: Mapping[str, float],
    failures: Sequence[Failure] = (),
) -> Study | None:
    """Plays, saves and returns what can be: the cases whose training, and whose baseline, are there."""
    runs = play(cases, recordings)
    if not runs:
        return None
    study = Study(folder, runs, failures)
    study.save()
    folder.save_manifest(
        {
            **environment(),
            "seed": runs[0].scenario.seed,
            "wall_s": round(time.monotonic() - started, 3),
            "training_wall_s": walls,
            "runs": len(runs),
            "runs_planned": len(cases),
            **({"failed": {one.label: one.reason for one in failures}} if failures else {}),
            **({"alarms": study.alarms} if study.alarms else {}),
        }
    )
    return study


def play(cases: Sequence[Case], recordings: Mapping[str, Recording]) -> list[Run]:
    """Each case's recording on its clock; cases whose trainings are not there (yet) are left out."""
    labels = run_labels(cases)
    sent = {key: analysis.cumulative(recording) for key, recording in recordings.items()}
    timelines: dict[str, Timeline] = {}
    turns = {key: Turns.of(recording.rounds) for key, recording in recordings.items()}
    runs = []
    for case, label in zip(cases, labels, strict=True):
        training = Training.of(case.scenario)
        needs_baseline = case.scenario.training.target_margin is not None
        baseline_key = training_key(case.scenario.baseline())
        baseline = recordings.get(baseline_key)
        recording = recordings.get(training.key)
        if recording is None or (needs_baseline and baseline is None):
            continue
        clock = json.dumps([training.key, case.scenario.table()["network"], _devices(case.scenario)])
        if clock not in timelines:
            simulation = Simulation.of(case.scenario, recording.costs)
            timelines[clock] = simulation.run(recording.rounds, turns[training.key])
        runs.append(
            Run(
                label=label,
                values=case.values,
                scenario=case.scenario,
                training=training.name,
                recording=recording,
                timeline=timelines[clock],
                baseline=baseline,
                sent=sent[training.key],
                baseline_sent=sent.get(baseline_key),
            )
        )
    return runs


def _devices(scenario: Scenario) -> list[Any]:
    table = scenario.table()
    return [table["clients"]["device"], table["server"]]


def open_study(path: str | Path) -> Study:
    """The study in a results folder, played again from its recordings. Raises `StudyError` when there is
    none, `RecordingError` when a recording is damaged."""
    folder = StudyFolder.open(Path(path))
    cases = load(folder.scenario_file).cases
    runs = play(cases, _recordings(folder, cases))
    if not runs:
        raise StudyError(f"{path} has no finished training yet; `slsim run` its scenario again")
    return Study(folder, runs)


def _recordings(folder: StudyFolder, cases: Sequence[Case]) -> dict[str, Recording]:
    """What is there of the trainings that `cases` need."""
    there = (training for training in trainings_of(cases) if finished(folder, training.name))
    return {training.key: folder.load_training(training.name) for training in there}


def replay(folder: StudyFolder, overrides: Mapping[str, Any]) -> Study:
    """See `Study.replay`."""
    source = f"{folder.path} with " + ", ".join(f"{key} = {value!r}" for key, value in overrides.items())
    asked = plan(override(read(folder.scenario_file), overrides), source, folder.path)
    before = {training.key for training in trainings_of(load(folder.scenario_file).cases)}
    for case in asked.cases:
        if not case.scenario.training.protocol.create().replayable:
            raise ReplayError(
                f"{case.scenario.training.protocol.name} learns by arrival order; it must be run live"
            )
        if training_key(case.scenario) not in before:
            raise ReplayError(
                f"{source}: that changes what is learned, so no recording can answer it; "
                "change links, devices or the target, or `slsim run` the scenario with the same --set"
            )
    runs = play(asked.cases, _recordings(folder, asked.cases))
    if not runs:
        raise StudyError(f"{folder.path} has no finished training yet; `slsim run` its scenario again")
    label = slug("_".join(f"{key}={full_label(value)}" for key, value in overrides.items()))
    if len(label) > LONGEST_NAME:
        label = f"{label[:LONGEST_NAME]}-{zlib.crc32(label.encode()):08x}"
    replayed = folder.replay(folder.trainings.parent, label)
    replayed.save_scenario(asked.document())
    study = Study(replayed, runs)
    study.save()
    replayed.save_manifest({**environment(), "seed": runs[0].scenario.seed, "replay_of": "../.."})
    return study
