"""A tensor of a module that is no part of the model's state."""

from __future__ import annotations

import torch


class Constant:
    """A tensor that either end of a cut draws from the seed: it does not learn, is not averaged, not sent and
    not in a checkpoint. Kept in a module as a plain attribute.

    Example:
        >>> signs = Constant(torch.tensor([1.0, -1.0]))
        >>> signs.on(torch.device("cpu"))
        tensor([ 1., -1.])
    """

    def __init__(self, value: torch.Tensor) -> None:
        self._value = value
        self._copies: dict[torch.device, torch.Tensor] = {value.device: value}

    def on(self, device: torch.device) -> torch.Tensor:
        """The tensor on `device`, where it is kept from the first time on."""
        if device not in self._copies:
            self._copies[device] = self._value.to(device)
        return self._copies[device]
