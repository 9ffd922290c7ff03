"""Two small models for quick work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.errors import DataError
from slsim.learning.models.base import Model

if TYPE_CHECKING:
    from torch import nn


class Cnn(Model):
    """Three convolution blocks (3×3, ReLU, 2×2 max-pool) and two fully connected layers."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 1, "medium": 2, "deep": 3}
    num_layers = 5
    convolutions = (1, 1, 1, 0, 0)
    image_shape = (1, 28, 28)

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


class Mlp(Model):
    """Three fully connected layers, ReLU between them."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 1, "deep": 2}
    num_layers = 3
    image_shape = (1, 28, 28)

    hidden: int = Field(128, strict=True, ge=1, le=65536, description="units of each hidden layer")

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        channels, height, width = image_shape
        return nn.Sequential(
            nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, self.hidden), nn.ReLU()),
            nn.Sequential(nn.Linear(self.hidden, self.hidden), nn.ReLU()),
            nn.Linear(self.hidden, num_classes),
        )
