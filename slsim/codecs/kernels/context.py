"""Codes of a tensor, and floats, as adaptive decisions: what the lossless stage "context" is made of.

A code is told by whether it is 0, then by its number of bits, then by those below the highest. Chances of the
first two are learned for the channel, for the sizes of the left and the upper neighbour, and for the same
element of earlier samples, and mixed; those of a bit below the highest depend on the bits above it. Of a
float the upper twelve bits are decided at the chances learned for the bits before each; the others are sent
as they are.

Decoders accept any bytes and never read or write outside the arrays.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.coding import (
    FIRST_WEIGHTS,
    UNSEEN,
    Coder,
    Int,
    States,
    Stream,
    Weights,
    alone,
    mixed,
    plain,
)
from slsim.codecs.kernels.packing import Codes
from slsim.compiled import compiled

Grid: TypeAlias = tuple[int, int, int, int]  # samples, channels, height, width
Words: TypeAlias = NDArray[np.uint32]

MOST_STATES = 1 << 22  # of the channels, and of the elements: beyond, several share one
SIZES = np.array([number.bit_length() for number in range(256)], np.uint8)
UPPER = 12  # bits of a float: of float32 the sign, the exponent and three more


def code_grid(codes: Codes, grid: Grid, bits: int, coder: Coder, stream: Stream, decoding: bool) -> None:
    """Code `codes`, one a byte and `bits` (1 … 8) each, of a tensor as large as `grid`."""
    samples, channels, height, width = grid
    tree = (bits - 1).bit_length()  # decisions that tell how many bits
    nodes = 1 << tree
    most = MOST_STATES >> tree
    own_channels = min(channels, most)
    places = min(channels * height * width, most) if samples > 1 else 1
    neighbours = (bits + 1) ** 2
    begins = (0, neighbours * nodes, (neighbours + own_channels) * nodes)
    states = np.full((neighbours + own_channels + places) * nodes, UNSEEN)
    weights = np.tile(FIRST_WEIGHTS, nodes)
    below = np.full(1024, UNSEEN)
    _code_grid(codes, grid, bits, tree, begins, states, weights, below, coder, stream, decoding)


@compiled(bare=True)
def _code_grid(
    codes: Codes,
    grid: Grid,
    bits: int,
    tree: int,
    begins: tuple[int, int, int],
    states: States,
    weights: Weights,
    below: States,
    coder: Coder,
    stream: Stream,
    decoding: bool,
) -> None:
    i = 0
    _, of_channels, of_places = begins
    for _ in range(grid[0]):
        place, channel = of_places, of_channels
        for _ in range(grid[1]):
            for y in range(grid[2]):
                for x in range(grid[3]):
                    left = np.int64(SIZES[codes[i - 1]]) if x else 0
                    upper = np.int64(SIZES[codes[i - grid[3]]]) if y else 0
                    near = (left * (bits + 1) + upper) << tree
                    contexts = (near, channel, place)
                    code = np.int64(codes[i])
                    codes[i] = _code(
                        code, bits, tree, contexts, states, weights, below, coder, stream, decoding
                    )
                    i += 1
                    place += 1 << tree
                    place = place if place < states.size else of_places
            channel += 1 << tree
            channel = channel if channel < of_places else of_channels


@compiled(bare=True)
def _code(
    code: Int,
    bits: int,
    tree: int,
    contexts: tuple[Int, Int, Int],
    states: States,
    weights: Weights,
    below: States,
    coder: Coder,
    stream: Stream,
    decoding: bool,
) -> Int:
    """Code one code."""
    node: Int = mixed(np.int64(code > 0), states, contexts, weights, 0, coder, stream, decoding)
    if node:
        size: Int = np.int64(SIZES[code]) - 1
        for shift in range(tree - 1, -1, -1):
            places = (contexts[0] + node, contexts[1] + node, contexts[2] + node)
            bit = mixed(size >> shift & 1, states, places, weights, node, coder, stream, decoding)
            node = 2 * node + bit
        size, node = node - (1 << tree), 1
        for shift in range(size - 1, -1, -1):
            place = size << 7 | node
            node = 2 * node + alone(code >> shift & 1, below, place, coder, stream, decoding)
    return node & (1 << bits) - 1


def code_floats(
    words: Words, word_bits: int, spare: int, coder: Coder, stream: Stream, decoding: bool
) -> None:
    """Code the bits of floats, `word_bits` (16 or 32) each, of which the lowest `spare` are 0 in all."""
    states = np.full(1 << UPPER, UNSEEN)
    _code_floats(words, word_bits, spare, states, coder, stream, decoding)


@compiled(bare=True)
def _code_floats(
    words: Words, word_bits: int, spare: int, states: States, coder: Coder, stream: Stream, decoding: bool
) -> None:
    lower = word_bits - UPPER
    count = lower - spare  # bits that are sent as they are, in two halves
    half = count // 2
    for i in range(words.size):
        word = np.int64(words[i])
        node: Int = 1
        for shift in range(word_bits - 1, lower - 1, -1):
            node = 2 * node + alone(word >> shift & 1, states, node, coder, stream, decoding)
        rest = word >> spare & (1 << count) - 1
        high = plain(rest >> half, count - half, coder, stream, decoding)
        low = plain(rest & (1 << half) - 1, half, coder, stream, decoding)
        words[i] = (node - (1 << UPPER)) << lower | (high << half | low) << spare
