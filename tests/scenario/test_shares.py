"""Shares of the clients: who gets which."""

from collections import Counter
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.scenario.shares import assign

KINDS = [f"kind {number:02}" for number in range(1, 13)]


@pytest.mark.parametrize(
    ("shares", "count", "sizes"),
    [
        ([1.0], 10, [10]),
        ([0.5, 0.5], 10, [5, 5]),
        ([0.5, 0.3, 0.2], 7, [4, 2, 1]),  # 3.5, 2.1, 1.4: the one left over goes to .5
        ([0.46, 0.34, 0.2], 5, [2, 2, 1]),  # 2.3, 1.7, 1.0: to .7
        ([0.1, 0.2, 0.7], 3, [0, 1, 2]),  # 0.3, 0.6, 2.1: to .6
        ([0.9, 0.1], 1, [1, 0]),
        ([0.5, 0.5], 3, [2, 1]),  # equal remainders: the first
        ([0.1] * 10, 10, [1] * 10),
        ([0.7, 0.1, 0.2], 10, [7, 1, 2]),  # 0.7 · 10 and 0.1 · 10 are not whole in binary
    ],
)
def test_shares_are_rounded_by_largest_remainder(shares, count, sizes):
    expected = [kind for kind, size in zip(KINDS, sizes, strict=False) for _ in range(size)]
    assert assign(list(zip(KINDS, shares, strict=False)), count) == expected


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=len(KINDS)), st.integers(1, 500))
def test_every_client_gets_a_device_and_every_device_its_share(weights, count):
    kinds = KINDS[: len(weights)]
    total = sum(weights)
    devices = assign([(kind, weight / total) for kind, weight in zip(kinds, weights, strict=True)], count)
    assert len(devices) == count
    sizes = Counter(devices)
    for kind, weight in zip(kinds, weights, strict=True):
        exact = Fraction(weight * count, total)
        assert floor(exact) <= sizes[kind] <= ceil(exact)
    assert devices == sorted(devices)  # in order


def test_shares_that_add_up_to_a_little_more_than_one_still_give_count_devices():
    shares = [("box", 0.5), ("box", 0.50000099)]
    assert len(assign(shares, 10**6)) == 10**6
