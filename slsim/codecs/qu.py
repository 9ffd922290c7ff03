"""`qu`: uniform quantization."""

from __future__ import annotations

import math
import struct

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec, Values, register
from slsim.codecs.kernels import pack, packed_bytes, unpack
from slsim.errors import CodecError

_RANGE = struct.Struct("<ff")


@register("qu")
class QU(Codec):
    """Uniform quantization from the tensor's minimum to its maximum, rounded to nearest.

    2^bits levels, one scale a tensor, as the released program of *Mask-Encoded Sparsification* (ECAI
    2024) does. Body: ceil(bits · d / 8) bytes; minimum and maximum travel in the header.
    """

    side_bytes = _RANGE.size

    bits: int = Field(3, strict=True, ge=1, le=8, description="bits an element")

    def encode_values(self, values: Values, rng: np.random.Generator | None) -> tuple[bytes, bytes]:
        del rng
        if not values.size:
            return bytes(self.side_bytes), b""
        low, high = float(values.min()), float(values.max())
        top = 2**self.bits - 1
        scale = top / (high - low) if high > low else 0.0
        codes = np.rint((values.astype(np.float64) - low) * scale).astype(np.uint8)
        return _RANGE.pack(low, high), pack(codes, self.bits)

    def decode_values(self, body: memoryview, num_elements: int, side: bytes) -> Values:
        low, high = _RANGE.unpack(side)
        if not -math.inf < low <= high < math.inf:
            raise CodecError(f"a range from {low} to {high} is none: the payload is damaged")
        levels = np.linspace(low, high, 2**self.bits, dtype=np.float64).astype(np.float32)
        return levels[unpack(body, self.bits, num_elements)]

    def body_bytes(self, num_elements: int) -> int:
        return packed_bytes(num_elements, self.bits)

    def size_formula(self, num_elements: int) -> str:
        del num_elements
        return f"ceil({self.bits}·d / 8)"

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8
        return 8 + written, 4 + written  # the range, then the codes; codes to values
