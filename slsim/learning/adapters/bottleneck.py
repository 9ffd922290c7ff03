"""`bottleneck`: a trained convolution to few channels, and a transposed one back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from slsim.errors import DataError
from slsim.learning.adapters.base import Adapter
from slsim.learning.outline import LayerOutline, Outlining

if TYPE_CHECKING:
    from torch import nn

Activation = Literal["sigmoid", "relu", "tanh", "none"]


class Bottleneck(Adapter):
    """A trained bottleneck, as in BottleNet++: a convolution to few channels, and a transposed one back.

    Shao and Zhang, *BottleNet++: An End-to-End Approach for Feature Compression in Device-Edge Co-Inference
    Systems*, ICC Workshops 2020 (arXiv 1910.14315). Encoder: convolution C → `channels` (2×2 with stride 2,
    or 3×3 with stride 1, padded by 1), batch normalization, `activation`. Decoder: the transposed convolution
    of the same kernel, batch normalization, ReLU. With stride 2 height and width are halved, odd ones
    rounded up: they are padded by a row or column of zeros, which the transposed convolution crops again. So
    H×W×C activations are ⌈H/2⌉×⌈W/2⌉×`channels` numbers, 4C/`channels` times fewer where H and W are even.

    Of flat activations [d] both ends are linear layers, d → `channels` → d, and `stride` has no meaning.
    """

    channels: int = Field(4, strict=True, ge=1, le=10**6, description="The number of channels that cross.")
    stride: int = Field(
        2, strict=True, ge=1, le=2, description="What height and width are divided by, where there are any."
    )
    activation: Activation = Field("sigmoid", description="The function that ends the encoder.")

    def build(self, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
        from torch import nn

        self._check(shape)
        norm: type[nn.BatchNorm1d | nn.BatchNorm2d]
        if len(shape) == 3:
            ends, norm = self._convolutions(shape), nn.BatchNorm2d
        else:
            ends, norm = (
                (nn.Linear(shape[0], self.channels), nn.Linear(self.channels, shape[0])),
                nn.BatchNorm1d,
            )
        functions = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh, "none": nn.Identity}
        encoder = nn.Sequential(ends[0], norm(self.channels), functions[self.activation]())
        return encoder, nn.Sequential(ends[1], norm(shape[0]), nn.ReLU())

    def outline(self, shape: tuple[int, ...]) -> tuple[LayerOutline, LayerOutline]:
        self._check(shape)
        ends = Outlining(shape)
        if len(shape) == 1:
            ends.linear(self.channels)
        else:
            kernel = 2 if self.stride == 2 else 3
            ends.shape = (shape[0], *(side + side % self.stride for side in shape[1:]))
            ends.convolution(self.channels, kernel, self.stride, padding=kernel // 3)
        self._end(ends)
        if len(shape) == 1:
            ends.linear(*shape)
        else:
            ends.transposed_convolution(shape[0], kernel, shape[1:])
        self._end(ends)
        encoder, decoder = ends.layers
        return encoder, decoder

    def _end(self, ends: Outlining) -> None:
        ends.normalization()
        ends.activation()
        ends.layer()

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) not in (1, 3):
            raise DataError(
                "the adapter bottleneck takes maps [channels, height, width] or flat activations, the cut "
                f"has {list(shape)} a sample; cut the model elsewhere"
            )

    def _convolutions(self, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
        """To few channels and back; a padding of 1 where a side is odd, and the same cropped again."""
        from torch import nn

        inputs = shape[0]
        if self.stride == 1:
            return (
                nn.Conv2d(inputs, self.channels, 3, padding=1),
                nn.ConvTranspose2d(self.channels, inputs, 3, padding=1),
            )
        odd = (shape[1] % 2, shape[2] % 2)
        return (
            nn.Conv2d(inputs, self.channels, 2, stride=2, padding=odd),
            nn.ConvTranspose2d(self.channels, inputs, 2, stride=2, padding=odd, output_padding=odd),
        )
