"""One training of a study: what tells it apart, and doing it for real while an observer watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from slsim.recording import (
    ACTIVATIONS,
    CLIENT_GRADIENTS,
    FEATURE_GRADIENTS,
    FEATURES,
    GRADIENTS,
    WEIGHTS,
    Recording,
    Round,
    Status,
)
from slsim.results import CODE, environment, slug
from slsim.scenario import Case, Scenario
from slsim.study.checkpoint import Checkpoint
from slsim.study.failures import told_by_cause
from slsim.study.formats import formats
from slsim.study.keys import training_key
from slsim.study.one_round import check_first_round

if TYPE_CHECKING:
    from slsim.learning.apart import Manner
    from slsim.learning.codings import Codings
    from slsim.learning.data import Dataset
    from slsim.learning.exchange import Exchange
    from slsim.learning.images import Images
    from slsim.learning.loop import Loop
    from slsim.learning.parts import Parts
    from slsim.learning.rehearsal import RehearsedParts
    from slsim.learning.sampling import Sampler


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


def made_by_this_version(recording: Recording) -> bool:
    """Whether a run may reuse a recording: another version of slsim, or other code of the rooms that learn,
    may learn differently. A recording that does not say by which code it was made counts as another
    version's. Any version's recording can be opened, replayed and checked."""
    made_by: Any = recording.provenance.get("versions", {})
    now = environment()["versions"]
    return all(made_by.get(name) == now[name] for name in ("slsim", CODE))


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


def prepare(
    scenario: Scenario, device: str = "cpu", known: Manners | None = None, data: Dataset | None = None
) -> Exchange:
    """Data (loaded, unless they are given), the parts of the model and the codecs of a scenario, ready for a
    protocol. A model is tried (see `admission.py`) unless it is in `known`, to which it is added. Raises
    `StudyError` for a device that torch cannot compute on, `DataError` for a model that cannot be trained."""
    from slsim.learning.admission import admit
    from slsim.learning.data import load_data
    from slsim.learning.images import Images
    from slsim.learning.parts import Parts
    from slsim.learning.sampling import Sampler
    from slsim.learning.split import split
    from slsim.learning.transfer import usable

    where, table = usable(device), scenario.model
    data, model = load_data(scenario) if data is None else data, table.component.create()
    halves = split(model, table.cut, data.image_shape, data.num_classes, scenario.seed, table.head_cut)
    known, tried = {} if known is None else known, training_key(scenario.baseline())
    if tried not in known:
        known[tried] = admit(scenario, data, halves, where)
    manner = known[tried]
    parts = Parts(halves, scenario.training, manner, where)
    images = Images(data, scenario.data.augment, where, manner.channels_last)
    return exchange_of(scenario, parts, images, Sampler.of(scenario, data))


def exchange_of(scenario: Scenario, parts: Parts, images: Images, sampler: Sampler) -> Exchange:
    """An exchange of a scenario with a model and data that are there."""
    from slsim.learning.aggregation import keeps_own
    from slsim.learning.exchange import Exchange
    from slsim.learning.progress import Progress
    from slsim.learning.tensors import Tensors

    training, codings = scenario.training, codings_of(scenario, parts)
    own = keeps_own(training.aggregation, codings)
    computation = Tensors(parts, images, codings, scenario.seed, own)
    progress = Progress(training, training.protocol.create().rounds_per_epoch(sampler))
    return Exchange(computation, sampler, progress, training.aggregation)


def codings_of(scenario: Scenario, parts: Parts | RehearsedParts) -> Codings:
    """The codecs of a scenario, for the tensors of its model."""
    from slsim.learning.codings import Codings

    batch, model = scenario.clients.batch_size, parts.model
    shapes = dict.fromkeys((ACTIVATIONS, GRADIENTS), (batch, *model.activation_shape))
    shapes |= dict.fromkeys((WEIGHTS, CLIENT_GRADIENTS), (parts.client.size,))
    if model.head_shape is not None:
        shapes |= dict.fromkeys((FEATURES, FEATURE_GRADIENTS), (batch, *model.head_shape))
    choices = scenario.codec.choices()
    return Codings(
        codecs={key: choice.create() for key, choice in choices.items()},
        names={key: choice.name for key, choice in choices.items()},
        shapes=shapes,
        sparse=(ACTIVATIONS, FEATURES),
    )


def train(
    training: Training,
    observer: Observer,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
    ready: Callable[[], object] = lambda: None,
    known: Manners | None = None,
    over: Callable[[Recording], str] = lambda _: "",
) -> tuple[Exchange, Recording]:
    """Train for real and record it, from the checkpoint on if there is one; a training that diverges is
    recorded up to there, and one that `over` ends too (see `stopping`). `ready` is called when data and model
    are there, before the first round. Raises `TrainingError` or `ComponentError` for whatever goes wrong in
    it. For `known` see `prepare`."""
    import torch

    started = time.monotonic()
    with told_by_cause(training.scenario):
        loop = _begin(training, prepare(training.scenario, device, known), over)
        wall_s = checkpoint.resume(loop) if checkpoint is not None else 0.0
        exchange, recording = loop.exchange, loop.recording
        ready()
        for text in exchange.parts.manner.notices:
            observer.notice(f"{training.label}: {text}")
        observer.training_started(training.label, exchange.progress.total_rounds)
        for event in loop.run():
            is_round = isinstance(event, Round)
            if is_round and recording.num_rounds == 1:
                check_first_round(training.scenario, recording)
            epoch_ended = is_round and exchange.progress.epoch_ended()
            if checkpoint is not None and checkpoint.due(epoch_ended):
                checkpoint.save(loop, wall_s + time.monotonic() - started)
            if is_round:
                accuracy = recording.evaluations[-1].accuracy if recording.evaluations else None
                observer.round_finished(training.label, recording.num_rounds, accuracy)
            else:
                observer.step_finished(training.label, exchange.progress.steps)
    recording.formats = formats(recording, exchange.codings)
    recording.measured_codecs = exchange.codings.measured
    recording.provenance = {
        **environment(),
        "threads": torch.get_num_threads(),
        "wall_s": round(wall_s + time.monotonic() - started, 3),
    }
    if notices := exchange.parts.manner.notices:
        recording.provenance["notices"] = list(notices)
    return exchange, recording


def _begin(training: Training, exchange: Exchange, over: Callable[[Recording], str]) -> Loop:
    """A training in which nothing was done yet."""
    from slsim.learning.loop import Loop

    scenario = training.scenario
    protocol = scenario.training.protocol.create()
    recording = Recording(
        training.key, scenario.learning_table(), test_set=exchange.images.test_set, words=exchange.words
    )
    hooks = [choice.create() for choice in scenario.training.hooks]
    return Loop(exchange, protocol.learn, recording, hooks, protocol.crosses_cut, over)
