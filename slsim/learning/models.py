"""Models, and where they may be cut: the registry, two small ones for quick work, and the paper's VGG19.

A model is a sequence of layers; a cut after layer n gives the first n to the client and the others to
the server. Describing a model costs no torch import; building it does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.errors import DataError
from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from torch import nn


class Model(Component, ABC):
    """A model that can be cut. A subclass is final; its fields are what a scenario's [model] may set.

    `cuts` names some of the places where it may be cut, as the number of layers on the client. To be
    trained, layers must treat the samples of a batch independently (no batch normalization as yet):
    clients' batches run as one.
    """

    cuts: ClassVar[Mapping[str, int]]
    num_layers: ClassVar[int]

    @abstractmethod
    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        """`num_layers` modules, from images float32 [batch, *image_shape] to logits [batch, num_classes].
        Initial weights come from torch's generator, which the caller has seeded."""

    def client_layers(self, cut: str | int) -> int:
        """How many layers the client has. Raises `ValueError` that lists the cuts there are."""
        layers = self.cuts.get(cut) if isinstance(cut, str) else cut
        if layers is None or not 1 <= layers < self.num_layers:
            names = ", ".join(f"{name} ({number})" for name, number in self.cuts.items())
            raise ValueError(
                f"no such cut: {cut!r}; there are: {names}, or a layer from 1 to {self.num_layers - 1}"
            )
        return layers


registry: Registry[Model] = Registry("model", Model)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register


@register("cnn")
class Cnn(Model):
    """Three convolution blocks (3×3, ReLU, 2×2 max-pool) and two fully connected layers."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 1, "medium": 2, "deep": 3}
    num_layers = 5

    channels: int = Field(
        16, strict=True, ge=1, le=1024, description="of the first block; each block doubles it"
    )

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        depth, height, width = image_shape
        if min(height, width) < 8:
            raise DataError(
                f"{height}×{width} pixels are too few: cnn halves them three times, so 8×8 is the least"
            )
        blocks = []
        for block in range(3):
            out = self.channels * 2**block
            convolution = nn.Conv2d(depth, out, kernel_size=3, padding=1)
            blocks.append(nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2)))
            depth, height, width = out, height // 2, width // 2
        hidden = nn.Sequential(nn.Flatten(), nn.Linear(depth * height * width, 128), nn.ReLU())
        return nn.Sequential(*blocks, hidden, nn.Linear(128, num_classes))


@register("mlp")
class Mlp(Model):
    """Three fully connected layers, ReLU between them."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 1, "deep": 2}
    num_layers = 3

    hidden: int = Field(128, strict=True, ge=1, le=65536, description="units of each hidden layer")

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        channels, height, width = image_shape
        return nn.Sequential(
            nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, self.hidden), nn.ReLU()),
            nn.Sequential(nn.Linear(self.hidden, self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, num_classes),
        )


@register("vgg19")
class Vgg19(Model):
    """VGG19 for images of 32×32: 16 convolutions with batch normalization (calibration only, so far).

    Simonyan and Zisserman, ICLR 2015, configuration E, in the form used for CIFAR: batch normalization
    after every convolution and one linear layer for classifier. A layer is a 3×3 convolution with all that
    follows it, up to the next; the cuts are the paper's, whose client has the max-pool too.
    """

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 2, "medium": 8, "deep": 15}
    num_layers = 17

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        depth, height, width = image_shape
        if min(height, width) < 32:
            raise DataError(
                f"{height}×{width} pixels are too few: vgg19 halves them five times, so 32×32 is the least"
            )
        layers = []
        for convolutions, out in ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)):
            for number in range(1, convolutions + 1):
                convolution = nn.Conv2d(depth, out, kernel_size=3, padding=1)
                pool = [nn.MaxPool2d(2)] if number == convolutions else []
                layers.append(nn.Sequential(convolution, nn.BatchNorm2d(out), nn.ReLU(), *pool))
                depth = out
        classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(depth, num_classes))
        return nn.Sequential(*layers, classifier)
