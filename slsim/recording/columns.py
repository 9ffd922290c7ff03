"""Many turns at once: the turns of many rounds as columns, so that arithmetic runs over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.recording.records import Direction, RoundRecord


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of one kind, one a turn: a `Message` whose numbers are int64 arrays."""

    kind: str
    direction: Direction
    num_bytes: NDArray[np.int64]
    raw_bytes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of many rounds, in order: a `Turn` whose numbers are int64 arrays, one entry a turn.

    `offsets` has one entry more than there are rounds: the turns `offsets[r]:offsets[r + 1]` are round r's.
    """

    offsets: NDArray[np.int64]
    client: NDArray[np.int64]
    samples: NDArray[np.int64]
    messages: tuple[Messages, ...]

    @classmethod
    def of(cls, rounds: Sequence[RoundRecord]) -> Turns | None:
        """The turns of `rounds`, or None when they do not all send the same kinds of message."""
        turns = [turn for record in rounds for turn in record.turns]
        shapes = {tuple((message.kind, message.direction) for message in turn.messages) for turn in turns}
        if len(shapes) != 1 or () in shapes:
            return None
        (kinds,) = shapes
        flat = [message for turn in turns for message in turn.messages]
        sent = np.array([message.num_bytes for message in flat], dtype=np.int64).reshape(-1, len(kinds))
        raw = np.array([message.raw_bytes for message in flat], dtype=np.int64).reshape(-1, len(kinds))
        return cls(
            offsets=np.cumsum([0, *(len(record.turns) for record in rounds)]),
            client=np.array([turn.client for turn in turns], dtype=np.int64),
            samples=np.array([turn.samples for turn in turns], dtype=np.int64),
            messages=tuple(
                Messages(kind, direction, sent[:, place], raw[:, place])
                for place, (kind, direction) in enumerate(kinds)
            ),
        )

    def sends(self, kind: str, direction: Direction) -> bool:
        """Whether every turn has a message of that kind in that direction."""
        return any(message.kind == kind and message.direction == direction for message in self.messages)

    def message(self, kind: str) -> Messages:
        """The messages of that kind; each turn has exactly one."""
        (found,) = (message for message in self.messages if message.kind == kind)
        return found

    def num_bytes(self, direction: Direction) -> NDArray[np.int64]:
        """Everything that each turn sent in that direction, in bytes."""
        sent = (message.num_bytes for message in self.messages if message.direction == direction)
        return np.sum(list(sent), axis=0, dtype=np.int64) + np.zeros_like(self.samples)
