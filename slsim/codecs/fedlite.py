"""`fedlite`: product quantization, k-means of sub-vectors over the mini-batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError


class _Cut(NamedTuple):
    """How a tensor is cut: samples, sub-vectors of each, elements of a sub-vector, groups of sub-vectors."""

    samples: int
    vectors: int
    width: int
    groups: int

    def positions(self, group: int) -> slice:
        """The sub-vectors of a group: neighbours, in groups as equal as can be."""
        return slice(
            group * self.vectors // self.groups,
            (group + 1) * self.vectors // self.groups,
        )


class FedLite(Codec):
    """Product quantization: a sample's sub-vectors become the nearest of a few centroids of the batch.

    Wang et al., *FedLite* (arXiv 2201.11865). A sample's d' elements are cut into `subvectors` q; in each of
    `groups` R by position, k-means over the mini-batch finds `centroids` L. Body: the codebooks, float32,
    4·R·L·⌈d'/q⌉ bytes; then a code of ⌈log₂L⌉ bits for each sub-vector of each sample. The defaults are the
    paper's largest compression: 490 times of 64-bit floats, 250 times of 32-bit ones (d' = 9,216, 20
    samples).

    Not read, and chosen here: the paper's text was not at hand, its setting and sizes come from others'
    accounts. k-means starts by k-means++ and does `iterations` of Lloyd's algorithm. Where q does not divide
    d', sub-vectors have ⌈d'/q⌉ elements, the last one is filled up with zeros, and there are as many as that
    takes; where q exceeds d', each element is one. A tensor of one dimension is one sample. Without a
    generator the draws of k-means++ are fixed ones. The paper's correction of the gradient is `correction`,
    which every codec has.
    """

    subvectors: int = Field(
        1152, strict=True, ge=1, description="The number of sub-vectors that each sample is cut into, q."
    )
    centroids: int = Field(2, strict=True, ge=2, le=256, description="The number of centroids of a group, L.")
    groups: int = Field(1, strict=True, ge=1, description="The number of groups of sub-vectors, R.")
    iterations: int = Field(
        10, strict=True, ge=0, le=1000, description="The number of iterations of Lloyd's algorithm."
    )

    @property
    def _bits(self) -> int:
        """Bits a code."""
        return (self.centroids - 1).bit_length()

    def _cut(self, shape: Shape) -> _Cut:
        d = math.prod(shape)
        if d == 0:
            return _Cut(0, 0, 0, 0)
        samples = shape[0] if len(shape) > 1 else 1
        width = -(-(d // samples) // self.subvectors)
        vectors = -(-(d // samples) // width)
        return _Cut(samples, vectors, width, min(self.groups, vectors))

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        cut = self._cut(shape)
        if cut.samples == 0:
            return b""
        rows = self._rows(values, cut)
        draws = (rng or np.random.default_rng(0)).random((cut.groups, self.centroids))
        codebooks = np.empty((cut.groups, self.centroids, cut.width), "<f4")
        count = cut.samples * cut.vectors
        codes = np.zeros(count + 8, np.uint8)  # the packing rounds up to eight codes
        by_sample = codes[:count].reshape(cut.samples, cut.vectors)
        for group, codebook in enumerate(codebooks):
            own = cut.positions(group)
            kernels.cluster(rows[:, own], draws[group], self.iterations, codebook, by_sample[:, own])
        return codebooks.tobytes() + kernels.pack_codes(codes, count, self._bits).tobytes()

    @staticmethod
    def _rows(values: Values, cut: _Cut) -> Values:
        """The sub-vectors, [samples, sub-vectors, elements]; a sample's last one is filled up with zeros."""
        rows = values.reshape(cut.samples, -1)
        if missing := cut.vectors * cut.width - rows.shape[1]:
            rows = np.pad(rows, ((0, 0), (0, missing)))
        return rows.reshape(cut.samples, cut.vectors, cut.width)

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        cut = self._cut(shape)
        if cut.samples == 0:
            return np.empty(0, np.float32)
        codebooks = np.frombuffer(content, "<f4", cut.groups * self.centroids * cut.width)
        codebooks = codebooks.reshape(cut.groups, self.centroids, cut.width)
        codes = self._codes(content, cut)
        rows = np.empty((cut.samples, cut.vectors, cut.width), np.float32)
        for group, codebook in enumerate(codebooks):
            own = cut.positions(group)
            rows[:, own] = codebook[codes[:, own]]
        return rows.reshape(cut.samples, -1)[:, : math.prod(shape) // cut.samples].reshape(-1)

    def _codes(self, content: memoryview, cut: _Cut) -> NDArray[np.uint8]:
        """The codes, [samples, sub-vectors]. Raises `CodecError` where one has no centroid."""
        packed = np.frombuffer(content, np.uint8, offset=self._codebook_bytes(cut))
        count = cut.samples * cut.vectors
        codes = np.empty(-(-count // 8) * 8, np.uint8)
        kernels.unpack_block(packed, self._bits, codes)
        codes = codes[:count]
        if codes.max() >= self.centroids:
            raise CodecError(
                f"a code is {codes.max()}, and there are {self.centroids} centroids: the payload is damaged"
            )
        return codes.reshape(cut.samples, cut.vectors)

    def _codebook_bytes(self, cut: _Cut) -> int:
        return 4 * cut.groups * self.centroids * cut.width

    def body_bytes(self, shape: Shape) -> int:
        cut = self._cut(shape)
        return self._codebook_bytes(cut) + packed_bytes(cut.samples * cut.vectors, self._bits)

    def size_formula(self, shape: Shape) -> str:
        cut = self._cut(shape)
        whole = cut.width <= 1 or math.prod(shape) == cut.samples * cut.vectors * cut.width
        each = "d" if cut.width <= 1 else f"d/{cut.width}"
        codes = f"{self._bits}·{each}" if whole else f"{self._bits}·{cut.samples}·ceil(d/n / {cut.width})"
        return f"ceil({codes} / 8) + {self._codebook_bytes(cut):,}"

    def bytes_touched(self) -> tuple[float, float]:
        return 4.0 * (self.centroids + 2 * self.iterations + 1), 4.0  # the start, each iteration, the codes

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        codebooks = self._codebook_bytes(self._cut(shape))
        return [Segment(codebooks, width=4), Segment(num_bytes - codebooks)]
