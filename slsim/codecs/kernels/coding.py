"""Adaptive binary range coding: decisions (0 or 1) ⇄ bytes, at probabilities that are learned on the way.

Encoder and decoder run the same functions, told apart by `decoding`: an encoder takes a decision and appends
to `stream`, a decoder reads `stream` and gives the decision. Both learn from decisions alone, so that they
stay equal. A decoder accepts any bytes: behind the last it reads zeros.

`coder` (int64) is the lower end of the interval, or in a decoder how far the code lies above it; the
interval's size; and the place of the next entry of `stream`. Entries (uint32) are two bytes each; what an
encoder has to carry from one to the entry before is carried at the end.

A *state* (uint32) is what a context has seen: the chance of a one in 22 bits, and in 10 bits the number of
decisions, up to 1023; so many are averaged. `mixed` adds the log-odds of three states, weighted, and learns
the weights by gradient descent (Mahoney, *Adaptive Weighing of Context Models for Lossless Data Compression*,
2005). All arithmetic is that of integers, the same on every machine.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import Codes
from slsim.compiled import compiled

Coder: TypeAlias = NDArray[np.int64]
Stream: TypeAlias = NDArray[np.uint32]
States: TypeAlias = NDArray[np.uint32]
Weights: TypeAlias = NDArray[np.int32]  # for each node three, in 1/65536, and how often they learned
Int: TypeAlias = int | np.int64

BASE, SIZE, AT = 0, 1, 2
WHOLE_BITS = 48  # of the interval; it is extended by two bytes where its size falls below 2^32
WHOLE, LEAST, REST = 1 << WHOLE_BITS, 1 << 32, (1 << 32) - 1
FIRST = WHOLE_BITS // 16  # entries of the stream that a decoder begins with

UNSEEN = np.uint32(1 << 31)  # a state: even chances, no decision yet
SEEN = 1023  # the most decisions that a state counts
SURE = 24  # in 1/65536: no chance is less
FIRST_WEIGHTS = np.array([21_627, 21_627, 21_627, 0], np.int32)  # a third each

_LOG_ODDS = np.arange(-2048, 2048) / 256
CHANCES = np.clip(np.rint(65536 / (1 + np.exp(-_LOG_ODDS))), SURE, 65536 - SURE).astype(np.int32)
_CHANCES = (np.arange(4096) + 0.5) / 4096
LOG_ODDS = np.clip(np.rint(256 * np.log(_CHANCES / (1 - _CHANCES))), -2047, 2047).astype(np.int32)
STEPS = np.rint(65536 / (np.arange(SEEN + 1) + 1.6)).astype(np.int32)
LEARNED = 32_767  # the most that weights count
PACE = np.rint(2 + 24 * 4000 / (4000 + np.arange(LEARNED + 1))).astype(np.int32)


def encoder(most_bytes: int) -> tuple[Coder, Stream]:
    """Return an encoder and its stream, which drops what is beyond `most_bytes`."""
    return np.array([0, WHOLE, 0], np.int64), np.empty(most_bytes // 2 + FIRST, np.uint32)


def decoder(frame: bytes | memoryview) -> tuple[Coder, Stream]:
    """Return a decoder of what `encoded` gave, and its stream."""
    pairs = np.zeros(max(-(-len(frame) // 2), FIRST), ">u2")
    pairs.view(np.uint8)[: len(frame)] = np.frombuffer(frame, np.uint8)
    code = int.from_bytes(pairs[:FIRST].tobytes(), "big")
    return np.array([code, WHOLE, FIRST], np.int64), pairs.astype(np.uint32)


def encoded(coder: Coder, stream: Stream) -> bytes | None:
    """Return what an encoder wrote and the shortest number in the interval; None where it did not fit."""
    at, base, end = int(coder[AT]), int(coder[BASE]), int(coder[BASE] + coder[SIZE])
    if at + FIRST > stream.size:
        return None
    steps = (1 << bits for bits in range(WHOLE_BITS, -1, -1))
    last = next(up for up in (-(-base // step) * step for step in steps) if up < end)
    stream[at : at + FIRST] = last >> 32, last >> 16 & 0xFFFF, last & 0xFFFF
    written = np.empty(2 * (at + FIRST), np.uint8)
    _carry(stream, written)
    rest = np.flatnonzero(written[2 * at :])
    return written[: max(1, 2 * at + (rest[-1] + 1 if rest.size else 0))].tobytes()


@compiled(bare=True)
def _carry(stream: Stream, written: Codes) -> None:
    """Write the entries as two bytes each, and what is above those into the entry before."""
    above: Int = 0
    for i in range(written.size // 2 - 1, -1, -1):
        entry = np.int64(stream[i]) + above
        written[2 * i], written[2 * i + 1] = entry >> 8 & 255, entry & 255
        above = entry >> 16


def decisions_at_most(num_bytes: int) -> int:
    """Return how many decisions fit into a frame of `num_bytes`: none is certain."""
    return int((8 * num_bytes + 16) / -math.log2(1 - SURE / 65536)) + 1


def is_at_end(coder: Coder, num_bytes: int) -> bool:
    """Whether a decoder that has made its last decision is at the end of a frame of `num_bytes`."""
    is_inside = 0 <= coder[BASE] < coder[SIZE]
    return bool(is_inside and coder[AT] - FIRST <= num_bytes / 2 <= coder[AT])


@compiled(bare=True)
def narrow(begin: Int, size: Int, coder: Coder, stream: Stream, decoding: bool) -> None:
    """Go on with the part of the interval that is `size` large, at least 2^16, and lies at `begin`."""
    base = coder[BASE] - begin if decoding else coder[BASE] + begin
    if size < LEAST:
        size <<= 16
        at = coder[AT]
        if decoding:
            base = base << 16 | (np.int64(stream[at]) if at < stream.size else 0)
        else:
            if at < stream.size:
                stream[at] = base >> 32
            base = (base & REST) << 16
        coder[AT] = at + 1
    coder[BASE] = base
    coder[SIZE] = size


@compiled(bare=True)
def decide(bit: Int, chance: Int, coder: Coder, stream: Stream, decoding: bool) -> Int:
    """Code a decision that is 1 with `chance` / 65536."""
    ones = (coder[SIZE] >> 16) * chance
    if decoding:
        bit = np.int64(coder[BASE] < ones)
    begin, size = (0, ones) if bit else (ones, coder[SIZE] - ones)
    narrow(begin, size, coder, stream, decoding)
    return bit


@compiled(bare=True)
def plain(number: Int, bits: Int, coder: Coder, stream: Stream, decoding: bool) -> Int:
    """Code a number of up to 16 bits, all equally likely."""
    size = coder[SIZE] >> bits
    if decoding:
        number = min(max(coder[BASE] // size, 0), (1 << bits) - 1)
    narrow(number * size, size, coder, stream, decoding)
    return number


@compiled(bare=True)
def updated(state: np.uint32, bit: Int) -> np.uint32:
    """Return the state after another decision."""
    chance, seen = np.int64(state >> np.uint32(10)), state & np.uint32(1023)
    chance += ((bit << 22) - chance) * np.int64(STEPS[seen]) >> 16
    return np.uint32(chance << 10) | min(seen + np.uint32(1), np.uint32(SEEN))


@compiled(bare=True)
def alone(bit: Int, states: States, place: Int, coder: Coder, stream: Stream, decoding: bool) -> Int:
    """Code a decision at the chance of one state."""
    state = states[np.uint64(place)]
    chance = min(max(np.int64(state >> np.uint32(16)), np.int64(SURE)), np.int64(65536 - SURE))
    bit = decide(bit, chance, coder, stream, decoding)
    states[np.uint64(place)] = updated(state, bit)
    return bit


@compiled(bare=True)
def mixed(
    bit: Int,
    states: States,
    places: tuple[Int, Int, Int],
    weights: Weights,
    node: Int,
    coder: Coder,
    stream: Stream,
    decoding: bool,
) -> Int:
    """Code a decision at the chance that three states give together, weighted as for `node`."""
    i, j, k = np.uint64(places[0]), np.uint64(places[1]), np.uint64(places[2])
    a, b, c = states[i], states[j], states[k]
    x = np.int64(LOG_ODDS[a >> np.uint32(20)])
    y = np.int64(LOG_ODDS[b >> np.uint32(20)])
    z = np.int64(LOG_ODDS[c >> np.uint32(20)])
    own = np.uint64(4 * node)
    u, v = np.int64(weights[own]), np.int64(weights[own + np.uint64(1)])
    w, learned = np.int64(weights[own + np.uint64(2)]), np.int64(weights[own + np.uint64(3)])
    total = min(max((x * u + y * v + z * w) >> 16, np.int64(-2047)), np.int64(2047))
    chance = np.int64(CHANCES[np.uint64(total + 2048)])
    bit = decide(bit, chance, coder, stream, decoding)
    error = ((bit << 16) - chance) * np.int64(PACE[np.uint64(learned)])
    weights[own] = u + ((x * error + (1 << 17)) >> 18)
    weights[own + np.uint64(1)] = v + ((y * error + (1 << 17)) >> 18)
    weights[own + np.uint64(2)] = w + ((z * error + (1 << 17)) >> 18)
    weights[own + np.uint64(3)] = min(learned + 1, np.int64(LEARNED))
    states[i], states[j], states[k] = updated(a, bit), updated(b, bit), updated(c, bit)
    return bit
