"""`kmeans`: clustering quantization."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, check_finite, check_received
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, chunks, packed_bytes
from slsim.codecs.symbols import NO_FLOATS, Symbols, unpacked


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
        centroids = lloyd(values, centroids, self.iterations)
        codes = np.zeros(values.size + 8, np.uint8)  # the packing rounds up to eight codes
        for chunk in chunks(values.size):
            codes[chunk] = nearest(values[chunk], centroids)
        packed = kernels.pack_codes(codes, values.size, self.bits)
        return centroids.astype("<f4").tobytes() + packed.tobytes()

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        centroids = np.frombuffer(content, "<f4", 1 << self.bits).astype(np.float32)
        check_received(centroids, self)
        out = np.empty(math.prod(shape), np.float32)
        codes = np.frombuffer(content, np.uint8, offset=4 * centroids.size)
        kernels.unpack_table(codes, centroids, self.bits, out)
        return out

    def level_symbols(self, content: memoryview, shape: Shape) -> Symbols:
        centroids = 4 * (1 << self.bits)
        codes = np.frombuffer(content, np.uint8, offset=centroids)
        return Symbols(unpacked(codes, math.prod(shape), self.bits), NO_FLOATS, centroids)

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


def lloyd(values: Values, centroids: Values, iterations: int) -> Values:
    """The centroids, ascending, after so many of Lloyd's iterations; one without values stays where it is."""
    for _ in range(iterations):
        sums, counts = np.zeros(centroids.size), np.zeros(centroids.size, np.int64)
        for chunk in chunks(values.size):
            places = nearest(values[chunk], centroids)
            sums += np.bincount(places, values[chunk], centroids.size)
            counts += np.bincount(places, minlength=centroids.size)
        centroids = np.where(counts > 0, sums / np.maximum(counts, 1), centroids).astype(np.float32)
    return centroids


def nearest(values: Values, centroids: Values) -> NDArray[np.intp]:
    """The nearest centroid of each value; the centroids are ascending."""
    middles = (centroids[1:].astype(np.float64) + centroids[:-1]) / 2
    return np.searchsorted(middles.astype(np.float32), values, side="right")
