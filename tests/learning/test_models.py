"""The models' shapes, cuts and sizes. (`test_trainer.py` has the small ones' shapes, and trains them.)"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
import torchvision
from pydantic import ValidationError
from rich.console import Console
from torch import nn

from slsim.errors import DataError
from slsim.learning.models import Cnn, Mlp, Model, Resnet18, Resnet34, Vgg19, registry
from slsim.learning.models.sizes import cut_sizes
from slsim.learning.split import halve
from slsim.registry import Registry
from slsim.report.tables import print_models

IMAGENET = (3, 224, 224)
CIFAR = (3, 32, 32)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def convolutions(module: nn.Module) -> int:
    """3×3 and 7×7 ones; those of shortcuts are not counted."""
    kinds = [one for one in module.modules() if isinstance(one, nn.Conv2d)]
    return sum(one.kernel_size != (1, 1) for one in kinds)


@pytest.mark.parametrize(
    ("model", "cut", "shape", "after"),
    [
        (Vgg19(), "shallow", (64, 16, 16), 2),
        (Vgg19(), "medium", (256, 4, 4), 8),
        (Vgg19(), "deep", (512, 2, 2), 15),
        (Resnet18(), "shallow", (64, 32, 32), 3),  # the paper's 2 is inside the first block
        (Resnet18(), "medium", (128, 16, 16), 9),
        (Resnet18(), "deep", (256, 8, 8), 13),
        (Resnet34(), "shallow", (64, 56, 56), 3),
        (Resnet34(), "medium", (128, 28, 28), 15),
        (Resnet34(), "deep", (256, 14, 14), 27),
    ],
)
def test_the_papers_cuts_send_what_the_papers_client_sends(
    model: Model, cut: str, shape: tuple[int, ...], after: int
) -> None:
    """The released program's activations, VGG's max-pool included; the same cut by its convolutions."""
    with torch.device("meta"):  # shapes need no numbers
        halves = halve(model, cut, model.image_shape, model.classes, seed=0)
        activations = halves.client.eval()(torch.zeros(1, *model.image_shape))
    assert halves.activation_shape == shape
    assert activations.shape == (1, *shape)
    assert convolutions(halves.client) == after
    assert model.client_layers(f"conv {after}") == model.cuts[cut]


@pytest.mark.parametrize("name", registry.names())
def test_a_model_has_the_layers_and_convolutions_that_it_says(name: str) -> None:
    model = registry.create(name)
    with torch.device("meta"):
        layers = model.build(model.image_shape, model.classes)
    assert len(layers) == model.num_layers
    if model.convolutions:
        assert tuple(map(convolutions, layers)) == model.convolutions


def test_vgg19_has_sixteen_convolutions_and_one_classifier() -> None:
    """FLOPs by hand: 2 · 9 · inputs · outputs · pixels a convolution, 2 · 512 · classes at the end."""
    halves = halve(Vgg19(), "medium", CIFAR, 10, seed=0)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512]
    sides = [32] * 2 + [16] * 2 + [8] * 4 + [4] * 4 + [2] * 4
    flops = [18 * a * b * side**2 for a, b, side in zip(widths, widths[1:], sides, strict=False)]
    assert halves.client_flops.forward == sum(flops[:8])
    assert halves.server_flops.forward == sum(flops[8:]) + 2 * 512 * 10
    assert sum(isinstance(module, nn.Linear) for module in halves.server.modules()) == 1


def test_models_are_as_large_as_torchvisions() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.resnet34(), torchvision.models.vgg19_bn().features
        ours = Resnet34().build(IMAGENET, 1000), Vgg19().build(CIFAR, 10)[:16]
        small, cifar = torchvision.models.resnet18(num_classes=100), Resnet18().build(CIFAR, 100)
    assert [parameters(one) for one in ours] == [parameters(one) for one in theirs]
    assert parameters(ours[0]) == 21_797_672
    assert parameters(small) - parameters(cifar) == 64 * 3 * (7 * 7 - 3 * 3)  # the stem's kernels


@pytest.mark.parametrize(
    ("width", "channels"), [(0.5, 32), (0.3, 16), (0.32, 24), (0.01, 8), (1, 64), (1.5, 96)]
)
def test_width_scales_channels_to_the_nearest_multiple_of_eight(width: float, channels: int) -> None:
    with torch.device("meta"):  # shapes need no numbers
        vgg, resnet = (halve(model(width=width), "shallow", CIFAR, 10, seed=0) for model in (Vgg19, Resnet18))
    assert vgg.activation_shape == (channels, 16, 16)
    assert resnet.activation_shape == (channels, 32, 32)


def test_a_narrow_model_runs_to_its_logits() -> None:
    for model in (Vgg19(width=0.1), Resnet18(width=0.1), Resnet34(width=0.1)):
        assert model.build(CIFAR, 7)(torch.zeros(2, *CIFAR)).shape == (2, 7)


@pytest.mark.parametrize("width", [0, -1, 4.5, True, "1"])
def test_a_width_is_above_0_and_up_to_4(width: object) -> None:
    with pytest.raises(ValidationError):
        Vgg19.model_validate({"width": width})


def test_convolutions_start_from_hes_normal_distribution() -> None:
    layers = Resnet18().build(CIFAR, 100)
    weights = layers[8].conv2.weight.detach()  # 512 → 512
    assert float(weights.std()) == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    linear = Vgg19().build(CIFAR, 100)[16][2].requires_grad_(False)
    assert float(linear.weight.std()) == pytest.approx(0.01, rel=0.05)
    assert not linear.bias.any()


def test_the_same_seed_draws_the_weights_that_torchvision_draws() -> None:
    torch.manual_seed(3)
    theirs = torchvision.models.resnet34()
    torch.manual_seed(3)
    ours = Resnet34().build(IMAGENET, 1000)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("model", "cut", "words"),
    [
        (
            Vgg19(),
            "middle",
            "no such cut: 'middle'; there are: shallow (2), medium (8), deep (15), conv 1 to 16",
        ),
        (Vgg19(), 17, "or a layer from 1 to 16"),
        (Vgg19(), 0, "no such cut: 0"),
        (Vgg19(), "conv 17", "no such cut: 'conv 17'"),
        (Vgg19(), "conv 0", "no such cut: 'conv 0'"),
        (Mlp(), "conv 1", "no such cut: 'conv 1'; there are: shallow (1), deep (2), or a layer from 1 to 2"),
        (
            Resnet18(),
            "conv 2",
            "'conv 2' is inside a residual block, where two tensors would cross; the nearest whole blocks "
            "end at 'conv 1' (layer 1) and 'conv 3' (layer 2)",
        ),
        (Resnet34(), "conv 28", "'conv 27' (layer 14) and 'conv 29' (layer 15)"),
    ],
)
def test_a_cut_that_is_none_says_which_there_are(model: Model, cut: str | int, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        model.client_layers(cut)
    with pytest.raises(ValueError, match=re.escape(words)):
        halve(model, cut, model.image_shape, model.classes, seed=0)


def test_any_layer_is_a_cut_and_so_is_any_convolution_that_ends_one() -> None:
    assert [Cnn().client_layers(cut) for cut in (1, 4, "conv 3")] == [1, 4, 3]
    assert [Resnet34().client_layers(cut) for cut in (1, 17, "conv 1", "conv 33")] == [1, 17, 1, 17]
    assert halve(Resnet18(), 1, CIFAR, 100, seed=0).activation_shape == (64, 32, 32)
    assert halve(Resnet18(), 9, CIFAR, 100, seed=0).activation_shape == (512, 4, 4)


@pytest.mark.parametrize(
    ("model", "side", "words"),
    [
        (Vgg19(), 28, "28×28 pixels are too few: vgg19 halves them 5 times, so 32×32 is the least"),
        (Resnet34(), 28, "resnet34 halves them 5 times, so 32×32"),
        (Resnet18(), 7, "resnet18 halves them 3 times, so 8×8"),
    ],
)
def test_images_too_small_are_refused(model: Model, side: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        halve(model, "medium", (1, side, side), 10, seed=0)


def test_halving_leaves_running_statistics_alone_and_the_layers_in_training() -> None:
    halves = halve(Resnet18(width=0.25), "medium", CIFAR, 100, seed=0)
    for module in [*halves.client.modules(), *halves.server.modules()]:
        assert module.training
        if isinstance(module, nn.BatchNorm2d):
            assert module.num_batches_tracked == 0
            assert not module.running_mean.any()


def test_flops_without_numbers_are_those_that_torch_counts_as_it_computes() -> None:
    from slsim.learning.split import _measured_on

    halves = halve(Resnet34(width=0.25), "medium", (3, 64, 64), 10, seed=0)
    probe = torch.zeros(1, 3, 64, 64)
    computed, dry = (_measured_on(on, [halves.client, halves.server], probe, None) for on in ("cpu", "meta"))
    assert computed == dry
    assert [part.flops for part in dry] == [halves.client_flops, halves.server_flops]


class Numbers(nn.Module):
    """A layer that looks at its input's numbers, which the meta device has not."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values if float(values.sum()) >= 0 else -values


class Odd(Model):
    """Lazy, asking for numbers, normalizing single values, and with a client without weights."""

    cuts: ClassVar[Mapping[str, int]] = {"only": 1}
    num_layers = 4

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Flatten(),
            Numbers(),
            nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d()),
            nn.LazyLinear(num_classes),
        )


def test_odd_layers_are_measured_too() -> None:
    first, again = (halve(Odd(), "only", (1, 4, 4), 3, seed=1) for _ in range(2))
    assert first.activation_shape == (16,)
    assert (first.client_flops.forward, first.client_flops.backward) == (0, 0)
    assert first.server_flops.forward == 2 * 16 * 8 + 2 * 8 * 3
    for one, other in zip(first.server.parameters(), again.server.parameters(), strict=True):
        assert torch.equal(one, other)


def test_cut_sizes_are_those_of_the_halves() -> None:
    for model in (Cnn(), Vgg19(width=0.25)):
        for size in cut_sizes(model):
            halves = halve(model, size.cut, model.image_shape, model.classes, seed=0)
            assert size.activation_shape == halves.activation_shape
            assert size.parameters == (parameters(halves.client), parameters(halves.server))
            assert size.flops == (halves.client_flops.forward, halves.server_flops.forward)
            activations = halves.client(torch.zeros(2, *model.image_shape)).detach()
            assert size.activation_bytes == activations[0].numpy().nbytes


def printed(models: Registry[Model]) -> str:
    console = Console(file=io.StringIO(), width=100)
    print_models(console, models)
    return console.file.getvalue()


def test_models_are_listed_with_what_each_cut_sends_and_leaves() -> None:
    text = printed(registry)
    for words in ("resnet34 for 3×224×224, 1,000 classes", "first residual block", "weights = none"):
        assert words in text
    (row,) = (line for line in text.splitlines() if "128×28×28" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["medium (8)", "128×28×28", "401,408", "1,347,904 + 20,449,768", "3,370 + 3,957"]
    assert text.count("│ shallow (") == len(registry.names())


def test_a_third_partys_model_whose_sizes_cannot_be_told_does_not_stop_the_list() -> None:
    others = Registry("model", Model)
    others.add("odd", Odd)
    others.add("small", Mlp)
    text = printed(others)
    assert "odd: its sizes cannot be told" in text
    assert "small for 1×28×28" in text
