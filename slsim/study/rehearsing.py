"""A round of a scenario's protocol before anything is trained: its steps, of sizes that formats foresee.

Neither tensors nor torch are needed where the model says how large it is (`Model.outline`), and so does its
adapter."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slsim.protocols import Protocol
from slsim.recording import Round, Rows, TestSet
from slsim.scenario import Scenario
from slsim.scenario.normal_form import text
from slsim.study.preparing import codings_of

if TYPE_CHECKING:
    from slsim.learning.data import Dataset
    from slsim.learning.exchange import Exchange
    from slsim.learning.outline import ModelOutline
    from slsim.learning.rehearsal import Labels
    from slsim.learning.sampling import Sampler

MOST_PAUSES = 1_000  # of a round that is rehearsed


@dataclass(frozen=True)
class Foreseen:
    """What a rehearsal goes by: the model's sizes, the labels, and which client has which samples."""

    model: ModelOutline
    labels: Labels
    sampler: Sampler

    @classmethod
    def of(cls, prepared: Exchange) -> Foreseen:
        """What was prepared for training."""
        from slsim.learning.outline import ModelOutline
        from slsim.learning.rehearsal import Labels

        images = prepared.images
        labels = Labels(images.y_train, images.num_classes, images.test_set)
        return cls(ModelOutline.of_parts(prepared.parts), labels, prepared.sampler)

    @classmethod
    def from_data(cls, scenario: Scenario, data: Dataset) -> Foreseen:
        """The same of a model that is not built, unless it says its sizes only then. Raises `DataError`."""
        from slsim.learning.rehearsal import Labels
        from slsim.learning.sampling import Sampler

        test_set = TestSet(data.y_test.size, data.num_classes, data.chance)
        labels = Labels(data.y_train, data.num_classes, test_set)
        return cls(outline_of(scenario, data), labels, Sampler.of(scenario, data))


def learner_name(scenario: Scenario) -> str:
    """What tells apart the model, the data and the clients that a rehearsal goes by."""
    table = scenario.table()
    return text([table["data"], table["model"], table["clients"]["count"]])


def outline_of(scenario: Scenario, data: Dataset) -> ModelOutline:
    """The sizes of a scenario's model for a data set. Raises `DataError` where they do not fit."""
    from slsim.learning.outline import ModelOutline

    table = scenario.model
    model = table.component.create()
    layers = model.outline(data.image_shape, data.num_classes)
    if layers is None:
        return _built(scenario, data)
    cuts = [model.client_layers(cut) for cut in (table.cut, table.head_cut) if cut is not None]
    if table.adapter is None:
        return ModelOutline.of_layers(layers, cuts)
    adapter = table.adapter.create()
    ends = adapter.outline(layers[cuts[0] - 1].shape)
    if ends is None:
        return _built(scenario, data)
    return ModelOutline.of_layers(layers, cuts, ends, adapter.samples_a_row)


def _built(scenario: Scenario, data: Dataset) -> ModelOutline:
    """The sizes of a model that has to be built for them."""
    import torch

    from slsim.learning.apart import Manner
    from slsim.learning.outline import ModelOutline
    from slsim.learning.parts import Parts
    from slsim.learning.split import split

    table = scenario.model
    halves = split(
        table.component.create(),
        table.cut,
        data.image_shape,
        data.num_classes,
        scenario.seed,
        table.head_cut,
        table.adapter.create() if table.adapter else None,
    )
    parts = Parts(halves, scenario.training, Manner(channels_last=False), torch.device("cpu"))
    return ModelOutline.of_parts(parts)


def rehearsal(scenario: Scenario, foreseen: Foreseen) -> Exchange:
    """An exchange of a scenario without tensors, whose protocol writes its steps all the same. `foreseen` may
    be another scenario's of the same model, data and clients."""
    from slsim.learning.exchange import Exchange
    from slsim.learning.progress import Progress
    from slsim.learning.rehearsal import NoTensors, RehearsedParts

    training, clients = scenario.training, scenario.clients
    parts = RehearsedParts(foreseen.model)
    sampler = foreseen.sampler.like(clients.batch_size, clients.per_round)
    computation = NoTensors(parts, foreseen.labels, codings_of(scenario, parts), scenario.seed)
    progress = Progress(training, training.protocol.create().rounds_per_epoch(sampler))
    return Exchange(computation, sampler, progress, training.aggregation)


def first_round(exchange: Exchange, protocol: Protocol) -> Rows:
    """The steps of a protocol's first round, or of its beginning where that is long."""
    for event in itertools.islice(protocol.learn(exchange), MOST_PAUSES):
        if isinstance(event, Round):
            return event.rows
    return exchange.open_rows()
