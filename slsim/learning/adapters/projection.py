"""`projection`: a fixed random orthogonal projection of each sample, lifted again by the server."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from slsim.learning.adapters.base import Adapter
from slsim.learning.outline import LayerOutline, Outlining, transform_flops

if TYPE_CHECKING:
    from torch import nn


class Projection(Adapter):
    """A fixed random orthogonal projection, as in LightSplit: fewer numbers a sample, and nothing is trained.

    *LightSplit* (arXiv 2605.13265). A sample's d activations z become z′ = P z, m numbers, where P, m×d, has
    orthonormal rows and is drawn from the seed on both sides; the server lifts them, Pᵀ z′. What comes back
    is P times the gradient at the server, and the client's is Pᵀ times that: the exact adjoint.

    A dense P of d = 65,536 would take gigabytes. So P = S H D for every d: D flips each sign or not, H is the
    orthonormal discrete Hartley transform (the real one of Fourier's family, of any length, its own inverse),
    and S keeps m of its d outputs; signs and places are drawn. Each of the two takes one fast Fourier
    transform of d numbers a sample and pass, which counts on the clock (see `flops.py`).
    """

    ratio: float = Field(
        8.0, gt=1, le=10**9, description="How many times fewer numbers cross; at least one a sample does."
    )

    def build(self, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
        import torch

        from slsim.learning.adapters.hartley import Lift, Project

        size, rank = prod(shape), self._rank(shape)
        signs = torch.randint(2, (size,)).mul(2).sub(1).float()
        kept = torch.randperm(size)[:rank].sort().values
        return Project(signs, kept), Lift(signs, kept, shape)

    def outline(self, shape: tuple[int, ...]) -> tuple[LayerOutline, LayerOutline]:
        transform, ends = transform_flops(prod(shape)), Outlining(shape)
        for outputs in ((self._rank(shape),), shape):
            ends.fixed(outputs, transform, 2 * transform)  # backward it is a complex one
            ends.layer()
        encoder, decoder = ends.layers
        return encoder, decoder

    def _rank(self, shape: tuple[int, ...]) -> int:
        return max(1, round(prod(shape) / self.ratio))
