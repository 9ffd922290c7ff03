"""The array operations that codecs share: counting, selecting the largest, packing bits."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.base import Values


def kept_elements(sparsity: float, num_elements: int) -> int:
    """k = floor((1 - sparsity) · d), in exact decimal arithmetic: (1 - 0.9) · 10 is 1."""
    return int((1 - Decimal(repr(sparsity))) * num_elements)


def packed_bytes(num_elements: int, bits: int) -> int:
    """ceil(bits · d / 8)."""
    return (num_elements * bits + 7) // 8


def top_k(magnitudes: Values, k: int) -> NDArray[np.bool_]:
    """Marks exactly the k largest; among equals at the threshold, the first ones."""
    if k == 0:
        return np.zeros(magnitudes.size, dtype=np.bool_)
    threshold = np.partition(magnitudes, magnitudes.size - k)[magnitudes.size - k]
    chosen: NDArray[np.bool_] = magnitudes > threshold
    ties = np.flatnonzero(magnitudes == threshold)
    chosen[ties[: k - np.count_nonzero(chosen)]] = True
    return chosen


def pack(codes: NDArray[np.uint8], bits: int) -> bytes:
    """Codes of `bits` bits each, the first in the highest bits of the first byte."""
    if bits == 8:
        return codes.tobytes()
    if 8 % bits:
        planes = (codes[:, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
        return np.packbits(planes).tobytes()
    per_byte = 8 // bits
    padded = np.zeros(packed_bytes(codes.size, bits) * per_byte, dtype=np.uint8)
    padded[: codes.size] = codes
    packed = np.zeros(padded.size // per_byte, dtype=np.uint8)
    for position in range(per_byte):
        packed |= padded[position::per_byte] << (8 - bits * (position + 1))
    return packed.tobytes()


def unpack(packed: memoryview, bits: int, num_elements: int) -> NDArray[np.uint8]:
    """The inverse of `pack`: `num_elements` codes."""
    buffer = np.frombuffer(packed, dtype=np.uint8)
    if bits == 8:
        return buffer[:num_elements]
    if 8 % bits:
        planes = np.unpackbits(buffer, count=num_elements * bits).reshape(num_elements, bits)
        return np.packbits(planes, axis=1).ravel() >> np.uint8(8 - bits)
    per_byte = 8 // bits
    codes = np.empty(buffer.size * per_byte, dtype=np.uint8)
    for position in range(per_byte):
        codes[position::per_byte] = (buffer >> (8 - bits * (position + 1))) & (2**bits - 1)
    return codes[:num_elements]


def scatter(mask: NDArray[np.bool_], kept: NDArray[np.float32]) -> Values:
    """Zeros, with `kept` at the marked positions, in order."""
    values = np.zeros(mask.size, dtype=np.float32)
    values[mask] = kept
    return values
