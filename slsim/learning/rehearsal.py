"""No tensors: a protocol's script is run for its steps alone, before anything is trained.

Sizes are those that the codecs' formats foresee; what is learned stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from slsim.learning.computation import Computation, Direction, Passing, Shape
from slsim.learning.sampling import Batch
from slsim.learning.sending import statistics_sent, weights_of
from slsim.recording import WEIGHTS, Message


class NoTensors(Computation):
    """Sizes instead of tensors."""

    def activations(self, batches: Sequence[Batch]) -> torch.Tensor:
        del batches
        return torch.zeros(0)

    def features(self, at_server: Passing) -> torch.Tensor:
        del at_server
        return torch.zeros(0)

    def learn(self, part: str, received: Passing, labels: NDArray[Any]) -> None:
        pass

    def learn_whole(self, batch: Batch) -> None:
        pass

    def transmit(
        self, kind: str, values: torch.Tensor, passing: Passing
    ) -> tuple[list[Message], torch.Tensor]:
        del values
        return self.give_back(kind, passing), torch.zeros(0)

    def give_back(self, kind: str, received: Passing) -> list[Message]:
        shape = self.shape_of(kind)
        return [self.codings.nominal(kind, (count, *shape)) for count in received.counts]

    def send_state(
        self, state: torch.Tensor, client: int, direction: Direction, round_number: int
    ) -> tuple[list[Message], Shape, torch.Tensor]:
        del client, direction, round_number
        halves = self.parts.halves_of(state)
        shape = tuple(weights_of(state, halves)[0].shape)
        return [self.codings.nominal(WEIGHTS, shape), *statistics_sent(state, halves)], shape, state.clone()

    def transmit_vector(self, kind: str, vector: torch.Tensor) -> tuple[Message, torch.Tensor]:
        return self.codings.nominal(kind, tuple(vector.shape)), vector

    def own_gradients(self) -> dict[int, torch.Tensor]:
        return {}

    def step(self, learning_rate: float, participants: int) -> None:
        pass
