"""The codecs of a training: tensors to payloads and back, and what that costs, as steps say it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from slsim.codecs import Codec, Payload
from slsim.codecs.costs import CodecCost, cost_of
from slsim.errors import CodecError, TrainingDiverged
from slsim.recording import CODEC_OF, MeasuredCodec, Message, Piece

if TYPE_CHECKING:
    import torch

Shape = tuple[int, ...]


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
        self._codecs, self._names = dict(codecs), dict(names)
        self._shapes, self._sparse = dict(shapes), tuple(sparse)
        self._costs: dict[str, CodecCost] = {}

    def of(self, kind: str) -> Codec:
        """The codec of a message kind."""
        return self._codecs[CODEC_OF[kind]]

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

    def encode(
        self,
        kind: str,
        tensor: torch.Tensor,
        counts: Sequence[int],
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Payload]:
        """Each client's part of a tensor as a payload. Raises `TrainingDiverged` where a codec refuses NaN
        and infinity; codecs that carry them leave it to the loss."""
        try:
            return self.of(kind).encode_many(tensor.detach(), counts, rngs)
        except CodecError:
            check_finite(tensor, "what crosses the cut")
            raise

    def decode(
        self, kind: str, payloads: Sequence[Payload], counts: Sequence[int], shape: Shape, channels_last: bool
    ) -> torch.Tensor:
        """All clients' tensors, [samples, *shape], on the host, of `counts` samples each. Images have their
        channels last where layers are faster so."""
        values = self.of(kind).decode_many(payloads, [(n, *shape) for n in counts])
        return laid_out(values, channels_last)

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
