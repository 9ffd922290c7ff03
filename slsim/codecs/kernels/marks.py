"""Position masks of one bit an element, and the random exchange of `rt`: what `sp` and `rt` call.

`gather_marked` accepts any mask; the others are for encoders and trust their arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import BLOCK, Codes, Positions, positions_of_ones, scratch, take
from slsim.codecs.kernels.selection import Values
from slsim.compiled import compiled


@compiled()
def pack_marks(places: Positions, out: Codes) -> None:
    """A mask of one bit an element into `out`, set at `places` (all below 8 · out.size)."""
    for i in range(out.size):
        out[i] = 0
    for i in range(places.size):
        out[places[i] >> np.uint32(3)] |= np.uint32(128) >> (places[i] & np.uint32(7))


@compiled()
def gather_marked(values: Values, mask: Codes, out: Values) -> int:
    """The marked elements in order, as many as `out` takes. Returns how many are marked."""
    codes, words, positions = scratch()
    count = 0
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        source = mask[start // 8 : (start + block.size + 7) // 8]
        found = positions_of_ones(source, 1, codes, words, positions, block.size)
        fit = max(0, min(found, out.size - count))
        take(block, positions[:fit], out[min(count, out.size) :])
        count += found
    return count


def distinct_flags(rng: np.random.Generator, population: int, count: int) -> NDArray[np.bool_]:
    """Marks `count` of `population` elements, uniform among all such sets."""
    if 2 * count > population:
        return ~distinct_flags(rng, population, population - count)
    flags, missing = np.zeros(population, np.bool_), count
    while missing:
        flags[rng.integers(population, size=missing)] = True
        missing = count - int(np.count_nonzero(flags))
    return flags


def sorted_distinct(rng: np.random.Generator, population: int, count: int) -> NDArray[np.int64]:
    """`count` distinct integers below `population`, uniform among all such sets, ascending (int64)."""
    if 32 * count > population:
        return np.flatnonzero(distinct_flags(rng, population, count))
    drawn = np.empty(0, np.int64)
    while drawn.size < count:
        drawn = np.sort(np.append(drawn, rng.integers(population, size=count - drawn.size)))
        drawn = drawn[np.append(True, drawn[1:] != drawn[:-1])]
    return drawn


def exchange(
    values: Values, kept: Values, places: Positions, dropped: NDArray[np.bool_], added: NDArray[np.int64]
) -> tuple[Values, Positions]:
    """`kept` and `places` of a `Selection` after an exchange of some of the top for as many of the rest.

    `dropped` marks some of the top (bool); `added` are ranks among the rest, ascending and distinct.
    """
    new_places = _places_in_rest(places, added)
    new = np.empty(added.size, np.float32)
    take(values, new_places, new)
    return _merge_placed(kept, places, dropped.view(np.uint8), new, new_places)


@compiled()
def _places_in_rest(places: Positions, ranks: NDArray[np.int64]) -> Positions:
    """The element of rank r among the rest lies at r + the number of `places` before it."""
    out, before = np.empty(ranks.size, np.uint32), 0
    for i in range(ranks.size):
        rank = ranks[i]
        while before < places.size and np.int64(places[before]) - before <= rank:
            before += 1
        out[i] = rank + before
    return out


@compiled()
def _merge_placed(
    kept: Values, places: Positions, dropped: Codes, new: Values, new_places: Positions
) -> tuple[Values, Positions]:
    """Merges by place what is not dropped with what is new; as many are dropped as are new."""
    out, out_places = np.empty(kept.size + 1, np.float32), np.empty(kept.size + 1, np.uint32)
    count = rank = 0
    for i in range(new.size + 1):
        until = new_places[i] if i < new.size else np.uint32(0xFFFFFFFF)
        while rank < kept.size and places[rank] < until:
            out[count], out_places[count] = kept[rank], places[rank]
            count += dropped[rank] == 0
            rank += 1
        if i < new.size:
            out[count], out_places[count] = new[i], until
            count += 1
    return out[:count], out_places[:count]
