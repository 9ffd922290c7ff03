"""One training of a study: what tells it apart, and doing it for real while an observer watches."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from slsim.errors import TrainingDiverged
from slsim.recording import Recording, Status
from slsim.results import environment, slug
from slsim.scenario import Case, Scenario

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer


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


@dataclass(frozen=True)
class Training:
    """A training that a plan needs: its setting, its key, and what a reader calls it."""

    scenario: Scenario
    key: str
    label: str

    @classmethod
    def of(cls, scenario: Scenario) -> Training:
        """Called by its uplink codec."""
        return cls(scenario, training_key(scenario), scenario.codec.uplink.label)

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{slug(self.scenario.codec.uplink.label)}-{self.key}"


def training_key(scenario: Scenario) -> str:
    """Eight hexadecimal digits of a hash over what is learned from: the scenario's learning part, and the
    text of every file that a component comes from."""
    table = scenario.learning_table()
    files = sorted({text.rpartition(":")[0] for text in _strings(table) if ".py:" in text})
    sources = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    text = json.dumps([table, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def made_by_this_version(recording: Recording) -> bool:
    """Whether a run may reuse it: another version of slsim may learn differently. Any version's recording
    can be opened, replayed and checked."""
    return bool(recording.provenance["versions"]["slsim"] == importlib.metadata.version("slsim"))


def _strings(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def trainings_of(cases: Sequence[Case]) -> list[Training]:
    """The distinct trainings that `cases` need, baselines first where a target depends on them. Those with
    one codec are told apart by their keys."""
    scenarios = [case.scenario for case in cases]
    baselines = [s.baseline() for s in scenarios if s.training.target_margin is not None]
    distinct = {training.key: training for training in map(Training.of, [*baselines, *scenarios])}
    labels = [training.label for training in distinct.values()]
    return [
        training
        if labels.count(training.label) == 1
        else replace(training, label=f"{training.label} ({training.key})")
        for training in distinct.values()
    ]


def prepare(scenario: Scenario) -> Trainer:
    """Data, both halves of the model and the codecs of a scenario, ready to be trained by a protocol."""
    from slsim.learning.split import split
    from slsim.learning.trainer import Trainer

    images = scenario.data.component.create().load()
    model = scenario.model.component.create()
    halves = split(model, scenario.model.cut, images.image_shape, images.num_classes, scenario.seed)
    return Trainer(scenario, images, halves, scenario.codec.uplink.create(), scenario.codec.downlink.create())


def train(training: Training, observer: Observer) -> tuple[Trainer, Recording]:
    """Trains for real and records it; a training that diverges is recorded up to there."""
    started = time.monotonic()
    scenario = training.scenario
    trainer = prepare(scenario)
    shape = trainer.model.activation_shape
    recording = Recording(training.key, scenario.learning_table(), trainer.costs(), shape)
    protocol = scenario.training.protocol.create()
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
    return trainer, recording
