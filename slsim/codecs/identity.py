"""`identity`: float32, uncompressed."""

from __future__ import annotations

import numpy as np

from slsim.codecs.base import Codec, Values, register


@register("identity")
class Identity(Codec):
    """The values as they are, little-endian float32: the baseline. NaN and infinity pass."""

    accepts_non_finite = True

    def encode_values(self, values: Values, rng: np.random.Generator | None) -> tuple[bytes, bytes]:
        del rng
        return b"", values.astype("<f4", copy=False).tobytes()

    def decode_values(self, body: memoryview, num_elements: int, side: bytes) -> Values:
        del num_elements, side
        return np.frombuffer(body, dtype="<f4").astype(np.float32)

    def body_bytes(self, num_elements: int) -> int:
        return 4 * num_elements

    def size_formula(self, num_elements: int) -> str:
        del num_elements
        return "4·d"

    def bytes_touched(self) -> tuple[float, float]:
        return 8.0, 8.0  # one read, one write
