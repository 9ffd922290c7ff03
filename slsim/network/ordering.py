"""Putting things in order, compiled by numba: a stable sort, and a heap of pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def kernel(function: AnyFunction) -> AnyFunction:
    """Compiles `function` at its first call, or loads it from disk; no fastmath, no threads, no GIL.

    numba renews what it kept on disk when the function's own file changes, but not when a kernel that it
    calls does, in another file: after an edit, remove __pycache__.
    """
    return cast(AnyFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


# --- sorting -------------------------------------------------------------------------------------------

SMALL = 128  # up to so many are sorted by insertion
PLACE_BITS = 31  # of a word: where its key stands; above are 33 bits of the key, three digits of 11
PLACE, DIGIT, NO_SIGN = np.uint64(2**31 - 1), np.uint64(2**11 - 1), np.uint64(2**63 - 1)
SHIFTS = np.array([31, 42, 53], np.uint64)


@kernel
def argsort(keys: Floats, order: Ints, words: Words, spare: Words) -> None:
    """order[k] = the position of the k-th smallest key; equal keys stay in their order.

    `keys` are finite and >= 0, so that their bits sort as they do; fewer than 2**31. `words` and `spare`
    are overwritten, and at least as long. Linear for sorted keys, else three passes over the leading 33 bits
    in which the keys differ, and three more over the last 30 bits of keys that agree in these.
    """
    sorted_so_far = True
    for i in range(keys.size):
        order[i] = i
        if i > 0 and keys[i] < keys[i - 1]:
            sorted_so_far = False
    if sorted_so_far:
        return
    bits = keys.view(np.uint64)
    words, spare = words[: keys.size], spare[: keys.size]
    if keys.size <= SMALL:
        for i in range(keys.size):
            words[i] = i
        _insertion_sort(bits, words)
    else:
        _sort_by_two_levels(bits, words, spare)
    for i in range(keys.size):
        order[i] = words[i] & PLACE


@kernel
def _sort_by_two_levels(bits: Words, words: Words, spare: Words) -> None:
    low = high = bits[0] & NO_SIGN  # -0.0 is 0
    for i in range(bits.size):
        low = min(low, bits[i] & NO_SIGN)
        high = max(high, bits[i] & NO_SIGN)
    drop = np.uint64(0)
    while (high - low) >> drop >= np.uint64(2**33):
        drop += np.uint64(1)
    for i in range(bits.size):
        words[i] = ((bits[i] & NO_SIGN) - low) >> drop << np.uint64(PLACE_BITS) | np.uint64(i)
    _radix_sort(words, spare)

    rest = (np.uint64(1) << drop) - np.uint64(1)
    first = 0
    for i in range(1, bits.size + 1):
        if i == bits.size or (words[i] ^ words[first]) > PLACE:
            if i - first > 1:
                _sort_equals(bits, low, rest, words[first:i], spare[first:i])
            first = i


@kernel
def _sort_equals(bits: Words, low: np.uint64, rest: np.uint64, words: Words, spare: Words) -> None:
    """Sort words whose keys agree in their leading bits by the bits of `rest`."""
    if words.size <= SMALL:
        _insertion_sort(bits, words)
        return
    for i in range(words.size):
        place = words[i] & PLACE
        words[i] = (((bits[place] & NO_SIGN) - low) & rest) << np.uint64(PLACE_BITS) | place
    _radix_sort(words, spare)


@kernel
def _insertion_sort(bits: Words, words: Words) -> None:
    for i in range(1, words.size):
        word = words[i]
        key = bits[word & PLACE] & NO_SIGN
        j = i
        while j > 0 and bits[words[j - 1] & PLACE] & NO_SIGN > key:
            words[j] = words[j - 1]
            j -= 1
        words[j] = word


@kernel
def _radix_sort(words: Words, spare: Words) -> None:
    """Stable, by everything above the place."""
    counts = np.zeros((3, 2**11), np.int64)
    for i in range(words.size):
        for digit in range(3):
            counts[digit, words[i] >> SHIFTS[digit] & DIGIT] += 1
    source, target = words, spare
    for digit in range(3):
        begins = counts[digit]
        total = 0
        for value in range(begins.size):
            total, begins[value] = total + begins[value], total
        for i in range(source.size):
            value = source[i] >> SHIFTS[digit] & DIGIT
            target[begins[value]] = source[i]
            begins[value] += 1
        source, target = target, source
    for i in range(words.size):
        words[i] = spare[i]


# --- a heap of pairs -----------------------------------------------------------------------------------


@kernel
def push(keys: Floats, items: Ints, size: int, key: float, item: int) -> None:
    """Add a pair to the `size` pairs of a binary heap, least key first."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if keys[parent] <= key:
            break
        keys[hole], items[hole] = keys[parent], items[parent]
        hole = parent
    keys[hole], items[hole] = key, item


@kernel
def replace_first(keys: Floats, items: Ints, size: int, key: float, item: int) -> None:
    """Put a pair in the place of the first of `size` pairs."""
    hole = 0
    child = 1
    while child < size:
        if child + 1 < size:
            child += keys[child + 1] < keys[child]
        if keys[child] >= key:
            break
        keys[hole], items[hole] = keys[child], items[child]
        hole = child
        child = 2 * hole + 1
    keys[hole], items[hole] = key, item
