"""`sl-fac`: channel maps by their spectra, quantized in two bands."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from slsim.codecs import kernels
from slsim.codecs.base import Codec
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError

Bits = NDArray[np.int64]


class _Cut(NamedTuple):
    """A tensor as maps: their number, height and width."""

    maps: int
    height: int
    width: int

    @property
    def size(self) -> int:
        return self.height * self.width


class SLFAC(Codec):
    """SL-FAC: each channel map's DCT in two bands, most energy in the low one, with bits by their energy.

    Lin et al., *SL-FAC* (arXiv 2604.07316). Of each map's two-dimensional DCT, in zig-zag order, the low band
    is the shortest beginning that has the share `energy` of the energy. Each band is quantized evenly from
    its minimum to its maximum with 2 to 8 bits a coefficient, more the larger its energy. Body, of each map:
    the bits of both bands (1 byte), the low band's length (1 byte, or 2 or 4 of maps above 256 or 65,536
    elements), the bands' ranges (16); then the codes: nominally `least_bits` each, at most `most_bits`.

    Only the abstract and others' accounts were at hand. Chosen here: the number of bits. The band with the
    largest mean energy has `most_bits`, and each halving of the energy costs half a bit, which gives all
    bands the same error; rounded, and at least `least_bits`. The DCT is orthonormal, in float32. A map is
    what lies behind the first two dimensions; of three dimensions it is 1 × n, of a matrix each sample is
    one, a tensor of one dimension is one.
    """

    energy: float = Field(
        0.9, strict=True, gt=0, le=1, description="The share of a map's energy that its low band has."
    )
    least_bits: int = Field(2, strict=True, ge=1, le=8, description="The least number of bits a coefficient.")
    most_bits: int = Field(8, strict=True, ge=1, le=8, description="The most bits a coefficient.")

    @model_validator(mode="after")
    def _least_and_most(self) -> SLFAC:
        if self.least_bits > self.most_bits:
            raise ValueError(f"least_bits is {self.least_bits}, more than most_bits, {self.most_bits}")
        return self

    @property
    def draws(self) -> bool:
        return False

    @staticmethod
    def _cut(shape: Shape) -> _Cut:
        if math.prod(shape) == 0:
            return _Cut(0, 1, 1)
        maps = math.prod(shape[:2]) if len(shape) > 2 else shape[0] if len(shape) == 2 else 1
        height = math.prod(shape[2:-1])
        return _Cut(maps, height, math.prod(shape) // (maps * height))

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del rng
        from scipy.fft import dctn

        cut = self._cut(shape)
        if cut.maps == 0:
            return b""
        maps = values.reshape(cut.maps, cut.height, cut.width)
        spectra = dctn(maps, axes=(1, 2), norm="ortho").reshape(cut.maps, -1)
        if not np.isfinite(spectra).all():
            raise CodecError("SLFAC cannot encode numbers this large: a sum of them is beyond float32")
        order = zig_zag(cut.height, cut.width)
        bands = kernels.split_bands(spectra, order, self.energy)
        bits = self._bits(bands.energies)
        codes = np.empty(values.size, np.uint8)
        kernels.quantize_bands(spectra, order, bands, bits, codes)
        ranges = np.stack([bands.lows, bands.highs], axis=2).astype("<f4")
        parts = (
            (bits - 1) @ np.array([16, 1]),
            bands.lengths - 1,
            ranges,
            kernels.pack_runs(codes, _counts(bands.lengths, cut), bits.reshape(-1)),
        )
        dtypes = (np.uint8, self._length_type(cut), "<f4", np.uint8)
        return b"".join(part.astype(dtype).tobytes() for part, dtype in zip(parts, dtypes, strict=True))

    def _bits(self, energies: NDArray[np.float64]) -> Bits:
        """The bits of all bands, [maps, 2], given their mean energies."""
        largest = energies.max()
        shares = np.divide(energies, largest, out=np.zeros_like(energies), where=energies > 0)
        fewer = np.full(energies.shape, np.inf)
        np.log2(shares, out=fewer, where=shares > 0)
        bits: Bits = np.rint(self.most_bits - np.abs(fewer) / 2).clip(self.least_bits).astype(np.int64)
        return bits

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        from scipy.fft import idctn

        cut = self._cut(shape)
        if cut.maps == 0:
            return np.empty(0, np.float32)
        bits, bands, packed = self._read(content, cut, self.segments(shape, len(content)))
        counts = _counts(bands.lengths, cut)
        if packed.size != kernels.run_bytes(counts, bits.reshape(-1)):
            raise CodecError(f"the codes do not take {packed.size} bytes: the payload is damaged")
        codes = kernels.unpack_runs(packed, counts, bits.reshape(-1))
        spectra = np.empty((cut.maps, cut.size), np.float32)
        kernels.restore_bands(codes, zig_zag(cut.height, cut.width), bands, bits, spectra)
        maps: Values = idctn(spectra.reshape(-1, cut.height, cut.width), axes=(1, 2), norm="ortho")
        return maps.reshape(-1)

    def _read(
        self, content: memoryview, cut: _Cut, segments: list[Segment]
    ) -> tuple[Bits, kernels.Bands, NDArray[np.uint8]]:
        """The bits and the bands of all maps, and the packed codes. Raises `CodecError` if they cannot be."""
        ends = np.cumsum([segment.num_bytes for segment in segments])[:-1]
        both, lengths, ranges, packed = np.split(np.frombuffer(content, np.uint8), ends)
        bits = 1 + np.stack([both >> 4, both & 15], axis=1).astype(np.int64)
        if bits.min() < self.least_bits or bits.max() > self.most_bits:
            raise CodecError(
                f"bands have {bits.min()} to {bits.max()} bits, {self.least_bits} to {self.most_bits} are "
                "allowed: the payload is damaged"
            )
        own_lengths = 1 + lengths.view(self._length_type(cut)).astype(np.int64)
        if own_lengths.max() > cut.size:
            raise CodecError(f"a band has {own_lengths.max()} of {cut.size} elements: the payload is damaged")
        bounds = ranges.view("<f4").reshape(-1, 2, 2)
        if not (np.isfinite(bounds).all() and (bounds[..., 0] <= bounds[..., 1]).all()):
            raise CodecError("a range is not finite, or ends before it begins: the payload is damaged")
        lows, highs = (bounds[..., end].astype(np.float64, order="C") for end in range(2))
        return bits, kernels.Bands(own_lengths, np.zeros((cut.maps, 2)), lows, highs), packed

    @staticmethod
    def _length_type(cut: _Cut) -> str:
        return "u1" if cut.size <= 1 << 8 else "<u2" if cut.size <= 1 << 16 else "<u4"

    def body_bytes(self, shape: Shape) -> int:
        return self._beside(shape) + packed_bytes(math.prod(shape), self.least_bits)

    def _beside(self, shape: Shape) -> int:
        """Bytes beside the codes."""
        cut = self._cut(shape)
        return cut.maps * (1 + np.dtype(self._length_type(cut)).itemsize + 16)

    def extra_bytes(self, shape: Shape) -> int:
        d = math.prod(shape)
        return packed_bytes(d, self.most_bits) - packed_bytes(d, self.least_bits)

    def size_formula(self, shape: Shape) -> str:
        return f"ceil({self.least_bits}·d / 8) + {self._beside(shape):,}"

    def bytes_touched(self) -> tuple[float, float]:
        # The transform along two axes; energy, cut and extremes; codes, and packing. And back.
        return 16.0 + 12.0 + 7.0, 7.0 + 16.0

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        cut = self._cut(shape)
        width = np.dtype(self._length_type(cut)).itemsize
        known = [Segment(cut.maps), Segment(cut.maps * width, width), Segment(16 * cut.maps, width=4)]
        return [*known, Segment(num_bytes - self._beside(shape))]


def _counts(lengths: Bits, cut: _Cut) -> Bits:
    """How many coefficients the bands have, a low and a high one of each map in turn."""
    return np.stack([lengths, cut.size - lengths], axis=1).reshape(-1)


@lru_cache(maxsize=16)
def zig_zag(height: int, width: int) -> Bits:
    """The places of a map's coefficients, flat, along its diagonals, as in JPEG: low frequencies first.

    Example:
        >>> zig_zag(3, 3).tolist()
        [0, 1, 3, 6, 4, 2, 5, 7, 8]
    """
    if height == 1 or width == 1:
        return np.arange(height * width)
    row, column = np.indices((height, width)).reshape(2, -1)
    diagonal = row + column
    order = np.lexsort((np.where(diagonal % 2, row, column), diagonal))
    order.flags.writeable = False
    return order
