"""Data, model and codecs of a scenario, ready for a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from slsim.own_code import without_folder
from slsim.recording import (
    ACTIVATIONS,
    CLIENT_GRADIENTS,
    FEATURE_GRADIENTS,
    FEATURES,
    GRADIENTS,
    WEIGHTS,
)
from slsim.scenario import Scenario
from slsim.study.keys import training_key

if TYPE_CHECKING:
    from slsim.learning.apart import Manner
    from slsim.learning.codings import Codings
    from slsim.learning.data import Dataset
    from slsim.learning.exchange import Exchange
    from slsim.learning.images import Images
    from slsim.learning.parts import Parts
    from slsim.learning.rehearsal import RehearsedParts
    from slsim.learning.sampling import Sampler


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
    adapter = table.adapter.create() if table.adapter else None
    halves = split(
        model, table.cut, data.image_shape, data.num_classes, scenario.seed, table.head_cut, adapter
    )
    known, tried = {} if known is None else known, training_key(scenario.without_codecs())
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
    shapes = dict.fromkeys((ACTIVATIONS, GRADIENTS), model.cut_shape.of(batch))
    shapes |= dict.fromkeys((WEIGHTS, CLIENT_GRADIENTS), (parts.client.size,))
    if model.head_shape is not None:
        shapes |= dict.fromkeys((FEATURES, FEATURE_GRADIENTS), (batch, *model.head_shape))
    choices = scenario.codec.choices()
    return Codings(
        codecs={key: choice.create() for key, choice in choices.items()},
        names={key: without_folder(choice.name) for key, choice in choices.items()},
        shapes=shapes,
        sparse=(ACTIVATIONS, FEATURES) if scenario.model.adapter is None else (FEATURES,),
    )
