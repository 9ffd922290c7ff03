"""Packed codes → float32 through a table, and kept values in place of codes of all ones.

Accepts any bytes: nothing outside the arrays is read or written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import (
    BLOCK,
    Codes,
    positions_of_ones,
    scatter,
    scratch,
    unpack_block,
)
from slsim.codecs.kernels.selection import Values
from slsim.codecs.sizes import packed_bytes
from slsim.compiled import compiled


def unpack_table(packed: Codes, table: Values, bits: int, out: Values, kept: Values | None = None) -> int:
    """out[i] = table[code i]; given `kept`, codes of all ones take these instead. Gives their number."""
    assert table.size == 2**bits
    assert packed.size == packed_bytes(out.size, bits)
    table = np.ascontiguousarray(table, dtype=np.float32)
    wide, none = _wide_table(table, bits), table[:0]
    return _unpack_table(packed, table, wide, none if kept is None else kept, bits, out, kept is not None)


@compiled()
def _wide_table(table: Values, bits: int) -> Values:
    """The floats of a whole byte (for 3 bits: of 6) for each value it has; empty above 4 bits."""
    if bits > 4:
        return np.empty(0, np.float32)
    together = 2 if bits == 3 else 8 // bits
    wide = np.empty(together << (bits * together), np.float32)
    for i in range(wide.size):
        shift = bits * (together - 1 - i % together)
        wide[i] = table[(i // together >> shift) & ((1 << bits) - 1)]
    return wide


@compiled()
def _unpack_table(
    packed: Codes, table: Values, wide: Values, kept: Values, bits: int, out: Values, marks: bool
) -> int:
    codes, words, positions = scratch()
    count = 0
    for start in range(0, out.size, BLOCK):
        block = out[start : start + BLOCK]
        source = packed[start * bits // 8 : ((start + block.size) * bits + 7) // 8]
        whole = block.size // 8 * 8 if bits <= 4 else 0
        _look_up_wide(source, wide, bits, block[:whole])
        if whole < block.size or (marks and 8 % bits != 0):
            unpack_block(source, bits, codes)
            _look_up(codes[whole:], table, block[whole:])
        if marks:
            found = positions_of_ones(source, bits, codes, words, positions, block.size)
            scatter(kept[min(count, kept.size) :], positions[:found], block)
            count += found
    return count


@compiled()
def _look_up(codes: Codes, table: Values, out: Values) -> None:
    for i in range(out.size):
        out[i] = table[codes[i]]


@compiled()
def _look_up_wide(source: Codes, wide: Values, bits: int, out: Values) -> None:
    """`out.size` is a multiple of 8. Complex numbers are how numba moves 16 bytes at once."""
    if bits == 1:
        _look_up_two(source, wide.view(np.complex128), out.view(np.complex128))
    elif bits == 2:
        _look_up_one(source, wide.view(np.complex128), out.view(np.complex128))
    elif bits == 3:
        _look_up_sixths(source, wide.view(np.uint64), out.view(np.uint64))
    elif bits == 4:
        _look_up_one(source, wide.view(np.uint64), out.view(np.uint64))


@compiled()
def _look_up_one(source: Codes, wide: NDArray[Any], out: NDArray[Any]) -> None:
    for i in range(out.size):
        out[i] = wide[source[i]]


@compiled()
def _look_up_two(source: Codes, wide: NDArray[Any], out: NDArray[Any]) -> None:
    for i in range(out.size // 2):
        place = 2 * np.uint64(source[i])
        out[2 * i] = wide[place]
        out[2 * i + 1] = wide[place + 1]


@compiled()
def _look_up_sixths(source: Codes, wide: NDArray[Any], out: NDArray[Any]) -> None:
    """Four times 6 bits from three bytes."""
    for i in range(out.size // 4):
        a, b, c = np.uint32(source[3 * i]), np.uint32(source[3 * i + 1]), np.uint32(source[3 * i + 2])
        out[4 * i] = wide[a >> 2]
        out[4 * i + 1] = wide[(a & 3) << 4 | b >> 4]
        out[4 * i + 2] = wide[(b & 15) << 2 | c >> 6]
        out[4 * i + 3] = wide[c & 63]
