"""Codes ⇄ packed bits ⇄ positions: the kernels that know about bytes and nothing about values.

Packed: the first code in the highest bits of the first byte, `bits` (1 … 8) a code, no gaps. Eight codes,
one a byte, are handled as one uint64 with the first code in its lowest byte (little-endian machines).

Slices are copied in plain loops: numba's `a[:] = b` does not become a memcpy.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.sizes import packed_bytes
from slsim.compiled import compiled

assert sys.byteorder == "little"

Codes: TypeAlias = NDArray[np.uint8]  # a code a byte, or packed
Positions: TypeAlias = NDArray[np.uint32]
Words: TypeAlias = NDArray[np.uint64]
Word: TypeAlias = np.uint64

BLOCK = 16384  # elements a stage works on: 64 KiB of values, 16 KiB of codes; a multiple of 64
SPARE = 3  # `positions_of_bits` writes up to so many behind its result
ZERO, ONE = np.uint64(0), np.uint64(1)
BYTES, PAIRS, QUADS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0xFFFFFFFF)
MIRROR = (np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F))
LOWEST = np.array([2**64 - 1, 0x5555555555555555, 0x1111111111111111, 0x0101010101010101], np.uint64)


@compiled()
def copy(source: Codes, out: Codes) -> None:
    for i in range(source.size):
        out[i] = source[i]


# --- packing -------------------------------------------------------------------------------------------


def pack_codes(codes: Codes, count: int, bits: int) -> Codes:
    """The first `count` codes, one a byte, packed. `codes` has room up to the next multiple of 8 behind
    them, which is overwritten."""
    out = np.empty(packed_bytes(count, bits), np.uint8)
    pack_block(codes, count, bits, out)
    return out


def unpack_codes(packed: Codes, count: int, bits: int) -> Codes:
    """The `count` codes that are packed, one a byte."""
    codes = np.empty(-(-count // 8) * 8, np.uint8)
    unpack_block(packed, bits, codes)
    return codes[:count]


@compiled()
def pack_block(codes: Codes, count: int, bits: int, out: Codes) -> None:
    """Packs the first `count` codes into `out`. Overwrites the codes up to the next multiple of 8."""
    whole, size = (count + 7) // 8 * 8, (count * bits + 7) // 8
    for i in range(count, whole):
        codes[i] = 0
    if size * 8 == whole * bits:
        _pack(codes[:whole], bits, out[:size])
    else:
        padded = np.empty(whole * bits // 8, np.uint8)
        _pack(codes[:whole], bits, padded)
        copy(padded[:size], out)


@compiled()
def _pack(codes: Codes, bits: int, out: Codes) -> None:
    """`codes.size` is a multiple of 8, `out.size` is `bits` / 8 of it."""
    if bits == 1:
        pack_1(codes, out)
    elif bits == 2:
        _pack_2(codes, out)
    elif bits == 3:
        _pack_3(codes, out)
    elif bits == 4:
        _pack_4(codes, out)
    elif bits == 8:
        copy(codes, out)
    else:
        _pack_any(codes, bits, out)


@compiled()
def pack_1(codes: Codes, out: Codes) -> None:
    """The product brings code i to bit 63 - i; no two terms meet, so nothing carries."""
    groups = codes.view(np.uint64)
    for i in range(groups.size):
        out[i] = groups[i] * np.uint64(0x8040201008040201) >> np.uint64(56)


@compiled()
def _pack_2(codes: Codes, out: Codes) -> None:
    groups = codes.view(np.uint32)
    for i in range(groups.size):
        out[i] = np.uint32(groups[i] * np.uint32(0x40100401)) >> np.uint32(24)


@compiled()
def _pack_4(codes: Codes, out: Codes) -> None:
    groups = codes.view(np.uint16)
    for i in range(groups.size):
        out[i] = groups[i] << np.uint16(4) | groups[i] >> np.uint16(8)


@compiled()
def _pack_3(codes: Codes, out: Codes) -> None:
    groups = codes.view(np.uint64)
    for i in range(groups.size):
        group = _merge(groups[i], np.uint64(3))
        out[3 * i] = group >> np.uint64(16)
        out[3 * i + 1] = group >> np.uint64(8)
        out[3 * i + 2] = group


@compiled()
def _pack_any(codes: Codes, bits: int, out: Codes) -> None:
    groups = codes.view(np.uint64)
    for i in range(groups.size):
        group = _merge(groups[i], np.uint64(bits))
        for j in range(bits):
            out[bits * i + j] = group >> np.uint64(8 * (bits - 1 - j))


@compiled()
def _merge(group: Word, bits: Word) -> Word:
    """Eight codes of one byte each as one number of 8 · `bits` bits, the first highest. 8 swaps the bytes."""
    group = (group & BYTES) << bits | (group >> np.uint64(8)) & BYTES
    group = (group & PAIRS) << (bits << np.uint64(1)) | (group >> np.uint64(16)) & PAIRS
    return (group & QUADS) << (bits << np.uint64(2)) | group >> np.uint64(32)


# --- unpacking -----------------------------------------------------------------------------------------


@compiled()
def unpack_block(packed: Codes, bits: int, codes: Codes) -> None:
    """The codes in `packed`, one a byte; zeros behind them, up to a multiple of 8."""
    if bits == 8:
        copy(packed, codes)
        return
    groups = codes.view(np.uint64)
    whole = packed.size // bits
    if bits == 3:
        _unpack_3(packed[: 3 * whole], groups)
    for i in range(0 if bits != 3 else whole, whole):
        group = ZERO
        for j in range(bits):
            group = group << np.uint64(8) | np.uint64(packed[bits * i + j])
        groups[i] = _split(group, np.uint64(bits))
    if whole * bits < packed.size:
        group = ZERO
        for j in range(whole * bits, packed.size):
            group |= np.uint64(packed[j]) << np.uint64(8 * (whole * bits + bits - 1 - j))
        groups[whole] = _split(group, np.uint64(bits))


@compiled()
def _unpack_3(packed: Codes, groups: Words) -> None:
    for i in range(packed.size // 3):
        a, b, c = np.uint64(packed[3 * i]), np.uint64(packed[3 * i + 1]), np.uint64(packed[3 * i + 2])
        groups[i] = _split(a << np.uint64(16) | b << np.uint64(8) | c, np.uint64(3))


@compiled()
def _split(group: Word, bits: Word) -> Word:
    """The inverse of `_merge`."""
    one, two = ~(~ZERO << bits), ~(~ZERO << (bits << np.uint64(1)))
    four = ~(~ZERO << (bits << np.uint64(2)))
    two |= two << np.uint64(32)
    one |= one << np.uint64(16)
    one |= one << np.uint64(32)
    group = (group & four) << np.uint64(32) | group >> (bits << np.uint64(2))
    group = (group & two) << np.uint64(16) | (group >> (bits << np.uint64(1))) & two
    return (group & one) << np.uint64(8) | (group >> bits) & one


# --- positions -----------------------------------------------------------------------------------------


@compiled()
def scratch() -> tuple[Codes, Words, Positions]:
    """For a block: flags, one a byte, all zero; room for 64 bits of packed codes an entry; and positions."""
    return np.zeros(BLOCK, np.uint8), np.empty(BLOCK // 8, np.uint64), np.empty(BLOCK + SPARE, np.uint32)


@compiled()
def positions_of_flags(flags: Codes, words: Words, positions: Positions) -> int:
    """The positions of the flags set in a block, ascending; returns their number."""
    used = words[: BLOCK // 64]
    pack_1(flags, used.view(np.uint8))
    return _positions_of_bits(used, 0, positions)


@compiled()
def positions_of_ones(
    packed: Codes, bits: int, codes: Codes, words: Words, positions: Positions, limit: int
) -> int:
    """The positions of the codes that are all ones, those below `limit`, ascending; returns their number.

    `packed` holds at most a block; where 8 is no multiple of `bits`, `codes` has been unpacked from it
    already, and is overwritten.
    """
    if 8 % bits:
        for i in range(codes.size):
            codes[i] = codes[i] == (1 << bits) - 1
        found = positions_of_flags(codes, words, positions)
    else:
        used = words[: (packed.size + 7) // 8]
        shift = _mark_ones(packed, bits, used)
        found = _positions_of_bits(used, shift, positions)
    while found and positions[found - 1] >= limit:
        found -= 1
    return found


@compiled()
def _mark_ones(packed: Codes, bits: int, words: Words) -> int:
    """In each code of 1, 2, 4 or 8 bits, the lowest bit becomes the and of all. Returns log2(bits)."""
    words[words.size - 1 :] = ZERO
    copy(packed, words.view(np.uint8))
    shift = 0
    while 1 << shift < bits:
        for i in range(words.size):
            words[i] &= words[i] >> np.uint64(1 << shift)
        shift += 1
    for i in range(words.size):
        words[i] &= LOWEST[shift]
    return shift


@compiled()
def _positions_of_bits(words: Words, shift: int, positions: Positions) -> int:
    """Write the places of the bits that are set, counted from the highest bit of the first byte and divided
    by 1 << `shift`, into `positions`; return their number.

    First list the words that have any, then take three bits at a time, both without a branch: a branch on
    each bit would be mispredicted about as often as there are bits.
    """
    used, some = np.empty(words.size, np.uint32), 0
    for i in range(words.size):
        used[some] = i
        some += words[i] != ZERO
    count = 0
    for j in range(some):
        base = 64 * np.int64(used[j])
        word = _mirror(words[used[j]])
        while word != ZERO:
            for _ in range(SPARE):
                positions[count] = (base + _exponent(word & (~word + ONE))) >> shift
                count += word != ZERO
                word &= word - ONE
    return count


@compiled()
def _mirror(word: Word) -> Word:
    """Reverse the order of the bits in each byte."""
    word = (word & MIRROR[0]) << np.uint64(1) | (word >> np.uint64(1)) & MIRROR[0]
    word = (word & MIRROR[1]) << np.uint64(2) | (word >> np.uint64(2)) & MIRROR[1]
    return (word & MIRROR[2]) << np.uint64(4) | (word >> np.uint64(4)) & MIRROR[2]


@compiled()
def _exponent(power: Word) -> np.int64:
    """Return e of 2**e, which a float64 holds in bits 52 to 62; of 0, any number."""
    return ((np.float64(np.int64(power)).view(np.int64) >> 52) & 0x7FF) - 1023


@compiled()
def take(x: NDArray[Any], positions: Positions, out: NDArray[Any]) -> None:
    for i in range(positions.size):
        out[i] = x[positions[i]]


@compiled()
def scatter(kept: NDArray[np.float32], positions: Positions, out: NDArray[np.float32]) -> None:
    for i in range(min(kept.size, positions.size)):
        out[positions[i]] = kept[i]
