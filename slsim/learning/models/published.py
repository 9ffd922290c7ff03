"""What the paper's models have in common: a width, and weights that torchvision has trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from slsim.errors import DataError
from slsim.learning.models.base import Model
from slsim.learning.outline import LayerOutline, Outlining

if TYPE_CHECKING:
    from torch import nn


class Published(Model):
    """A model that torchvision has too, up to the stem and the classifier.

    `width` scales the channels of every layer, to the nearest multiple of 8. Convolutions start as
    torchvision's do: He's normal distribution by the outputs' fan, biases at zero.

    `weights` is a file of torchvision's, such as resnet34-b627a593.pth, for width 1. Of the tensors whose
    names start as one of a group in `optional` all are loaded, or none where they do not fit; names in
    `ignored` have no place here; all others must fit.
    """

    halvings: ClassVar[int]  # of the images' sides
    optional: ClassVar[Sequence[Sequence[str]]] = ()
    ignored: ClassVar[Sequence[str]] = ()

    width: float = Field(
        1.0, strict=True, gt=0, le=4, description="A factor that scales the channels of every layer."
    )
    weights: Path | None = Field(
        None,
        description="A file of torchvision's weights to start from, beside the scenario or in "
        "the working directory.",
    )

    @field_validator("weights")
    @classmethod
    def _of_full_width(cls, weights: Path | None, info: ValidationInfo) -> Path | None:
        if weights is not None and info.data.get("width", 1) != 1:
            raise ValueError(f"torchvision's weights are for width = 1, not {info.data['width']:g}")
        return weights

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> nn.Sequential:
        from torch import nn

        self._check(image_shape)
        layers = nn.Sequential(*self._layers(image_shape[0], num_classes))
        for module in layers.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.weights is not None:
            from slsim.learning.models.weights import load

            load(layers, self.weights, self._torchvision_names(), self.optional, self.ignored)
        return layers

    def outline(self, image_shape: tuple[int, int, int], num_classes: int) -> Sequence[LayerOutline]:
        self._check(image_shape)
        model = Outlining(image_shape)
        self._outline_layers(model)
        model.mean()
        model.linear(num_classes)
        model.layer()
        return model.layers

    def _check(self, image_shape: tuple[int, int, int]) -> None:
        _, height, width = image_shape
        least, name = 2**self.halvings, type(self).__name__.lower()
        if min(height, width) < least:
            raise DataError(
                f"{height}×{width} pixels are too few: {name} halves them {self.halvings} times, so "
                f"{least}×{least} is the least"
            )

    @abstractmethod
    def _outline_layers(self, model: Outlining) -> None:
        """The layers below the classifier."""

    @abstractmethod
    def _layers(self, channels: int, num_classes: int) -> list[nn.Module]:
        """The layers for images of so many channels."""

    @abstractmethod
    def _torchvision_names(self) -> Mapping[str, str]:
        """Where a tensor's name starts as a key does, torchvision's name starts as the value does."""

    def _scaled(self, channels: int) -> int:
        return max(8, 8 * int(channels * self.width / 8 + 0.5))
