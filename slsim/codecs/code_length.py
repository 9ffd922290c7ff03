"""How many bits an adaptive coder needs for what payloads say: limits to hold a codec's bytes against.

A code length is one that a coder reaches which learns while it codes, message after message, and starts
with nothing; unlike an empirical entropy it is not too small where there are many contexts and few samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.sizes import Shape
from slsim.codecs.symbols import Levels, Symbols

CLASSES = 8  # that a neighbour's levels are told apart by
MOST_COUNTS = 1 << 23  # of a table of contexts; beyond it contexts do not tell channels apart
FLOAT_BYTES = 4
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class CodeLength:
    """Bits of all messages together: `plain`, where each level is coded by how often levels occur, and
    `in_context`, where channel, left and upper neighbour are looked at."""

    plain: float
    in_context: float


def code_length(messages: Sequence[Symbols], shapes: Sequence[Shape]) -> CodeLength:
    """The code length of messages, given the shape of each; shapes differ in the first dimension alone.

    Levels are coded bit by bit, the highest bit first, each bit by the Krichevsky–Trofimov estimate
    (n₁ + ½) / (n + 1) from the earlier bits of the same place, context and higher bits. `plain` has no
    context. `in_context` is the least of four: none; the channel; left and upper neighbour; all three. The
    bytes of floats are coded likewise, the four bytes apart, and never by more than 8 bits. Side information
    counts as it is. Which levels occur is taken as known.
    """
    counts = _counts([one.levels for one in messages], shapes)
    contexts = [(0, 1, 2), (1, 2), (0,), ()]  # axes that are summed over: what is not looked at
    lengths = [
        adaptive_bits(counts.sum(axis=axes).reshape(-1, counts.shape[-1]) if axes else counts)
        for axes in contexts
    ]
    beside = sum(_float_bits(messages)) + 8.0 * sum(one.side_bytes for one in messages)
    return CodeLength(lengths[0] + beside, min(lengths) + beside)


def adaptive_bits(counts: Counts) -> float:
    """Bits of an adaptive code for symbols that occur so often in each context, [..., symbols]; in which
    order they come does not matter.

    Example:
        >>> import numpy as np
        >>> round(2 ** adaptive_bits(np.array([[0, 2]])), 9)  # 1 / (1/2 · 3/4)
        2.666666667
    """
    depth = max(1, math.ceil(math.log2(max(counts.shape[-1], 1))))
    leaves = np.zeros((counts[..., 0].size, 1 << depth), np.int64)
    leaves[:, : counts.shape[-1]] = counts.reshape(len(leaves), -1)
    bits = 0.0
    for level in range(depth):
        pairs = leaves.reshape(-1, 2, 1 << (depth - level - 1)).sum(axis=2)
        bits += _pair_bits(pairs[pairs.any(axis=1)])
    return bits


def _pair_bits(pairs: Counts) -> float:
    """The Krichevsky–Trofimov code length of binary sequences with so many zeros and ones, [n, 2]:
    -log2 of Γ(a + ½) Γ(b + ½) / (π Γ(a + b + 1))."""
    from scipy.special import gammaln

    nats = gammaln(pairs.sum(axis=1) + 1.0) + math.log(math.pi) - gammaln(pairs + 0.5).sum(axis=1)
    return float(nats.sum()) / math.log(2)


def _float_bits(messages: Sequence[Symbols]) -> list[float]:
    """Bits of each of the four bytes of all floats."""
    counts = np.zeros((FLOAT_BYTES, 256), np.int64)
    for one in messages:
        planes = one.floats.astype("<f4").view(np.uint8).reshape(-1, FLOAT_BYTES)
        for count, plane in zip(counts, planes.T, strict=True):
            count += np.bincount(plane, minlength=256)
    return [min(adaptive_bits(count[None]), 8.0 * int(count.sum())) for count in counts]


def _counts(messages: Sequence[Levels], shapes: Sequence[Shape]) -> Counts:
    """How often each level occurs, [channels, left, upper, levels]: neighbours in up to eight classes of
    nearly the same number of elements. Outside the map a neighbour is of the first class."""
    from slsim.codecs import kernels

    occurring = sum((np.bincount(one, minlength=256) for one in messages), np.zeros(256, np.int64))
    used = np.flatnonzero(occurring)
    number = np.zeros(256, np.uint8)
    number[used] = np.arange(used.size)
    classes = _classes(occurring[used])
    maps = [as_maps(shape) for shape in shapes]
    channels, width = max((one[1] for one in maps), default=1), int(classes.max(initial=0)) + 1
    if channels * width * width * used.size > MOST_COUNTS:
        channels = 1
    counts = np.zeros((channels, width, width, max(used.size, 1)), np.int64)
    for one, shape in zip(messages, maps, strict=True):
        kernels.count_contexts(number[one].reshape(shape), classes, counts)
    return counts


def _classes(occurring: Counts) -> Levels:
    """The class of each level, by how often each occurs: itself where there are few."""
    if occurring.size <= CLASSES:
        return np.arange(occurring.size, dtype=np.uint8)
    before = np.cumsum(occurring) - occurring
    classes: Levels = (before * CLASSES // occurring.sum()).astype(np.uint8)
    return classes


def as_maps(shape: Shape) -> tuple[int, int, int, int]:
    """A shape as samples, channels, rows, columns: the second dimension are the channels, the last the
    columns, all between them rows; what is missing is 1.

    Example:
        >>> as_maps((10, 32, 7, 7)), as_maps((10, 128)), as_maps((10,))
        ((10, 32, 7, 7), (10, 128, 1, 1), (10, 1, 1, 1))
    """
    samples, channels, *rest = [*shape, 1, 1][: max(len(shape), 2)]
    return samples, channels, math.prod(rest[:-1]), rest[-1] if rest else 1
