"""What a client's turn consists of on the clock: a chain of steps, for one turn or for many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from slsim.devices import Work
from slsim.devices.base import CodecPart, Half
from slsim.recording import Costs, Message, Messages, Turn, Turns

Phase: TypeAlias = Literal[
    "client forward",
    "encode",
    "uplink",
    "server wait",
    "server compute",
    "downlink",
    "decode",
    "client backward",
    "barrier wait",
]
PHASES: tuple[Phase, ...] = get_args(Phase)
CULPRITS: Mapping[str, tuple[Phase, ...]] = {  # what a bottleneck is called, and the phases spent on it
    "devices": ("client forward", "encode", "decode", "client backward"),
    "uplink": ("uplink",),
    "server": ("server wait", "server compute"),
    "downlink": ("downlink",),
}
Bytes: TypeAlias = "int | NDArray[np.int64]"


def phase_column(phase: Phase) -> str:
    """What a table's column of seconds in a phase is called: "client_forward_s"."""
    return f"{phase.replace(' ', '_')}_s"


@dataclass(frozen=True, slots=True)
class Compute:
    """The client's device works."""

    phase: Phase
    works: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """A message crosses from the client to the server."""

    num_bytes: Bytes


@dataclass(frozen=True, slots=True)
class Serve:
    """The server works for the client, after those who came before."""

    works: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Download:
    """A message crosses from the server to the client."""

    num_bytes: Bytes


Step: TypeAlias = Compute | Upload | Serve | Download


@dataclass(frozen=True)
class Workload:
    """Turns messages and samples into work: what a recording says that things cost, and the codec of each
    kind of message (by name; kinds that no codec encodes are left out)."""

    costs: Costs
    codecs: Mapping[str, str]

    def half(self, part: Half, turn: Turn | Turns) -> Work:
        """The turn's samples through one half of the model, forward or backward."""
        flops: float = getattr(self.costs, part.replace(" ", "_") + "_flops")
        return Work(part, flops=turn.samples * flops, samples=turn.samples)

    def encode(self, message: Message | Messages) -> Work:
        """A message's tensor, float32, through its codec."""
        costs = self.costs
        return self._code("encode", message, costs.encode_bytes, costs.encode_s, costs.lossless_encode_s)

    def decode(self, message: Message | Messages) -> Work:
        """A message back into its tensor."""
        costs = self.costs
        return self._code("decode", message, costs.decode_bytes, costs.decode_s, costs.lossless_decode_s)

    def _code(
        self,
        part: CodecPart,
        message: Message | Messages,
        memory_bytes: Mapping[str, float],
        core_s: Mapping[str, float],
        lossless_s: Mapping[str, float],
    ) -> Work:
        kind, elements = message.kind, message.raw_bytes / 4
        return Work(
            part,
            memory_bytes=memory_bytes[kind] * elements,
            core_s=core_s[kind] * elements if kind in core_s else None,
            lossless_s=lossless_s.get(kind, 0.0) * elements,
            elements=elements,
            codec=self.codecs[kind],
        )
