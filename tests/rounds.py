"""Rounds for tests of the clock, told by what each client's turns sent: written as steps by the conversion of
older recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.recording import Steps, Vocabulary
from slsim.recording.header import OldCosts
from slsim.recording.older import NOTHING, Conversion


class Sent(NamedTuple):
    """A message: bytes as sent, those of the tensor, and those beyond the format's nominal size."""

    kind: str
    direction: Literal["up", "down"]
    num_bytes: int
    raw_bytes: int
    extra_bytes: int = 0


@dataclass(frozen=True)
class Turn:
    """A client's exchange of a mini-batch, its weights that travel, or a mini-batch of its own."""

    client: int
    samples: int
    messages: tuple[Sent, ...]


def costs(
    flops: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    encode_bytes: dict[str, float] | None = None,
    decode_bytes: dict[str, float] | None = None,
    **others: Any,
) -> OldCosts:
    """What a sample and an element cost: FLOPs of the client's forward and backward and of the server's, and
    of codecs, by message kind, bytes of memory traffic; nothing where that is left out."""
    none = {"activations": 0.0, "gradients": 0.0, "weights": 0.0}
    names = ("client_forward", "client_backward", "server_forward", "server_backward")
    return OldCosts(
        **{f"{name}_flops": float(number) for name, number in zip(names, flops, strict=True)},
        encode_bytes=none if encode_bytes is None else encode_bytes,
        decode_bytes=none if decode_bytes is None else decode_bytes,
        **others,
    )


def steps_of(
    rounds: Sequence[Sequence[Turn]],
    costs: OldCosts,
    protocol: str = "splitfed",
    codecs: tuple[str, str, str] = ("ms", "identity", "cast"),
    shape: tuple[int, ...] = (),
    seed: int = 0,
) -> tuple[Steps, NDArray[np.int64]]:
    """The steps of the rounds that differ, and which of them each round does. `codecs` are the names of those
    of activations, gradients and weights, `shape` is that of a sample's activations."""
    names = zip(("uplink", "downlink", "weights"), codecs, strict=True)
    learning = {
        "seed": seed,
        "training": {"protocol": {"name": protocol}},
        "codec": {key: {"name": name} for key, name in names},
    }
    words = Vocabulary()
    conversion = Conversion(costs, learning, shape, words)
    distinct: list[Any] = []
    numbers = []
    for number, turns in enumerate(rounds):
        rows = conversion.rows(number, tuple(map(_row, turns)))
        same = [place for place, other in enumerate(distinct) if rows.tobytes() == other.tobytes()]
        numbers.append(same[0] if same else len(distinct))
        if not same:
            distinct.append(rows)
    return Steps.of(distinct, words), np.array(numbers, dtype=np.int64)


def _row(turn: Turn) -> tuple[tuple[Any, ...], ...]:
    messages = turn.messages or (Sent(NOTHING, "up", 0, 0),)
    return tuple((turn.client, turn.samples, *message) for message in messages)
