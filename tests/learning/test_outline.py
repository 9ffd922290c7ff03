"""A model's sizes without torch are those of the model that torch builds."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from slsim.errors import DataError
from slsim.learning.apart import Manner
from slsim.learning.models import Cnn, Mlp, Model, Resnet18, Resnet34, Vgg19, registry
from slsim.learning.outline import ModelOutline, Unknown
from slsim.learning.parts import Parts
from slsim.learning.split import split
from slsim.scenario.training_table import TrainingTable

META = torch.device("meta")  # shapes need no numbers


def built(model: Model, shape: tuple[int, int, int], classes: int, cuts: list[int]) -> ModelOutline:
    with META:
        halves = split(model, cuts[0], shape, classes, 0, *cuts[1:])
    return ModelOutline.of_parts(Parts(halves, TrainingTable(), Manner(channels_last=False), META))


def outlined(model: Model, shape: tuple[int, int, int], classes: int, cuts: list[int]) -> ModelOutline:
    layers = model.outline(shape, classes)
    assert layers is not None
    return ModelOutline.of_layers(layers, cuts)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Cnn(), (1, 28, 28)),
        (Cnn(channels=3), (3, 9, 14)),
        (Mlp(), (1, 28, 28)),
        (Mlp(hidden=5), (3, 4, 2)),
        (Vgg19(width=0.25), (1, 40, 33)),
        (Resnet18(width=0.5), (3, 32, 32)),
        (Resnet34(), (3, 50, 71)),
    ],
    ids=repr,
)
def test_sizes_without_torch_are_those_that_torch_has(model: Model, shape: tuple[int, int, int]) -> None:
    last = model.num_layers - 1
    for cuts in ([1], [last], [1, last]):
        if len(cuts) == 1 or cuts[0] < cuts[1]:
            found, due = outlined(model, shape, 7, cuts), built(model, shape, 7, cuts)
            assert {**vars(found), "held": 0, "largest": 0} == vars(due)
            assert found.held > 0


@pytest.mark.parametrize("name", registry.names())
def test_every_model_that_ships_says_its_sizes(name: str) -> None:
    model = registry.create(name)
    layers = model.outline(model.image_shape, model.classes)
    assert layers is not None
    assert len(layers) == model.num_layers
    assert layers[-1].shape == (model.classes,)


@pytest.mark.parametrize("model", [Cnn(), Vgg19(), Resnet34()], ids=repr)
def test_images_that_are_too_small_are_refused_alike(model: Model) -> None:
    reasons = []
    for ask in (model.build, model.outline):
        with pytest.raises(DataError) as error:
            ask((3, 4, 4), 10)
        reasons.append(str(error.value))
    assert reasons[0] == reasons[1]


def test_a_vector_of_which_the_length_is_known_is_cut_as_torch_cuts_one() -> None:
    for length, count in ((10, 3), (2, 5), (0, 2)):
        ours, theirs = Unknown(length).tensor_split(count), torch.zeros(length).tensor_split(count)
        assert [len(one) for one in ours] == [len(one) for one in theirs]
    assert len(Unknown(10)[3:]) == 7
    assert len(Unknown(10)[:-4]) == 6


def test_a_rehearsal_needs_no_torch() -> None:
    modules = ("exchange", "rehearsal", "progress", "sampling", "outline", "models", "data")
    imports = ", ".join(f"slsim.learning.{name}" for name in modules)
    code = f"import sys, slsim.study.rehearsing, {imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
