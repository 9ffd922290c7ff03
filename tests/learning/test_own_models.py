"""A user's own nn.Sequential, named by its file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slsim.errors import DataError, FaultsError, UnknownNameError
from slsim.learning.models import registry
from slsim.learning.split import halve
from slsim.scenario.tables import ModelTable

FILE = '''
"""A network of a third party."""

import math

import torch
from torch import nn

net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(inplace=True), nn.BatchNorm1d(8), nn.Linear(8, 3))


def make(image_shape, num_classes):
    """What a user says about it."""
    channels, height, width = image_shape
    first = nn.Linear(channels * height * width, 8)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(8, num_classes))


def breaks(image_shape, num_classes):
    raise RuntimeError("not today")


def gives_a_layer(image_shape, num_classes):
    return nn.Linear(3, 3)


def takes_one(image_shape):
    return net


def gives_a_global(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), layer)


class Sized(nn.Sequential):
    def __init__(self, image_shape, num_classes):
        first = nn.Linear(math.prod(image_shape), 8)
        super().__init__(nn.Flatten(), first, nn.ReLU(), nn.Linear(8, num_classes))


class Fixed(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


class Bare(nn.Sequential):
    pass


class Odd(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Flatten(), nn.Linear(16, width), nn.Linear(width, 3))


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x.flatten(1)).relu())


parts = Parts()


class Shuffled(nn.Sequential):
    def forward(self, x):
        return x


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(1))

    def forward(self, x):
        return x * self.scale


layer = nn.Linear(3, 3)
one = nn.Sequential(nn.Flatten())
shuffled = Shuffled(nn.Flatten(), nn.Linear(3, 3))
scaled = nn.Sequential(nn.Flatten(), nn.Sequential(Scale(), nn.Linear(3, 3)))
number = 3
'''
SHAPE = (1, 4, 4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(FILE, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["net", "make", "Sized", "Fixed"])
def test_a_sequence_is_cut_after_any_layer(file: Path, name: str) -> None:
    model = registry.create(f"{file}:{name}")
    halves = halve(model, 3, SHAPE, 3, seed=0)
    assert halves.activation_shape == (8,)
    assert halves.client_flops.forward == 2 * 16 * 8
    assert halves.server_flops.forward == 2 * 8 * 3
    assert halve(model, 1, SHAPE, 3, seed=0).activation_shape == (16,)


@pytest.mark.parametrize("name", ["net", "make", "Sized", "Fixed"])
def test_its_weights_come_from_the_seed_and_no_two_builds_share_them(file: Path, name: str) -> None:
    model = registry.create(f"{file}:{name}")
    first, again, other = (halve(model, 2, SHAPE, 3, seed=seed).client[1] for seed in (1, 1, 2))
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert first.weight is not again.weight


def test_a_scenario_takes_it(file: Path) -> None:
    for name in ("net", "make"):
        table = ModelTable.model_validate({"name": f"{file}:{name}", "cut": 2})
        assert table.component.create().client_layers(2) == 2
        assert table.component.label == name


@pytest.mark.parametrize(
    ("name", "cut", "words"),
    [
        ("net", 5, "no such cut: 5; there are: a layer from 1 to 4"),
        ("net", "deep", "no such cut: 'deep'; there are: a layer from 1 to 4"),
        ("make", "conv 1", "no such cut: 'conv 1'; one's own nn.Sequential is cut after a layer, from 1"),
        ("make", 0, "no such cut: 0"),
    ],
)
def test_a_cut_that_is_none_is_told_with_the_scenario(file: Path, name: str, cut: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ModelTable.model_validate({"name": f"{file}:{name}", "cut": cut})


def test_a_cut_behind_what_a_function_makes_is_told_when_it_is_made(file: Path) -> None:
    with pytest.raises(DataError, match="cut after layer 4, but the model has 4; there are: 1 to 3"):
        halve(registry.create(f"{file}:make"), 4, SHAPE, 3, seed=0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("number", r"net\.py has no Model or nn\.Sequential \(or function .* called number"),
        ("Scale", r"is a class with a forward of its own, which cannot be cut in two; write a function"),
        ("Parts", r"def net\(image_shape, num_classes\):\n +m = Parts\(\); return nn\.Sequential\("),
        (
            "parts",
            r"is a Parts, not a plain nn\.Sequential.*\n.*\n +m = Parts\(\); return .*\(m\.body, m\.head\)",
        ),
        ("Bare", "has no __init__ that makes its layers"),
        ("Odd", "must be made with image_shape and num_classes, or with nothing"),
        ("nothing", "called nothing"),
        ("layer", "is a Linear, not a plain nn.Sequential"),
        ("shuffled", "is a Shuffled, not a plain nn.Sequential"),
        ("one", "cannot be cut: it has 1 layers"),
        ("scaled", r"has a Scale \(1\.0\) without reset_parameters"),
        (
            "takes_one",
            r"must take image_shape and num_classes, and nothing else: it is takes_one\(image_shape\)",
        ),
    ],
)
def test_what_cannot_be_a_model_says_why(file: Path, name: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        registry.entry(f"{file}:{name}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("breaks", r"breaks\(\(1, 4, 4\), 3\) failed: not today"),
        ("gives_a_layer", "what gives_a_layer gives is a Linear, not a plain nn.Sequential"),
        ("gives_a_global", "what gives_a_global gives has a Linear that was made when the file was imported"),
    ],
)
def test_a_function_that_fails_says_why(file: Path, name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        halve(registry.create(f"{file}:{name}"), 1, SHAPE, 3, seed=0)


def test_images_and_classes_must_fit_it(file: Path) -> None:
    model = registry.create(f"{file}:net")
    reason = r'layer 2 \("1", Linear\) fails in training, for images of shape \(1, 5, 5\): mat1 and mat2'
    with pytest.raises(DataError, match=reason):
        halve(model, 2, (1, 5, 5), 3, seed=0)
    with pytest.raises(DataError, match=r"gives \(3,\) values a sample, there are 4 classes"):
        halve(model, 2, SHAPE, 4, seed=0)


def test_it_has_no_parameters_in_a_scenario(file: Path) -> None:
    with pytest.raises(FaultsError, match="hidden: unknown key"):
        registry.create(f"{file}:make", hidden=3)
