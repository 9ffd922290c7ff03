"""Statistics over seeds: Student's t, geometric means of ratios, paired differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slsim.analysis.statistics import intervals, is_less, mean_of, ratio_intervals, ratio_of


def test_the_interval_is_students() -> None:
    """t of 2 degrees of freedom is 4.3027, s of 1, 2, 3 is 1: half of it is 4.3027 / √3."""
    found = mean_of([1.0, 2.0, 3.0])
    assert (found.mean, found.high - found.mean) == pytest.approx((2.0, 2.4841), rel=1e-4)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    one, none = mean_of([5.0]), mean_of([math.nan])
    assert (one.mean, math.isnan(one.low), math.isnan(one.high)) == (5.0, True, True)
    assert math.isnan(none.mean)


def test_missing_values_are_left_out() -> None:
    with_gap, without = intervals([[1.0, math.nan, 3.0]]), intervals([[1.0, 3.0]])
    assert np.array_equal(with_gap, without)


def test_a_ratio_and_its_inverse_are_treated_alike() -> None:
    found, inverse = ratio_of([2.0, 8.0, 4.0]), ratio_of([1 / 2, 1 / 8, 1 / 4])
    assert found.mean == pytest.approx(4.0)
    assert (found.low, found.high) == pytest.approx((1 / inverse.high, 1 / inverse.low))


def test_one_ratio_is_kept_to_the_last_digit() -> None:
    assert ratio_intervals([[12.403, math.nan]])[0][0] == 12.403


@pytest.mark.parametrize(
    ("values", "others", "less"),
    [
        ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], True),  # pairs: every one is half, whatever their spread
        ([1.0, 2.0, 3.0], [2.0, 1.9, 3.1], False),
        ([2.0, 4.0], [1.0, 2.0], False),
        ([1.0], [9.0], False),  # one seed proves nothing
        ([1.0, 1.0, math.inf], [9.0, 9.0, 9.0], False),  # nor does one that never got there
        ([1.0, 1.0], [math.inf, math.inf], False),
        ([1.0, 1.0], [1.0, 1.0], False),
    ],
)
def test_less_is_only_what_pairs_prove(values: list[float], others: list[float], less: bool) -> None:
    assert is_less(values, others) is less
