"""`kmeans`: clustering quantization."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, Rng, Values, check_finite, check_received
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, chunks, packed_bytes


class KMeans(Codec):
    """Clustering quantization: 2^bits centroids by Lloyd's iterations, each element the nearest one.

    The slow alternative that *Mask-Encoded Sparsification* (ECAI 2024) names. Lloyd (1982) from evenly
    spaced centroids; a centroid without elements stays where it is. Body: 4 · 2^bits bytes of centroids
    and ceil(bits · d / 8) of codes.
    """

    checks_finite = True

    bits: int = Field(3, strict=True, ge=1, le=8, description="The number of bits an element.")
    iterations: int = Field(
        10, strict=True, ge=0, le=1000, description="The number of iterations of Lloyd's algorithm."
    )

    @property
    def draws(self) -> bool:
        return False

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del shape, rng
        low, high = kernels.extent(values) if values.size else (np.float32(0), np.float32(0))
        check_finite(bool(np.isfinite([low, high]).all()), self)
        centroids = np.linspace(float(low), float(high), 1 << self.bits).astype(np.float32)
        for _ in range(self.iterations):
            sums, counts = np.zeros(centroids.size), np.zeros(centroids.size, np.int64)
            for chunk in chunks(values.size):
                nearest = self._nearest(values[chunk], centroids)
                sums += np.bincount(nearest, values[chunk], centroids.size)
                counts += np.bincount(nearest, minlength=centroids.size)
            centroids = np.where(counts > 0, sums / np.maximum(counts, 1), centroids).astype(np.float32)
        codes = np.zeros(values.size + 8, np.uint8)  # the packing rounds up to eight codes
        for chunk in chunks(values.size):
            codes[chunk] = self._nearest(values[chunk], centroids)
        packed = kernels.pack_codes(codes, values.size, self.bits)
        return centroids.astype("<f4").tobytes() + packed.tobytes()

    @staticmethod
    def _nearest(values: Values, centroids: Values) -> NDArray[np.intp]:
        """The nearest centroid of each value; the centroids are ascending."""
        middles = (centroids[1:].astype(np.float64) + centroids[:-1]) / 2
        return np.searchsorted(middles.astype(np.float32), values, side="right")

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        centroids = np.frombuffer(content, "<f4", 1 << self.bits).astype(np.float32)
        check_received(centroids, self)
        out = np.empty(math.prod(shape), np.float32)
        codes = np.frombuffer(content, np.uint8, offset=4 * centroids.size)
        kernels.unpack_table(codes, centroids, self.bits, out)
        return out

    def body_bytes(self, shape: Shape) -> int:
        return 4 * (1 << self.bits) + packed_bytes(math.prod(shape), self.bits)

    def size_formula(self, shape: Shape) -> str:
        del shape
        return f"ceil({self.bits}·d / 8) + {4 * (1 << self.bits):,}"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del num_bytes
        centroids = Segment(4 * (1 << self.bits), width=4)
        return [centroids, Segment.of_codes(shape, self.bits)]

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8
        return 4 + 8 * (self.iterations + 1) + written, 4 + written  # the range, each iteration, the codes
