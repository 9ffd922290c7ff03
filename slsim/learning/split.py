"""A model cut in two: the client's half, the server's half, and what a sample costs in either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from slsim import seeds
from slsim.errors import DataError
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
    """`halve`, for training: raises `DataError` also when the model's layers depend on the other samples of
    a batch (see `Model`)."""
    halves = halve(model, cut, image_shape, classes, seed)
    modules = [*halves.client.modules(), *halves.server.modules()]
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules):
        raise DataError("models with batch normalization cannot be trained yet: clients' batches run as one")
    return halves


def halve(
    model: Model, cut: str | int, image_shape: tuple[int, int, int], classes: int, seed: int
) -> SplitModel:
    """Builds `model` with weights drawn from `seed` and cuts it. Raises `DataError` when its layers do not
    fit the images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(seed, "weights"))
        try:
            layers = model.build(image_shape, classes)
            probe = torch.zeros(1, *image_shape)
            client_layers = model.client_layers(cut)
            client, server = layers[:client_layers], layers[client_layers:]
            activations, client_flops = _measure(client, probe)
            logits, server_flops = _measure(server, activations.requires_grad_())
        except RuntimeError as error:
            raise DataError(f"the model does not take images of shape {image_shape}: {error}") from error
    if logits.shape != (1, classes):
        raise DataError(
            f"the model gives {tuple(logits.shape[1:])} values a sample, there are {classes} classes"
        )
    return SplitModel(client, server, tuple(activations.shape[1:]), client_flops, server_flops)


def _measure(half: nn.Sequential, inputs: torch.Tensor) -> tuple[torch.Tensor, HalfFlops]:
    """The half's output for one sample, detached, and its FLOPs, counted by torch as it runs."""
    with FlopCounterMode(display=False) as forward:
        outputs = cast(torch.Tensor, half(inputs))
    with FlopCounterMode(display=False) as backward:
        outputs.sum().backward()
    half.zero_grad()
    flops = HalfFlops(float(forward.get_total_flops()), float(backward.get_total_flops()))
    return outputs.detach(), flops
