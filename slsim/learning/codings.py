"""The codecs of a training, their coders at both ends of each link, and what coding costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from slsim.codecs import Codec, Payload
from slsim.codecs.costs import CodecCost, cost_of, gradient_cost_of
from slsim.errors import CodecError, TrainingDiverged
from slsim.learning.ends import Ends, Given
from slsim.recording import CODEC_OF, CODEC_UPDATES, MeasuredCodec, Message, Piece
from slsim.recording.kinds import FROM_SERVER, SENT_BEFORE

if TYPE_CHECKING:
    import torch

    from slsim.learning.sampling import Batch

Shape = tuple[int, ...]
RETURNS = {kind: back for back, kind in SENT_BEFORE.items()}
WAYS = (*RETURNS, *SENT_BEFORE)  # the kinds that cross the cut


class Codings:
    """The codec of each message kind.

    `codecs` are by the key of a scenario's [codec], `names` what steps call them. `shapes` has for each kind
    the tensor that its codec's cost is told for, and `sparse` the kinds that follow a ReLU.
    """

    def __init__(
        self,
        codecs: Mapping[str, Codec],
        names: Mapping[str, str],
        shapes: Mapping[str, Shape],
        sparse: Sequence[str] = (),
    ) -> None:
        self._weights, self._names = codecs["weights"], dict(names)
        self._shapes, self._sparse = dict(shapes), tuple(sparse)
        self._costs: dict[str, CodecCost] = {}
        self._return_costs: dict[str, CodecCost] = {}
        by_key = paired(codecs)
        self._ends = {kind: Ends(by_key[CODEC_OF[kind]], kind in FROM_SERVER) for kind in WAYS}

    def of(self, kind: str) -> Codec:
        """The codec of a message kind."""
        return self._ends[kind].codec if kind in self._ends else self._weights

    def ends(self, kind: str) -> Ends:
        """The coders of a kind that crosses the cut."""
        return self._ends[kind]

    def notes_crossings(self, kind: str) -> bool:
        """Whether what crossed must be known when its gradient returns: by the codec of either way."""
        codec, back = self.of(kind), self.of(RETURNS[kind])
        return not (codec.is_stateless and codec.correction is None and back.is_stateless)

    def sender_decodes(self, kind: str) -> bool:
        """Whether the sender decodes its own payloads: to remember what arrived, or to correct gradients."""
        codec = self.of(kind)
        return codec.sender_decodes or (codec.correction is not None and kind in RETURNS)

    def cost(self, kind: str) -> CodecCost:
        """What an element of a message costs; codecs of one's own that do not say it are measured once.
        Raises `CodecError` where a codec's own account makes no sense."""
        if kind not in self._costs:
            self._costs[kind] = cost_of(self.of(kind), self._shapes[kind], sparse=kind in self._sparse)
        return self._costs[kind]

    def work(self, name: str, kind: str, shape: Shape) -> Piece:
        """Encoding or decoding ("encode", "decode") a tensor, as a piece of work."""
        cost, elements = self.cost(kind), math.prod(shape)
        way = 0 if name == "encode" else 1
        return Piece(
            name,
            elements=elements,
            codec=self._names[CODEC_OF[kind]],
            kind=kind,
            shape=shape,
            memory_bytes=cost.memory_bytes[way] * elements,
            core_s=math.nan if cost.core_s is None else cost.core_s[way] * elements,
            lossless_s=cost.lossless_s[way] * elements,
        )

    def on_return(self, kind: str, shape: Shape) -> tuple[list[Piece], list[Piece]]:
        """What the codec of a kind makes of the gradient that returned, beside decoding it, as pieces of work
        of its sender and of its receiver; none where it makes nothing of it. They count no elements, so a
        device whose times are measured or given takes none for them."""
        if kind not in self._return_costs:
            asked = self.of(kind), self._shapes[kind], kind in self._sparse
            self._return_costs[kind] = gradient_cost_of(*asked)
        cost, elements = self._return_costs[kind], math.prod(shape)
        sender, receiver = (
            [
                Piece(
                    "decode",
                    codec=self._names[CODEC_OF[kind]],
                    kind=kind,
                    shape=shape,
                    memory_bytes=each_bytes * elements,
                    core_s=each_s * elements,
                )
            ]
            if each_bytes > 0
            else []
            for each_bytes, each_s in zip(cost.memory_bytes, cost.core_s or (math.nan, math.nan), strict=True)
        )
        return sender, receiver

    def message(self, kind: str, payload: Payload, shape: Shape, raw_bytes: int | None = None) -> Message:
        """A payload as a message of that kind; `raw_bytes` are those of the tensor as float32, unless an
        adapter made it of a larger one."""
        extra = self.of(kind).extra(payload)
        return self._message(kind, payload.num_bytes, extra, shape, raw_bytes)

    def nominal(self, kind: str, shape: Shape, raw_bytes: int | None = None) -> Message:
        """The message that the codec's format foresees for a tensor, which is not there."""
        return self._message(kind, self.of(kind).num_bytes(shape), 0, shape, raw_bytes)

    def _message(self, kind: str, size: int, extra: int, shape: Shape, raw_bytes: int | None) -> Message:
        raw = 4 * math.prod(shape) if raw_bytes is None else raw_bytes
        return Message(kind, size, raw, extra, shape, self._names[CODEC_OF[kind]])

    def update(self, kind: str, payload: Payload | None) -> Message | None:
        """What an end of the codec of that kind tells the other, as a message; without a codec there would be
        none, so it has no raw bytes."""
        if payload is None:
            return None
        return Message(CODEC_UPDATES, payload.num_bytes, 0, 0, payload.shape, self._names[CODEC_OF[kind]])

    def nominal_updates(self, kind: str, shape: Shape) -> tuple[Message | None, Message | None]:
        """The messages that the codec of that kind foresees after a tensor of `shape`: to its sender, and to
        its receiver."""
        name = self._names[CODEC_OF[kind]]
        to_sender, to_receiver = (
            Message(CODEC_UPDATES, size, 0, 0, None, name) if size else None
            for size in self.of(kind).update_bytes(shape)
        )
        return to_sender, to_receiver

    def encode(
        self,
        kind: str,
        tensor: torch.Tensor,
        batches: Sequence[Batch],
        counts: Sequence[int],
        rngs: Sequence[np.random.Generator] | None,
        given: Given,
    ) -> list[Payload]:
        """Each client's rows of a tensor, `counts` of them, as a payload. Raises `TrainingDiverged` where a
        codec refuses NaN and infinity; codecs that carry them leave it to the loss."""
        with diverging(tensor):
            return self._ends[kind].encode(tensor.detach(), batches, counts, rngs, given)

    def through(self, kind: str, tensor: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """A tensor as it arrives in an evaluation, on the host, encoded in parts of `counts` rows. Raises
        `TrainingDiverged` as `encode` does."""
        with diverging(tensor):
            return self._ends[kind].through(tensor.detach(), counts)

    @property
    def measured(self) -> tuple[MeasuredCodec, ...]:
        """The codecs that were measured on this machine."""
        found = ((kind, self.cost(kind)) for kind in self._shapes)
        return tuple(
            MeasuredCodec(kind, *cost.core_s, cost.measured_core)
            for kind, cost in found
            if cost.measured_core is not None and cost.core_s is not None
        )

    def state(self) -> dict[str, Any]:
        """What was measured, for a training that is resumed not to measure it again."""
        return {one.kind: [one.encode_s, one.decode_s, one.core] for one in self.measured}

    def restore(self, state: Mapping[str, Sequence[float]]) -> None:
        """Take over what was measured before."""
        for kind, (encode_s, decode_s, core) in state.items():
            self._costs[kind] = CodecCost((0.0, 0.0), (encode_s, decode_s), measured_core=core)

    def coders(self) -> dict[str, Any]:
        """What all coders remember, by kind."""
        return {kind: ends.state() for kind, ends in self._ends.items()}

    def restore_coders(self, state: Mapping[str, Any]) -> None:
        """Resume from what `coders` gave."""
        for kind, ends in self._ends.items():
            ends.restore(state[kind])

    def kept_bytes(self) -> tuple[int, int]:
        """Bytes that coders remember: at a client at most, and at the server together."""
        sizes = [ends.kept_bytes() for ends in self._ends.values()]
        return sum(client for client, _ in sizes), sum(server for _, server in sizes)


def paired(codecs: Mapping[str, Codec]) -> dict[str, Codec]:
    """The codecs by the key of a scenario's [codec], those of what returns beside those of what was sent."""
    beside = {CODEC_OF[back]: CODEC_OF[kind] for back, kind in SENT_BEFORE.items()}
    return {
        key: codec.paired(codecs[beside[key]]) if beside.get(key) in codecs else codec
        for key, codec in codecs.items()
    }


@contextmanager
def diverging(tensor: torch.Tensor) -> Iterator[None]:
    """Within it, an encoder that refuses NaN or infinity in `tensor` means that training diverged."""
    try:
        yield
    except CodecError:
        check_finite(tensor, "what crosses the cut")
        raise


def laid_out(values: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """`values`, row-major as they were received, in the memory format in which layers are fastest."""
    import torch

    if channels_last and values.ndim == 4:
        return values.contiguous(memory_format=torch.channels_last)
    return values


def check_finite(values: torch.Tensor, what: str) -> None:
    """Raise `TrainingDiverged` where there is NaN or infinity."""
    import torch

    if not bool(torch.isfinite(values).all()):
        raise TrainingDiverged(f"{what} became NaN or infinite")
