"""A model in three parts: the client's bottom layers, the server's middle layers, the client's head."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest
import torch
from torch import nn

from slsim.errors import DataError
from slsim.learning.ghost import GhostBatchNorm
from slsim.learning.models import Cnn, Mlp, Model, Resnet18, Resnet34, Vgg19, registry
from slsim.learning.split import SplitModel, halve, split

CIFAR = (3, 32, 32)


def state(parts: SplitModel) -> dict[str, torch.Tensor]:
    """The weights and buffers of all parts, by the names that they have in the whole model."""
    found: dict[str, torch.Tensor] = {}
    for part in (parts.client, parts.server, parts.head):
        if part is not None:
            assert not found.keys() & part.state_dict().keys()
            found |= part.state_dict()
    return found


@pytest.mark.parametrize(
    ("model", "cut", "head_cut", "shapes", "layers"),
    [
        (Vgg19(), "shallow", "deep", ((64, 16, 16), (512, 2, 2)), (2, 13, 2)),
        (Vgg19(), "conv 8", "conv 15", ((256, 4, 4), (512, 2, 2)), (8, 7, 2)),
        (Resnet18(), "shallow", 9, ((64, 32, 32), (512, 4, 4)), (2, 7, 1)),
        (Resnet34(), 1, 2, ((64, 56, 56), (64, 56, 56)), (1, 1, 16)),
        (Mlp(), "shallow", "deep", ((128,), (128,)), (1, 1, 1)),
    ],
)
def test_each_part_has_its_layers_and_what_crosses_has_its_shape(
    model: Model,
    cut: str | int,
    head_cut: str | int,
    shapes: tuple[tuple[int, ...], ...],
    layers: tuple[int, ...],
) -> None:
    with torch.device("meta"):  # shapes need no numbers
        parts = halve(model, cut, model.image_shape, model.classes, seed=0, head_cut=head_cut)
        assert parts.head is not None
        up = parts.client.eval()(torch.zeros(1, *model.image_shape))
        down = parts.server.eval()(up)
        logits = parts.head.eval()(down)
    assert (len(parts.client), len(parts.server), len(parts.head)) == layers
    assert (parts.activation_shape, parts.head_shape) == shapes
    assert (up.shape[1:], down.shape[1:], logits.shape[1:]) == (*shapes, (model.classes,))


@pytest.mark.parametrize("name", registry.names())
def test_flops_of_the_server_and_the_head_are_those_of_the_server_without_a_head(name: str) -> None:
    model = registry.create(name)
    with torch.device("meta"):
        two = halve(model, 1, model.image_shape, model.classes, seed=0)
        for head_cut in {2, model.num_layers - 1}:
            three = halve(model, 1, model.image_shape, model.classes, seed=0, head_cut=head_cut)
            assert three.head_flops is not None
            assert three.client_flops == two.client_flops
            for way in ("forward", "backward"):
                both = getattr(three.server_flops, way) + getattr(three.head_flops, way)
                assert both == getattr(two.server_flops, way)
    assert (two.head, two.head_shape, two.head_flops) == (None, None, None)


def test_flops_of_a_head_by_hand() -> None:
    """The head's input needs a gradient: the server learns by it."""
    parts = halve(Mlp(hidden=16), 1, (1, 28, 28), 10, seed=0, head_cut=2)
    assert parts.head_flops is not None
    assert (parts.head_flops.forward, parts.head_flops.backward) == (2 * 16 * 10, 4 * 16 * 10)
    assert (parts.server_flops.forward, parts.server_flops.backward) == (2 * 16 * 16, 4 * 16 * 16)
    assert (parts.client_flops.forward, parts.client_flops.backward) == (2 * 784 * 16, 2 * 784 * 16)


def test_initial_weights_do_not_depend_on_the_head() -> None:
    model = Resnet18(width=0.25)
    two = state(halve(model, "shallow", CIFAR, 10, seed=3))
    for head_cut in (3, "deep", 9):
        three = state(halve(model, "shallow", CIFAR, 10, seed=3, head_cut=head_cut))
        assert list(three) == list(two)
        assert all(torch.equal(three[name], two[name]) for name in two)


def test_three_parts_give_the_logits_and_gradients_of_two() -> None:
    two, three = (halve(Cnn(), 1, CIFAR, 10, seed=0, head_cut=head_cut) for head_cut in (None, 3))
    assert three.head is not None
    images = torch.randn(4, *CIFAR)
    whole, divided = two.server(two.client(images)), three.head(three.server(three.client(images)))
    assert torch.equal(whole, divided)
    whole.square().sum().backward()
    divided.square().sum().backward()
    own = [*three.client.parameters(), *three.server.parameters(), *three.head.parameters()]
    for one, other in zip([*two.client.parameters(), *two.server.parameters()], own, strict=True):
        assert torch.equal(one.grad, other.grad)  # type: ignore[arg-type]


def test_batch_normalization_keeps_to_each_clients_batch_in_the_head_too() -> None:
    parts = split(Resnet18(width=0.25), 2, CIFAR, 10, seed=0, head_cut="deep")
    for part in (parts.client, parts.server, parts.head):
        assert part is not None
        kinds = {type(one) for one in part.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)}
        assert kinds == {GhostBatchNorm}


@pytest.mark.parametrize(
    ("model", "cut", "head_cut", "words"),
    [
        (
            Cnn(), 2, 2,
            "head_cut after layer 2, but the model has 5 and its cut is after layer 2; there are: 3 to 4",
        ),
        (Cnn(), "medium", "shallow", "head_cut after layer 1, but the model has 5 and its cut is after"),
        (Cnn(), 2, 5, "head_cut after layer 5, but the model has 5"),
        (Cnn(), 3, 0, "there are: 4 to 4"),
        (Cnn(), 4, 4, "its cut is after layer 4; no layer is left for a head"),
        (Cnn(), 1, "top", "head_cut: no such cut: 'top'; there are: shallow (1), medium (2)"),
        (Resnet18(), 1, "conv 4", "head_cut: 'conv 4' is inside a residual block"),
    ],
)  # fmt: skip
def test_a_head_cut_that_is_none_says_which_there_are(
    model: Model, cut: str | int, head_cut: str | int, words: str
) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        halve(model, cut, CIFAR, 10, seed=0, head_cut=head_cut)


class Made(Model):
    """Layers that a test makes, for images of 1×4×4 and four classes."""

    cuts: ClassVar[Mapping[str, int]] = {}
    num_layers = 5
    make: ClassVar[Callable[[], list[nn.Module]]]

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        return nn.Sequential(*type(self).make())


def made(make: Callable[[], list[nn.Module]]) -> Model:
    return type("Own", (Made,), {"make": staticmethod(make)})()


def tied(first: int, second: int) -> Model:
    """Five linear layers, two of which have the same weight."""

    def make() -> list[nn.Module]:
        layers: list[nn.Module] = [nn.Linear(16, 16) for _ in range(4)]
        layers = [nn.Sequential(nn.Flatten(), layers[0]), *layers[1:], nn.Linear(16, 4)]
        linear = [one if isinstance(one, nn.Linear) else one[1] for one in layers]  # type: ignore[index]
        linear[second - 1].weight = linear[first - 1].weight
        return layers

    return made(make)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            (1, 2),
            '"1", Linear) share a weight, and the cut lies between them; cut the model before both or after '
            "both (at 2 or more)",
        ),
        ((3, 4), "and head_cut lies between them; let it be before both or after both (at 4 or more)"),
        (
            (1, 4),
            "and the server's layers lie between them: the client's bottom layers and its head are trained "
            "apart; move the cuts so that one part has both",
        ),
    ],
)
def test_a_weight_that_learns_in_two_parts_is_refused(layers: tuple[int, int], words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        halve(tied(*layers), 1, (1, 4, 4), 4, seed=0, head_cut=3)


def test_a_weight_that_one_part_has_twice_is_not_refused() -> None:
    parts = halve(tied(2, 3), 1, (1, 4, 4), 4, seed=0, head_cut=3)
    assert parts.server[0].weight is parts.server[1].weight


def test_what_the_server_and_the_head_receive_is_not_written_into() -> None:
    def make() -> list[nn.Module]:
        rectifiers = [nn.ReLU(inplace=True) for _ in range(3)]
        return [nn.Flatten(), rectifiers[0], nn.Linear(16, 4), rectifiers[1], rectifiers[2]]

    parts = halve(made(make), 2, (1, 4, 4), 4, seed=0, head_cut=3)
    assert parts.head is not None
    assert parts.client[1].inplace
    assert not any(layer.inplace for layer in parts.head)


def test_a_head_that_gives_no_tensor_is_told_as_the_heads() -> None:
    class Pair(nn.Module):
        def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return values, values

    def make() -> list[nn.Module]:
        return [nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 4), nn.ReLU(), Pair()]

    with pytest.raises(DataError, match=r'^layer 5 \("4", Pair\) gives a tuple; out of the head must come'):
        halve(made(make), 1, (1, 4, 4), 4, seed=0, head_cut=3)
