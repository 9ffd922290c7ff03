"""Two small models for quick work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.errors import DataError
from slsim.learning.models.base import Model
from slsim.learning.outline import LayerOutline, Outlining

if TYPE_CHECKING:
    from torch import nn


HIDDEN = 128  # units of cnn's hidden layer


class Cnn(Model):
    """Three convolution blocks (3×3, ReLU, 2×2 max-pool) and two fully connected layers."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 1, "medium": 2, "deep": 3}
    num_layers = 5
    convolutions = (1, 1, 1, 0, 0)
    image_shape = (1, 28, 28)

    channels: int = Field(
        16,
        strict=True,
        ge=1,
        le=1024,
        description="The number of channels of the first block. Each block doubles it.",
    )

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        depth, height, width = self._checked(image_shape)
        blocks = []
        for block in range(3):
            out = self.channels * 2**block
            convolution = nn.Conv2d(depth, out, kernel_size=3, padding=1)
            blocks.append(nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2)))
            depth, height, width = out, height // 2, width // 2
        hidden = nn.Sequential(nn.Flatten(), nn.Linear(depth * height * width, HIDDEN), nn.ReLU())
        return nn.Sequential(*blocks, hidden, nn.Linear(HIDDEN, num_classes))

    def outline(self, image_shape: tuple[int, int, int], num_classes: int) -> Sequence[LayerOutline]:
        model = Outlining(self._checked(image_shape))
        for block in range(3):
            model.convolution(self.channels * 2**block, kernel=3, padding=1)
            model.activation()
            model.pooling(2)
            model.layer()
        return _with_classifier(model, [HIDDEN], num_classes)

    def _checked(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        _, height, width = image_shape
        if min(height, width) < 8:
            raise DataError(
                f"{height}×{width} pixels are too few: cnn halves them three times, so 8×8 is the least"
            )
        return image_shape


class Mlp(Model):
    """Three fully connected layers, ReLU between them."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 1, "deep": 2}
    num_layers = 3
    image_shape = (1, 28, 28)

    hidden: int = Field(
        128, strict=True, ge=1, le=65536, description="The number of units of each hidden layer."
    )

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        channels, height, width = image_shape
        return nn.Sequential(
            nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, self.hidden), nn.ReLU()),
            nn.Sequential(nn.Linear(self.hidden, self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, num_classes),
        )

    def outline(self, image_shape: tuple[int, int, int], num_classes: int) -> Sequence[LayerOutline]:
        return _with_classifier(Outlining(image_shape), [self.hidden, self.hidden], num_classes)


def _with_classifier(model: Outlining, hidden: Sequence[int], num_classes: int) -> Sequence[LayerOutline]:
    """The layers of `model`, and after them hidden ones and the last one."""
    model.flat()
    for units in hidden:
        model.linear(units)
        model.activation()
        model.layer()
    model.linear(num_classes)
    model.layer()
    return model.layers
