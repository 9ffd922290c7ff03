"""A study, conducted: which trainings a plan needs, which are there already, and the clock over each.

Trainings are told apart by a key of everything that what is learned depends on; runs that differ only
in links, devices or the target share one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from slsim import analysis, protocols
from slsim.analysis import Run
from slsim.checks import Check, check_runs
from slsim.errors import ReplayError, StudyError, TrainingDiverged
from slsim.recording import Recording, Status
from slsim.report import figures
from slsim.results import StudyFolder, environment, slug
from slsim.scenario import Case, Choice, Plan, Scenario, load, override, plan, read
from slsim.simulation import Simulation, Timeline

if TYPE_CHECKING:
    import pandas as pd


class Observer(Protocol):
    """Who wants to know how a study gets on (see `report.progress`)."""

    def study_planned(self, trainings: Sequence[str]) -> None: ...
    def training_reused(self, label: str) -> None: ...
    def training_started(self, label: str, rounds: int) -> None: ...
    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None: ...
    def training_finished(self, label: str, status: Status, wall_s: float) -> None: ...


class Silent:
    """An observer that tells nobody."""

    def study_planned(self, trainings: Sequence[str]) -> None: ...
    def training_reused(self, label: str) -> None: ...
    def training_started(self, label: str, rounds: int) -> None: ...
    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None: ...
    def training_finished(self, label: str, status: Status, wall_s: float) -> None: ...


class Interrupted(StudyError):
    """Ctrl-C: `finished` of `planned` trainings are kept in `folder`."""

    interrupted = True

    def __init__(self, finished: int, planned: int, folder: Path) -> None:
        self.finished, self.planned = finished, planned
        super().__init__(
            f"Interrupted: {finished} of {planned} trainings are finished and kept in {folder}; "
            "run the same command again to do the rest"
        )


@dataclass(frozen=True)
class Training:
    """A training that a plan needs: its setting, its key, and what to call it."""

    scenario: Scenario
    key: str

    @classmethod
    def of(cls, scenario: Scenario) -> Training:
        return cls(scenario, training_key(scenario))

    @property
    def label(self) -> str:
        """What a reader calls it: the uplink codec."""
        return self.scenario.codec.uplink.label

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{slug(self.label)}-{self.key}"


def training_key(scenario: Scenario) -> str:
    """Eight hexadecimal digits of a hash over what is learned from: the scenario's learning part, slsim's
    version, and the text of every file that a component comes from."""
    table = scenario.learning_table()
    files = sorted({text.rpartition(":")[0] for text in _strings(table) if ".py:" in text})
    sources = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    text = json.dumps([importlib.metadata.version("slsim"), table, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _strings(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    return [value] if isinstance(value, str) else []


class Study:
    """A study's runs, its summary and its folder."""

    def __init__(self, folder: StudyFolder, runs: Sequence[Run]) -> None:
        self._folder = folder
        self.runs = tuple(runs)
        self.summary: pd.DataFrame = analysis.summarise(runs)

    @property
    def path(self) -> Path:
        return self._folder.path

    def save(self) -> None:
        """Writes the tables, and the figures drawn from them."""
        self._folder.save_table("summary", self.summary)
        self._folder.save_table("curves", analysis.curves(self.runs))
        figures.draw(self._folder)

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
) -> Study:
    """Runs the scenario file, reusing what is finished in `results/<name>` unless `fresh`.

    Raises `ScenarioError` before anything is written; `Interrupted` on Ctrl-C, with everything that was
    finished saved; `StudyError` and `DataError` when disk or data do not play along.
    """
    return conduct(load(scenario, overrides), Path(results), fresh=fresh, observer=observer or Silent())


def conduct(asked: Plan, results: Path, *, fresh: bool, observer: Observer) -> Study:
    """Trains what a plan needs, plays every case on the clock, saves tables and figures."""
    folder = StudyFolder.of(results / asked.name)
    trainings = trainings_of(asked.cases)
    observer.study_planned([training.label for training in trainings])
    started = time.monotonic()
    folder.save_scenario(asked.document())
    walls: dict[str, float] = {}
    done: dict[str, Recording] = {}
    try:
        for training in trainings:
            done[training.key] = _obtain(training, folder, fresh, observer)
            walls[training.name] = done[training.key].provenance["wall_s"]
    except KeyboardInterrupt:
        _finish(asked.cases, done, folder, started, walls)
        raise Interrupted(len(done), len(trainings), folder.path) from None
    study = _finish(asked.cases, done, folder, started, walls)
    assert study is not None
    return study


def trainings_of(cases: Sequence[Case]) -> list[Training]:
    """The distinct trainings that `cases` need, baselines first where a target depends on them."""
    scenarios = [case.scenario for case in cases]
    baselines = [s.baseline() for s in scenarios if s.training.target_margin is not None]
    distinct = {training.key: training for training in map(Training.of, [*baselines, *scenarios])}
    return list(distinct.values())


def _obtain(training: Training, folder: StudyFolder, fresh: bool, observer: Observer) -> Recording:
    if folder.has_training(training.name) and not fresh:
        recording = folder.load_training(training.name)
        observer.training_reused(training.label)
        return recording
    recording = train(training, observer)
    folder.save_training(training.name, recording)
    observer.training_finished(training.label, recording.status, recording.provenance["wall_s"])
    return recording


def train(training: Training, observer: Observer) -> Recording:
    """Trains for real and records it; a training that diverges is recorded up to there."""
    from slsim import codecs
    from slsim.learning import data, models
    from slsim.learning.split import split
    from slsim.learning.trainer import Trainer

    started = time.monotonic()
    scenario = training.scenario
    images = _create(data.registry, scenario.data.component).load()
    model = _create(models.registry, scenario.model.component)
    halves = split(model, scenario.model.cut, images.image_shape, images.num_classes, scenario.seed)
    uplink, downlink = (_create(codecs.registry, c) for c in (scenario.codec.uplink, scenario.codec.downlink))
    trainer = Trainer(scenario, images, halves, uplink, downlink)
    recording = Recording(training.key, scenario.learning_table(), trainer.costs(), halves.activation_shape)
    protocol = _create(protocols.registry, scenario.training.protocol)
    observer.training_started(training.label, trainer.total_rounds)
    try:
        for record in protocol.learn(trainer):
            recording.rounds.append(record)
            if trainer.evaluation_due():
                recording.evaluations.append(trainer.evaluate())
            accuracy = recording.evaluations[-1].accuracy if recording.evaluations else None
            observer.round_finished(training.label, len(recording.rounds), accuracy)
    except TrainingDiverged:
        recording.status = "diverged"
    recording.provenance = {**environment(), "wall_s": round(time.monotonic() - started, 3)}
    return recording


def _create(registry: Any, choice: Choice) -> Any:
    return registry.create(choice.name, **choice.params)


def _finish(
    cases: Sequence[Case],
    recordings: Mapping[str, Recording],
    folder: StudyFolder,
    started: float,
    walls: Mapping[str, float],
) -> Study | None:
    """Plays, saves and returns what can be: the cases whose training, and whose baseline, are there."""
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
    """Each case's recording on its clock; cases whose trainings are not there (yet) are left out."""
    labels = _labels(cases)
    timelines: dict[str, Timeline] = {}
    runs = []
    for case, label in zip(cases, labels, strict=True):
        training = Training.of(case.scenario)
        needs_baseline = case.scenario.training.target_margin is not None
        baseline = recordings.get(training_key(case.scenario.baseline()))
        recording = recordings.get(training.key)
        if recording is None or (needs_baseline and baseline is None):
            continue
        clock = json.dumps([training.key, case.scenario.table()["network"], _devices(case.scenario)])
        if clock not in timelines:
            timelines[clock] = timeline(case.scenario, recording)
        runs.append(
            Run(label, case.values, case.scenario, training.name, recording, timelines[clock], baseline)
        )
    return runs


def _devices(scenario: Scenario) -> list[Any]:
    table = scenario.table()
    return [table["clients"]["device"], table["server"]]


def timeline(scenario: Scenario, recording: Recording) -> Timeline:
    """The recording on the scenario's clock."""
    protocol = _create(protocols.registry, scenario.training.protocol)
    return Simulation.of(scenario, protocol, recording.costs).run(recording.rounds)


def _labels(cases: Sequence[Case]) -> list[str]:
    """A label for each run: its codec, by name alone where no other has that name, then what else varies."""
    codecs = {case.scenario.codec.uplink.label for case in cases}
    names = [label.partition(" ")[0] for label in codecs]
    labels = []
    for case in cases:
        label = case.scenario.codec.uplink.label
        name = label.partition(" ")[0]
        others = [
            analysis.readable(value)
            for key, value in case.values.items()
            if not key.startswith("codec.uplink")
        ]
        labels.append(", ".join([name if names.count(name) == 1 else label, *map(str, others)]))
    return labels


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
    there = (training for training in trainings_of(cases) if folder.has_training(training.name))
    return {training.key: folder.load_training(training.name) for training in there}


def replay(folder: StudyFolder, overrides: Mapping[str, Any]) -> Study:
    """See `Study.replay`."""
    source = f"{folder.path} with " + ", ".join(f"{key} = {value!r}" for key, value in overrides.items())
    asked = plan(override(read(folder.scenario_file), overrides), source, folder.path)
    before = {training.key for training in trainings_of(load(folder.scenario_file).cases)}
    for case in asked.cases:
        protocol = _create(protocols.registry, case.scenario.training.protocol)
        if not protocol.replayable:
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
    label = slug("_".join(f"{key}={analysis.readable(value)}" for key, value in overrides.items()))
    study_path = folder.trainings.parent
    replayed = folder.replay(study_path, label[:100])
    replayed.save_scenario(asked.document())
    study = Study(replayed, runs)
    study.save()
    replayed.save_manifest({**environment(), "seed": runs[0].scenario.seed, "replay_of": "../.."})
    return study
