"""What a recording is made of: messages, turns, rounds, evaluations, and what computing costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ACTIVATIONS, LABELS, GRADIENTS, WEIGHTS = "activations", "labels", "gradients", "weights"
STATISTICS = "statistics"  # beside weights: what is no weight (running statistics, counters), exactly
MESSAGE_FIELDS = ("kind", "direction", "num_bytes", "raw_bytes", "extra_bytes")
Direction = Literal["up", "down"]
Status = Literal["finished", "diverged"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a turn: bytes as sent, and bytes it would have been uncompressed; `extra_bytes` of
    those sent go beyond the format's nominal size (signs that only some data need)."""

    kind: str
    direction: Direction
    num_bytes: int
    raw_bytes: int
    extra_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One client's part of a round."""

    client: int
    samples: int
    messages: tuple[Message, ...]

    def message(self, kind: str) -> Message:
        """The turn's message of that kind; it has exactly one."""
        (found,) = (message for message in self.messages if message.kind == kind)
        return found

    def sends(self, kind: str, direction: Direction) -> bool:
        """Whether a message of that kind goes in that direction."""
        return any(message.kind == kind and message.direction == direction for message in self.messages)

    def num_bytes(self, direction: Direction) -> int:
        """Everything this client sent in that direction, in bytes."""
        return sum(message.num_bytes for message in self.messages if message.direction == direction)


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round: a turn for each client that took part."""

    turns: tuple[Turn, ...]

    def num_bytes(self, direction: Direction) -> int:
        """Bytes of all clients in that direction."""
        return sum(turn.num_bytes(direction) for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Test accuracy (0 … 1) after `round` rounds: with activations through the uplink codec, as the
    paper's authors measure it, and without it; and the mean training loss since the last evaluation."""

    round: int
    epoch: float
    accuracy: float
    accuracy_without_codec: float
    training_loss: float


@dataclass(frozen=True, slots=True)
class TestSet:
    """What accuracies were counted on: the number of test samples and of classes, and the accuracy that a
    constant guess reaches: the share of the commonest class among the test labels, at least 1 / classes."""

    __test__ = False  # not a test of pytest's

    samples: int
    classes: int
    chance: float


@dataclass(frozen=True, slots=True)
class Format:
    """What a codec says of its payloads of one message kind and tensor shape, in bytes: the nominal size, the
    part of it that is header, the least and the most, and the formula of the rest as a reader would write
    it. Kept so that sizes can be checked without the codec's code."""

    kind: str
    shape: tuple[int, ...]
    nominal: int
    header: int
    least: int
    most: int
    lossless: bool
    formula: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a probe found after `round` rounds, for the mini-batch that `client` took next: one number.

    `part` is "activations", "client" or "server"; `learning/probes.py` says what each `quantity` is.
    """

    round: int
    client: int
    part: str
    quantity: str
    value: float


@dataclass(frozen=True)
class Costs:
    """What the clock needs to turn messages and samples into work.

    FLOPs are a sample's, of each half. What a codec costs is by message kind and an element's: bytes of
    memory that encoding and decoding touch (0: none, or not known); seconds of a core of reference, where
    they are known (formats 1 and 2 have none), and of the lossless stage there. `measured_core` has
    the kinds whose codec was measured on the machine that trained, and how fast its core was beside that of
    reference.
    """

    client_forward_flops: float
    client_backward_flops: float
    server_forward_flops: float
    server_backward_flops: float
    encode_bytes: Mapping[str, float]
    decode_bytes: Mapping[str, float]
    encode_s: Mapping[str, float] = field(default_factory=dict)
    decode_s: Mapping[str, float] = field(default_factory=dict)
    lossless_encode_s: Mapping[str, float] = field(default_factory=dict)
    lossless_decode_s: Mapping[str, float] = field(default_factory=dict)
    measured_core: Mapping[str, float] = field(default_factory=dict)
