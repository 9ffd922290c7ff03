"""A half of the model layer by layer, so that what goes wrong is told of a layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from slsim.errors import DataError, SlsimError
from slsim.learning.memory import lacks_memory

CROSSING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)  # what can be sent, as float32


class End(nn.Sequential):
    """One end of an adapter in a half of the model: its encoder or its decoder, and what to call it. No layer
    that cuts count."""

    def __init__(self, called: str, module: nn.Module) -> None:
        super().__init__(module)
        self.called = called


@dataclass(frozen=True)
class Layer:
    """A layer of the model: its number, as cuts count, its dotted name, as torch has it, and itself. One end
    of an adapter has the number 0."""

    number: int
    name: str
    module: nn.Module

    def __str__(self) -> str:
        if isinstance(self.module, End):
            return self.module.called
        return f'layer {self.number} ("{self.name}", {type(self.module).__name__})'


@dataclass(frozen=True)
class Step:
    """A layer, and what it gave."""

    layer: Layer
    output: Any

    def has_rows(self, samples: int) -> bool:
        """Whether the output is one tensor with a row a sample."""
        output = self.output
        return isinstance(output, torch.Tensor) and output.ndim > 0 and len(output) == samples


Walk: TypeAlias = list[Step]


def layers_of(half: nn.Sequential, first: int = 1) -> list[Layer]:
    """The layers of a half that begins with the model's layer `first`. A layer that is itself a plain
    sequence is given as the layers in it, one end of an adapter as one."""
    found: list[Layer] = []
    for name, module in half._modules.items():
        if isinstance(module, End):
            found.append(Layer(0, name, module))
        else:
            found += _within(first, name, module)
            first += 1
    return found


def num_layers(half: nn.Sequential) -> int:
    """The number of layers of a half, as cuts count."""
    return sum(not isinstance(module, End) for module in half)


def _within(number: int, name: str, module: nn.Module | None) -> Iterator[Layer]:
    assert module is not None
    if type(module).forward is nn.Sequential.forward and module._modules:
        for own, inner in module._modules.items():
            yield from _within(number, f"{name}.{own}", inner)
    else:
        yield Layer(number, name, module)


def walk(layers: Sequence[Layer], inputs: torch.Tensor, how: str) -> Walk:
    """Run the layers one after another. Raises `DataError` that names the layer that fails and the reason;
    `how` says under which circumstances ("in training, with 3 samples")."""
    steps: Walk = []
    value: Any = inputs
    for layer in layers:
        with naming(lambda: f"{layer} fails {how}{_given(steps)}"):  # noqa: B023  # called at once
            value = layer.module(value)
        steps.append(Step(layer, value))
    return steps


def _given(steps: Walk) -> str:
    if not steps or isinstance(steps[-1].output, torch.Tensor):
        return ""
    return f", where {steps[-1].layer} gives it a {type(steps[-1].output).__name__}"


@contextmanager
def backward_of(steps: Walk, how: str) -> Iterator[None]:
    """Within it, the gradients of what was walked are computed; what fails is told of the layer whose
    gradient that is."""
    reached = [steps[-1].layer]
    for step in steps:
        if isinstance(step.output, torch.Tensor) and step.output.requires_grad:
            step.output.register_hook(lambda _, layer=step.layer: reached.append(layer))
    with naming(lambda: f"{reached[-1]} fails in its backward {how}"):
        yield


@contextmanager
def naming(what: Callable[[], str]) -> Iterator[None]:
    """Turn whatever a stranger's code raises into a `DataError` with `what` before the first line of the
    reason. Lack of memory passes, and so does what slsim raises."""
    try:
        yield
    except SlsimError:
        raise
    except (Exception, SystemExit) as error:
        if lacks_memory(error):
            raise
        raise DataError(f"{what()}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """The first line of what an exception says, with its type where that is not torch's usual one."""
    text = str(error).strip().partition("\n")[0]
    if type(error) is RuntimeError and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def output_of(steps: Walk, half: str, samples: int, rows: int | None = None) -> torch.Tensor:
    """What comes out of a part of the model ("client", "server" or "head"), checked: one tensor of
    floating-point numbers with a row a sample, not empty; after an adapter's encoder, with so many `rows`.
    Raises `DataError` that names the layer that makes it something else."""
    layer, output = steps[-1].layer, steps[-1].output
    if half == "client" and isinstance(layer.module, End):
        output_of(steps[:-1], half, samples)
        return _code_of(layer, output, samples if rows is None else rows)
    part = "head" if half == "head" else f"{half}'s half"
    must = f"out of the {part} must come one tensor of floating-point numbers with a row a sample"
    if not isinstance(output, torch.Tensor):
        raise DataError(f"{layer} gives a {type(output).__name__}; {must}")
    if output.dtype not in CROSSING:
        dtype = str(output.dtype).removeprefix("torch.")
        raise DataError(f"{layer} gives {dtype}; {must} (sent as float32)")
    if not steps[-1].has_rows(samples):
        before = [place for place, step in enumerate(steps) if step.has_rows(samples)]
        culprit = steps[before[-1] + 1 if before else 0]
        shape = tuple(getattr(culprit.output, "shape", ()))
        count = "one sample" if samples == 1 else f"{samples} samples"
        raise DataError(f"{culprit.layer} gives a tensor of shape {shape} for {count}; {must}")
    if output.numel() == 0:
        raise DataError(f"{layer} gives a tensor of shape {tuple(output.shape)}, which is empty; {must}")
    return output


def _code_of(encoder: Layer, output: Any, rows: int) -> torch.Tensor:
    """What comes out of an adapter's encoder, checked."""
    if isinstance(output, torch.Tensor):
        if output.dtype in CROSSING and output.numel() and output.ndim and len(output) == rows:
            return output
        dtype = str(output.dtype).removeprefix("torch.")
        given = f"a tensor of {dtype} of shape {tuple(output.shape)}"
    else:
        given = f"a {type(output).__name__}"
    count = "one row" if rows == 1 else f"{rows} rows"
    raise DataError(f"{encoder} gives {given}; one tensor of floating-point numbers with {count} is due")


def copied(half: nn.Sequential, device: str | torch.device) -> nn.Sequential:
    """A copy of a half on `device`, which shares nothing with it. Tensors that layers compute from their
    weights and keep (old weight normalization) are copied as values, which the next forward computes anew."""
    memo: dict[int, Any] = {
        id(one): nn.Parameter(one.detach().to(device, copy=True), one.requires_grad)
        for one in half.parameters()
    }
    for module in half.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().to(device, copy=True)
    return copy.deepcopy(half, memo).to(device)
