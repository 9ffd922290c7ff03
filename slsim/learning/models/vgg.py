"""The paper's VGG19."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from slsim.learning.models.published import Published
from slsim.learning.outline import Outlining

if TYPE_CHECKING:
    from torch import nn

CHANNELS = (64,) * 2 + (128,) * 2 + (256,) * 4 + (512,) * 8
POOLED = frozenset({2, 4, 8, 12, 16})  # the convolutions before a max-pool


class Vgg19(Published):
    """VGG19 for images of 32×32: 16 convolutions with batch normalization, one linear layer.

    Simonyan and Zisserman, ICLR 2015, configuration E, in the form used for CIFAR: batch normalization
    after every convolution and one linear layer for classifier. A layer is a 3×3 convolution with all that
    follows it, up to the next; the cuts are the paper's, whose client has the max-pool too.

    Of torchvision's vgg19_bn all but the classifier is loaded; the last layer's initial weights are drawn
    as torchvision draws its.
    """

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 2, "medium": 8, "deep": 15}
    num_layers = 17
    convolutions = (1,) * 16 + (0,)
    halvings = 5
    ignored = ("classifier.",)

    def _layers(self, channels: int, num_classes: int) -> list[nn.Module]:
        from torch import nn

        layers: list[nn.Module] = []
        for number, outputs in enumerate(map(self._scaled, CHANNELS), start=1):
            convolution = nn.Conv2d(channels, outputs, kernel_size=3, padding=1)
            pool = [nn.MaxPool2d(2)] if number in POOLED else []
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), *pool))
            channels = outputs
        linear = nn.Linear(channels, num_classes)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)
        return [*layers, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)]

    def _outline_layers(self, model: Outlining) -> None:
        for number, outputs in enumerate(map(self._scaled, CHANNELS), start=1):
            model.convolution(outputs, kernel=3, padding=1)
            model.normalization()
            model.activation()
            if number in POOLED:
                model.pooling(2)
            model.layer()

    def _torchvision_names(self) -> Mapping[str, str]:
        return dict(self._names())

    def _names(self) -> Iterator[tuple[str, str]]:
        index = 0  # in torchvision's row of convolutions, normalizations, ReLUs and max-pools
        for number in range(1, len(CHANNELS) + 1):
            yield f"{number - 1}.0.", f"features.{index}."
            yield f"{number - 1}.1.", f"features.{index + 1}."
            index += 4 if number in POOLED else 3
