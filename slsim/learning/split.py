"""A model cut in two: the client's half, the server's half, and what a sample costs in either."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from slsim import seeds
from slsim.errors import DataError, SlsimError
from slsim.learning import ghost
from slsim.learning.models import Model


@dataclass(frozen=True)
class HalfFlops:
    """Floating-point operations of one half for one sample; a multiply-add is two."""

    forward: float
    backward: float


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
    """Builds `model` with weights drawn from `seed` and cuts it. Raises `DataError` when its layers do not
    fit the images."""
    client_layers = model.client_layers(cut)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(seed, "weights"))
        try:
            layers = model.build(image_shape, classes)
            client, server = _cut(layers, client_layers)
            probe = torch.zeros(1, *image_shape)
            _settle(layers, probe)
            activations, logits, flops = _measured(client, server, probe)
        except SlsimError:
            raise
        except Exception as error:
            raise DataError(f"the model does not take images of shape {image_shape}: {error}") from error
    if logits != (classes,):
        raise DataError(f"the model gives {logits} values a sample, there are {classes} classes")
    return SplitModel(client, server, activations, *flops)


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


def _settle(layers: nn.Sequential, probe: torch.Tensor) -> None:
    """Lets lazy layers find their shapes and draw their weights; others are left alone."""
    if any(nn.parameter.is_lazy(parameter) for parameter in layers.parameters()):
        training = {module: module.training for module in layers.modules()}
        with torch.no_grad():
            layers.eval()(probe)
        for module, mode in training.items():
            module.training = mode


Measured: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[HalfFlops, HalfFlops]]


def _measured(client: nn.Sequential, server: nn.Sequential, probe: torch.Tensor) -> Measured:
    """The shapes of a sample's activations and logits, and both halves' FLOPs. Nothing is computed, where
    the layers can do without numbers."""
    with contextlib.suppress(Exception):
        return _measured_on("meta", client, server, probe)
    return _measured_on("cpu", client, server, probe)


def _measured_on(device: str, client: nn.Sequential, server: nn.Sequential, probe: torch.Tensor) -> Measured:
    """Runs copies, as at inference: running statistics stay as they are, and one sample is enough."""
    client, server = (_copied(half, device) for half in (client, server))
    activations, client_flops = _counted(client, probe.to(device))
    logits, server_flops = _counted(server, activations.requires_grad_())
    return tuple(activations.shape[1:]), tuple(logits.shape[1:]), (client_flops, server_flops)


def _copied(half: nn.Sequential, device: str) -> nn.Sequential:
    weights = {id(one): nn.Parameter(one.detach().to(device), one.requires_grad) for one in half.parameters()}
    return copy.deepcopy(half, weights).to(device).eval()


def _counted(half: nn.Sequential, inputs: torch.Tensor) -> tuple[torch.Tensor, HalfFlops]:
    """The half's output for one sample, detached, and its FLOPs, counted by torch as it runs."""
    with FlopCounterMode(display=False) as forward:
        outputs = cast(torch.Tensor, half(inputs))
    with FlopCounterMode(display=False) as backward:
        if outputs.requires_grad:  # a half without weights has nothing to do backward
            outputs.sum().backward()
    flops = HalfFlops(float(forward.get_total_flops()), float(backward.get_total_flops()))
    return outputs.detach(), flops
