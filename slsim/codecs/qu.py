"""`qu`: uniform quantization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, check_finite
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, chunks, packed_bytes
from slsim.codecs.symbols import NO_FLOATS, Symbols, unpacked
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

RANGE_BYTES = 8  # minimum and maximum, float32
Grid = tuple[int, int, int]


class QU(Codec):
    """Uniform quantization from the minimum to the maximum, 2^bits levels.

    Rounding "nearest" as the released program of *Mask-Encoded Sparsification* (ECAI 2024) does, or
    "stochastic" (unbiased; nearest without a generator, as at inference). With scope "tensor" there is one
    range, and its 8 bytes are side information; with "sample" (first dimension) or "channel" (second) there
    are many, in the body. Body: 8 bytes for each such range, then ceil(bits · d / 8) of codes.
    """

    checks_finite = True

    bits: int = Field(3, strict=True, ge=1, le=8, description="The number of bits an element.")
    rounding: Literal["nearest", "stochastic"] = Field(
        "nearest", description="How values between two levels are rounded."
    )
    scope: Literal["tensor", "sample", "channel"] = Field(
        "tensor", description="What shares one range: the tensor, each sample, or each channel."
    )

    @property
    def draws(self) -> bool:
        return self.rounding == "stochastic"

    @property
    def side_bytes(self) -> int:
        return RANGE_BYTES if self.scope == "tensor" else 0

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        ranges = self._ranges(values, shape)
        check_finite(bool(np.isfinite(ranges).all()), self)
        if not values.size:
            return ranges.tobytes()
        if self.scope != "tensor" or (rng is not None and self.rounding == "stochastic"):
            codes = self._codes(values, shape, ranges, rng)
            return ranges.tobytes() + kernels.pack_codes(codes, values.size, self.bits).tobytes()
        low, high = (float(bound) for bound in ranges.ravel())
        out = np.empty(packed_bytes(values.size, self.bits), np.uint8)
        kernels.pack_uniform(values, low, self._uniform_scale(low, high), self.bits, out)
        return ranges.tobytes() + out.tobytes()

    def _uniform_scale(self, low: float, high: float) -> float:
        """Codes per unit of value."""
        return self._top / (high - low) if high > low else 0.0

    def encode_rows(self, rows: torch.Tensor, shape: Shape, rngs: Sequence[Rng]) -> list[bytes] | None:
        """For one range and rounding to nearest; the other ways are for the host."""
        from slsim.codecs import device

        del shape
        drawing = self.rounding == "stochastic" and any(rng is not None for rng in rngs)
        if self.scope != "tensor" or drawing:
            return None
        bounds = device.extents(rows)
        codes = device.uniform_codes(rows, bounds, self._top)
        fetched = device.fetch(len(rows), device.are_finite(rows), bounds, device.pack(codes, self.bits))
        check_finite(bool(fetched[0].all()), self)
        return [own.tobytes() + packed.tobytes() for own, packed in zip(*fetched[1:], strict=True)]

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        count = self._num_ranges(shape)
        sent = np.frombuffer(content, "<f4", 2 * count).reshape(count, 2)
        if not (np.isfinite(sent).all() and (sent[:, 0] <= sent[:, 1]).all()):
            raise CodecError("a range is not finite, or ends before it begins: the payload is damaged")
        ranges = sent.astype(np.float64)
        codes = np.frombuffer(content, np.uint8, offset=count * RANGE_BYTES)
        out = np.empty(math.prod(shape), np.float32)
        if count == 1:
            kernels.unpack_table(codes, self._levels(ranges)[0], self.bits, out)
        elif count:
            kernels.unpack_table(codes, np.arange(1 << self.bits, dtype=np.float32), self.bits, out)
            levels, owner = self._levels(ranges), np.arange(count).reshape(self._range_grid(shape))
            for sample, grid in enumerate(out.reshape(self._grid(shape))):
                grid[:] = levels[owner[sample % len(owner)], grid.astype(np.intp)]
        return out

    def level_symbols(self, content: memoryview, shape: Shape) -> Symbols:
        ranges = self._num_ranges(shape) * RANGE_BYTES
        codes = np.frombuffer(content, np.uint8, offset=ranges)
        return Symbols(unpacked(codes, math.prod(shape), self.bits), NO_FLOATS, ranges)

    @property
    def _top(self) -> int:
        return (1 << self.bits) - 1

    def _levels(self, ranges: NDArray[np.float64]) -> Values:
        """The values of all codes, for each range."""
        low, high = ranges[:, :1], ranges[:, 1:]
        levels: Values = np.linspace(low[:, 0], high[:, 0], 1 << self.bits, axis=1).astype(np.float32)
        return levels

    def _grid(self, shape: Shape) -> Grid:
        """The shape as samples × channels × the rest, with 1 where the scope does not tell them apart."""
        d = math.prod(shape)
        if self.scope == "tensor" or not shape:
            return 1, 1, d
        samples = shape[0]
        channels = shape[1] if self.scope == "channel" and len(shape) > 1 else 1
        return samples, channels, d // (samples * channels) if d else 0

    def _range_grid(self, shape: Shape) -> Grid:
        samples, channels, _ = self._grid(shape)
        return (1, channels, 1) if self.scope == "channel" else (samples, 1, 1)

    def _num_ranges(self, shape: Shape) -> int:
        return math.prod(self._range_grid(shape)) if math.prod(shape) or self.scope == "tensor" else 0

    def _ranges(self, values: Values, shape: Shape) -> NDArray[np.float32]:
        """Minimum and maximum of each group, [groups, 2]; not finite where a value is not."""
        if not values.size:
            return np.zeros((self._num_ranges(shape), 2), "<f4")
        if self.scope == "tensor":
            return np.array([kernels.extent(values)], "<f4")
        grid = values.reshape(self._grid(shape))
        axes = (0, 2) if self.scope == "channel" else (1, 2)
        return np.stack([grid.min(axis=axes), grid.max(axis=axes)], axis=1).astype("<f4")

    def _codes(
        self, values: Values, shape: Shape, ranges: NDArray[np.float32], rng: Rng
    ) -> NDArray[np.uint8]:
        """One code a byte in the tensor's order, and room for the packing to round up to eight."""
        codes = np.zeros(values.size + 8, np.uint8)
        low, high = ranges.astype(np.float64).T.reshape(2, *self._range_grid(shape))
        scale = np.where(high > low, self._top / np.where(high > low, high - low, 1), 0)
        if self.scope == "tensor":
            pieces = [(codes[chunk], values[chunk], 0) for chunk in chunks(values.size)]
        else:
            grids = codes[: values.size].reshape(self._grid(shape)), values.reshape(self._grid(shape))
            pieces = [(*piece, sample % len(low)) for sample, piece in enumerate(zip(*grids, strict=True))]
        for out, own, position in pieces:
            scaled = (own.astype(np.float64) - low[position]) * scale[position]
            if rng is None or self.rounding == "nearest":
                rounded = np.rint(scaled)
            else:
                rounded = np.floor(scaled + rng.random(scaled.shape))
            out[:] = np.minimum(rounded, self._top).reshape(out.shape)
        return codes

    def body_bytes(self, shape: Shape) -> int:
        ranges = self._num_ranges(shape) * RANGE_BYTES - self.side_bytes
        return ranges + packed_bytes(math.prod(shape), self.bits)

    def size_formula(self, shape: Shape) -> str:
        ranges = self._num_ranges(shape) * RANGE_BYTES - self.side_bytes
        return f"ceil({self.bits}·d / 8)" + (f" + {ranges:,}" if ranges else "")

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del num_bytes
        ranges = Segment(self._num_ranges(shape) * RANGE_BYTES, width=4)
        return [ranges, Segment.of_codes(shape, self.bits)]

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8
        return 8 + written, 4 + written  # the range, then the codes; codes to values
