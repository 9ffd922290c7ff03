"""The models' shapes. (`test_trainer.py` has the small ones', and trains them.)"""

from __future__ import annotations

import pytest
from torch import nn

from slsim.errors import DataError
from slsim.learning.models import Vgg19, registry
from slsim.learning.split import halve, split


@pytest.mark.parametrize(
    ("cut", "shape"),
    [("shallow", (64, 16, 16)), ("medium", (256, 4, 4)), ("deep", (512, 2, 2))],
)
def test_vgg19_sends_what_the_papers_client_sends(cut: str, shape: tuple[int, ...]) -> None:
    """The released program's activations, max-pool included."""
    halves = halve(registry.create("vgg19"), cut, (3, 32, 32), 10, seed=0)
    assert halves.activation_shape == shape
    convolutions = [module for module in halves.client.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == Vgg19.cuts[cut]


def test_vgg19_has_sixteen_convolutions_and_one_classifier() -> None:
    """FLOPs by hand: 2 · 9 · inputs · outputs · pixels a convolution, 2 · 512 · classes at the end."""
    halves = halve(Vgg19(), "medium", (3, 32, 32), 10, seed=0)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512, 512, 512, 512]
    sides = [32] * 2 + [16] * 2 + [8] * 4 + [4] * 4 + [2] * 4
    flops = [18 * a * b * side**2 for a, b, side in zip(widths, widths[1:], sides, strict=False)]
    assert halves.client_flops.forward == sum(flops[:8])
    assert halves.server_flops.forward == sum(flops[8:]) + 2 * 512 * 10
    assert sum(isinstance(module, nn.Linear) for module in halves.server.modules()) == 1


def test_vgg19_is_not_trained_yet() -> None:
    with pytest.raises(DataError, match="batch normalization cannot be trained yet"):
        split(Vgg19(), "medium", (3, 32, 32), 10, seed=0)


def test_vgg19_needs_32_pixels() -> None:
    with pytest.raises(DataError, match="28×28 pixels are too few: vgg19"):
        halve(Vgg19(), "medium", (1, 28, 28), 10, seed=0)
