"""Level codes and uniform codes of float32 arrays, both ways: what `ms` and `qu` call.

All arrays are flat and contiguous: values float32, packed codes uint8 (see `packing`). Encoders write into
a given `out`. Decoders accept any bytes: they never read or write outside the arrays, and give a count
for the caller to compare. Nothing compiles at import; the first call compiles or loads from the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import (
    BLOCK,
    Codes,
    copy,
    pack_1,
    pack_block,
    unpack_block,
)
from slsim.codecs.kernels.selection import MAGNITUDE, Bits, Magnitude, Values
from slsim.codecs.kernels.tables import unpack_table
from slsim.codecs.sizes import packed_bytes
from slsim.compiled import compiled

FEW = 30  # edges: with as many or more, it pays to find out between which an element lies


def _bits(value: float | np.float32) -> np.uint32:
    return np.float32(value).view(np.uint32)


# --- levels --------------------------------------------------------------------------------------------


def pack_levels(
    values: Values, edges: Values, threshold: float | np.float32, split: int, bits: int, out: Codes
) -> None:
    """The mask of `ms` into `out`, `bits` (1 … 8) an element.

    All ones marks the top (`threshold` and `split` as in `Selection`); otherwise the code is the number of
    `edges` (float32, ascending, 2^bits - 2 of them) at or below |x|, by exact comparison. An edge above the
    threshold is reached by the top only: edges of infinity give code 0 to all others.
    """
    assert edges.size == 2**bits - 2
    assert out.size == packed_bytes(values.size, bits)
    top, x = _bits(threshold), values.view(np.uint32)
    if edges.size < FEW:
        _pack_few_levels(x, edges.view(np.uint32), top, split, bits, out)
        return
    bounds = np.append(edges.view(np.uint32), top)
    before, bounds[-1] = _buckets(np.minimum(bounds, top)), top + np.uint32(1)
    behind = _buckets(np.minimum(bounds, bounds[-1]))
    _pack_levels(x, before, behind, split, bits, out)


@compiled()
def _pack_few_levels(x: Bits, edges: Bits, top: Magnitude, split: int, bits: int, out: Codes) -> None:
    """As `_pack_levels`, where each element is compared with each bound."""
    before, behind = np.empty(edges.size + 1, np.uint32), np.empty(edges.size + 1, np.uint32)
    before[-1], behind[-1] = top, top + np.uint32(1)
    for i in range(edges.size):
        before[i], behind[i] = min(edges[i], top), min(edges[i], np.uint32(top + np.uint32(1)))
    codes = np.empty(BLOCK + 8, np.uint8)
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        cut = min(max(split - start, 0), block.size)
        _count_few(block[:cut], before, codes[:cut])
        _count_few(block[cut:], behind, codes[cut : block.size])
        pack_block(codes, block.size, bits, out[start * bits // 8 :])


class _Buckets(NamedTuple):
    """Bounds on magnitudes, and the stretches of 1 << shift between the first and the last.

    No stretch has two different bounds in it.
    """

    bounds: Bits  # ascending, some may be equal
    below: Codes  # by stretch: how many bounds lie below it
    bound: Bits  # the bound in it
    equal: Codes  # how many bounds are equal to that
    shift: np.uint32


def _buckets(bounds: Bits) -> _Buckets:
    """Without stretches where bounds are too close: then each element is compared with each bound."""
    distinct = np.unique(bounds).astype(np.int64)
    shift = int(np.diff(distinct).min(initial=1 << 30)).bit_length() - 1
    size = ((distinct[-1] - distinct[0]) >> shift) + 1
    if size > 1 << 16:
        size = 0
    below = np.searchsorted(bounds, distinct[0] + (np.arange(size) << shift)).astype(np.uint8)
    bound, equal = np.full(size, 0xFFFFFFFF, np.uint32), np.zeros(size, np.uint8)
    if size:
        at = (distinct - distinct[0]) >> shift
        bound[at] = distinct
        equal[at] = np.searchsorted(bounds, distinct, side="right") - np.searchsorted(bounds, distinct)
    return _Buckets(bounds, below, bound, equal, np.uint32(shift))


@compiled()
def _pack_levels(x: Bits, before: _Buckets, behind: _Buckets, split: int, bits: int, out: Codes) -> None:
    codes, stretches = np.empty(BLOCK + 8, np.uint8), np.empty(BLOCK, np.uint16)
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        cut = min(max(split - start, 0), block.size)
        _count_bounds(block[:cut], before, stretches, codes[:cut])
        _count_bounds(block[cut:], behind, stretches, codes[cut : block.size])
        pack_block(codes, block.size, bits, out[start * bits // 8 :])


@compiled()
def _count_bounds(x: Bits, buckets: _Buckets, stretches: NDArray[np.uint16], codes: Codes) -> None:
    """codes[i] = the number of bounds at or below |x[i]|."""
    bounds = buckets.bounds
    if buckets.bound.size:
        _find_stretches(x, bounds[0], bounds[-1], buckets.shift, stretches)
        _count_in_stretches(x, stretches, buckets.below, buckets.bound, buckets.equal, codes)
    else:
        _count_few(x, bounds, codes)


@compiled()
def _count_few(x: Bits, bounds: Bits, codes: Codes) -> None:
    if bounds.size == 1:
        for i in range(x.size):
            codes[i] = (x[i] & MAGNITUDE) >= bounds[0]
    elif bounds.size == 3:
        _count_three(x, bounds, codes)
    else:  # 7, 15 and so on
        _count_seven(x, bounds, codes)
        for j in range(7, bounds.size, 8):
            _add_eight(x, bounds[j:], codes)


@compiled()
def _find_stretches(
    x: Bits, low: Magnitude, high: Magnitude, shift: np.uint32, out: NDArray[np.uint16]
) -> None:
    for i in range(x.size):
        out[i] = np.uint32(min(max(x[i] & MAGNITUDE, low), high) - low) >> shift


@compiled()
def _count_in_stretches(
    x: Bits, stretches: NDArray[np.uint16], below: Codes, bound: Bits, equal: Codes, codes: Codes
) -> None:
    for i in range(x.size):
        j = stretches[i]
        codes[i] = below[j] + equal[j] * np.uint8((x[i] & MAGNITUDE) >= bound[j])


@compiled()
def _count_three(x: Bits, bounds: Bits, codes: Codes) -> None:
    a, b, c = bounds[0], bounds[1], bounds[2]
    for i in range(x.size):
        m = x[i] & MAGNITUDE
        codes[i] = np.uint8(m >= a) + np.uint8(m >= b) + np.uint8(m >= c)


@compiled()
def _count_seven(x: Bits, bounds: Bits, codes: Codes) -> None:
    a, b, c, d = bounds[0], bounds[1], bounds[2], bounds[3]
    e, f, g = bounds[4], bounds[5], bounds[6]
    for i in range(x.size):
        m = x[i] & MAGNITUDE
        low = np.uint8(m >= a) + np.uint8(m >= b) + np.uint8(m >= c) + np.uint8(m >= d)
        codes[i] = low + np.uint8(m >= e) + np.uint8(m >= f) + np.uint8(m >= g)


@compiled()
def _add_eight(x: Bits, bounds: Bits, codes: Codes) -> None:
    a, b, c, d = bounds[0], bounds[1], bounds[2], bounds[3]
    e, f, g, h = bounds[4], bounds[5], bounds[6], bounds[7]
    for i in range(x.size):
        m = x[i] & MAGNITUDE
        low = np.uint8(m >= a) + np.uint8(m >= b) + np.uint8(m >= c) + np.uint8(m >= d)
        codes[i] += low + np.uint8(m >= e) + np.uint8(m >= f) + np.uint8(m >= g) + np.uint8(m >= h)


def unpack_levels(packed: Codes, levels: Values, kept: Values, bits: int, out: Values) -> int:
    """Decodes `pack_levels` into `out`: code n as levels[n] (2^bits - 1 of them), the top as `kept`.

    Gives the number of elements marked as top; if it is not kept.size, the bytes are damaged.
    """
    return unpack_table(packed, np.append(levels, levels[-1:]), bits, out, kept)


# --- signs of the levels ---------------------------------------------------------------------------------


def collect_signs(
    values: Values, first_edge: float | np.float32, threshold: float | np.float32, split: int
) -> tuple[int, Codes]:
    """The signs of the elements whose code in `pack_levels` is neither 0 nor all ones, in order.

    Gives their number, and a bit each (1: negative) packed into bytes.
    """
    packed = np.empty(packed_bytes(values.size, 1), np.uint8)
    x, top = values.view(np.uint32), _bits(threshold)
    count = _collect_signs(x, _bits(first_edge), top, split, packed)
    return count, packed[: packed_bytes(count, 1)]


@compiled()
def _collect_signs(x: Bits, first: Magnitude, top: Magnitude, split: int, packed: Codes) -> int:
    pending = np.zeros(BLOCK + 16, np.uint8)
    done, waiting = 0, 0
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        cut = min(max(split - start, 0), block.size)
        waiting = _append_signs(block[:cut], first, top, pending, waiting)
        waiting = _append_signs(block[cut:], first, np.uint32(top + 1), pending, waiting)
        whole = waiting // 8 * 8
        pack_1(pending[:whole], packed[done // 8 :])
        copy(pending[whole:waiting], pending)
        done, waiting = done + whole, waiting - whole
    if waiting:
        pack_block(pending, waiting, 1, packed[done // 8 :])
    return done + waiting


@compiled()
def _append_signs(x: Bits, first: Magnitude, top: Magnitude, pending: Codes, count: int) -> int:
    for i in range(x.size):
        magnitude = x[i] & MAGNITUDE
        pending[count] = x[i] >> np.uint32(31)
        count += (magnitude >= first) & (magnitude < top)
    return count


def apply_signs(packed: Codes, bits: int, signs: Codes, out: Values) -> int:
    """Gives the decoded elements the signs of `collect_signs`. Gives how many signs the mask asks for."""
    return _apply_signs(packed, bits, np.append(signs, np.uint8(0)), out.view(np.uint32))


@compiled()
def _apply_signs(packed: Codes, bits: int, signs: Codes, out: Bits) -> int:
    codes = np.empty(BLOCK, np.uint8)
    count, last, ones = 0, signs.size - 1, (1 << bits) - 1
    for start in range(0, out.size, BLOCK):
        block = out[start : start + BLOCK]
        unpack_block(packed[start * bits // 8 : ((start + block.size) * bits + 7) // 8], bits, codes)
        for i in range(block.size):
            coded = (codes[i] > 0) & (codes[i] < ones)
            sign = (signs[min(count >> 3, last)] >> (7 - (count & 7))) & coded
            block[i] ^= np.uint32(sign) << np.uint32(31)
            count += coded
    return count


# --- uniform quantization --------------------------------------------------------------------------------


def extent(values: Values) -> tuple[np.float32, np.float32]:
    """The least and the greatest value (float32, never minus zero); one is not finite if any value is not."""
    keys = np.array(_extent(values.view(np.int32)), np.int32)
    low, high = (keys ^ ((keys >> 31) & np.int32(0x7FFFFFFF))).view(np.float32) + np.float32(0)
    return low, high


@compiled()
def _extent(x: NDArray[np.int32]) -> tuple[np.int32, np.int32]:
    """Extremes of the bits, changed to integers that order as the floats do, minus zero below zero."""
    low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
    for i in range(x.size):
        key = np.int32(x[i] ^ ((x[i] >> np.int32(31)) & np.int32(0x7FFFFFFF)))
        low, high = min(low, key), max(high, key)
    return low, high


def pack_uniform(values: Values, low: float, scale: float, bits: int, out: Codes) -> None:
    """Codes rint((x - low) · scale), computed in float64, into `out`. They must be 0 … 2^bits - 1."""
    assert out.size == packed_bytes(values.size, bits)
    _pack_uniform(values, float(low), float(scale), bits, out)


@compiled()
def _pack_uniform(values: Values, low: float, scale: float, bits: int, out: Codes) -> None:
    codes = np.empty(BLOCK + 8, np.uint8)
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        for i in range(block.size):
            codes[i] = np.int32(np.rint((np.float64(block[i]) - low) * scale))
        pack_block(codes, block.size, bits, out[start * bits // 8 :])
