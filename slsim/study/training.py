"""One training of a study: what tells it apart, and doing it for real while an observer watches."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from slsim import own_files, seeds
from slsim.errors import TrainingDiverged
from slsim.recording import Recording, RoundRecord, Status
from slsim.results import CODE, environment, slug
from slsim.scenario import Case, Scenario
from slsim.study.checkpoint import Checkpoint
from slsim.study.failures import told_by_cause
from slsim.study.formats import formats
from slsim.study.one_round import check_first_round

if TYPE_CHECKING:
    from slsim.learning.apart import Manner
    from slsim.learning.trainer import Trainer


LONGEST_LABEL = 80  # of a training, in its folder's name


class Observer(Protocol):
    """Who wants to know how a study gets on (see `report.progress`)."""

    def study_planned(self, trainings: Sequence[str]) -> None: ...
    def training_reused(self, label: str) -> None: ...
    def training_started(self, label: str, rounds: int) -> None: ...
    def step_finished(self, label: str, steps: int) -> None: ...  # within a round that has several
    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None: ...
    def training_finished(self, label: str, status: Status, wall_s: float) -> None: ...
    def notice(self, text: str) -> None: ...  # something that a user should know, in one line
    def training_failed(self, label: str, reason: str) -> None: ...


class Silent:
    """An observer that tells nobody."""

    def study_planned(self, trainings: Sequence[str]) -> None: ...
    def training_reused(self, label: str) -> None: ...
    def training_started(self, label: str, rounds: int) -> None: ...
    def step_finished(self, label: str, steps: int) -> None: ...  # within a round that has several
    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None: ...
    def training_finished(self, label: str, status: Status, wall_s: float) -> None: ...
    def notice(self, text: str) -> None: ...  # something that a user should know, in one line
    def training_failed(self, label: str, reason: str) -> None: ...


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
        return f"{slug(self.scenario.codec.uplink.label)[:LONGEST_LABEL]}-{self.key}"


def training_key(scenario: Scenario) -> str:
    """Eight hexadecimal digits of a hash over what is learned from: the scenario's learning part, and the
    text of every file that a component comes from, and of the modules of one's own that it imports. What else
    it reads is kept beside (see `reuse`): the key
    is needed where a recording is opened or replayed too, and the data may be on another machine."""
    table = scenario.learning_table()
    files = sorted({text.rpartition(":")[0] for text in _strings(table) if ".py:" in text})
    sources = [own_files.digest_of(Path(file)) for file in files]
    text = json.dumps([table, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def made_by_this_version(recording: Recording) -> bool:
    """Whether a run may reuse a recording: another version of slsim, or other code of the rooms that learn,
    may learn differently. A recording that does not say by which code it was made counts as another
    version's. Any version's recording can be opened, replayed and checked."""
    made_by: Any = recording.provenance.get("versions", {})
    now = environment()["versions"]
    return all(made_by.get(name) == now[name] for name in ("slsim", CODE))


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


Manners: TypeAlias = "dict[str, Manner]"  # of models that have been tried, by all that matters for it


def prepare(scenario: Scenario, device: str = "cpu", known: Manners | None = None) -> Trainer:
    """Data, both halves of the model and the codecs of a scenario, ready to be trained by a protocol. A model
    is tried (see `admission.py`) unless it is in `known`, to which it is added. Raises `StudyError` for a
    device that torch cannot compute on, `DataError` for a model that cannot be trained."""
    from slsim.learning.admission import admit
    from slsim.learning.data import load_data
    from slsim.learning.split import split
    from slsim.learning.trainer import Trainer
    from slsim.learning.transfer import usable

    where = usable(device)
    images = load_data(scenario)
    model = scenario.model.component.create()
    halves = split(model, scenario.model.cut, images.image_shape, images.num_classes, scenario.seed)
    up, down, weights = (
        codec.create() for codec in (scenario.codec.uplink, scenario.codec.downlink, scenario.codec.weights)
    )
    known, tried = {} if known is None else known, training_key(scenario.baseline())
    if tried not in known:
        known[tried] = admit(scenario, images, halves, where)
    return Trainer(scenario, images, halves, up, down, weights, where, known[tried])


def train(
    training: Training,
    observer: Observer,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
    ready: Callable[[], object] = lambda: None,
    known: Manners | None = None,
) -> tuple[Trainer, Recording]:
    """Trains for real and records it, from the checkpoint on if there is one; a training that diverges is
    recorded up to there. `ready` is called when data and model are there, before the first round. Raises
    `TrainingError` or `ComponentError` for whatever goes wrong in it. For `known` see `prepare`."""
    import torch

    started = time.monotonic()
    with told_by_cause(training.scenario):
        trainer = prepare(training.scenario, device, known)
        recording, wall_s = _begin(training, trainer, checkpoint)
        ready()
        for text in trainer.manner.notices:
            observer.notice(f"{training.label}: {text}")
        observer.training_started(training.label, trainer.progress.total_rounds)
        try:
            _probe(training.scenario, trainer, recording)
            for record in _rounds(training.scenario, trainer):
                if record is not None:
                    _add(record, training.scenario, trainer, recording)
                    if len(recording.rounds) == 1:
                        check_first_round(training.scenario, recording)
                epoch_ended = record is not None and trainer.progress.epoch_ended()
                if checkpoint is not None and checkpoint.due(epoch_ended):
                    checkpoint.save(trainer.state(), recording, wall_s + time.monotonic() - started)
                if record is None:
                    observer.step_finished(training.label, trainer.progress.steps)
                else:
                    accuracy = recording.evaluations[-1].accuracy if recording.evaluations else None
                    observer.round_finished(training.label, len(recording.rounds), accuracy)
        except TrainingDiverged:
            recording.status = "diverged"
    recording.formats = formats(recording, trainer)
    recording.provenance = {
        **environment(),
        "threads": torch.get_num_threads(),
        "wall_s": round(wall_s + time.monotonic() - started, 3),
    }
    if trainer.manner.notices:
        recording.provenance["notices"] = list(trainer.manner.notices)
    return trainer, recording


def _begin(training: Training, trainer: Trainer, checkpoint: Checkpoint | None) -> tuple[Recording, float]:
    """An empty recording, or where an interrupted training had got to, and how long that took (s)."""
    learning, shape = training.scenario.learning_table(), trainer.model.activation_shape
    recording = Recording(training.key, learning, trainer.costs(), shape, test_set=trainer.test_set)
    return recording, checkpoint.resume(trainer, recording) if checkpoint is not None else 0.0


def _add(record: RoundRecord, scenario: Scenario, trainer: Trainer, recording: Recording) -> None:
    """A round that is over, with what is to be measured after it."""
    recording.rounds.append(record)
    _probe(scenario, trainer, recording)
    if trainer.progress.evaluation_due():
        recording.evaluations.append(trainer.evaluate())


def _probe(scenario: Scenario, trainer: Trainer, recording: Recording) -> None:
    """Measures where the scenario wants it and an interrupted training has not yet."""
    from slsim.learning.probes import measure

    probes = scenario.training.probes
    if probes is None or trainer.progress.rounds % probes.every:
        return
    if not recording.probes or recording.probes[-1].round < trainer.progress.rounds:
        recording.probes += measure(trainer, probes.draws)


def _rounds(scenario: Scenario, trainer: Trainer) -> Iterator[RoundRecord | None]:
    """The protocol's rounds, and None at its pauses within them. Layers that draw for themselves (dropout)
    do so from the seed and the step."""
    import torch

    rounds = scenario.training.protocol.create().learn(trainer)
    with torch.random.fork_rng(devices=[]):
        while True:
            _seed_layers(seeds.integer(scenario.seed, "layers", trainer.progress.steps))
            try:
                record = next(rounds)
            except StopIteration:
                return
            yield record


def _seed_layers(seed: int) -> None:
    """Seed the generators that layers draw from: the host's, and CUDA's where it is in use.

    `torch.manual_seed` takes as long as a small layer: it formats a stack trace for each kind of accelerator.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
