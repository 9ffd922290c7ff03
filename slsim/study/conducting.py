"""Conduct a study: which trainings a plan needs, which are there already, and what to do where one fails.

Trainings are told apart by a key of everything that what is learned depends on; runs that differ only
in links, devices or the target share one.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from slsim.errors import DiskError, RecordingError, SlsimError, StudyError
from slsim.recording import Recording
from slsim.results import StudyFolder, environment, slug
from slsim.scenario import Plan, load
from slsim.study.checkpoint import Checkpoint
from slsim.study.failures import ENDS_THE_STUDY, AllFailed, Failure, noted
from slsim.study.fingerprints import Fingerprints
from slsim.study.inputs import localised
from slsim.study.placing import folder_for, home_of
from slsim.study.playing import play
from slsim.study.preflight import check_document, rehearse
from slsim.study.reuse import FILES, finished, reinstate, reusable, supersede
from slsim.study.stopping import depends_on, over, target_for
from slsim.study.study import Study
from slsim.study.training import Manners, Observer, Silent, Training, train, trainings_of


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
    folder = folder_for(asked, results)
    if folder.path.name != asked.name:
        observer.notice(f"{results / asked.name} has other settings; these go to {folder.path}")
    trainings = trainings_of(asked.cases)
    observer.study_planned([training.label for training in trainings])
    started = time.monotonic()
    check_document(asked)
    kept = [] if fresh else [training.key for training in trainings if finished(folder, training.name)]
    known: Manners = {}
    rehearse(asked.cases, kept, device, known)
    folder.sweep()
    walls: dict[str, float] = {}
    done: dict[str, Recording] = {}
    failures: list[Failure] = []
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
            before = depends_on(training)
            try:
                done[training.key] = _obtain(
                    training,
                    folder,
                    fingerprints,
                    fresh,
                    observer,
                    device,
                    ready,
                    reused,
                    known,
                    done.get(before.key) if before else None,
                )
                walls[training.name] = done[training.key].provenance.get("wall_s", 0.0)
            except ENDS_THE_STUDY:
                raise
            except SlsimError as error:
                ready()
                failures.append(noted(error, training.label, training.name, folder))
                observer.training_failed(training.label, str(error))
    except KeyboardInterrupt:
        _finish(asked, done, folder, {**manifest, **_walls(started, walls)}, failures)
        raise Interrupted(len(done), len(trainings), folder.path, fresh) from None
    except SlsimError:
        reinstate(folder, superseded)  # nothing has begun
        raise
    try:
        study = _finish(asked, done, folder, {**manifest, **_walls(started, walls)}, failures)
    except DiskError as error:
        if reused != set(done):
            raise
        observer.notice(f"Nothing was trained, and the tables are as they were: {error}")
        study = Study(folder, play(asked.cases, done), failures=failures)
    if study is None:
        raise AllFailed(failures)
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
    known: Manners,
    baseline: Recording | None,
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

    until = over(training.scenario, target_for(training, baseline))
    _, recording = train(training, observer, checkpoint, device, ready=begin, known=known, over=until)
    if checkpoint.files:
        recording.provenance[FILES] = checkpoint.files
    folder.save_training(training.name, recording)
    folder.error_file(training.name).unlink(missing_ok=True)
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
    asked: Plan,
    recordings: Mapping[str, Recording],
    folder: StudyFolder,
    manifest: Mapping[str, Any],
    failures: list[Failure],
) -> Study | None:
    """Plays, saves and returns what can be: the cases whose training is there. Of a case whose clock fails,
    the reason is added to `failures`."""

    def failed(label: str, error: SlsimError) -> None:
        failures.append(noted(error, label, f"clock-{slug(label)}", folder))

    runs = play(asked.cases, recordings, failed=failed)
    if not runs:
        return None
    study = Study(folder, runs, failures=failures)
    folder.save_scenario(*localised(asked.document()))
    study.save({**manifest, "runs": len(runs)})
    return study
