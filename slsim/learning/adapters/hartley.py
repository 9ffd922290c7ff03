"""A random orthogonal projection by the fast Hartley transform, and its adjoint, as modules."""

from __future__ import annotations

import torch
from torch import nn

from slsim.learning.adapters.constant import Constant


def hartley(x: torch.Tensor) -> torch.Tensor:
    """The orthonormal discrete Hartley transform of each row of [rows, d], float32: symmetric, and its own
    inverse.

    Example:
        >>> x = torch.tensor([[1.0, 2.0, 3.0]])
        >>> torch.allclose(hartley(hartley(x)), x)
        True
    """
    spectrum = torch.fft.rfft(x, norm="ortho")
    real, imaginary = spectrum.real, spectrum.imag
    mirrored = (real + imaginary)[:, 1 : (x.shape[1] + 1) // 2].flip(1)  # the frequencies above the middle
    return torch.cat([real - imaginary, mirrored], dim=1)


class Project(nn.Module):
    """P = S H D: [samples, ...] with d numbers a sample to [samples, m]; `signs` are ±1 [d], `kept` [m]."""

    def __init__(self, signs: torch.Tensor, kept: torch.Tensor) -> None:
        super().__init__()
        self.signs, self.kept = Constant(signs), Constant(kept)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flipped = x.flatten(1).float() * self.signs.on(x.device)
        return hartley(flipped).index_select(1, self.kept.on(x.device))


class Lift(nn.Module):
    """Pᵀ = D H Sᵀ: [samples, m] to [samples, *shape]."""

    def __init__(self, signs: torch.Tensor, kept: torch.Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.signs, self.kept, self.shape = Constant(signs), Constant(kept), shape

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        signs = self.signs.on(code.device)
        spread = code.new_zeros((len(code), len(signs)), dtype=torch.float32)
        spread = spread.index_copy(1, self.kept.on(code.device), code.float())
        return (hartley(spread) * signs).view(len(code), *self.shape)
