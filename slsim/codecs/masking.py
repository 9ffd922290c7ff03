"""A coder whose sender lets gradients through only where something was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim.codecs.coder import Crossing, Stateless

if TYPE_CHECKING:
    import torch


class MaskingCoder(Stateless):
    """Codes as its codec does; an element that was not sent has the gradient 0."""

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        return where_sent(gradient, sent)


def where_sent(gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
    """The gradient where something was sent, and 0 elsewhere, for nothing depends on what was not."""
    import torch

    assert sent.kept is not None
    return gradient * torch.from_numpy(sent.kept)
