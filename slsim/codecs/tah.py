"""`tah`: tile-wise quantization with an adaptive Hadamard transform, bits by token."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from slsim.codecs import kernels
from slsim.codecs.base import Codec, check_received
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError

LARGEST = 2.0**120  # beyond it a sum over a tile may exceed float32


class _Cut(NamedTuple):
    """How a tensor is cut: samples, tokens of each, features of a token; and of the tokens of a sample, how
    many have few bits."""

    samples: int
    tokens: int
    features: int
    low: int


class TAH(Codec):
    """TAH-Quant: tiles of tokens, each on a grid of its own; a Hadamard transform where one value dominates.

    He et al., *TAH-Quant* (arXiv 2506.01352, first version). A token is cut into tiles of `tile` values. In a
    tile whose largest magnitude is at least twice the second, the largest is swapped to the front and the
    tile is multiplied by the normalised Hadamard matrix. Codes lie evenly between the tile's minimum (its
    zero point) and maximum. Of a sample's tokens, the share `high_share` with the largest entropy of
    magnitudes has `high_bits` a value, the others `low_bits`: 3.8 on average. `bits` gives all tokens equally
    many, as for gradients (6). Body: a map of the tokens with few bits, one of the transformed tiles, zero
    points and scales of 16 bits, the codes; then, beyond the nominal size, log₂(tile) bits for each
    transformed tile, which say where the largest value was.

    The numbers, the condition, the order of steps and the sizes were read in a public program of the method;
    the paper's text was not at hand, and its second version allocates bits by tile. Chosen here: zero points
    and scales are bfloat16, rounded outwards so that no value lies outside of its grid, where the program
    has float16, in which small gradients vanish. A token of an activation map is a channel's map, of a
    matrix a sample; a tensor of one dimension is one token. A token's last tile, if shorter, is not
    transformed. Numbers beyond 2^120 are refused.
    """

    tile: Literal[4, 16, 64, 256] = Field(64, description="The number of values of a tile.")
    bits: int | None = Field(
        None, strict=True, ge=1, le=8, description="The number of bits of every value, in place of two kinds."
    )
    low_bits: int = Field(
        3, strict=True, ge=1, le=8, description="The number of bits of a value in tokens of low entropy."
    )
    high_bits: int = Field(
        4, strict=True, ge=1, le=8, description="The number of bits of a value in the other tokens."
    )
    high_share: float = Field(
        0.8, strict=True, ge=0, le=1, description="The share of a sample's tokens that have high_bits."
    )

    @model_validator(mode="after")
    def _few_and_many(self) -> TAH:
        if self.low_bits > self.high_bits:
            raise ValueError(f"low_bits is {self.low_bits}, more than high_bits, {self.high_bits}")
        return self

    @property
    def draws(self) -> bool:
        return False

    @property
    def _pivot_bits(self) -> int:
        return self.tile.bit_length() - 1

    def _cut(self, shape: Shape) -> _Cut:
        if math.prod(shape) == 0:
            return _Cut(0, 0, 0, 0)
        samples = shape[0] if len(shape) > 2 else 1
        tokens = shape[1] if len(shape) > 2 else shape[0] if len(shape) == 2 else 1
        low = 0 if self.bits else int((1 - Decimal(repr(self.high_share))) * tokens)
        return _Cut(samples, tokens, math.prod(shape) // (samples * tokens), low)

    def _num_tiles(self, cut: _Cut) -> int:
        return cut.samples * cut.tokens * -(-cut.features // self.tile)

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del rng
        cut = self._cut(shape)
        if cut.samples == 0:
            return b""
        if max(-float(values.min()), float(values.max())) > LARGEST:
            raise CodecError("TAH cannot encode numbers beyond 2^120; did training diverge?")
        low = self._low_tokens(values, cut)
        bits, tiles = self._token_bits(low), kernels.Tiles.empty(self._num_tiles(cut))
        codes = np.empty(values.size, np.uint8)
        kernels.quantize_tiles(values, cut.features, self.tile, bits, tiles, codes)
        swapped = tiles.pivots >= 0
        pivots = np.append(tiles.pivots[swapped], np.zeros(8, np.int16)).astype(np.uint8)
        parts = [
            np.packbits(low if cut.low else low[:0]),
            np.packbits(swapped),
            tiles.zeros.astype("<u2"),
            tiles.scales.astype("<u2"),
            kernels.pack_runs(codes, np.full(bits.size, cut.features), bits),
            kernels.pack_codes(pivots, pivots.size - 8, self._pivot_bits),
        ]
        return b"".join(part.tobytes() for part in parts)

    @staticmethod
    def _low_tokens(values: Values, cut: _Cut) -> NDArray[np.bool_]:
        """Whether each token is one of those of its sample with the least entropy; of equals, the first."""
        low = np.zeros((cut.samples, cut.tokens), np.bool_)
        if cut.low:
            found = kernels.entropies(values, cut.features).reshape(low.shape)
            np.put_along_axis(low, np.argsort(found, axis=1, kind="stable")[:, : cut.low], True, axis=1)
        return low.ravel()

    def _token_bits(self, low: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.where(low, self.low_bits, self.bits or self.high_bits)

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        cut = self._cut(shape)
        out = np.empty(math.prod(shape), np.float32)
        if cut.samples == 0:
            return out
        ends = np.cumsum([segment.num_bytes for segment in self.segments(shape, len(content))])
        body = np.frombuffer(content, np.uint8)
        token_map, tile_map, zeros, scales, codes, pivots = np.split(body, ends[:-1])
        bits = self._token_bits(self._read_low(token_map, cut))
        tiles = self._read_tiles(tile_map, zeros.view("<u2"), scales.view("<u2"), pivots, cut)
        own = kernels.unpack_runs(codes, np.full(bits.size, cut.features), bits)
        kernels.restore_tiles(own, cut.features, self.tile, tiles, out)
        return out

    @staticmethod
    def _read_low(token_map: NDArray[np.uint8], cut: _Cut) -> NDArray[np.bool_]:
        """Which tokens have few bits. Raises `CodecError` unless each sample has as many as is due."""
        count = cut.samples * cut.tokens
        if not cut.low:
            return np.zeros(count, np.bool_)
        low = np.unpackbits(token_map)
        by_sample = low[:count].reshape(cut.samples, cut.tokens).sum(axis=1)
        if low[count:].any() or (by_sample != cut.low).any():
            raise CodecError(f"not {cut.low} tokens of each sample have few bits: the payload is damaged")
        return low[:count].astype(np.bool_)

    def _read_tiles(
        self,
        tile_map: NDArray[np.uint8],
        zeros: NDArray[np.uint16],
        scales: NDArray[np.uint16],
        pivots: NDArray[np.uint8],
        cut: _Cut,
    ) -> kernels.Tiles:
        """What is known of the tiles. Raises `CodecError` where that makes no sense."""
        marks, count = np.unpackbits(tile_map), self._num_tiles(cut)
        swapped = marks[:count].reshape(-1, -(-cut.features // self.tile))
        whole, found = cut.features // self.tile, int(marks.sum())
        if marks[count:].any() or swapped[:, whole:].any() or pivots.size != self._pivot_bytes(found):
            raise CodecError(f"{found} tiles are marked as transformed, some wrongly: the payload is damaged")
        for half in (zeros, scales):
            check_received((half.astype(np.uint32) << 16).view(np.float32), self)
        if (scales >> 15).any():
            raise CodecError("a scale is negative: the payload is damaged")
        places = np.full(count, -1, np.int16)
        own = np.empty(-(-found // 8) * 8, np.uint8)
        kernels.unpack_block(pivots, self._pivot_bits, own)
        places[swapped.ravel() > 0] = own[:found]
        return kernels.Tiles(zeros.astype(np.uint16), scales.astype(np.uint16), places)

    def _pivot_bytes(self, count: int) -> int:
        return packed_bytes(count, self._pivot_bits)

    def _sizes(self, shape: Shape) -> tuple[int, int, int, int, int]:
        """Bytes of the two maps, of zero points, of scales, and of the codes."""
        cut = self._cut(shape)
        tokens, tiles = cut.samples * cut.tokens, self._num_tiles(cut)
        fewer = cut.samples * cut.low * cut.features * (self.high_bits - self.low_bits)
        codes = (math.prod(shape) * (self.bits or self.high_bits) - fewer + 7) // 8
        return packed_bytes(tokens if cut.low else 0, 1), packed_bytes(tiles, 1), 2 * tiles, 2 * tiles, codes

    def body_bytes(self, shape: Shape) -> int:
        return sum(self._sizes(shape))

    def extra_bytes(self, shape: Shape) -> int:
        cut = self._cut(shape)
        return self._pivot_bytes(cut.samples * cut.tokens * (cut.features // self.tile))

    def size_formula(self, shape: Shape) -> str:
        *beside, _ = self._sizes(shape)
        cut, bits = self._cut(shape), self.bits or self.high_bits
        fewer = cut.samples * cut.low * cut.features * (self.high_bits - self.low_bits)
        return f"ceil(({bits}·d - {fewer:,}) / 8) + {sum(beside):,}"

    def bytes_touched(self) -> tuple[float, float]:
        entropy = 0.0 if self.bits else 4.0
        packed = (self.bits or self.high_bits) / 8
        return entropy + 4 + 2 + packed, packed + 2 + 4  # tiles to codes of a byte, and packing; and back

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        sizes = self._sizes(shape)
        widths = (1, 1, 2, 2, 1)
        known = [Segment(size, width) for size, width in zip(sizes, widths, strict=True)]
        return [*known, Segment(num_bytes - sum(sizes))]
