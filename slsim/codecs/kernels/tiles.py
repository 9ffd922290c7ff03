"""Tiles of tokens, as `tah` quantizes them: a Hadamard transform where one value dominates, then a grid.

A token is a row of `values` with as many elements as it has features; tiles are cut along it, and its last
one may be shorter. Arithmetic is in float64. A zero point or a scale is a bfloat16, given as its 16 bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import Codes
from slsim.codecs.kernels.selection import Values
from slsim.compiled import compiled

Halves = NDArray[np.uint16]
Buffer = NDArray[np.float64]
SPREAD = np.uint32(0xFFFF)
SIGN = np.uint32(0x80000000)


class Tiles(NamedTuple):
    """What is known of each tile: zero point and scale, and where its dominant value was, or -1."""

    zeros: Halves
    scales: Halves
    pivots: NDArray[np.int16]

    @classmethod
    def empty(cls, count: int) -> Tiles:
        return cls(np.empty(count, np.uint16), np.empty(count, np.uint16), np.empty(count, np.int16))


@compiled()
def entropies(values: Values, features: int) -> NDArray[np.float64]:
    """Of each token, the entropy of its magnitudes as shares of their sum; 0 where all are 0."""
    found = np.zeros(values.size // features)
    for t in range(found.size):
        token = values[t * features : (t + 1) * features]
        total = 0.0
        for i in range(features):
            total += abs(np.float64(token[i]))
        for i in range(features):
            share = abs(np.float64(token[i])) / total if total > 0 else 0.0
            if share > 0:
                found[t] -= share * math.log(share)
    return found


@compiled()
def quantize_tiles(
    values: Values, features: int, size: int, bits: NDArray[np.int64], tiles: Tiles, codes: Codes
) -> None:
    """Write each tile's zero point, scale and pivot into `tiles`, and the codes, `bits` of its token each.

    A tile of `size` whose largest magnitude is at least twice the second is transformed.
    """
    buffer, tile = np.empty(size), 0
    for t in range(bits.size):
        top = (1 << bits[t]) - 1
        for start in range(0, features, size):
            at, count = t * features + start, min(size, features - start)
            for i in range(count):
                buffer[i] = values[at + i]
            tiles.pivots[tile] = _dominant(buffer) if count == size else -1
            if tiles.pivots[tile] >= 0:
                _swap(buffer, tiles.pivots[tile])
                _hadamard(buffer)
            low, high = _bounds(buffer[:count])
            tiles.zeros[tile] = _rounded_down(low)
            zero = _value(tiles.zeros[tile])
            tiles.scales[tile] = _rounded_up((high - zero) / top)
            scale = _value(tiles.scales[tile])
            for i in range(count):
                scaled = (buffer[i] - zero) / scale if scale > 0 else 0.0
                codes[at + i] = np.uint8(min(max(np.rint(scaled), 0.0), np.float64(top)))
            tile += 1


@compiled()
def restore_tiles(codes: Codes, features: int, size: int, tiles: Tiles, out: Values) -> None:
    """The inverse of `quantize_tiles`. Pivots are below `size`, and -1 of tiles that are shorter."""
    buffer, tile = np.empty(size), 0
    for token in range(0, out.size, features):
        for start in range(0, features, size):
            at, count = token + start, min(size, features - start)
            zero, scale = _value(tiles.zeros[tile]), _value(tiles.scales[tile])
            for i in range(count):
                buffer[i] = zero + codes[at + i] * scale
            if tiles.pivots[tile] >= 0:
                _hadamard(buffer)
                _swap(buffer, tiles.pivots[tile])
            for i in range(count):
                out[at + i] = buffer[i]
            tile += 1


@compiled()
def _dominant(tile: Buffer) -> int:
    """The place of the largest magnitude if it is at least twice the second, or -1."""
    first, second, place = 0.0, 0.0, -1
    for i in range(tile.size):
        magnitude = abs(tile[i])
        if magnitude > first:
            first, second, place = magnitude, first, i
        else:
            second = max(second, magnitude)
    return place if first >= 2 * second else -1


@compiled()
def _swap(tile: Buffer, place: int) -> None:
    """Exchange the value at `place` and the first one."""
    value = tile[place]
    tile[place] = tile[0]
    tile[0] = value


@compiled()
def _hadamard(tile: Buffer) -> None:
    """Multiply by the Hadamard matrix of Sylvester, normalised: its own inverse. The size is a power of 2."""
    half = 1
    while half < tile.size:
        for start in range(0, tile.size, 2 * half):
            for i in range(start, start + half):
                one, other = tile[i], tile[i + half]
                tile[i], tile[i + half] = one + other, one - other
        half *= 2
    scale = 1 / math.sqrt(tile.size)
    for i in range(tile.size):
        tile[i] *= scale


@compiled()
def _bounds(tile: Buffer) -> tuple[float, float]:
    low, high = tile[0], tile[0]
    for i in range(1, tile.size):
        low, high = min(low, tile[i]), max(high, tile[i])
    return low + 0.0, high + 0.0  # of two zeros the positive one


@compiled()
def _rounded_down(value: float) -> np.uint16:
    """The largest bfloat16 that is not above a float32 value."""
    bits = np.float32(value).view(np.uint32)
    return np.uint16((bits + (SPREAD if bits & SIGN else np.uint32(0))) >> np.uint32(16))


@compiled()
def _rounded_up(value: float) -> np.uint16:
    """The least bfloat16 that is not below a float32 value of 0 or more."""
    return np.uint16((np.float32(value).view(np.uint32) + SPREAD) >> np.uint32(16))


@compiled()
def _value(half: np.uint16) -> float:
    """The value of a bfloat16."""
    return np.float64(np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32))
