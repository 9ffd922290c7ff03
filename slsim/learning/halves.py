"""One half of the model in training: its layers, its optimizer, and its state as one flat vector.

A vector is what is averaged over clients, what travels as weights, and what a checkpoint keeps: parameters
and the running statistics of batch normalization, float32, in the order of the layers. With a head on the
client, the client's half is the layers below the cut and, after them, those of the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from slsim.scenario.training_table import TrainingTable

FUSED = ("cpu", "cuda")  # devices on which torch takes a step in one pass over the weights


@dataclass(frozen=True)
class Snapshot:
    """A half's state, its optimizer's momentum (None before the first step), and what its layers count (left
    alone where there is none)."""

    weights: torch.Tensor
    momentum: torch.Tensor | None = None
    counters: tuple[torch.Tensor, ...] = ()

    def as_arrived(self, weights: torch.Tensor) -> Snapshot:
        """A half that begins with these weights and with what was counted here, without momentum."""
        return Snapshot(weights, None, self.counters)

    def plain(self) -> dict[str, Any]:
        """This as tensors and plain values."""
        return {"weights": self.weights, "momentum": self.momentum, "counters": self.counters}


class Half:
    """The layers of the client or of the server, trained by stochastic gradient descent."""

    def __init__(self, module: nn.Module, settings: TrainingTable) -> None:
        self.module = module
        self._parameters = list(module.parameters())
        self.optimizer: torch.optim.SGD | None = None
        if self._parameters:
            self.optimizer = torch.optim.SGD(
                self._parameters,
                lr=settings.learning_rate,
                momentum=settings.momentum,
                weight_decay=settings.weight_decay,
                fused=self._parameters[0].device.type in FUSED,
            )

    @property
    def _state(self) -> list[torch.Tensor]:
        """Looked up anew: a layer may put another tensor in a buffer's place."""
        return [*self._parameters, *(one for one in self.module.buffers() if one.is_floating_point())]

    @property
    def _counters(self) -> list[torch.Tensor]:
        return [buffer for buffer in self.module.buffers() if not buffer.is_floating_point()]

    @property
    def size(self) -> int:
        """Elements of the state."""
        return sum(tensor.numel() for tensor in self._state)

    @property
    def num_weights(self) -> int:
        """Elements of the state that are weights; they come first, and running statistics follow."""
        return sum(parameter.numel() for parameter in self._parameters)

    @property
    def num_learning(self) -> int:
        """Elements of the weights that learn."""
        return sum(parameter.numel() for parameter in self._learning)

    def counts(self) -> torch.Tensor:
        """What its layers count, as one vector, float32."""
        return flat(self._counters)

    def weights(self) -> torch.Tensor:
        """A copy of the state, float32 [size]."""
        return flat([tensor.detach() for tensor in self._state])

    def load(self, weights: torch.Tensor) -> None:
        """Put a state back."""
        with torch.no_grad():
            for tensor, part in zip(self._state, _parts(weights, self._state), strict=True):
                tensor.copy_(part)

    def gradients(self) -> torch.Tensor:
        """The gradients of the weights that learn, summed since the last step, as one vector, float32."""
        pairs = ((one.grad, one) for one in self._learning)
        return flat([torch.zeros_like(like) if grad is None else grad for grad, like in pairs])

    def set_gradients(self, gradients: torch.Tensor) -> None:
        """Put other gradients in place of those summed since the last step."""
        for parameter, part in zip(self._learning, _parts(gradients, self._learning), strict=True):
            parameter.grad = torch.empty_like(parameter, requires_grad=False).copy_(part)

    @property
    def _learning(self) -> list[nn.Parameter]:
        return [one for one in self._parameters if one.requires_grad]

    def snapshot(self) -> Snapshot:
        """A copy of the state, of the momentum and of what is counted."""
        buffers = [self._momentum(parameter) for parameter in self._parameters]
        momentum = None
        if any(buffer is not None for buffer in buffers):  # a weight that never had a gradient has none: 0
            pairs = zip(buffers, self._parameters, strict=True)
            momentum = flat([torch.zeros_like(like) if own is None else own for own, like in pairs])
        return Snapshot(self.weights(), momentum, tuple(counter.clone() for counter in self._counters))

    def restore(self, snapshot: Snapshot) -> None:
        """Put this state, momentum and counters back."""
        self.load(snapshot.weights)
        self.forget_momentum()
        if snapshot.counters:
            for counter, kept in zip(self._counters, snapshot.counters, strict=True):
                counter.copy_(kept)
        if snapshot.momentum is not None and self.optimizer is not None:
            parts = _parts(snapshot.momentum, self._parameters)
            for parameter, part in zip(self._parameters, parts, strict=True):
                buffer = torch.empty_like(parameter, requires_grad=False).copy_(part)  # and laid out like it
                self.optimizer.state[parameter]["momentum_buffer"] = buffer

    def forget_momentum(self) -> None:
        """As if no step had been taken."""
        if self.optimizer is not None:
            self.optimizer.state.clear()

    def step(self, learning_rate: float, participants: int) -> None:
        """One optimizer step by the gradients summed since the last, divided by `participants`."""
        if self.optimizer is None:
            return
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        if participants != 1:
            for parameter in self._parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(participants)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _momentum(self, parameter: torch.Tensor) -> torch.Tensor | None:
        assert self.optimizer is not None
        return cast("torch.Tensor | None", self.optimizer.state.get(parameter, {}).get("momentum_buffer"))


def lay_out(module: nn.Module, channels_last: bool) -> None:
    """Lay weights of images' convolutions out with their channels last, or leave all as it is."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()) if channels_last else ():
            if tensor.ndim == 4:
                tensor.data = tensor.data.to(memory_format=torch.channels_last)


def flat(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate tensors as one vector, float32, with their graph."""
    if not tensors:
        return torch.zeros(0)
    return torch.cat([tensor.reshape(-1).float() for tensor in tensors])


def _parts(vector: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The pieces of a flat vector, in the shapes of `like`."""
    pieces = vector.split([tensor.numel() for tensor in like]) if like else ()
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like, strict=True)]
