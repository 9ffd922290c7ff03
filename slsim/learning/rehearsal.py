"""No tensors: a protocol's script is run for its steps alone, before anything is trained. (Needs no torch.)

Sizes are those that the codecs' formats foresee; what is learned stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from slsim.codecs import Identity
from slsim.learning.codings import Codings
from slsim.learning.computation import (
    Computation,
    Direction,
    Passing,
    Returned,
    Shape,
    Transmission,
    statistics_message,
)
from slsim.learning.outline import ModelOutline, PartOutline, Unknown
from slsim.learning.sampling import Batch
from slsim.recording import WEIGHTS, Message, TestSet
from slsim.recording.kinds import SENT_BEFORE


@dataclass(frozen=True)
class Labels:
    """What a rehearsal needs of a data set."""

    y_train: NDArray[Any]
    num_classes: int
    test_set: TestSet


@dataclass(frozen=True)
class RehearsedSnapshot:
    """The state of a half, of which the size alone is known."""

    weights: Unknown

    def as_arrived(self, weights: Unknown) -> RehearsedSnapshot:
        return RehearsedSnapshot(weights)

    def plain(self) -> dict[str, Any]:
        return {}


class RehearsedHalf:
    """A half of the model of which the sizes alone are known; what would change it does nothing."""

    def __init__(self, outline: PartOutline) -> None:
        self._outline = outline
        self.size, self.num_weights = outline.size, outline.weights

    def weights(self) -> Unknown:
        return Unknown(self.size)

    def counts(self) -> Unknown:
        return Unknown(self._outline.counters)

    def gradients(self) -> Unknown:
        return Unknown(self._outline.learning)

    def snapshot(self) -> RehearsedSnapshot:
        return RehearsedSnapshot(self.weights())

    def _nothing(self, *_: Any) -> None:
        pass

    load = restore = set_gradients = forget_momentum = _nothing


class RehearsedParts:
    """The parts of a model of which the sizes alone are known."""

    device = None

    def __init__(self, outline: ModelOutline) -> None:
        self.model = outline
        self.client, self.server = RehearsedHalf(outline.client), RehearsedHalf(outline.server)

    def halves_of(self, state: Unknown) -> tuple[RehearsedHalf, ...]:
        """The halves whose state a vector is: the client's, or both."""
        return (self.client,) if len(state) == self.client.size else (self.client, self.server)


class NoTensors(Computation):
    """Sizes instead of tensors."""

    def __init__(self, parts: RehearsedParts, labels: Labels, codings: Codings, seed: int) -> None:
        self.parts: Any
        super().__init__(parts, labels, codings, seed)  # type: ignore[arg-type]  # as far as it is needed

    def activations(self, batches: Sequence[Batch]) -> Any:
        del batches
        return Unknown(0)

    def features(self, at_server: Passing) -> Any:
        del at_server
        return Unknown(0)

    def learn(self, part: str, received: Passing, labels: NDArray[Any]) -> None:
        pass

    def learn_whole(self, batch: Batch) -> None:
        pass

    def transmit(self, kind: str, values: Any, passing: Passing) -> Transmission:
        del values
        unknown: Any = Unknown(0)
        return Transmission(self._nominal(kind, passing), unknown)

    def give_back(self, kind: str, received: Passing) -> Returned:
        sent, at_cut = SENT_BEFORE[kind], self.cut_shape(kind)
        updates = [self.codings.nominal_updates(sent, at_cut.of(count)) for count in received.counts]
        to_sender, to_receiver = zip(*updates, strict=True)
        return Returned(self._nominal(kind, received), to_sender, to_receiver)

    def _nominal(self, kind: str, passing: Passing) -> list[Message]:
        at_cut = self.cut_shape(kind)
        return [
            self.codings.nominal(kind, at_cut.of(count), at_cut.raw_bytes(count)) for count in passing.counts
        ]

    def send_state(
        self, state: Any, client: int, direction: Direction, round_number: int
    ) -> tuple[list[Message], Shape, Any]:
        del client, direction, round_number
        halves = self.parts.halves_of(state)
        weights = sum(half.num_weights for half in halves)
        others = len(state) - weights + sum(len(half.counts()) for half in halves)
        messages = [self.codings.nominal(WEIGHTS, (weights,)), *self.exactly(Unknown(others))]
        return messages, (weights,), state

    def transmit_vector(self, kind: str, vector: Any) -> tuple[Message, Any]:
        return self.codings.nominal(kind, tuple(vector.shape)), vector

    def joined(self, vectors: Sequence[Any]) -> Any:
        return Unknown(sum(map(len, vectors)))

    def exactly(self, statistics: Any) -> list[Message]:
        length = len(statistics)
        return [statistics_message(length, Identity().num_bytes((length,)))] if length else []

    def own_gradients(self) -> dict[int, Any]:
        return {}

    def step(self, learning_rate: float, participants: int) -> None:
        pass
