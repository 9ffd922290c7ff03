"""A study, conducted: which trainings a plan needs, which are there already, and the clock over each.

Trainings are told apart by a key of everything that what is learned depends on; runs that differ only
in links, devices or the target share one.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import analysis
from slsim.analysis import Run
from slsim.checks import Check, check_runs
from slsim.errors import ReplayError, StudyError
from slsim.recording import Recording
from slsim.report import figures
from slsim.results import StudyFolder, environment, slug
from slsim.scenario import Case, Plan, full_label, load, override, plan, read, run_labels
from slsim.study.checkpoint import Checkpoint
from slsim.study.clocks import Clocks
from slsim.study.fingerprints import Fingerprints
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

    interrupted = True

    def __init__(self, finished: int, planned: int, folder: Path, fresh: bool = False) -> None:
        self.finished, self.planned = finished, planned
        without = " without --fresh" if fresh else ""
        super().__init__(
            f"Interrupted: {finished} of {planned} trainings are finished and kept in {folder}; "
            f"run the same command again{without} to do the rest"
        )


class Study:
    """A study's runs, its summary and its folder."""

    def __init__(self, folder: StudyFolder, runs: Sequence[Run]) -> None:
        self._folder = folder
        self.runs = tuple(runs)
        self.summary: pd.DataFrame = analysis.summarise(runs)
        self.breakdown: pd.DataFrame = analysis.breakdown(runs)

    @property
    def path(self) -> Path:
        return self._folder.path

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

    Raises `ScenarioError` before anything is written; `Interrupted` on Ctrl-C, with everything that was
    finished saved; `StudyError` and `DataError` when disk or data do not play along.
    """
    return conduct(
        load(scenario, overrides), Path(results), fresh=fresh, observer=observer or Silent(), device=device
    )


def conduct(asked: Plan, results: Path, *, fresh: bool, observer: Observer, device: str = "cpu") -> Study:
    """Trains what a plan needs, plays every case on the clock, saves tables and figures."""
    folder = StudyFolder.of(results / asked.name)
    trainings = trainings_of(asked.cases)
    observer.study_planned([training.label for training in trainings])
    started = time.monotonic()
    walls: dict[str, float] = {}
    done: dict[str, Recording] = {}
    fingerprints = Fingerprints()

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
            done[training.key] = _obtain(training, folder, fingerprints, fresh, observer, device, ready)
            walls[training.name] = done[training.key].provenance["wall_s"]
    except KeyboardInterrupt:
        forget()
        _finish(asked.cases, done, folder, started, walls)
        raise Interrupted(len(done), len(trainings), folder.path, fresh) from None
    study = _finish(asked.cases, done, folder, started, walls)
    assert study is not None
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
    checkpoint.remove()
    observer.training_finished(training.label, recording.status, recording.provenance["wall_s"])
    return recording


def _finish(
    cases: Sequence[Case],
    recordings: Mapping[str, Recording],
    folder: StudyFolder,
    started: float,
    walls: Mapping[str, float],
) -> Study | None:
    """Plays, saves and returns what can be: the cases whose training is there."""
    runs = play(cases, recordings)
    if not runs:
        return None
    study = Study(folder, runs)
    study.save()
    folder.save_manifest(
        {
            **environment(),
            "seed": runs[0].scenario.seed,
            "wall_s": round(time.monotonic() - started, 3),
            "training_wall_s": walls,
            "runs": len(runs),
            "runs_planned": len(cases),
        }
    )
    return study


def play(cases: Sequence[Case], recordings: Mapping[str, Recording]) -> list[Run]:
    """Each case's recording on its clock, and its baseline's; cases whose trainings are not there (yet) are
    left out. Where a link's rate is swept, the times if devices cost less and more are there too."""
    sent = {key: analysis.cumulative(recording) for key, recording in recordings.items()}
    clocks = Clocks(recordings)
    suppose = bool(analysis.swept_links(cases))
    runs = []
    for case, label in zip(cases, run_labels(cases), strict=True):
        training, baseline = Training.of(case.scenario), Training.of(case.scenario.baseline())
        recording = recordings.get(training.key)
        if recording is None:
            continue
        run = Run(
            label=label,
            values=case.values,
            scenario=case.scenario,
            training=training.name,
            recording=recording,
            timeline=clocks.timeline(training.key, case.scenario),
            baseline=recordings.get(baseline.key),
            sent=sent[training.key],
            baseline_sent=sent.get(baseline.key),
            baseline_timeline=clocks.baseline(baseline.key, case.scenario),
            baseline_training=baseline.name if baseline.key in recordings else "",
        )
        supposed = clocks.supposed(run, training.key, baseline.key) if suppose else {}
        runs.append(replace(run, supposed=supposed))
    return runs


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
