"""`identity`: float32, uncompressed."""

from __future__ import annotations

import math

import numpy as np

from slsim.codecs.base import Codec
from slsim.codecs.format import Content, Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape


class Identity(Codec):
    """The values as they are, little-endian float32: the baseline. NaN and infinity pass."""

    accepts_non_finite = True

    @property
    def draws(self) -> bool:
        return False

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> Content:
        del shape, rng
        return values.astype("<f4", copy=False).view(np.uint8).data

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        del shape
        return np.frombuffer(content, dtype="<f4").astype(np.float32, copy=False)

    def body_bytes(self, shape: Shape) -> int:
        return 4 * math.prod(shape)

    def bytes_touched(self) -> tuple[float, float]:
        return 0.0, 0.0  # nothing to do: the tensor is sent from where it lies

    def size_formula(self, shape: Shape) -> str:
        del shape
        return "4·d"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del num_bytes
        return [Segment.of_items(shape, 4)]
