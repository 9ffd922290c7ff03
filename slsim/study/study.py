"""A study, conducted: which trainings a plan needs, which are there already, and the clock over each.

Trainings are told apart by a key of everything that what is learned depends on; runs that differ only
in links, devices or the target share one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slsim import analysis
from slsim.analysis import Run
from slsim.checks import Check, check_runs
from slsim.errors import DiskError, RecordingError, ReplayError, SlsimError, StudyError
from slsim.own_code import own_code, with_absolute_code
from slsim.recording import Recording
from slsim.report import figures
from slsim.results import StudyFolder, environment
from slsim.scenario import Case, Plan, Scenario, load, override, plan, read, run_labels
from slsim.simulation.costs import notes
from slsim.study.checkpoint import Checkpoint
from slsim.study.clocks import Clocks
from slsim.study.fingerprints import Fingerprints
from slsim.study.inputs import localised
from slsim.study.opening import Stored, learned_text
from slsim.study.placing import described, folder_for, home_of
from slsim.study.reuse import FILES, reinstate, reusable, supersede
from slsim.study.training import Observer, Silent, Training, train, trainings_of

if TYPE_CHECKING:
    import pandas as pd


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
    """A study's runs, its summary and its folder. `damaged` has an error for each of its trainings that is
    there and cannot be read; `trust` says whether a replay may run code of the study's own."""

    def __init__(
        self,
        folder: StudyFolder,
        runs: Sequence[Run],
        damaged: Sequence[RecordingError] = (),
        trust: bool = True,
    ) -> None:
        self._folder = folder
        self._trust = trust
        self.runs = tuple(runs)
        self.damaged = tuple(damaged)
        self.summary: pd.DataFrame = analysis.summarise(runs)
        self.breakdown: pd.DataFrame = analysis.breakdown(runs)

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the tables has to know of how their numbers came about."""
        return tuple(dict.fromkeys(note for run in self.runs for note in notes(run.recording)))

    def save(self, manifest: Mapping[str, Any]) -> None:
        """Write the tables and the manifest, and last the figures drawn from the tables."""
        self._folder.save_table("summary", self.summary)
        self._folder.save_table("curves", analysis.curves(self.runs))
        self._folder.save_table("breakdown", self.breakdown)
        probes = analysis.probes(self.runs)
        if len(probes):
            self._folder.save_table("probes", probes)
        self._folder.save_manifest({**environment(), "seed": self.runs[0].scenario.seed, **manifest})
        figures.draw_runs(self._folder)

    def check(self) -> list[Check]:
        """Whether bytes, multipliers, times and the saved summary follow from the recordings, and whether
        these can be read."""
        damaged = [Check("recordings", False, str(error)) for error in self.damaged]
        with own_code("never"):
            return damaged + check_runs(self.runs, self._folder.load_table("summary"))

    def replay(self, overrides: Mapping[str, Any]) -> Study:
        """The same trainings under other links, devices or targets, without training: `overrides` is dotted
        key → value, or a list of values to sweep over; without any it is the study as it is. Raises
        `ReplayError` when a change would need a training, `ScenarioError` when it makes no sense. Saved below
        `replays/`."""
        return replay(self._folder, overrides, trust=self._trust)


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
    folder = folder_for(asked, results)
    if folder.path.name != asked.name:
        observer.notice(f"{results / asked.name} has other settings; these go to {folder.path}")
    folder.sweep()
    trainings = trainings_of(asked.cases)
    observer.study_planned([training.label for training in trainings])
    started = time.monotonic()
    walls: dict[str, float] = {}
    done: dict[str, Recording] = {}
    reused: set[str] = set()
    fingerprints = Fingerprints()
    names = [training.name for training in trainings]
    manifest = {"set": asked.overrides, "trainings": names, "runs_planned": len(asked.cases)}
    # Before anything else: a fresh run that is killed is not to find finished what it was to do again.
    superseded = supersede(folder, names) if fresh else []

    def ready() -> None:
        superseded.clear()
        folder.save_scenario(*localised(asked.document()))
        folder.save_manifest({**environment(), **manifest})

    if fresh:
        for training in trainings:
            Checkpoint(folder.checkpoint(training.name)).remove()
    try:
        for training in trainings:
            done[training.key] = _obtain(
                training, folder, fingerprints, fresh, observer, device, ready, reused
            )
            walls[training.name] = done[training.key].provenance.get("wall_s", 0.0)
    except KeyboardInterrupt:
        _finish(asked, done, folder, {**manifest, **_walls(started, walls)})
        raise Interrupted(len(done), len(trainings), folder.path, fresh) from None
    except SlsimError:
        reinstate(folder, superseded)  # nothing has begun
        raise
    try:
        study = _finish(asked, done, folder, {**manifest, **_walls(started, walls)})
    except DiskError as error:
        if reused != set(done):
            raise
        observer.notice(f"Nothing was trained, and the tables are as they were: {error}")
        study = Study(folder, play(asked.cases, done))
    assert study is not None
    return study


def _walls(started: float, walls: Mapping[str, float]) -> dict[str, Any]:
    return {"wall_s": round(time.monotonic() - started, 3), "training_wall_s": walls}


def _obtain(
    training: Training,
    folder: StudyFolder,
    fingerprints: Fingerprints,
    fresh: bool,
    observer: Observer,
    device: str,
    ready: Callable[[], None],
    reused: set[str],
) -> Recording:
    """A training's recording, there already (then its key is added to `reused`) or made now. `ready` is
    called before the first round, and not before the data have been found: where they are missing, nothing is
    written."""
    files = fingerprints.of(training.scenario)
    checkpoint = Checkpoint(folder.checkpoint(training.name), files, observer.notice)
    found = None if fresh else _found(folder, training.name, files, observer)
    if found is not None:
        checkpoint.remove()  # left there when the training was killed just after it was saved
        observer.training_reused(training.label)
        reused.add(training.key)
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


def _found(folder: StudyFolder, name: str, files: Mapping[str, str], observer: Observer) -> Recording | None:
    """A training that may be used again: the study's own, or, where it has none, a copy of the one that the
    scenario's main study has. One that is damaged is set aside."""
    try:
        found = reusable(folder, name, files)
    except RecordingError as error:
        aside = folder.set_training_aside(name)
        observer.notice(f"{error}; it is kept as {aside.name}")
        found = None
    home = home_of(folder)
    if found is None and home != folder:
        with suppress(RecordingError):
            found = reusable(home, name, files)
        if found is not None:
            folder.save_training(name, found)
    return found


def _finish(
    asked: Plan, recordings: Mapping[str, Recording], folder: StudyFolder, manifest: Mapping[str, Any]
) -> Study | None:
    """Plays, saves and returns what can be: the cases whose training is there."""
    runs = play(asked.cases, recordings)
    if not runs:
        return None
    study = Study(folder, runs)
    folder.save_scenario(*localised(asked.document()))
    study.save({**manifest, "runs": len(runs)})
    return study


class Named(Protocol):
    """What tells a training apart: its folder's name, and its key."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...


def play(
    cases: Sequence[Case],
    recordings: Mapping[str, Recording],
    of: Callable[[Scenario], Named] = Training.of,
) -> list[Run]:
    """Each case's recording on its clock, and its baseline's; cases whose trainings are not there (yet) are
    left out. Where a link's rate is swept, the times if devices cost less and more are there too. `of` says
    which training a scenario has; `recordings` are by its key."""
    sent = {key: analysis.cumulative(recording) for key, recording in recordings.items()}
    clocks = Clocks(recordings)
    suppose = bool(analysis.swept_links(cases))
    runs = []
    for case, label in zip(cases, run_labels(cases), strict=True):
        training, baseline = of(case.scenario), of(case.scenario.baseline())
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
        return Study(folder, runs, stored.damaged, trust)


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
        study = Study(replayed, runs, stored.damaged, trust)
        study.save({"replay_of": "../..", "set": overrides})
        return study


def _check_replayable(asked: Sequence[Case], before: Sequence[Case], source: str) -> None:
    """Raises `ReplayError` where a case is not one of the trainings `before`, or learns by arrival order."""
    learned = {learned_text(case.scenario) for case in before}
    for case in asked:
        protocol = case.scenario.training.protocol
        if not protocol.create().replayable:
            raise ReplayError(f"{protocol.name} learns by arrival order; it must be run live")
        if learned_text(case.scenario) not in learned:
            raise ReplayError(
                f"{source}: that changes what is learned, so no recording can answer it; "
                "change links, devices or the target, or `slsim run` the scenario with the same --set"
            )
