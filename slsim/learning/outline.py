"""What is known of a model without its weights: shapes, sizes and FLOPs of its parts. (Needs no torch.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2, prod
from typing import TYPE_CHECKING, Any

from slsim.recording import CutShape

if TYPE_CHECKING:
    from slsim.learning.halves import Half
    from slsim.learning.parts import Parts

Shape = tuple[int, ...]


@dataclass(frozen=True)
class HalfFlops:
    """Floating-point operations of one part of a model for one sample; a multiply-add is two."""

    forward: float
    backward: float


@dataclass(frozen=True)
class LayerOutline:
    """A layer: the shape of one sample's output, elements of its weights, of its running statistics and of
    what it counts, and a sample's FLOPs. `to_inputs` are those of `flops.backward` that give the gradient of
    its inputs, which a model's first layer does not need. `held` are the elements that its operations make of
    a sample, and `largest` the most that one of them makes.
    """

    shape: Shape
    weights: int
    statistics: int
    counters: int
    flops: HalfFlops
    to_inputs: float
    held: int
    largest: int


@dataclass(frozen=True)
class PartOutline:
    """What one machine holds of a model: elements of its weights, of those that learn, of its whole state
    (running statistics included), and of what layers count."""

    weights: int
    learning: int
    size: int
    counters: int


@dataclass(frozen=True)
class ModelOutline:
    """A model that is cut: what crosses, what the parts compute for a sample, and what each machine holds.
    `held` are the elements that all operations make of a sample, and `largest` the most that one makes; 0
    where that is not known. The client's half has the head, where there is one."""

    cut_shape: CutShape
    client_flops: HalfFlops
    server_flops: HalfFlops
    client: PartOutline
    server: PartOutline
    head_shape: Shape | None = None
    head_flops: HalfFlops | None = None
    held: int = 0
    largest: int = 0

    @classmethod
    def of_layers(
        cls,
        layers: Sequence[LayerOutline],
        cuts: Sequence[int],
        ends: tuple[LayerOutline, LayerOutline] | None = None,
        samples_a_row: int = 1,
    ) -> ModelOutline:
        """The model of these layers, cut after so many of them, once or twice; with an adapter's encoder and
        decoder at the first cut, where they are given (see `CutShape`)."""
        parts = [list(layers[begin:end]) for begin, end in pairwise([0, *cuts, len(layers)])]
        bare = parts[0][-1].shape
        if ends is not None:
            parts[0], parts[1] = [*parts[0], ends[0]], [ends[1], *parts[1]]
        flops = [_flops(part, first=place == 0) for place, part in enumerate(parts)]
        on_client = [*parts[0], *(parts[2] if len(parts) > 2 else ())]
        return cls(
            cut_shape=CutShape(parts[0][-1].shape, bare, samples_a_row),
            client_flops=flops[0],
            server_flops=flops[1],
            client=_held_by(on_client),
            server=_held_by(parts[1]),
            head_shape=parts[1][-1].shape if len(parts) > 2 else None,
            head_flops=flops[2] if len(parts) > 2 else None,
            held=sum(layer.held for part in parts for layer in part),
            largest=max(layer.largest for part in parts for layer in part),
        )

    @classmethod
    def of_parts(cls, parts: Parts) -> ModelOutline:
        """The model that was built and cut."""
        model = parts.model
        return cls(
            cut_shape=model.cut_shape,
            client_flops=model.client_flops,
            server_flops=model.server_flops,
            client=_of_half(parts.client),
            server=_of_half(parts.server),
            head_shape=model.head_shape,
            head_flops=model.head_flops,
        )


def _flops(layers: Sequence[LayerOutline], first: bool) -> HalfFlops:
    backward = sum(layer.flops.backward for layer in layers) - (layers[0].to_inputs if first else 0)
    return HalfFlops(sum(layer.flops.forward for layer in layers), backward)


def _held_by(layers: Sequence[LayerOutline]) -> PartOutline:
    weights = sum(layer.weights for layer in layers)
    statistics = sum(layer.statistics for layer in layers)
    return PartOutline(weights, weights, weights + statistics, sum(layer.counters for layer in layers))


def _of_half(half: Half) -> PartOutline:
    counters = len(half.counts())
    return PartOutline(half.num_weights, half.num_learning, half.size, counters)


class Outlining:
    """Describe a model layer by layer, as torch would build it: each method is an operation on the output of
    the one before, and `layer` ends a layer. `shape` is that of one sample."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.layers: list[LayerOutline] = []
        self._begin()

    def _begin(self) -> None:
        self._weights = self._statistics = self._counters = self._held = self._largest = 0
        self._forward = self._backward = 0.0
        self._to_inputs: float | None = None

    def convolution(
        self, outputs: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        """A square kernel."""
        inputs = self.shape[0]
        self.shape = (outputs, *self._reduced(kernel, stride, padding))
        weights = inputs * outputs * kernel**2
        self._multiplied(weights + outputs * bias, 2.0 * weights * prod(self.shape[1:]))

    def transposed_convolution(self, outputs: int, kernel: int, sides: Sequence[int]) -> None:
        """A square kernel, with a bias, to maps of these sides."""
        inputs = self.shape[0]
        weights, positions = inputs * outputs * kernel**2, prod(self.shape[1:])
        self.shape = (outputs, *sides)
        self._multiplied(weights + outputs, 2.0 * weights * positions)

    def fixed(self, shape: Shape, forward: float, backward: float) -> None:
        """Something without weights, to an output of `shape`, of so many FLOPs."""
        self.shape = shape
        self._forward += forward
        self._backward += backward
        self._to_inputs = backward if self._to_inputs is None else self._to_inputs
        self._made()

    def linear(self, outputs: int) -> None:
        """With a bias."""
        (inputs,) = self.shape
        self.shape = (outputs,)
        self._multiplied(inputs * outputs + outputs, 2.0 * inputs * outputs)

    def normalization(self) -> None:
        """Of a batch: two weights a channel, two running statistics, and a counter."""
        self._weights += 2 * self.shape[0]
        self._statistics += 2 * self.shape[0]
        self._counters += 1
        self._made()

    def activation(self) -> None:
        """ReLU or the like."""
        self._made()

    def pooling(self, kernel: int, stride: int = 0, padding: int = 0) -> None:
        """Over squares; `stride` is the kernel's size where it is left out."""
        self.shape = (self.shape[0], *self._reduced(kernel, stride or kernel, padding))
        self._made()

    def mean(self) -> None:
        """Of each channel, flat."""
        self.shape = self.shape[:1]
        self._made()

    def flat(self) -> None:
        """Flatten."""
        self.shape = (prod(self.shape),)

    def layer(self) -> None:
        """End a layer: the model may be cut here."""
        flops = HalfFlops(self._forward, self._backward)
        counts = (self._weights, self._statistics, self._counters)
        made = (self._held, self._largest)
        self.layers.append(LayerOutline(self.shape, *counts, flops, self._to_inputs or 0.0, *made))
        self._begin()

    def _reduced(self, kernel: int, stride: int, padding: int) -> tuple[int, ...]:
        return tuple((side + 2 * padding - kernel) // stride + 1 for side in self.shape[1:])

    def _multiplied(self, weights: int, flops: float) -> None:
        """Backward, the gradients of the inputs and of the weights each take as much as forward."""
        self._weights += weights
        self._forward += flops
        self._backward += 2 * flops
        self._to_inputs = flops if self._to_inputs is None else self._to_inputs
        self._made()

    def _made(self) -> None:
        self._held += prod(self.shape)
        self._largest = max(self._largest, prod(self.shape))


def transform_flops(size: int) -> float:
    """FLOPs of a fast Fourier transform of so many real numbers, 2.5 N log₂ N; a complex one has twice as
    many."""
    return 2.5 * size * log2(size)


class Unknown:
    """A vector of which the length alone is known, in place of a tensor."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    @property
    def shape(self) -> tuple[int]:
        return (self._length,)

    def _same(self, *_: Any, **__: Any) -> Unknown:
        return self

    add_ = zero_ = copy_ = clone = to = cpu = detach = requires_grad_ = _same
    __add__ = __radd__ = __iadd__ = __mul__ = __rmul__ = __truediv__ = _same

    def new_zeros(self, length: int) -> Unknown:
        return Unknown(length)

    def __getitem__(self, part: slice) -> Unknown:
        return Unknown(len(range(*part.indices(self._length))))

    def __setitem__(self, part: slice, value: Unknown) -> None:
        pass

    def tensor_split(self, count: int) -> list[Unknown]:
        """As even as can be, the longer ones first."""
        least, longer = divmod(self._length, count)
        return [Unknown(least + (place < longer)) for place in range(count)]
