"""Code lengths by hand, and limits that data without a pattern cannot undercut."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from slsim.codecs import create
from slsim.codecs.code_length import CodeLength, adaptive_bits, as_maps, code_length
from slsim.codecs.symbols import NO_FLOATS, Symbols

SHAPE = (8, 4, 32, 32)


def length_of(levels: NDArray[np.uint8], messages: int = 1) -> CodeLength:
    """The code length of an array of levels that is sent in so many messages."""
    parts = np.split(levels, messages)
    return code_length(
        [Symbols(part.ravel(), NO_FLOATS, 0) for part in parts], [part.shape for part in parts]
    )


@pytest.mark.parametrize(
    ("counts", "probability"),
    [
        ([[2, 0]], 1 / 2 * 3 / 4),
        ([[1, 1]], 1 / 2 * 1 / 4),
        ([[1, 1], [2, 0]], 1 / 8 * 3 / 8),  # contexts learn apart
        ([[0, 1, 0, 1]], 1 / 8 * 1 / 2 * 1 / 2),  # 01 and 11: high bits 0 and 1, below either a 1
        ([[0, 0]], 1.0),
    ],
)
def test_the_estimate_of_krichevsky_and_trofimov_by_hand(counts: list[list[int]], probability: float) -> None:
    assert adaptive_bits(np.array(counts)) == pytest.approx(-math.log2(probability))


def test_one_sequence_coded_step_by_step_takes_as_many_bits() -> None:
    sequence = np.random.default_rng(0).random(500) < 0.2
    seen, bits = [0, 0], 0.0
    for one in map(int, sequence):
        bits -= math.log2((seen[one] + 0.5) / (sum(seen) + 1))
        seen[one] += 1
    assert adaptive_bits(np.array([seen])) == pytest.approx(bits)


def test_a_small_map_by_hand() -> None:
    """Rows 0 0 / 1 1: alone, two of each: 1/2 · 3/4 · 1/6 · 3/8. By left and upper neighbour: 0, 0 and then
    0 of (0, 0) outside and left, 1 of (0, 0), 1 of (1, 0): the first context has 0, 0, 1, the second 1."""
    found = length_of(np.array([[[[0, 0], [1, 1]]]], np.uint8))
    assert found.plain == pytest.approx(-math.log2(1 / 2 * 3 / 4 * 1 / 6 * 3 / 8))
    assert found.in_context == pytest.approx(-math.log2(1 / 2 * 3 / 4 * 1 / 6 * 1 / 2))


@pytest.mark.parametrize("levels", [2, 8, 200])
def test_of_independent_levels_neither_length_is_below_their_entropy_by_more_than_chance(
    levels: int,
) -> None:
    drawn = np.random.default_rng(1).integers(0, levels, SHAPE).astype(np.uint8)
    found = length_of(drawn)
    assert found.in_context == found.plain
    assert math.log2(levels) - 1e-3 < found.plain / drawn.size < math.log2(levels) * 1.02


def test_channels_that_differ_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    shares = np.array([0.01, 0.1, 0.3, 0.5]).reshape(1, 4, 1, 1)
    found, size = length_of((rng.random(SHAPE) < shares).astype(np.uint8)), math.prod(SHAPE)
    entropies = [-p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in shares.ravel()]
    assert found.in_context / size == pytest.approx(np.mean(entropies), rel=0.02)
    assert found.plain / size > 1.2 * np.mean(entropies)


def test_smooth_maps_take_far_fewer_bits_in_context_also_of_many_levels() -> None:
    """A random walk along each row: the neighbour tells the most of a level."""
    steps = np.random.default_rng(3).integers(-1, 2, SHAPE)
    walks = (np.cumsum(steps, axis=3) + 40).astype(np.uint8)
    found = length_of(walks)
    assert found.in_context < 0.75 * found.plain
    assert found.in_context / walks.size > math.log2(3)  # which no coder undercuts


def test_a_coder_keeps_what_it_learned_from_message_to_message() -> None:
    drawn = (np.random.default_rng(4).random((8, 200)) < 0.05).astype(np.uint8)
    assert length_of(drawn, messages=8) == length_of(drawn)


def test_floats_cost_at_most_their_bytes_and_less_where_their_exponents_are_alike() -> None:
    alike = torch.from_numpy(np.random.default_rng(5).uniform(1, 2, 5000).astype(np.float32))
    few = torch.from_numpy(np.random.default_rng(6).standard_normal(3).astype(np.float32))
    codec = create("identity")
    for values, low, high in ((alike, 23, 26), (few, 20, 32)):
        said = codec.symbols(codec.encode(values))
        bits = code_length([said], [tuple(values.shape)]).plain - 8 * said.side_bytes
        assert low < bits / values.numel() <= high + 0.1


def test_too_many_channels_are_not_told_apart() -> None:
    """A table of 2^23 counts or more, of which few would be used."""
    drawn = np.random.default_rng(7).integers(0, 200, (2, 100_000)).astype(np.uint8)
    assert length_of(drawn).in_context == length_of(drawn).plain


@pytest.mark.parametrize(
    ("shape", "maps"),
    [
        ((), (1, 1, 1, 1)),
        ((0,), (0, 1, 1, 1)),
        ((5,), (5, 1, 1, 1)),
        ((5, 3), (5, 3, 1, 1)),
        ((5, 3, 7), (5, 3, 1, 7)),
        ((5, 3, 7, 9), (5, 3, 7, 9)),
        ((5, 3, 7, 9, 2), (5, 3, 63, 2)),
    ],
)
def test_every_shape_is_samples_channels_rows_and_columns(
    shape: tuple[int, ...], maps: tuple[int, int, int, int]
) -> None:
    assert as_maps(shape) == maps


def test_nothing_takes_no_bits() -> None:
    assert length_of(np.zeros((0, 4), np.uint8)) == CodeLength(0.0, 0.0)
