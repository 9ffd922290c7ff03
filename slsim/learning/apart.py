"""No client sees another's samples: batches of several clients through a module one after another, and
whether running them as one would be the same.

A layer that looks across the samples of a batch (a normalization of one's own, attention over the wrong
axis) would let one client's samples change another's activations. Nothing is taken from a layer's name: two
batches are run together and apart, forward and backward, and what comes out is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from slsim.learning import ghost
from slsim.learning.held import held
from slsim.learning.layers import Layer, copied, layers_of, walk
from slsim.learning.memory import lacks_memory

FORWARD, BACKWARD = 1e-4, 1e-2  # largest relative difference that is rounding, of outputs and of gradients
COUNTS, SHARES = (4, 3), (4 / 7, 3 / 7)  # samples of the two batches


@dataclass(frozen=True)
class Manner:
    """How a model is run in training, found out before it: in which memory layout, which parts take one
    client's batch after another's, and what a reader should know of it."""

    channels_last: bool
    client_apart: bool = False
    server_apart: bool = False
    head_apart: bool = False
    notices: tuple[str, ...] = ()


def one_by_one(
    module: nn.Module, parts: Sequence[torch.Tensor], shares: Sequence[float], counts: Sequence[int] = ()
) -> torch.Tensor:
    """Outputs of `module` for each client's batch alone, concatenated along the batch. `counts` are the
    samples of each, where a row may stand for several.

    Every client begins with the buffers (running statistics, counters) that are there, as on a machine of
    its own. Afterwards those of floating-point numbers are the mean over clients, by `shares`, of what each
    made of them; the others are as the last client left them.
    """
    places = [(owner, name) for owner in module.modules() for name, _ in owner.named_buffers(recurse=False)]
    begun = [getattr(owner, name) for owner, name in places]
    outputs, made = [], []
    layers = ghost.layers_of(module)
    for part, count in zip(parts, counts or map(len, parts), strict=True):
        fresh = {id(buffer): buffer.clone() for buffer in begun}  # one that two layers share stays one
        for (owner, name), buffer in zip(places, begun, strict=True):
            setattr(owner, name, fresh[id(buffer)])
        with ghost.grouped(layers, (count,)):
            outputs.append(module(part))
        made.append([getattr(owner, name).detach() for owner, name in places])
    merged: dict[int, torch.Tensor] = {}
    for (owner, name), before, own in zip(places, begun, zip(*made, strict=True), strict=True):
        after = merged.setdefault(id(before), _merged(before, own, shares))
        setattr(owner, name, after)
    return torch.cat(outputs)


def _merged(before: torch.Tensor, made: Sequence[torch.Tensor], shares: Sequence[float]) -> torch.Tensor:
    """A buffer after all clients; one that none has changed stays as it is, bit for bit."""
    if all(torch.equal(one, before) for one in made):
        return before
    if not before.is_floating_point():
        return made[-1]
    return torch.stack([one * share for one, share in zip(made, shares, strict=True)]).sum(0)


def mixing(half: nn.Sequential, first: int, batches: Sequence[torch.Tensor]) -> Layer | None:
    """The first layer of a half at which `batches`, of `COUNTS` samples, come out otherwise together than
    apart, in training or in evaluation; None where there is no difference but rounding. Where that cannot be
    found out, the half's first layer.

    Most halves agree as a whole. Where one does not, which it may not do because it draws or is deep, each
    layer is given the same inputs together and apart, and draws are held.
    """
    try:
        if _Comparison(half, first).differs(batches, whole=True) is None:
            return None
        with held():
            return _Comparison(half, first).differs(batches)
    except Exception as error:
        if lacks_memory(error):
            raise
        return layers_of(half, first)[0]


class _Comparison:
    """Two copies of a half on the CPU, one for the batches together and one for each alone."""

    def __init__(self, half: nn.Sequential, first: int) -> None:
        self._copies = [copied(half, "cpu") for _ in range(2)]
        self._layers = [layers_of(copy, first) for copy in self._copies]

    def differs(self, batches: Sequence[torch.Tensor], whole: bool = False) -> Layer | None:
        """The first layer at which there is a difference; with `whole`, the first if there is any."""
        for training in (True, False):
            for copy in self._copies:
                copy.train(training)
            edges = [0, len(self._layers[0])] if whole else [0, *self._ends(batches[0])]
            passed = batches
            for begin, end in pairwise(edges):
                joint, single = (
                    nn.Sequential(*(one.module for one in layers[begin:end])) for layers in self._layers
                )
                outputs = _compare(joint, single, passed, training)
                if outputs is None:
                    return self._layers[0][begin]
                passed = outputs
            if not all(
                _alike(*pair) for pair in zip(*(copy.buffers() for copy in self._copies), strict=True)
            ):
                return self._layers[0][0]
        return None

    def _ends(self, batch: torch.Tensor) -> list[int]:
        """After how many layers one tensor of numbers with a row a sample goes from layer to layer."""
        half = copied(self._copies[0], "cpu")
        with torch.no_grad(), ghost.grouped(half, COUNTS[:1]):
            steps = walk(layers_of(half), batch, "")
        ends = [
            place
            for place, step in enumerate(steps, 1)
            if step.has_rows(COUNTS[0]) and step.output.is_floating_point()
        ]
        return ends if ends[-1:] == [len(steps)] else [*ends, len(steps)]


def _compare(
    joint: nn.Module, single: nn.Module, batches: Sequence[torch.Tensor], training: bool
) -> list[torch.Tensor] | None:
    """Each batch's output, or None where together (through `joint`) and apart (through `single`) differ."""
    ones = [batch.detach().requires_grad_() for batch in batches]
    both = torch.cat(list(batches)).detach().requires_grad_()
    with torch.set_grad_enabled(training):
        apart = one_by_one(single, [one.clone() for one in ones], SHARES, COUNTS)
        with ghost.grouped(joint, COUNTS, SHARES):
            together = joint(both.clone())
    if together.shape != apart.shape or not _close(together, apart, FORWARD):
        return None
    if together.requires_grad:
        towards = torch.randn_like(apart)
        found = _gradients(together, [both], joint, towards), _gradients(apart, ones, single, towards)
        if not all(_close(one, other, BACKWARD) for one, other in zip(*found, strict=True)):
            return None
    return list(apart.detach().split(COUNTS if len(apart) == sum(COUNTS) else len(apart)))


def _gradients(
    outputs: torch.Tensor, inputs: Sequence[torch.Tensor], module: nn.Module, towards: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the inputs, concatenated, and of all weights, flat."""
    weights = [one for one in module.parameters() if one.requires_grad]
    found = torch.autograd.grad(outputs, [*inputs, *weights], towards, materialize_grads=True)
    flat = [one.flatten() for one in found[len(inputs) :]]
    return torch.cat(found[: len(inputs)]), torch.cat(flat) if flat else torch.zeros(0)


def _close(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    """Whether the difference is within `tolerance` of the size, in each client's rows where there are any."""
    one, other = one.detach().double(), other.detach().double()
    counts = COUNTS if len(one) == sum(COUNTS) else [len(one)]
    scale = 0.01 * float(other.norm())
    return all(
        float((own - alone).norm()) <= tolerance * max(float(alone.norm()), scale)
        for own, alone in zip(one.split(counts), other.split(counts), strict=True)
    )


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two buffers are the same but for rounding."""
    return torch.allclose(one.double(), other.double(), rtol=1e-3, atol=1e-5, equal_nan=True)
