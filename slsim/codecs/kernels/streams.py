"""Codes of unlike widths, one behind the other without gaps: runs of codes, each run with bits of its own.

Packed: the first code in the highest bits of the first byte; the last byte is filled up with zeros. The
encoder trusts its arguments; the decoder is given as many bytes as the runs take, and accepts any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import Codes
from slsim.compiled import compiled

Counts = NDArray[np.int64]


def run_bytes(counts: Counts, bits: Counts) -> int:
    """How many bytes runs of `counts` codes take, with `bits` (1 … 8) a code."""
    return (int((counts * bits).sum()) + 7) // 8


def pack_runs(codes: Codes, counts: Counts, bits: Counts) -> Codes:
    """The codes, one a byte, packed: the first counts[0] of them with bits[0] bits each, and so on."""
    assert codes.size == int(counts.sum())
    out = np.empty(run_bytes(counts, bits), np.uint8)
    _pack_runs(codes, counts, bits, out)
    return out


@compiled()
def _pack_runs(codes: Codes, counts: Counts, bits: Counts, out: Codes) -> None:
    word, held, place, at = np.uint64(0), 0, 0, 0
    for run in range(counts.size):
        width = bits[run]
        for _ in range(counts[run]):
            word = word << np.uint64(width) | np.uint64(codes[at])
            held, at = held + width, at + 1
            if held >= 8:
                held -= 8
                out[place] = np.uint8(word >> np.uint64(held) & np.uint64(0xFF))
                place += 1
    if held > 0:
        out[place] = np.uint8(word << np.uint64(8 - held) & np.uint64(0xFF))


def unpack_runs(packed: Codes, counts: Counts, bits: Counts) -> Codes:
    """The codes of `pack_runs`, one a byte."""
    assert packed.size == run_bytes(counts, bits)
    codes = np.empty(int(counts.sum()), np.uint8)
    _unpack_runs(packed, counts, bits, codes)
    return codes


@compiled()
def _unpack_runs(packed: Codes, counts: Counts, bits: Counts, codes: Codes) -> None:
    word, held, place, at = np.uint64(0), 0, 0, 0
    for run in range(counts.size):
        width = bits[run]
        mask = np.uint64((1 << width) - 1)
        for _ in range(counts[run]):
            if held < width:
                word = word << np.uint64(8) | np.uint64(packed[place])
                held, place = held + 8, place + 1
            held -= width
            codes[at] = np.uint8(word >> np.uint64(held) & mask)
            at += 1
