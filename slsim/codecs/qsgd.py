"""`qsgd`: stochastic quantization of buckets, unbiased."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, Rng, Values, check_finite, register
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError


@register("qsgd")
class QSGD(Codec):
    """QSGD: each bucket by its l2 norm, a sign and a level for each element, rounded at random.

    Alistarh et al., NeurIPS 2017 (arXiv 1610.02132): x becomes ‖bucket‖ · sign(x) · ξ / s with
    s = 2^(bits - 1) - 1 levels and ξ one of the two integers around s · |x| / ‖bucket‖, so that the mean over
    draws is x. Without a generator, as at inference, the nearest. Body: ceil(bits · d / 8) bytes of codes
    and 4 of norm for each bucket; the paper's Elias coding is not applied.
    """

    checks_finite = True

    bits: int = Field(4, strict=True, ge=2, le=8, description="bits an element, the sign included")
    bucket_size: int = Field(512, strict=True, ge=1, description="elements that share one norm")

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del shape
        padded = self._buckets(values.astype(np.float64))
        norms = np.sqrt((padded**2).sum(axis=1))
        with np.errstate(over="ignore"):  # told by check_finite
            sent: Values = norms.astype("<f4")
        check_finite(bool(np.isfinite(sent).all()), self)
        used = np.where(sent > 0, sent, 1).astype(np.float64)[:, None]
        scaled = np.minimum(np.abs(padded) / used, 1) * self._levels
        draws = 0.5 if rng is None else rng.random(padded.shape)
        signed = np.copysign(np.floor(scaled + draws), padded).astype(np.int16) + self._levels
        codes = np.zeros(values.size + 8, np.uint8)
        codes[: values.size] = np.clip(signed, 0, 2 * self._levels).ravel()[: values.size]
        out = np.empty(packed_bytes(values.size, self.bits), np.uint8)
        kernels.pack_block(codes, values.size, self.bits, out)
        return sent.tobytes() + out.tobytes()

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        count = self._num_buckets(shape)
        sent = np.frombuffer(content, "<f4", count)
        if not (np.isfinite(sent).all() and (sent >= 0).all()):
            raise CodecError("a norm is negative or not finite: the payload is damaged")
        norms = sent.astype(np.float64)
        steps = np.empty(math.prod(shape), np.float32)
        table = np.minimum(np.arange(1 << self.bits), 2 * self._levels) - self._levels
        codes = np.frombuffer(content, np.uint8, offset=4 * count)
        kernels.unpack_table(codes, table.astype(np.float32), self.bits, steps)
        decoded = self._buckets(steps.astype(np.float64)) * norms[:, None] / self._levels
        values: Values = decoded.ravel()[: steps.size].astype(np.float32)
        return values

    @property
    def _levels(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def _buckets(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values as rows of `bucket_size`, the last one filled up with zeros."""
        size = max(1, min(self.bucket_size, values.size))
        padded = np.zeros(-(-values.size // size) * size)
        padded[: values.size] = values
        return padded.reshape(-1, size)

    def _num_buckets(self, shape: Shape) -> int:
        return -(-math.prod(shape) // self.bucket_size)

    def body_bytes(self, shape: Shape) -> int:
        return packed_bytes(math.prod(shape), self.bits) + 4 * self._num_buckets(shape)

    def size_formula(self, shape: Shape) -> str:
        return f"ceil({self.bits}·d / 8) + 4·{self._num_buckets(shape):,}"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        norms = 4 * self._num_buckets(shape)
        return [Segment(norms, width=4), Segment(num_bytes - norms)]

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8
        return 8 + written, 4 + written  # the norms, then the codes; codes to values
