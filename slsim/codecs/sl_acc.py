"""`sl-acc`: channels grouped by their entropy, each group with bits of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from slsim.codecs import kernels
from slsim.codecs.base import Codec
from slsim.codecs.coder import Coder, State
from slsim.codecs.format import Rng, Values
from slsim.codecs.kmeans import lloyd, nearest
from slsim.codecs.lossless import Segment
from slsim.codecs.self_describing import SelfDescribing
from slsim.codecs.sizes import CHUNK, Shape, chunks, packed_bytes
from slsim.errors import CodecError

RANGE_BYTES, WIDTH_BYTES = 8, 1  # of a group: minimum and maximum, float32; its bits
BINS = 256  # of the histogram that a channel's entropy is taken from: 0 … 8 bits
ITERATIONS = 20  # of Lloyd's algorithm, over as many numbers as there are channels
Entropies = NDArray[np.float64]


class SLACC(Codec):
    """SL-ACC: channels grouped by their entropy; the more entropy in a group, the more bits it has.

    Lin et al., *SL-ACC: A Communication-Efficient Split Learning Framework with Adaptive Channel-wise
    Compression*, 2025 (arXiv 2508.12984), for activations and for gradients. Channels are the second
    dimension; a tensor without it is one channel. The entropy of a channel's values, scaled from its minimum
    to its maximum, is blended with its history, which the sender's coder keeps. k-means of the entropies
    makes groups; a group's bits come from the mean entropy of its channels, and the group is quantized
    uniformly from its minimum to its maximum. A coder that was just made has no history.

    Body: for each group 8 bytes of range and 1 of its bits; each channel's group, in as many bits as the
    number of groups needs; and the groups' codes, each group's rounded up to a byte. These take
    ceil(least_bits · d / 8) bytes at least, and `most_bits` an element at most.

    Of the paper only the abstract was read: history, k-means, bits from the mean entropy and min–max codes
    are from a summary, and none of its settings is known. Chosen here: the entropy is that of a histogram of
    256 bins; an exponential mean as history, of weight 0.5; 4 groups; the nearest whole number of bits, 2 to
    8; k-means from evenly spaced centroids.
    """

    groups: int = Field(4, strict=True, ge=1, le=16, description="The number of groups of channels, at most.")
    history: float = Field(
        0.5,
        strict=True,
        ge=0,
        lt=1,
        description="The weight of a channel's former entropies beside that of its present values.",
    )
    least_bits: int = Field(2, strict=True, ge=1, le=8, description="The least bits an element of a group.")
    most_bits: int = Field(8, strict=True, ge=1, le=8, description="The most bits an element of a group.")

    @model_validator(mode="after")
    def _least_is_not_more_than_most(self) -> SLACC:
        if self.least_bits > self.most_bits:
            raise ValueError(f"least_bits is {self.least_bits}, more than most_bits, {self.most_bits}")
        return self

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return SLACCCoder(self)

    @property
    def draws(self) -> bool:
        return False

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del rng
        return self.quantized(values, shape, entropies_of(values, shape))

    def quantized(self, values: Values, shape: Shape, entropies: Entropies) -> bytes:
        """The body of `values` whose channels have these (blended) entropies."""
        if not values.size:
            return b""
        grid, grouping = values.reshape(grid_of(shape)), self._grouped(entropies)
        ranges, codes = np.zeros((grouping.bits.size, 2), "<f4"), []
        for group, bits in enumerate(grouping.bits.tolist()):
            own = grid[:, grouping.of_channel == group].ravel()
            if own.size:
                ranges[group] = low, high = kernels.extent(own)
                out = np.empty(packed_bytes(own.size, bits), np.uint8)
                kernels.pack_uniform(own, float(low), _scale(float(low), float(high), bits), bits, out)
                codes.append(out.tobytes())
        return b"".join([ranges.tobytes(), grouping.bits.tobytes(), grouping.packed(), *codes])

    def _grouped(self, entropies: Entropies) -> Grouping:
        """The channels' groups by k-means of their entropies, in ascending order, and the groups' bits."""
        count = min(self.groups, entropies.size)
        numbers = entropies.astype(np.float32)
        centroids = np.linspace(numbers.min(), numbers.max(), count, dtype=np.float32)
        of_channel = nearest(numbers, lloyd(numbers, centroids, ITERATIONS))
        sizes = np.bincount(of_channel, minlength=count)
        means = np.bincount(of_channel, entropies, count) / np.maximum(sizes, 1)
        bits = np.rint(means).clip(self.least_bits, self.most_bits)
        return Grouping(of_channel.astype(np.uint8), bits.astype(np.uint8))

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        out = np.empty(math.prod(shape), np.float32)
        if not out.size:
            return out
        body = np.frombuffer(content, np.uint8)
        grid, count = out.reshape(grid_of(shape)), self._num_groups(shape)
        ranges = body[: RANGE_BYTES * count].view("<f4").reshape(count, 2)
        start, end = RANGE_BYTES * count, self._table_bytes(shape)
        grouping = Grouping.read(body[start : start + count], body[start + count : end], grid.shape[1])
        self._check(ranges, grouping, grid, body.size - end)
        for group, bits in enumerate(grouping.bits.tolist()):
            channels = np.flatnonzero(grouping.of_channel == group)
            own = np.empty((len(grid), channels.size, grid.shape[2]), np.float32)
            length = packed_bytes(own.size, bits)
            low, high = ranges[group].tolist()
            levels = np.linspace(low, high, 1 << bits).astype(np.float32)
            kernels.unpack_table(body[end : end + length], levels, bits, own.reshape(-1))
            grid[:, channels] = own
            end += length
        return out

    def _check(self, ranges: Values, grouping: Grouping, grid: Values, num_bytes: int) -> None:
        """Raises `CodecError` unless groups have ranges and bits, and that many bytes of codes."""
        bits, count = grouping.bits.astype(np.int64), grouping.bits.size
        if not (np.isfinite(ranges).all() and (ranges[:, 0] <= ranges[:, 1]).all()):
            raise CodecError("a range is not finite, or ends before it begins: the payload is damaged")
        if bits.min() < self.least_bits or bits.max() > self.most_bits or grouping.of_channel.max() >= count:
            raise CodecError("a group's bits, or a channel's group, cannot be: the payload is damaged")
        sizes = np.bincount(grouping.of_channel, minlength=count) * (grid.size // grid.shape[1])
        if (expected := int(((sizes * bits + 7) // 8).sum())) != num_bytes:
            raise CodecError(
                f"the groups take {expected} bytes of codes, {num_bytes} were sent: the payload is damaged"
            )

    def _num_groups(self, shape: Shape) -> int:
        return min(self.groups, grid_of(shape)[1]) if math.prod(shape) else 0

    def _table_bytes(self, shape: Shape) -> int:
        """The length of what says the groups' ranges and bits, and the channels' groups."""
        count = self._num_groups(shape)
        return count * (RANGE_BYTES + WIDTH_BYTES) + packed_bytes(
            grid_of(shape)[1] * (count > 0), _width(count)
        )

    def body_bytes(self, shape: Shape) -> int:
        return self._table_bytes(shape) + packed_bytes(math.prod(shape), self.least_bits)

    def extra_bytes(self, shape: Shape) -> int:
        elements = math.prod(shape)
        most = (elements * self.most_bits + 7 * self._num_groups(shape)) // 8
        return most - packed_bytes(elements, self.least_bits)

    def size_formula(self, shape: Shape) -> str:
        return f"ceil({self.least_bits}·d / 8) + {self._table_bytes(shape):,}"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        ranges = RANGE_BYTES * self._num_groups(shape)
        return [Segment(ranges, width=4), Segment(num_bytes - ranges)]

    def bytes_touched(self) -> tuple[float, float]:
        return 16.0, 12.0  # range, histogram, a group's copy and its codes; a group's values, and its place


@dataclass(frozen=True)
class Grouping:
    """The group of each channel, and the bits of each group, uint8."""

    of_channel: NDArray[np.uint8]
    bits: NDArray[np.uint8]

    def packed(self) -> bytes:
        """The channels' groups as they travel."""
        width = _width(self.bits.size)
        room = np.concatenate([self.of_channel, np.zeros(8, np.uint8)])  # packing rounds up to eight
        return kernels.pack_codes(room, self.of_channel.size, width).tobytes() if width else b""

    @classmethod
    def read(cls, bits: NDArray[np.uint8], packed: NDArray[np.uint8], channels: int) -> Grouping:
        """The grouping of so many channels as it was sent."""
        of_channel, width = np.zeros(channels, np.float32), _width(bits.size)
        if width:
            kernels.unpack_table(packed, np.arange(1 << width, dtype=np.float32), width, of_channel)
        return cls(of_channel.astype(np.uint8), bits)


class SLACCCoder(SelfDescribing[SLACC]):
    """Remembers the channels' entropies; the receiver's does nothing but decode."""

    def __init__(self, codec: SLACC) -> None:
        super().__init__(codec)
        self.entropies: Entropies | None = None

    def content(self, values: Values, shape: Shape) -> bytes:
        found = entropies_of(values, shape)
        if self.entropies is not None and self.entropies.shape == found.shape:
            found = self.codec.history * self.entropies + (1 - self.codec.history) * found
        if not self.is_frozen:
            self.entropies = found
        return self.codec.quantized(values, shape, found)

    def state(self) -> State:
        import torch

        return {} if self.entropies is None else {"entropies": torch.from_numpy(self.entropies.copy())}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.entropies = state["entropies"].numpy().copy() if state else None


def grid_of(shape: Shape) -> tuple[int, int, int]:
    """Samples, channels, and elements of a sample's channel."""
    return shape[0] if shape else 1, shape[1] if len(shape) > 1 else 1, math.prod(shape[2:])


def entropies_of(values: Values, shape: Shape) -> Entropies:
    """The entropy of each channel's values in bits, of a histogram from its minimum to its maximum."""
    grid = values.reshape(grid_of(shape))
    samples, channels, size = grid.shape
    if not grid.size:
        return np.zeros(channels)
    low, high = (bound.astype(np.float64)[:, None] for bound in (grid.min((0, 2)), grid.max((0, 2))))
    scale = np.where(high > low, BINS / np.where(high > low, high - low, 1), 0)
    first, counts = BINS * np.arange(channels)[:, None], np.zeros(BINS * channels, np.int64)
    for chunk in chunks(samples, max(1, CHUNK // (channels * size))):
        bins = np.minimum((grid[chunk] - low) * scale, BINS - 1).astype(np.intp) + first
        counts += np.bincount(bins.ravel(), minlength=counts.size)
    shares = counts.reshape(channels, BINS) / (samples * size)
    found: Entropies = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)
    return found


def _scale(low: float, high: float, bits: int) -> float:
    """Codes per unit of value."""
    return ((1 << bits) - 1) / (high - low) if high > low else 0.0


def _width(count: int) -> int:
    """The bits that tell `count` groups apart."""
    return max(count - 1, 0).bit_length()
