"""`qsgd`: stochastic quantization of buckets, unbiased."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, check_finite
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import CHUNK, Shape, chunks, packed_bytes
from slsim.codecs.symbols import NO_FLOATS, Symbols, unpacked
from slsim.errors import CodecError


class QSGD(Codec):
    """QSGD: each bucket by its l2 norm, a sign and a level for each element, rounded at random.

    Alistarh et al., NeurIPS 2017 (arXiv 1610.02132): x becomes ‖bucket‖ · sign(x) · ξ / s with
    s = 2^(bits - 1) - 1 levels and ξ one of the two integers around s · |x| / ‖bucket‖, so that the mean over
    draws is x. Without a generator, as at inference, the nearest. Body: ceil(bits · d / 8) bytes of codes
    and 4 of norm for each bucket; the paper's Elias coding is not applied.
    """

    checks_finite = True

    bits: int = Field(4, strict=True, ge=2, le=8, description="The number of bits an element, with the sign.")
    bucket_size: int = Field(
        512, strict=True, ge=1, description="The number of elements that share one norm."
    )

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del shape
        codes, norms = np.zeros(values.size + 8, np.uint8), []  # the packing rounds up to eight codes
        for chunk in self._chunks(values.size):
            norm, own = self._encode_buckets(values[chunk], rng)
            norms.append(norm)
            codes[chunk] = own
        packed = kernels.pack_codes(codes, values.size, self.bits)
        return b"".join([norm.tobytes() for norm in norms]) + packed.tobytes()

    def _encode_buckets(self, values: Values, rng: Rng) -> tuple[Values, NDArray[np.uint8]]:
        """Norms and codes of whole buckets, the last of which may be shorter."""
        padded = self._buckets(values.astype(np.float64))
        with np.errstate(over="ignore"):  # told by check_finite
            norms: Values = np.sqrt((padded**2).sum(axis=1)).astype("<f4")
        check_finite(bool(np.isfinite(norms).all()), self)
        used = np.where(norms > 0, norms, 1).astype(np.float64)[:, None]
        scaled = np.minimum(np.abs(padded) / used, 1) * self._levels
        draws = 0.5 if rng is None else rng.random(padded.shape)
        signed = np.copysign(np.floor(scaled + draws), padded).astype(np.int16) + self._levels
        codes = np.clip(signed, 0, 2 * self._levels).astype(np.uint8).ravel()
        return norms, codes[: values.size]

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        count = self._num_buckets(shape)
        norms = np.frombuffer(content, "<f4", count)
        if not (np.isfinite(norms).all() and (norms >= 0).all()):
            raise CodecError("a norm is negative or not finite: the payload is damaged")
        out = np.empty(math.prod(shape), np.float32)
        table = np.minimum(np.arange(1 << self.bits), 2 * self._levels) - self._levels
        codes = np.frombuffer(content, np.uint8, offset=4 * count)
        kernels.unpack_table(codes, table.astype(np.float32), self.bits, out)
        for chunk in self._chunks(out.size):
            own = norms[chunk.start // self.bucket_size : -(-chunk.stop // self.bucket_size)]
            steps = self._buckets(out[chunk].astype(np.float64))
            decoded = steps * own.astype(np.float64)[:, None] / self._levels
            out[chunk] = decoded.ravel()[: chunk.stop - chunk.start]
        return out

    def level_symbols(self, content: memoryview, shape: Shape) -> Symbols:
        norms = 4 * self._num_buckets(shape)
        codes = np.frombuffer(content, np.uint8, offset=norms)
        return Symbols(unpacked(codes, math.prod(shape), self.bits), NO_FLOATS, norms)

    def _chunks(self, num_elements: int) -> Iterator[slice]:
        """Slices of whole buckets, few enough that temporaries stay small."""
        size = min(self.bucket_size, num_elements)
        return chunks(num_elements, self.bucket_size * max(1, CHUNK // max(size, 1)))

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
        del num_bytes
        norms = Segment(4 * self._num_buckets(shape), width=4)
        return [norms, Segment.of_codes(shape, self.bits)]

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8
        return 8 + written, 4 + written  # the norms, then the codes; codes to values
