"""`c3`: several samples of a mini-batch bound into one by circular convolution with random keys."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from slsim.learning.adapters.base import Adapter
from slsim.learning.outline import LayerOutline, Outlining, transform_flops

if TYPE_CHECKING:
    from torch import nn


class C3(Adapter):
    """Circular convolution, as in C3-SL: several samples of a mini-batch are bound into one tensor.

    Hsieh, Chuang and Wu, *C3-SL: Circular Convolution-Based Batch-Wise Compression for
    Communication-Efficient Split Learning*, MLSP 2022 (arXiv 2207.12397). Each sample z_r of a group of R is
    convolved with a key of its own, V = Σ k_r ⊛ z_r, over its d flattened activations; the server takes
    ẑ_r = k_r ⋆ V, their circular correlation, which is z_r and noise of the others. The keys are drawn from
    the seed on both sides, k_r ~ N(0, 1/d), and normalised; nothing is trained. What comes back is the
    gradient of V: the client's is its exact adjoint.

    R consecutive samples of a client's mini-batch are a group; a last one may have fewer (the paper's batches
    are whole multiples of R), and no group has samples of two clients. Convolutions are by fast Fourier
    transforms, which count on the clock (see `flops.py`) as in whole groups.
    """

    samples: int = Field(
        4, strict=True, ge=2, le=10**4, description="The number of samples that are bound into one."
    )

    @property
    def samples_a_row(self) -> int:
        return self.samples

    def build(self, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
        import torch

        from slsim.learning.adapters.binding import Bind, Unbind

        keys = torch.randn(self.samples, prod(shape))
        keys = keys / keys.norm(dim=1, keepdim=True)
        return Bind(keys, shape), Unbind(keys, shape)

    def outline(self, shape: tuple[int, ...]) -> tuple[LayerOutline, LayerOutline]:
        transform, ends = transform_flops(prod(shape)), Outlining(shape)
        a_row = transform / self.samples
        # Forward there is a transform of each sample and one back of each row, and then the other way
        # around; backward, that of what was real is a complex one.
        ends.fixed(shape, transform + a_row, 2 * transform + a_row)
        ends.layer()
        ends.fixed(shape, a_row + transform, 2 * a_row + transform)
        ends.layer()
        encoder, decoder = ends.layers
        return encoder, decoder
