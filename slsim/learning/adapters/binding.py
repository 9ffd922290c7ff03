"""Binding groups of samples by circular convolution with keys, and unbinding, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from slsim.learning.adapters.constant import Constant
from slsim.learning.ghost import Grouped


@lru_cache(maxsize=64)
def slots(counts: tuple[int, ...], size: int) -> tuple[int, torch.Tensor]:
    """The number of groups of `size` samples, the last one of each client with fewer, and the place of each
    sample, group · size + key, int64 [samples].

    Example:
        >>> slots((3, 2), 2)
        (3, tensor([0, 1, 2, 4, 5]))
    """
    groups = [-(-count // size) for count in counts]
    starts = np.cumsum([0, *groups[:-1]]) * size
    places = [start + np.arange(count) for start, count in zip(starts, counts, strict=True)]
    return sum(groups), torch.from_numpy(np.concatenate(places))


class Bind(Grouped):
    """V = Σ k_r ⊛ z_r: [samples, *shape] to [groups, *shape], where `keys` are [R, d]. Each client's samples
    are groups of their own (see `Grouped`)."""

    def __init__(self, keys: torch.Tensor, shape: Sequence[int]) -> None:
        super().__init__()
        self.keys, self.shape = Constant(torch.fft.rfft(keys)), tuple(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keys = self.keys.on(x.device)
        groups, places = slots(self.counts or (len(x),), len(keys))
        values = x.flatten(1).float()
        if len(places) < groups * len(keys):
            padded = values.new_zeros((groups * len(keys), values.shape[1]))
            values = padded.index_copy(0, places.to(x.device), values)
        spectrum = torch.fft.rfft(values).view(groups, *keys.shape)
        bound: torch.Tensor = torch.fft.irfft((spectrum * keys).sum(1), n=values.shape[1])
        return bound.view(groups, *self.shape)


class Unbind(Grouped):
    """ẑ_r = k_r ⋆ V: [groups, *shape] to [samples, *shape]. Without `counts` all groups are whole."""

    def __init__(self, keys: torch.Tensor, shape: Sequence[int]) -> None:
        super().__init__()
        self.keys, self.shape = Constant(torch.fft.rfft(keys).conj().resolve_conj()), tuple(shape)

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        keys, flat = self.keys.on(code.device), code.flatten(1).float()
        groups, places = slots(self.counts or (len(code) * len(keys),), len(keys))
        assert groups == len(code), f"groups of {self.counts} samples in a code of {len(code)} rows"
        spectrum = torch.fft.rfft(flat).unsqueeze(1) * keys
        values: torch.Tensor = torch.fft.irfft(spectrum, n=flat.shape[1]).view(groups * len(keys), -1)
        if len(places) < len(values):
            values = values.index_select(0, places.to(code.device))
        return values.view(len(values), *self.shape)
