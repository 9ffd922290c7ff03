"""What the contract of an adapter promises, tried."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from slsim.errors import SlsimError
from slsim.learning import adapting, ghost
from slsim.learning.adapters.base import Adapter
from slsim.learning.flops import parts_of
from slsim.learning.halves import Half
from slsim.learning.layers import copied, layers_of
from slsim.recording import CutShape
from slsim.scenario.training_table import TrainingTable

SHAPE = (6, 5, 7)
TOLERANCE = 1e-4  # relative: rounding of a sum in another order
STEP = 1e-3  # a learning rate at which a step leaves no weight where it was


def check_adapter(adapter: Adapter, shape: tuple[int, ...] = SHAPE) -> None:
    """Raises AssertionError unless `adapter` keeps the contract of `Adapter` for activations of `shape`: what
    it builds, rows and shapes, that it is drawn from the seed alone, that gradients arrive, that clients do
    not see each other's samples, and that its weights can be trained.

    Example:
        >>> from slsim.learning.adapters import create
        >>> check_adapter(create("bottleneck", channels=2), shape=(8, 4, 4))
    """
    again = type(adapter).model_validate(adapter.model_dump(mode="json"))
    assert again == adapter, "an adapter made from the written parameters is not equal"
    ends = _Ends(adapter, shape)
    same = _Ends(again, shape)
    for samples in (1, 2, ends.cut_shape.samples_a_row, 2 * ends.cut_shape.samples_a_row + 1):
        x = ends.inputs(samples)
        code, outputs = ends.through(x, [samples])
        rows = ends.cut_shape.rows(samples)
        assert tuple(code.shape) == (rows, *ends.cut_shape.shape), f"a code of shape {tuple(code.shape)}"
        assert outputs.shape == x.shape, f"decoded to shape {tuple(outputs.shape)}, of {tuple(x.shape)}"
        assert torch.equal(outputs, same.through(x, [samples])[1]), "built twice from one seed, it differs"
        assert bool(torch.isfinite(outputs).all()), "ordinary activations become NaN or infinite"
    _check_outline(adapter, ends, shape)
    _check_gradients(ends)
    _check_clients(ends)
    _check_step(ends)


class _Ends:
    """Both ends of an adapter as in training, built from one seed."""

    def __init__(self, adapter: Adapter, shape: tuple[int, ...]) -> None:
        self._shape = shape
        client, server = nn.Sequential(nn.Identity()), nn.Sequential()
        with _faults():
            self.cut_shape: CutShape = adapting.append(adapter, client, server, shape, seed=0)
        ghost.convert(client)
        ghost.convert(server)
        self.encoder, self.decoder = client.train(), server.train()

    def inputs(self, samples: int, seed: int = 0) -> torch.Tensor:
        """Activations as after a ReLU."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(samples, *self._shape, generator=generator).relu()

    def through(self, x: torch.Tensor, counts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The code and what is decoded of it."""
        with ghost.grouped([self.encoder, self.decoder], counts), _faults():
            code: torch.Tensor = self.encoder(x)
            return code, self.decoder(code)

    def named(self) -> list[tuple[str, nn.Sequential]]:
        """The halves that the ends are in."""
        return [("client", self.encoder), ("server", self.decoder)]

    def weights(self) -> list[tuple[str, nn.Parameter]]:
        """The weights that learn, by name."""
        return [
            (f"{name}, {weight}", parameter)
            for name, end in (("encoder", self.encoder), ("decoder", self.decoder))
            for weight, parameter in end.named_parameters()
            if parameter.requires_grad
        ]


def _check_outline(adapter: Adapter, ends: _Ends, shape: tuple[int, ...]) -> None:
    """What is said without torch is what torch builds."""
    told = adapter.outline(shape)
    if told is None:
        return
    parts = [(name, layers_of(copied(end, "meta"))) for name, end in ends.named()]
    inputs = torch.zeros(2 * ends.cut_shape.samples_a_row, *shape, device="meta", requires_grad=True)
    found = parts_of(parts, inputs, "in training", rows=2)
    for (name, end), outline, built in zip(ends.named(), told, found, strict=True):
        half = Half(end, TrainingTable())
        sizes = outline.weights, outline.weights + outline.statistics, outline.counters
        due = half.num_weights, half.size, len(half.counts())
        assert sizes == due, f"{name}: the outline has {sizes} weights, of the state and counters, not {due}"
        assert outline.shape == built.shape, f"{name}: the outline has {outline.shape}, not {built.shape}"
        flops = (outline.flops.forward, built.flops.forward), (outline.flops.backward, built.flops.backward)
        assert all(math.isclose(*pair) for pair in flops), f"{name}: FLOPs, outlined and counted: {flops}"


def _check_gradients(ends: _Ends) -> None:
    """Gradients arrive at the activations and at every weight that learns."""
    x = ends.inputs(4).requires_grad_()
    _, outputs = ends.through(x, [4])
    named = ends.weights()
    assert outputs.requires_grad, "no gradient goes through the two ends"
    found = torch.autograd.grad(
        outputs, [x, *(one for _, one in named)], ends.inputs(4, seed=1), allow_unused=True
    )
    names = ["activations", *(name for name, _ in named)]
    lost = [name for name, gradient in zip(names, found, strict=True) if gradient is None]
    assert not lost, f"no gradient arrives at: {', '.join(lost)}"


def _check_clients(ends: _Ends) -> None:
    """Two clients' samples as one batch are what each alone is, forward and backward."""
    counts = [3, ends.cut_shape.samples_a_row + 2]
    parts = [ends.inputs(count, seed=count).mul_(place) for place, count in enumerate(counts, 1)]
    both = torch.cat(parts).requires_grad_()
    _, together = ends.through(both, counts)
    alone = [part.requires_grad_() for part in parts]
    apart = torch.cat([ends.through(part, [len(part)])[1] for part in alone])
    assert _close(together, apart), "a client's samples come out otherwise beside another client's"
    towards = ends.inputs(len(both), seed=9)
    (joint,) = torch.autograd.grad(together, both, towards)
    single = torch.autograd.grad(apart, alone, towards)
    assert _close(joint, torch.cat(single)), "a client's gradients are others beside another client's"


def _check_step(ends: _Ends) -> None:
    """A training step as across a cut: the code is received as a leaf, and its gradient sent back."""
    x = ends.inputs(4)
    weights = [one for _, one in ends.weights()]
    with ghost.grouped([ends.encoder, ends.decoder], [4]):
        code = ends.encoder(x)
        received = code.detach().float().requires_grad_()
        with _faults():
            (ends.decoder(received) * ends.inputs(4, seed=1)).sum().backward()
    assert received.grad is not None, "no gradient arrives at the code"
    if code.requires_grad:
        code.backward(received.grad)
    if weights:
        before = [one.detach().clone() for one in weights]
        torch.optim.SGD(weights, lr=STEP).step()
        moved = any(not torch.equal(*pair) for pair in zip(before, weights, strict=True))
        assert moved, "a training step moves no weight; freeze them (requires_grad_(False)) if that is meant"


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    difference, size = (one - other).detach().norm(), other.detach().norm()
    return float(difference) <= TOLERANCE * max(float(size), 1e-6)


@contextmanager
def _faults() -> Iterator[None]:
    """Whatever an adapter raises, as what does not hold."""
    try:
        yield
    except SlsimError as error:
        raise AssertionError(str(error)) from error
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
