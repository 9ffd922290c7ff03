"""What a recording holds beside steps: evaluations, measurements, formats, and what codecs were measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["finished", "diverged"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Test accuracy (0 … 1) after `round` rounds: with what crosses the cut through its codecs, as the
    paper's authors measure it, and without; and the mean training loss since the last evaluation."""

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
class Kept:
    """Bytes that codecs remember when a training is over: at the client that remembers most, and at the
    server for all clients together."""

    client: int = 0
    server: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a hook found after `round` rounds: one number, of the mini-batch that `client` takes next.

    `part` says of what ("activations", "client", "server", …); each hook says what its quantities are.
    """

    round: int
    client: int
    part: str
    quantity: str
    value: float


@dataclass(frozen=True, slots=True)
class MeasuredCodec:
    """What a codec of one's own, which does not say what it costs, took on the machine that trained: seconds
    an element of the core of reference, and how fast a core there is beside that one."""

    kind: str
    encode_s: float
    decode_s: float
    core: float
