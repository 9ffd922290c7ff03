"""`masked`: what returns has values only where something was sent, and spends no bytes on their positions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec
from slsim.codecs.coder import Coder, Crossing, Mask, Samples
from slsim.codecs.format import Content, Rng, Values
from slsim.codecs.inner import InnerCodec
from slsim.codecs.lossless import Segment
from slsim.codecs.payload import Payload, header
from slsim.codecs.sizes import Shape
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

NOTHING_GIVEN = "masked sends the values at positions that it is given; none were given"


class Masked(Codec):
    """The gradient's values at the positions that the uplink sent, and nothing elsewhere.

    For the way back of a codec that sends a part of the elements (top-k, random-k, dropped columns or
    channels). Both ends know the positions from what was sent, so none travel: k float32 values take 4k
    bytes, and `codec` may make them smaller. The receiver finds 0 everywhere else, as RandTopk's authors have
    it (Zheng et al., IJCAI 2023). The values are encoded as a flat tensor of k elements, in row-major order.

    Alone, without a codec of the other direction, it sends every element through `codec`.
    """

    codec: InnerCodec = Field(
        default="identity", validate_default=True, description="The codec of the values that are sent."
    )

    def paired(self, other: Codec) -> Codec:
        if not other.keeps_part:
            raise ValueError(
                f"{type(other).__name__} sends something of every element, so no gradient can be left out; "
                '"masked" is for the way back of a codec that sends a part, such as sp, rt, randk or ms'
            )
        stage = {"lossless": self.lossless, "zstd_level": self.zstd_level}
        return MaskedBy(inner=self.codec.model_copy(update=stage), by=other)

    @property
    def accepts_non_finite(self) -> bool:  # type: ignore[override]
        return self.codec.accepts_non_finite

    @property
    def draws(self) -> bool:
        return self.codec.draws

    @property
    def side_bytes(self) -> int:
        return self.codec.side_bytes

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> Content:
        return self.codec.encode_values(values, shape, rng)

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        return self.codec.decode_values(content, shape)

    def body_bytes(self, shape: Shape) -> int:
        return self.codec.body_bytes(shape)

    def extra_bytes(self, shape: Shape) -> int:
        return self.codec.extra_bytes(shape)

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        return self.codec.segments(shape, num_bytes)

    def core_seconds(self, shape: Shape) -> tuple[float, float]:
        from slsim.codecs.costs import around

        return around("gather", shape, self.codec, shape)

    def size_formula(self, shape: Shape) -> str:
        return self.codec.size_formula(shape)


class MaskedBy(Codec):
    """`Masked` beside the codec whose positions it takes: values through `inner`, positions from `by`."""

    inner: Codec
    by: Codec

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return _MaskedCoder(self)

    @property
    def draws(self) -> bool:
        return self.inner.draws

    @property
    def varies(self) -> bool:
        least, _, most = self.by.num_kept((8, 8))
        return self.inner.varies or least < most

    def num_kept(self, shape: Shape) -> tuple[int, int, int]:
        return self.by.num_kept(shape)

    def core_seconds(self, shape: Shape) -> tuple[float, float]:
        from slsim.codecs.costs import around

        return around("gather", shape, self.inner, (self.num_kept(shape)[1],))

    def body_bytes(self, shape: Shape) -> int:
        return self.inner.num_bytes((self.num_kept(shape)[1],)) - len(header((self.num_kept(shape)[1],), 0))

    def size_formula(self, shape: Shape) -> str:
        kept = self.num_kept(shape)[1]
        return self.inner.size_formula((kept,)).replace("d", "k") + f" with k = {kept:,}"

    def num_bytes(self, shape: Shape) -> int:
        return len(header(shape, 0)) + self.body_bytes(shape)

    def size_bounds(self, shape: Shape) -> tuple[int, int]:
        least, _, most = self.num_kept(shape)
        low, high = self.inner.size_bounds((least,))[0], self.inner.size_bounds((most,))[1]
        own = len(header(shape, 0))
        return low - len(header((least,), 0)) + own, high - len(header((most,), 0)) + own

    def wrap(self, payload: Payload, shape: Shape) -> Payload:
        """A payload of the values alone as one of the whole tensor."""
        return Payload.build(shape, self.fingerprint, bytes(payload.content), payload.extended)

    def unwrap(self, payload: Payload, kept: int) -> Payload:
        """The payload of the values alone."""
        return Payload.build((kept,), self.inner.fingerprint, bytes(payload.content), payload.extended)

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> Content:
        del values, shape, rng
        raise CodecError(NOTHING_GIVEN)

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        del content, shape
        raise CodecError(NOTHING_GIVEN)


class _MaskedCoder(Coder):
    """Takes values out of the tensor where `given` was kept, and puts them back there."""

    def __init__(self, codec: MaskedBy) -> None:
        self._codec = codec

    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        import torch

        del samples
        kept = torch.from_numpy(_positions(given, tuple(x.shape)))
        return self._codec.wrap(self._codec.inner.encode(x.cpu()[kept], rng), tuple(x.shape))

    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        import torch

        del samples
        if payload.fingerprint != self._codec.fingerprint or payload.shape != tuple(shape):
            raise CodecError(f"this is no payload of masked values of a tensor of shape {tuple(shape)}")
        kept = _positions(given, tuple(shape))
        count = int(np.count_nonzero(kept))
        values = self._codec.inner.decode(self._codec.unwrap(payload, count), (count,))
        out = torch.zeros(shape)
        out[torch.from_numpy(kept)] = values
        return out

    arrival = decode


def _positions(given: Crossing | None, shape: Shape) -> Mask:
    """The mask of what crossed in the other direction. Raises `CodecError` where there is none."""
    if given is None or given.kept is None or math.prod(given.kept.shape) != math.prod(shape):
        raise CodecError(NOTHING_GIVEN)
    return given.kept.reshape(shape)
