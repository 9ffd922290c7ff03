"""A coder whose sender lets gradients through only where something was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim.codecs.coder import Crossing, Stateless

if TYPE_CHECKING:
    import torch


class MaskingCoder(Stateless):
    """Codes as its codec does; an element that was not sent has the gradient 0, for nothing depends on it."""

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        import torch

        assert sent.kept is not None
        return gradient * torch.from_numpy(sent.kept)
