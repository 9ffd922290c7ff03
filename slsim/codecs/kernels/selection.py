"""Exact top-k of float32 arrays by magnitude, in little more than one pass, whatever the order of the data.

Magnitudes are compared as integers: the bits of a finite float32 without its sign order as |x| does, so
nothing depends on floating-point flags; infinity and NaN come out as the largest. "The top" are the k
largest |x|, among equals the first ones.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import BLOCK, Codes, Positions, positions_of_flags, scratch, take
from slsim.compiled import compiled

Values: TypeAlias = NDArray[np.float32]
Bits: TypeAlias = NDArray[np.uint32]
Magnitude: TypeAlias = np.uint32

SAMPLE = 16384  # the most; of small arrays, every eighth element
LEAST_SAMPLE = 512
BINS_LOG2 = 11
MAGNITUDE = np.uint32(0x7FFFFFFF)
INFINITE = np.uint32(0x7F800000)
MINUS_ZERO = np.uint32(0x80000000)


class Selection(NamedTuple):
    """The top k of an array by magnitude, and what the pass over it learned."""

    threshold: np.float32  # the k-th largest |x|; infinity when k = 0
    split: int  # elements equal to the threshold belong to the top before this position, not from it on
    kept: Values  # the top in order, signs included
    places: Positions  # their positions, if asked for, else empty
    finite: bool  # neither NaN nor infinity anywhere; if false, the rest means nothing
    negative: bool  # some x < 0; minus zero is not


def select(values: Values, k: int, placed: bool = False) -> Selection:
    """The top k of `values` (flat, contiguous float32; 0 ≤ k ≤ size < 2^32). Deterministic.

    Extra memory while it runs, besides the result: as a rule 1.4 · 4k bytes of candidates (8k if `placed`).
    """
    assert 0 <= k <= values.size < 1 << 32
    threshold, split, kept, places, largest, raw = _select(values, k, placed)
    finite, negative = bool(largest < INFINITE), bool(raw > MINUS_ZERO)
    return Selection(np.uint32(threshold).view(np.float32), split, kept, places, finite, negative)


@compiled()
def _select(
    values: Values, k: int, placed: bool
) -> tuple[Magnitude, int, Values, Positions, Magnitude, np.uint32]:
    x = values.view(np.uint32)
    lower, room = _sampled_bound(x, k)
    candidates = np.empty(room + BLOCK, np.uint32)
    places = np.empty(candidates.size if placed else 0, np.uint32)
    count, largest, raw = _filter(x, lower, candidates, places)
    if 0 < k <= count:  # the rule: the threshold is among the candidates
        candidates, places = candidates[:count], places[:count]
        threshold, ties, equal = _kth_largest(candidates, k, lower, largest)
        kept = _keep_first(candidates, candidates, threshold, ties, equal, k)
        places = _keep_first(places, candidates, threshold, ties, equal, k)
        split = x.size if equal == ties else _after_nth_equal(x, threshold, ties)
        return threshold, split, kept.view(np.float32), places, largest, raw
    equal = count_equal(x, lower) if 0 <= count < k else 0
    if k == 0:
        threshold, ties = INFINITE, 0
    elif 0 <= count < k <= count + equal:  # many equal elements at the bound: it is the threshold
        threshold, ties = lower, k - count
    else:  # the sample misled, or there was none
        threshold, ties, equal = _kth_largest(x, k, np.uint32(0), largest)
    split = x.size if equal == ties else _after_nth_equal(x, threshold, ties)
    kept, places = _gather_top(x, threshold, split if k else 0, k, placed)
    return threshold, split if k else 0, kept.view(np.float32), places, largest, raw


@compiled()
def _sampled_bound(x: Bits, k: int) -> tuple[Magnitude, int]:
    """A magnitude that is probably below the threshold, by little, and room for what exceeds it.

    One sample from each of up to SAMPLE equal stretches, at a place within it that changes by the golden
    ratio, so that no short period in the data meets one in the sampling. Over three standard deviations of
    margin. Tiny arrays, and k above a quarter, are not sampled, and there is no room.
    """
    size = min(SAMPLE, x.size // 8)
    expected = k / max(x.size, 1) * size
    rank = int(expected + 3 * np.sqrt(expected) + 8)
    if size < LEAST_SAMPLE or rank > size // 4:
        return np.uint32(0), 0
    stride, sample = x.size // size, np.empty(size, np.uint32)
    for i in range(size):
        sample[i] = x[i * stride + ((i * 0x9E3779B1 & 0xFFFFFFFF) * stride >> 32)]
    largest = _flag_above(sample, np.uint32(0), np.empty(size, np.uint8), np.uint32(0), np.uint32(0))[0]
    room = int((rank + 4 * np.sqrt(rank) + 8) * (x.size / size))
    return _kth_largest(sample, rank, np.uint32(0), largest)[0], min(room, x.size)


@compiled()
def _filter(
    x: Bits, lower: Magnitude, candidates: Bits, places: Positions
) -> tuple[int, Magnitude, np.uint32]:
    """Copies the elements above `lower` in order, and their positions if `places` is not empty.

    Returns their number, -1 if there was not enough room (and a block to spare), and the extremes.
    """
    flags, words, positions = scratch()
    count, largest, raw = 0, np.uint32(0), np.uint32(0)
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        largest, raw = _flag_above(block, lower, flags[: block.size], largest, raw)
        if 0 <= count <= candidates.size - BLOCK:
            flags[block.size :] = 0
            found = positions_of_flags(flags, words, positions)
            take(block, positions[:found], candidates[count:])
            _place(positions[:found], start, places[count:])
            count += found
        else:
            count = -1
    return count, largest, raw


@compiled()
def _place(positions: Positions, start: int, places: Positions) -> None:
    if places.size:
        for i in range(positions.size):
            places[i] = start + np.int64(positions[i])


@compiled()
def _flag_above(
    x: Bits, bound: Magnitude, flags: Codes, largest: Magnitude, raw: np.uint32
) -> tuple[Magnitude, np.uint32]:
    """flags[i] = |x[i]| > bound. Returns the largest magnitude and the largest bits, or those given."""
    for i in range(x.size):
        magnitude = x[i] & MAGNITUDE
        flags[i] = magnitude > bound
        largest = np.uint32(max(largest, magnitude))
        raw = np.uint32(max(raw, x[i]))
    return largest, raw


@compiled()
def _kth_largest(x: Bits, k: int, low: Magnitude, high: Magnitude) -> tuple[Magnitude, int, int]:
    """The k-th largest magnitude; it must lie within low … high, and nothing may exceed `high`.

    Returns it, its rank among its equals, and their number. Histograms of an ever narrower range: at most
    three of them, whatever the order of the data.
    """
    counts = np.empty(1 << BINS_LOG2, np.int64)
    rank = k
    while True:
        shift = 0
        while np.int64(high - low) >> shift >= counts.size:
            shift += 1
        _histogram(x, low, np.uint32(high - low), np.uint32(shift), counts)
        place = np.int64(high - low) >> shift
        while counts[place] < rank and place > 0:
            rank -= counts[place]
            place -= 1
        low = np.uint32(low + np.uint32(place << shift))
        if shift == 0:
            return low, rank, counts[place]
        high = min(high, np.uint32(low + np.uint32((1 << shift) - 1)))
        x = _within(x, low, np.uint32(high - low), counts[place])


@compiled()
def _histogram(x: Bits, low: Magnitude, span: np.uint32, shift: np.uint32, counts: NDArray[np.int64]) -> None:
    counts[:] = 0
    for i in range(x.size):
        above = np.uint32((x[i] & MAGNITUDE) - low)
        if above <= span:
            counts[above >> shift] += 1


@compiled()
def _within(x: Bits, low: Magnitude, span: np.uint32, size: int) -> Bits:
    """Those of low … low + span, of which there are `size`."""
    out, count = np.empty(size + 1, np.uint32), 0
    for i in range(x.size):
        out[count] = x[i]
        above = np.uint32((x[i] & MAGNITUDE) - low)
        count += bool(above <= span)
    return out[:size]


@compiled()
def _keep_first(x: Bits, by: Bits, threshold: Magnitude, ties: int, equal: int, k: int) -> Bits:
    """The k of `x` whose `by` is above the threshold or among the first `ties` at it; of no `x`, none."""
    if x.size == 0:
        return x
    out, count = np.empty(k + 1, np.uint32), 0
    if equal == ties:
        for i in range(x.size):
            out[count] = x[i]
            count += (by[i] & MAGNITUDE) >= threshold
        return out[:k]
    for i in range(x.size):
        magnitude = by[i] & MAGNITUDE
        tie = (magnitude == threshold) & (ties > 0)
        ties -= tie
        out[count] = x[i]
        count += (magnitude > threshold) | tie
    return out[:k]


@compiled()
def count_equal(x: Bits, magnitude: Magnitude) -> int:
    count = 0
    for start in range(0, x.size, BLOCK):
        block, equal = x[start : start + BLOCK], np.uint32(0)
        for i in range(block.size):
            equal += np.uint32((block[i] & MAGNITUDE) == magnitude)
        count += int(equal)
    return count


@compiled()
def _after_nth_equal(x: Bits, threshold: Magnitude, n: int) -> int:
    """The position behind the n-th element whose magnitude is the threshold."""
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        equal = count_equal(block, threshold)
        if equal < n:
            n -= equal
            continue
        for i in range(block.size):
            n -= (block[i] & MAGNITUDE) == threshold
            if n == 0:
                return start + i + 1
    return x.size


@compiled()
def _flag_top(x: Bits, threshold: Magnitude, split: int, flags: Codes) -> None:
    """flags[i]: x[i] is among the top, `split` counted from the start of x."""
    cut = min(max(split, 0), x.size)
    before, behind = x[:cut], x[cut:]
    flags_behind = flags[cut : x.size]
    for i in range(before.size):
        flags[i] = (before[i] & MAGNITUDE) >= threshold
    for i in range(behind.size):
        flags_behind[i] = (behind[i] & MAGNITUDE) > threshold


@compiled()
def _gather_top(x: Bits, threshold: Magnitude, split: int, k: int, placed: bool) -> tuple[Bits, Positions]:
    flags, words, positions = scratch()
    out, places = np.empty(k, np.uint32), np.empty(k if placed else 0, np.uint32)
    count = 0
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        _flag_top(block, threshold, split - start, flags)
        flags[block.size :] = 0
        found = positions_of_flags(flags, words, positions)
        take(block, positions[:found], out[count:])
        _place(positions[:found], start, places[count:])
        count += found
    return out, places
