"""A model's state as it travels: weights through a codec, and what is no weight exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from slsim.codecs import Codec, create
from slsim.learning.halves import Half
from slsim.recording import STATISTICS, WEIGHTS, Direction, Message


def state_sent(
    state: torch.Tensor, halves: Sequence[Half], codec: Codec, direction: Direction, rng: np.random.Generator
) -> tuple[tuple[Message, ...], torch.Tensor]:
    """The messages of a state of `halves`, one after the other in one vector, and the state as it arrives.

    The weights of all halves go through `codec`, as one vector. Running statistics, and what layers count,
    go in a message of their own, as float32, where there are any: a variance that is rounded may be negative.
    """
    arrived = state.clone()
    parts = arrived.split([n for half in halves for n in (half.num_weights, half.size - half.num_weights)])
    weights = torch.cat(parts[::2])
    payload = codec.encode(weights, rng)
    decoded = codec.decode(payload, tuple(weights.shape)).to(state.device)
    for part, own in zip(parts[::2], decoded.split([len(part) for part in parts[::2]]), strict=True):
        part.copy_(own)
    messages = [Message(WEIGHTS, direction, payload.num_bytes, 4 * len(weights), codec.extra(payload))]
    others = torch.cat([*parts[1::2], *(half.counts().to(state.device) for half in halves)])
    if len(others):
        exact = create("identity").encode(others)
        messages.append(Message(STATISTICS, direction, exact.num_bytes, 4 * len(others)))
    return tuple(messages), arrived
