"""Shares of the clients: who gets which."""

from collections import Counter
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.scenario.shares import assign, check

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


@pytest.mark.parametrize("shares", [[0.333] * 3, [0.33] * 3, [0.335] * 3, [0.34, 0.33, 0.33], [1.0]])
def test_shares_that_add_up_to_one_within_a_percent_are_taken_as_meant(shares):
    check(shares)
    assert Counter(assign(list(zip(KINDS, shares, strict=False)), 3 * 7 * len(shares))).most_common()


def test_three_classes_of_a_third_get_as_many_clients_each():
    assert assign([("a", 0.333), ("b", 0.333), ("c", 0.333)], 9) == [*"aaabbbccc"]


@pytest.mark.parametrize("shares", [[0.5, 0.48], [0.3, 0.3, 0.3], [0.6, 0.6], [0.5]])
def test_shares_that_do_not_add_up_are_refused(shares):
    with pytest.raises(ValueError, match=rf"must add up to 1 \(within 1 %\), they add up to {sum(shares):g}"):
        check(shares)


def test_without_shares_all_are_equal():
    check([None, None])
    assert assign([("a", None), ("b", None)], 5) == [*"aaabb"]


def test_a_list_as_long_as_there_are_clients_is_a_list_of_the_clients():
    assert assign([(kind, None) for kind in KINDS], len(KINDS)) == KINDS


def test_some_shares_and_some_none_are_refused():
    with pytest.raises(
        ValueError, match=r"give each a share, or none \(then all are equal\); \[1\] has none"
    ):
        check([0.5, None])
