"""`randtopk`: randomized top-k of each sample, as its authors have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, check_finite
from slsim.codecs.coder import Coder, Mask
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.masking import MaskingCoder
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape, packed_bytes, parts
from slsim.errors import CodecError

POSITIONS, MASK = 0, 1  # how places are told, the content's first byte

Places = NDArray[np.int64]  # [samples, k], ascending in each row


class RandTopk(Codec):
    """Randomized top-k of each sample, as its authors have it: gradients are masked too.

    Zheng et al., *Reducing Communication for Split Learning by Randomized Top-k Sparsification*, IJCAI 2023.
    k = max(1, round(rate · d)) of a sample's d elements are kept: k draws without replacement, in which each
    of the top k by magnitude weighs (1 - alpha) / k and each other element alpha / (d - k). Without a
    generator, as at inference, it is plain top-k. Elements that are not kept decode to 0, and their gradients
    are 0, whatever returns; with `downlink = "masked"` the server sends the k gradients alone, 4Bk bytes.

    Body, for B samples: the places, and 4Bk bytes of float32 values. Places are told as positions,
    ceil(B · k · ceil(log2 d) / 8) bytes, or as a mask, ceil(B · d / 8), whichever is shorter; one byte of
    side information says which. (The authors count positions alone: their cut is a last hidden layer.)
    `rate` has no published default: theirs are sizes of a code of 128 elements, of which they keep 3 to 13.
    """

    rate: float = Field(0.05, strict=True, gt=0, le=1, description="The share of a sample that is kept.")
    alpha: float = Field(
        0.1, strict=True, ge=0, le=1, description="The weight of all elements outside the top together."
    )

    @property
    def side_bytes(self) -> int:
        return 1

    @property
    def keeps_part(self) -> bool:
        return True

    def num_kept(self, shape: Shape) -> tuple[int, int, int]:
        count, size = parts(shape, "sample")
        return (count * self._k(size),) * 3

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return MaskingCoder(self)

    def gradient_bytes_touched(self) -> tuple[float, float]:
        return 9.0, 0.0  # the gradient and the mask are read, a gradient is written

    def _k(self, size: int) -> int:
        return min(size, max(1, round(self.rate * size)))

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        count, size = parts(shape, "sample")
        check_finite(bool(np.isfinite(values).all()), self)
        k, rows = self._k(size), values.reshape(count, size)
        places = np.stack([self._draw(row, k, rng) for row in rows]) if count else np.empty((0, k), np.int64)
        kept = np.take_along_axis(rows, places, axis=1).astype("<f4")
        way = self._way(shape)
        told = _packed_positions(places, size) if way == POSITIONS else _packed_mask(places, size)
        return bytes([way]) + told + kept.tobytes()

    def _draw(self, row: Values, k: int, rng: Rng) -> NDArray[np.int64]:
        """The places that are kept of a sample, ascending."""
        top = kernels.select(row, k, True).places.astype(np.int64)
        if rng is None or k == row.size or self.alpha == 0:
            return top
        weights = np.full(row.size, self.alpha / (row.size - k))
        weights[top] = (1 - self.alpha) / k
        with np.errstate(divide="ignore"):  # a weight of 0 is drawn last
            waiting = rng.standard_exponential(row.size) / weights
        return np.sort(np.argpartition(waiting, k - 1)[:k])  # who comes first: draws without replacement

    def _way(self, shape: Shape) -> int:
        count, size = parts(shape, "sample")
        bits = count * self._k(size) * _position_bits(size)
        return POSITIONS if packed_bytes(bits, 1) < packed_bytes(count * size, 1) else MASK

    def _places(self, content: memoryview, shape: Shape) -> Places:
        """Raises `CodecError` where places are no k ascending ones of each sample."""
        count, size = parts(shape, "sample")
        k, way = self._k(size), content[0]
        if way != self._way(shape):
            raise CodecError(f"places are told in a way ({way}) that is not the shorter: damaged payload")
        told = np.frombuffer(content[1 : 1 + self._place_bytes(shape)], np.uint8)
        if way == POSITIONS:
            places = _unpacked_positions(told, count * k, size).reshape(count, k)
        else:
            marked = np.unpackbits(told, count=count * size).reshape(count, size)
            if not (marked.sum(axis=1) == k).all():
                raise CodecError(
                    f"the mask does not mark {k} elements of each sample: the payload is damaged"
                )
            places = np.flatnonzero(marked).reshape(count, k) % max(size, 1)
        if (places >= size).any() or (np.diff(places, axis=1) <= 0).any():
            raise CodecError("the positions are not ascending, or beyond a sample: the payload is damaged")
        return places

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        count, size = parts(shape, "sample")
        out = np.zeros((count, size), np.float32)
        if count:
            kept = np.frombuffer(content, "<f4", offset=1 + self._place_bytes(shape))
            np.put_along_axis(out, self._places(content, shape), kept.reshape(count, -1), axis=1)
        return out.reshape(-1)

    def kept(self, payload: Payload) -> Mask:
        count, size = parts(payload.shape, "sample")
        out = np.zeros((count, size), np.bool_)
        if count:
            places = self._places(self.unpack(payload), payload.shape)
            np.put_along_axis(out, places, True, axis=1)
        return out.reshape(payload.shape)

    def _place_bytes(self, shape: Shape) -> int:
        count, size = parts(shape, "sample")
        if self._way(shape) == MASK:
            return packed_bytes(count * size, 1)
        return packed_bytes(count * self._k(size) * _position_bits(size), 1)

    def body_bytes(self, shape: Shape) -> int:
        return self._place_bytes(shape) + 4 * self.num_kept(shape)[0]

    def size_formula(self, shape: Shape) -> str:
        count, size = parts(shape, "sample")
        kept = self.num_kept(shape)[0]
        told = f"{kept:,}·{_position_bits(size)} / 8" if self._way(shape) == POSITIONS else "d / 8"
        return f"ceil({told}) + 4·{kept:,}" if count else "0"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        told = 1 + self._place_bytes(shape)
        return [Segment(told), Segment(num_bytes - told, width=4)]


def _position_bits(size: int) -> int:
    """ceil(log2 d), in whole numbers."""
    return max(size - 1, 0).bit_length()


def _packed_positions(places: Places, size: int) -> bytes:
    bits = _position_bits(size)
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((places.reshape(-1, 1) >> shifts & 1).astype(np.uint8)).tobytes()


def _unpacked_positions(told: NDArray[np.uint8], count: int, size: int) -> NDArray[np.int64]:
    bits = _position_bits(size)
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.int64)
    return np.unpackbits(told, count=count * bits).reshape(count, bits) @ weights


def _packed_mask(places: Places, size: int) -> bytes:
    marked = np.zeros((len(places), size), np.uint8)
    np.put_along_axis(marked, places, 1, axis=1)
    return np.packbits(marked).tobytes()
