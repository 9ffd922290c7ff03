"""A model's state as it travels: weights through a codec, and what is no weight exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from slsim.learning.halves import Half


def weights_of(
    state: torch.Tensor, halves: Sequence[Half]
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """The weights in a state of `halves` (concatenated) as one vector, and a function that gives the state
    with other weights in their place."""
    weights = torch.cat(_split(state, halves)[::2])

    def put_back(arrived: torch.Tensor) -> torch.Tensor:
        whole = state.clone()
        places = _split(whole, halves)[::2]
        for place, own in zip(places, arrived.split([len(place) for place in places]), strict=True):
            place.copy_(own)
        return whole

    return weights, put_back


def others_of(state: torch.Tensor, halves: Sequence[Half]) -> torch.Tensor:
    """What is no weight in a state of `halves`: running statistics, and what layers count, as float32. It is
    sent exactly, for a variance that is rounded may be negative."""
    return torch.cat([*_split(state, halves)[1::2], *(half.counts().to(state.device) for half in halves)])


def _split(state: torch.Tensor, halves: Sequence[Half]) -> tuple[torch.Tensor, ...]:
    """Of each half its weights, and what is no weight."""
    sizes = [n for half in halves for n in (half.num_weights, half.size - half.num_weights)]
    parts: tuple[torch.Tensor, ...] = state.split(sizes)
    return parts
