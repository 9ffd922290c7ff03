"""What every named cut of a model sends and leaves on either side. (Needs torch to be read.)

Nothing is computed: the layers run on torch's meta device, which has shapes only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from slsim.errors import DataError
from slsim.learning.flops import parts_of
from slsim.learning.layers import layers_of
from slsim.learning.models.base import Model


@dataclass(frozen=True)
class CutSize:
    """A cut for one sample: (client, server) parameters and FLOPs forward; a multiply-add is two."""

    cut: str
    layers: int
    activation_shape: tuple[int, ...]
    parameters: tuple[int, int]
    flops: tuple[float, float]

    @property
    def activation_bytes(self) -> int:
        """As float32."""
        return 4 * math.prod(self.activation_shape)


def cut_sizes(model: Model) -> list[CutSize]:
    """For images of the model's own `image_shape` and `classes`. Raises `DataError` where a model of a third
    party does not run without real numbers."""
    try:
        return _cut_sizes(model)
    except Exception as error:
        raise DataError(f"its sizes cannot be told: {error}") from error


def _cut_sizes(model: Model) -> list[CutSize]:
    with torch.device("meta"):
        network = model.build(model.image_shape, model.classes)
        images = torch.zeros(2, *model.image_shape)  # with one, batch normalization could refuse a sample
    layers = layers_of(network)
    edges = sorted({0, *model.cuts.values(), len(network)})
    pieces = [
        ("client", [layer for layer in layers if start < layer.number <= end])
        for start, end in pairwise(edges)
    ]
    found = dict(zip(edges[1:], parts_of(pieces, images, "in training"), strict=True))
    parameters = [_parameters(layer) for layer in network]
    return [
        CutSize(
            cut,
            count,
            found[count].shape,
            (sum(parameters[:count]), sum(parameters[count:])),
            (
                sum(part.flops.forward for end, part in found.items() if end <= count),
                sum(part.flops.forward for end, part in found.items() if end > count),
            ),
        )
        for cut, count in model.cuts.items()
    ]


def _parameters(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())
