"""A model cut in two or in three, and what a sample costs in each part.

Cut in two, the client has the bottom layers and the server the others. Cut in three ("U-shaped" split
learning), the client also has the top layers, which are called the head: the server has the layers between,
and the labels stay on the client.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations, pairwise

import torch
from torch import nn

from slsim import seeds
from slsim.errors import DataError
from slsim.learning import adapting, ghost
from slsim.learning.adapters import Adapter
from slsim.learning.flops import Part, parts_of
from slsim.learning.layers import Layer, copied, layers_of, naming, num_layers, walk
from slsim.learning.models import Model
from slsim.learning.outline import HalfFlops
from slsim.recording import CutShape

PARTS = ("client", "server", "head")
SAMPLES = 2  # with which shapes and FLOPs are found: one alone could lose its dimension


@dataclass(frozen=True)
class SplitModel:
    """The parts of a model, the shapes of one sample between them, and their FLOPs.

    `cut_shape` is that of what goes up from the client to the server. A model cut in three has a `head` on
    the client too; `head_shape` is the shape of the features that go down from the server to the head. A
    model cut in two has no head, and the server gives the logits.
    """

    client: nn.Sequential
    server: nn.Sequential
    cut_shape: CutShape
    client_flops: HalfFlops
    server_flops: HalfFlops
    head: nn.Sequential | None = None
    head_shape: tuple[int, ...] | None = None
    head_flops: HalfFlops | None = None

    @property
    def activation_shape(self) -> tuple[int, ...]:
        """The shape of a row of what goes up from the client to the server: of one sample's activations."""
        return self.cut_shape.shape


def split(
    model: Model,
    cut: str | int,
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    head_cut: str | int | None = None,
    adapter: Adapter | None = None,
) -> SplitModel:
    """Cut `model` as `halve` does, for training: batch normalization in every part keeps to each client's
    batch (see `ghost.py`)."""
    parts = halve(model, cut, image_shape, classes, seed, head_cut, adapter)
    for part in (parts.client, parts.server, parts.head):
        if part is not None:
            ghost.convert(part)
    return parts


def halve(
    model: Model,
    cut: str | int,
    image_shape: tuple[int, int, int],
    classes: int,
    seed: int,
    head_cut: str | int | None = None,
    adapter: Adapter | None = None,
) -> SplitModel:
    """Build `model` with weights drawn from `seed` and cut it.

    `cut` is a named cut of the model or a number of layers: those are the client's, and the others the
    server's. `head_cut`, told in the same way, is the number of layers below the head: the server has the
    layers from `cut` to `head_cut`, and the client has those above as its head. Initial weights do not
    depend on either cut, nor on an `adapter`, whose ends stand on both sides of `cut`. Raises `ValueError`
    for a `cut` that the model does not have, and `DataError` for a `head_cut` that is not above `cut` or
    leaves the head no layer. Raises `DataError` that names the layer where the model's layers do not fit the
    images, each other or the cuts, and where the adapter does not fit.
    """
    counts = [model.client_layers(cut)]
    if head_cut is not None:
        counts.append(_layers_below_head(model, head_cut))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.integer(seed, "weights"))
        with naming(lambda: f"the model cannot be built for images of shape {image_shape}"):
            layers = model.build(image_shape, classes)
        parts = _cut(layers, counts)
        probe = torch.zeros(SAMPLES, *image_shape)
        _settle(layers, probe)
        _check_apart(_layers_of_parts(parts))
        measured = _measured(parts, probe)
        cut_shape = CutShape(measured[0].shape, measured[0].shape)
        if adapter is not None:
            cut_shape = adapting.append(adapter, parts[0], parts[1], measured[0].shape, seed)
            probe = torch.zeros(SAMPLES * cut_shape.samples_a_row, *image_shape)
            measured = _measured(parts, probe, rows=SAMPLES)
    if measured[-1].shape != (classes,):
        raise DataError(f"the model gives {measured[-1].shape} values a sample, there are {classes} classes")
    client, server, *_ = parts
    own, other, *_ = measured
    halves = SplitModel(client, server, cut_shape, own.flops, other.flops)
    if head_cut is None:
        return halves
    return replace(halves, head=parts[-1], head_shape=other.shape, head_flops=measured[-1].flops)


def _layers_below_head(model: Model, head_cut: str | int) -> int:
    """The number of layers below the head. Raises `DataError` that lists the cuts for a name that is none;
    a number is checked when the layers are there (see `_cut`)."""
    if not isinstance(head_cut, str):
        return head_cut
    try:
        return model.client_layers(head_cut)
    except ValueError as error:
        raise DataError(f"head_cut: {error}") from None


def _cut(layers: nn.Sequential, counts: Sequence[int]) -> list[nn.Sequential]:
    """Divide `layers` after each of `counts` layers, into plain sequences with the names that layers had.
    Raises `DataError` for a count that leaves a part without layers."""
    last = len(layers)
    if not 1 <= counts[0] < last:
        raise DataError(f"cut after layer {counts[0]}, but the model has {last}; there are: 1 to {last - 1}")
    if len(counts) > 1 and not counts[0] < counts[1] < last:
        lowest, highest = counts[0] + 1, last - 1
        allowed = f"there are: {lowest} to {highest}" if lowest <= highest else "no layer is left for a head"
        raise DataError(
            f"head_cut after layer {counts[1]}, but the model has {last} and its cut is after layer "
            f"{counts[0]}; {allowed}"
        )
    named = list(layers._modules.items())
    parts = []
    for start, end in pairwise([0, *counts, last]):
        part = nn.Sequential()
        part._modules.update(named[start:end])
        parts.append(part)
    for part in parts[1:]:  # what a part receives is a leaf, which torch does not let change
        for module in part.modules():
            if getattr(module, "inplace", False) is True:
                module.inplace = False  # type: ignore[assignment]
    return parts


def _check_apart(parts: Sequence[list[Layer]]) -> None:
    """Raise `DataError` where a weight that learns is in two parts: an optimizer of each would move it, on
    two machines or (the client's bottom layers and its head) on one. Layers without such weights may be in
    several parts."""
    for (lower, below), (upper, above) in combinations(enumerate(parts), 2):
        owners = {place: layer for layer in below for place in _learning(layer)}
        for layer in above:
            for place in _learning(layer):
                if place in owners:
                    later = f" (at {layer.number} or more)" if layer.number < above[-1].number else ""
                    raise DataError(
                        f"{owners[place]} and {layer} share a weight, {_between(lower, upper, later)}"
                    )


def _between(lower: int, upper: int, later: str) -> str:
    """What is wrong with a weight that the parts of these numbers share, and what to do."""
    if upper - lower > 1:
        return (
            "and the server's layers lie between them: the client's bottom layers and its head are trained "
            "apart; move the cuts so that one part has both"
        )
    if lower == 0:
        return f"and the cut lies between them; cut the model before both or after both{later}"
    return f"and head_cut lies between them; let it be before both or after both{later}"


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


def _measured(parts: Sequence[nn.Sequential], probe: torch.Tensor, rows: int | None = None) -> list[Part]:
    """The shape of a sample's output of each part, and its FLOPs; with an adapter, which gives so many `rows`
    for the probe, of a row's. Nothing is computed, where the layers can do without numbers."""
    with contextlib.suppress(Exception):
        return _measured_on("meta", parts, probe, rows)
    return _measured_on("cpu", parts, probe, rows)


def _measured_on(
    device: str, parts: Sequence[nn.Sequential], probe: torch.Tensor, rows: int | None = None
) -> list[Part]:
    """Measure copies of the parts on `device`, in training mode."""
    copies = [copied(part, device).train() for part in parts]
    named = list(zip(PARTS, _layers_of_parts(copies), strict=False))
    return parts_of(named, probe.to(device), _how("in training", probe), rows)


def _layers_of_parts(parts: Sequence[nn.Sequential]) -> list[list[Layer]]:
    """The layers of each part, numbered through the whole model."""
    firsts = accumulate(map(num_layers, parts), initial=1)
    return [layers_of(part, first) for part, first in zip(parts, firsts, strict=False)]
