"""The paper's ResNets (He et al., CVPR 2016)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from slsim.learning.models.published import Published
from slsim.learning.outline import Outlining

if TYPE_CHECKING:
    from torch import nn

CHANNELS = (64, 128, 256, 512)


class Resnet(Published):
    """A stem, four stages of residual blocks, a classifier: each block is a layer.

    Inside a block two tensors would cross, its inner one and the shortcut's, so a model is cut between
    blocks. The stem is convolution 1 and a block has two, so after block n there are 2n + 1; the 1×1
    convolutions of shortcuts do not count. The paper's cut after convolution 2 is in the first block's
    middle: here the client gets the whole block, whose output has the same shape (the paper's program puts
    two plain convolutions there instead).

    Of torchvision's weights the classifier is loaded where its shapes agree, and the stem too, which for
    CIFAR is another than torchvision's.
    """

    blocks: ClassVar[tuple[int, int, int, int]]  # of each stage

    def _layers(self, channels: int, num_classes: int) -> list[nn.Module]:
        from torch import nn

        from slsim.learning.models.blocks import BasicBlock

        width = self._scaled(CHANNELS[0])
        layers: list[nn.Module] = [self._stem(channels, width)]
        for stage, (count, outputs) in enumerate(zip(self.blocks, CHANNELS, strict=True)):
            for number in range(count):
                stride = 2 if stage and not number else 1
                layers.append(BasicBlock(width, self._scaled(outputs), stride))
                width = self._scaled(outputs)
        classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))
        return [*layers, classifier]

    @abstractmethod
    def _stem(self, channels: int, outputs: int) -> nn.Sequential:
        """Convolution, batch normalization and ReLU, and whatever else comes before the first block."""

    def _outline_layers(self, model: Outlining) -> None:
        width = self._scaled(CHANNELS[0])
        self._outline_stem(model, width)
        for stage, (count, outputs) in enumerate(zip(self.blocks, CHANNELS, strict=True)):
            for number in range(count):
                _outline_block(model, self._scaled(outputs), stride=2 if stage and not number else 1)

    @abstractmethod
    def _outline_stem(self, model: Outlining, outputs: int) -> None:
        """The layer of `_stem`."""

    def _torchvision_names(self) -> Mapping[str, str]:
        blocks = [
            f"layer{stage}.{number}."
            for stage, count in enumerate(self.blocks, start=1)
            for number in range(count)
        ]
        names = {f"{layer}.": block for layer, block in enumerate(blocks, start=1)}
        return {"0.0.": "conv1.", "0.1.": "bn1.", **names, f"{len(blocks) + 1}.2.": "fc."}


class Resnet18(Resnet):
    """ResNet18, 3×3 stem for CIFAR; its shallow cut gives the client the whole first residual block."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 2, "medium": 5, "deep": 7}  # convolutions (2), 9, 13
    num_layers = 10
    convolutions = (1, *(2,) * 8, 0)
    classes = 100
    halvings = 3
    blocks = (2, 2, 2, 2)
    optional = (("conv1.", "bn1."), ("fc.",))

    def _stem(self, channels: int, outputs: int) -> nn.Sequential:
        """Keeps the images' size."""
        from torch import nn

        convolution = nn.Conv2d(channels, outputs, kernel_size=3, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

    def _outline_stem(self, model: Outlining, outputs: int) -> None:
        model.convolution(outputs, kernel=3, padding=1, bias=False)
        model.normalization()
        model.activation()
        model.layer()


class Resnet34(Resnet):
    """ResNet34, 7×7 stem for ImageNet; its shallow cut gives the client the whole first residual block."""

    cuts: ClassVar[Mapping[str, int]] = {"shallow": 2, "medium": 8, "deep": 14}  # convolutions (2), 15, 27
    num_layers = 18
    convolutions = (1, *(2,) * 16, 0)
    image_shape = (3, 224, 224)
    classes = 1000
    halvings = 5
    blocks = (3, 4, 6, 3)
    optional = (("fc.",),)

    def _stem(self, channels: int, outputs: int) -> nn.Sequential:
        """Halves the images' size twice."""
        from torch import nn

        convolution = nn.Conv2d(channels, outputs, kernel_size=7, stride=2, padding=3, bias=False)
        pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), pool)

    def _outline_stem(self, model: Outlining, outputs: int) -> None:
        model.convolution(outputs, kernel=7, stride=2, padding=3, bias=False)
        model.normalization()
        model.activation()
        model.pooling(3, stride=2, padding=1)
        model.layer()


def _outline_block(model: Outlining, outputs: int, stride: int) -> None:
    """The layer of `BasicBlock`."""
    inputs = model.shape
    if stride != 1 or inputs[0] != outputs:
        model.convolution(outputs, kernel=1, stride=stride, bias=False)
        model.normalization()
    model.shape = inputs
    model.convolution(outputs, kernel=3, stride=stride, padding=1, bias=False)
    model.normalization()
    model.activation()
    model.convolution(outputs, kernel=3, padding=1, bias=False)
    model.normalization()
    model.activation()
    model.layer()
