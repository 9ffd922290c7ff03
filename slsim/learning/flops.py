"""Floating-point operations of what runs, counted from shapes; a multiply-add is two.

Counted are products and sums over an axis: convolutions of every kind, linear and bilinear layers, recurrent
layers, attention, and every matrix product; and fast Fourier transforms, as 5 N log₂ N of N complex numbers
and half of that of N real ones (as FFTW's benchmarks do). By convention everything else counts nothing:
pooling, normalization, activations, look-ups, additions. Padding is counted as if it were values.

torch's own counter does the counting. Its weight gradient of a convolution with groups is too large by the
number of groups (torch 2.14), and it has no formula for some products: those are here. Kernels that fuse what
it counts apart (recurrent layers, attention) are switched off while it counts.

`parts_of` counts the FLOPs of a model's consecutive parts. Every number of FLOPs in slsim comes from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2, prod
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from slsim.learning import ghost
from slsim.learning.layers import Layer, backward_of, output_of, walk
from slsim.learning.outline import HalfFlops

aten = torch.ops.aten
Shape = Sequence[int]


@dataclass(frozen=True)
class Part:
    """The shape of one sample's output of a part of a model, and the part's FLOPs."""

    shape: tuple[int, ...]
    flops: HalfFlops


def parts_of(
    parts: Sequence[tuple[str, Sequence[Layer]]], inputs: torch.Tensor, how: str, rows: int | None = None
) -> list[Part]:
    """Run a model's parts one after another on `inputs`, [samples, ...], forward and backward, and count.

    Each part has a name ("client", "server", "head") and its layers. The inputs of the first part need no
    gradient; those of the others do. The layers' weights collect gradients, so pass copies. `rows` are those
    that an adapter's encoder gives for all samples. Raises `DataError` that names the layer that fails; `how`
    says under which circumstances.
    """
    samples = len(inputs)
    found: list[Part] = []
    for name, layers in parts:
        if found:
            inputs = inputs.float().requires_grad_()
        with counted() as forward, ghost.grouped([layer.module for layer in layers], [samples]):
            steps = walk(layers, inputs, how)
        outputs = output_of(steps, name, samples, rows)
        with counted() as backward, backward_of(steps, how):
            if outputs.requires_grad:  # a first part without weights has nothing to do backward
                outputs.sum().backward()
        flops = HalfFlops(forward.get_total_flops() / samples, backward.get_total_flops() / samples)
        inputs = outputs.detach()
        found.append(Part(tuple(inputs.shape[1:]), flops))
    return found


def _convolution_backward(grad: Shape, x: Shape, weight: Shape, *settings: Any, **_more: Any) -> int:
    """Each of the two gradients pairs the same inputs, weights and outputs as the forward does."""
    *_, transposed, _output_padding, _groups, needed = (
        settings  # `needed`: of the input, the weight, the bias
    )
    positions = prod((x if transposed else grad)[2:])
    flops: int = 2 * x[0] * positions * prod(weight) * sum(map(bool, needed[:2]))
    return flops


def _trilinear(first: Shape, second: Shape, third: Shape, *expand: Any, **_more: Any) -> int:
    """Each term is two multiplications and an addition. `expand` has the axes that each operand lacks."""
    shapes = [list(shape) for shape in (first, second, third)]
    for shape, places in zip(shapes, expand[:3], strict=True):
        for place in places:
            shape.insert(place, 1)
    terms: int = prod(max(sizes) for sizes in zip(*shapes, strict=True))
    return 3 * terms


def _matrix_vector(matrix: Shape, *_rest: Any, **_more: Any) -> int:
    return 2 * prod(matrix)


def _added_matrix_vector(_added: Shape, matrix: Shape, *_rest: Any, **_more: Any) -> int:
    return 2 * prod(matrix)


def _added_products(_added: Shape, first: Shape, second: Shape, *_rest: Any, **_more: Any) -> int:
    return 2 * prod(first) * second[-1]


def _complex_transform(x: Shape, axes: Shape, *_rest: Any, **_more: Any) -> float:
    return 5 * _butterflies(x, axes)


def _real_transform(x: Shape, axes: Shape, *_rest: Any, **_more: Any) -> float:
    return 2.5 * _butterflies(x, axes)


def _inverse_real_transform(_x: Shape, axes: Shape, *_rest: Any, out_shape: Shape, **_more: Any) -> float:
    return 2.5 * _butterflies(out_shape, axes)


def _butterflies(shape: Shape, axes: Shape) -> float:
    """N log₂ N of the transformed axes, for each place on the others."""
    return prod(shape) * log2(max(1, prod(shape[axis] for axis in axes)))


FORMULAS: Mapping[Any, Callable[..., float]] = {
    aten.convolution_backward: _convolution_backward,
    aten._trilinear: _trilinear,
    aten.mv: _matrix_vector,
    aten.dot: _matrix_vector,
    aten.vdot: _matrix_vector,
    aten.addmv: _added_matrix_vector,
    aten.addbmm: _added_products,
    aten._fft_c2c: _complex_transform,
    aten._fft_r2c: _real_transform,
    aten._fft_c2r: _inverse_real_transform,
}


@contextmanager
def counted() -> Iterator[FlopCounterMode]:
    """Within it, what runs is counted: `get_total_flops()` of what it gives."""
    mkldnn, attention = torch.backends.mkldnn, torch.backends.mha
    recurrent, fused = mkldnn.enabled, attention.get_fastpath_enabled()
    mkldnn.enabled = False  # type: ignore[assignment]  # a property, which its stub does not say
    attention.set_fastpath_enabled(False)
    counter = FlopCounterMode(display=False, custom_mapping=dict(FORMULAS))
    try:
        with sdpa_kernel(SDPBackend.MATH), counter:
            yield counter
    finally:
        mkldnn.enabled = recurrent
        attention.set_fastpath_enabled(fused)
