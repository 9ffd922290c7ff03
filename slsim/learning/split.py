"""A model cut in two: the client's half, the server's half, and what a sample costs in either."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import nn

from slsim import seeds
from slsim.errors import DataError
from slsim.learning import ghost
from slsim.learning.flops import HalfFlops, Part, parts_of
from slsim.learning.layers import Layer, copied, layers_of, naming, walk
from slsim.learning.models import Model

PARTS = ("client", "server")
SAMPLES = 2  # with which shapes and FLOPs are found: one alone could lose its dimension


@dataclass(frozen=True)
class SplitModel:
    """Both halves, the shape of one sample's activations between them, and their FLOPs."""

    client: nn.Sequential
    server: nn.Sequential
    activation_shape: tuple[int, ...]
    client_flops: HalfFlops
    server_flops: HalfFlops


def split(
    model: Model, cut: str | int, image_shape: tuple[int, int, int], classes: int, seed: int
) -> SplitModel:
    """`halve`, for training: batch normalization keeps to each client's batch (see `ghost.py`)."""
    halves = halve(model, cut, image_shape, classes, seed)
    ghost.convert(halves.client)
    ghost.convert(halves.server)
    return halves


def halve(
    model: Model, cut: str | int, image_shape: tuple[int, int, int], classes: int, seed: int
) -> SplitModel:
    """Builds `model` with weights drawn from `seed` and cuts it. Raises `DataError` that names the layer
    where its layers do not fit the images, each other or the cut."""
    client_layers = model.client_layers(cut)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(seed, "weights"))
        with naming(lambda: f"the model cannot be built for images of shape {image_shape}"):
            layers = model.build(image_shape, classes)
        client, server = _cut(layers, client_layers)
        probe = torch.zeros(SAMPLES, *image_shape)
        _settle(layers, probe)
        _check_apart(*_layers_of_parts([client, server]))
        own, other = _measured([client, server], probe)
    if other.shape != (classes,):
        raise DataError(f"the model gives {other.shape} values a sample, there are {classes} classes")
    return SplitModel(client, server, own.shape, own.flops, other.flops)


def _cut(layers: nn.Sequential, count: int) -> tuple[nn.Sequential, nn.Sequential]:
    """The first `count` layers and the others, as plain sequences, under the names that they had."""
    if not 1 <= count < len(layers):
        raise DataError(
            f"cut after layer {count}, but the model has {len(layers)}; there are: 1 to {len(layers) - 1}"
        )
    named = list(layers._modules.items())
    client, server = nn.Sequential(), nn.Sequential()
    client._modules.update(named[:count])
    server._modules.update(named[count:])
    for module in server.modules():  # what the server receives is a leaf, which torch does not let change
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    return client, server


def _check_apart(client: list[Layer], server: list[Layer]) -> None:
    """Raises `DataError` where a weight that learns is on both sides of the cut: two optimizers on two
    machines would move it. Layers without such weights may be shared."""
    owners = {place: layer for layer in client for place in _learning(layer)}
    for layer in server:
        for place in _learning(layer):
            if place in owners:
                later = f" (at {layer.number} or more)" if layer.number < server[-1].number else ""
                raise DataError(
                    f"{owners[place]} and {layer} share a weight, and the cut lies between them; cut the "
                    f"model before both or after both{later}"
                )


def _learning(layer: Layer) -> list[int]:
    """Where the layer's weights that learn lie in memory."""
    return [
        one.data_ptr() or id(one) for one in layer.module.parameters() if one.requires_grad and one.numel()
    ]


def _settle(layers: nn.Sequential, probe: torch.Tensor) -> None:
    """Lets lazy layers find their shapes and draw their weights; others are left alone."""
    if any(nn.parameter.is_lazy(parameter) for parameter in layers.parameters()):
        training = {module: module.training for module in layers.modules()}
        with torch.no_grad():
            walk(layers_of(layers.eval()), probe, _how("in evaluation", probe))
        for module, mode in training.items():
            module.training = mode


def _how(mode: str, probe: torch.Tensor) -> str:
    return f"{mode}, for images of shape {tuple(probe.shape[1:])}"


def _measured(parts: Sequence[nn.Sequential], probe: torch.Tensor) -> list[Part]:
    """The shape of a sample's output of each part, and its FLOPs. Nothing is computed, where the layers can
    do without numbers."""
    with contextlib.suppress(Exception):
        return _measured_on("meta", parts, probe)
    return _measured_on("cpu", parts, probe)


def _measured_on(device: str, parts: Sequence[nn.Sequential], probe: torch.Tensor) -> list[Part]:
    """Measure copies of the parts on `device`, in training mode."""
    copies = [copied(part, device).train() for part in parts]
    named = list(zip(PARTS, _layers_of_parts(copies), strict=False))
    return parts_of(named, probe.to(device), _how("in training", probe))


def _layers_of_parts(parts: Sequence[nn.Sequential]) -> list[list[Layer]]:
    """The layers of each part, numbered through the whole model."""
    firsts = accumulate((len(part) for part in parts), initial=1)
    return [layers_of(part, first) for part, first in zip(parts, firsts, strict=False)]
