"""The frontier: staircases of confirmed accuracies, accuracies at equal bytes, BD-rates by hand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import slsim
from slsim.analysis import Staircase, accuracy_at, bd_rate, bd_rates_over, staircase
from slsim.analysis.frontier import budgets
from slsim.errors import StudyError


def stairs(*steps: tuple[float, float]) -> Staircase:
    return Staircase(*(np.array(column, float) for column in zip(*steps, strict=True)))


SLOW = stairs((0.5, 1e6), (0.7, 4e6), (0.8, 9e6))


def test_an_accuracy_counts_once_most_of_the_window_confirm_it() -> None:
    """80 % is one lucky evaluation: two of three are needed."""
    accuracies = [0.3, 0.8, 0.5, 0.5, 0.7, 0.9]
    recording: Any = SimpleNamespace(
        evaluations=[SimpleNamespace(round=10 * (i + 1), accuracy=one) for i, one in enumerate(accuracies)]
    )
    sent = pd.DataFrame({"up": np.arange(61) * 100.0, "down": np.arange(61) * 1.0})
    found = staircase(recording, sent, 3, ("up", "down"))
    assert found.accuracies.tolist() == [0.3, 0.5, 0.7]
    assert found.num_bytes.tolist() == [1_010.0, 2_020.0, 5_050.0]


def test_half_of_the_bytes_at_every_accuracy_is_minus_a_half() -> None:
    fast = Staircase(SLOW.accuracies, SLOW.num_bytes / 2)
    assert bd_rate(fast, SLOW) == pytest.approx(-0.5)
    assert bd_rate(SLOW, fast) == pytest.approx(1.0)
    assert bd_rate(SLOW, SLOW) == 0.0


def test_it_is_the_mean_logarithm_over_the_accuracies_that_both_have() -> None:
    """From 0.6 to 0.75: to 0.6 … 0.7 it takes 4 MB of both; to 0.7 … 0.75 it takes 8 MB where the other
    needs 9: exp(ln(8 / 9) · 0.05 / 0.15) - 1."""
    other = stairs((0.6, 2e6), (0.7, 4e6), (0.75, 8e6))
    assert bd_rate(other, SLOW) == pytest.approx(math.exp(math.log(8 / 9) / 3) - 1)


@pytest.mark.parametrize(
    "other", [stairs((0.81, 1e6), (0.9, 2e6)), stairs((0.5, 1e6)), Staircase(*[np.zeros(0)] * 2)]
)
def test_without_accuracies_in_common_there_is_none(other: Staircase) -> None:
    assert math.isnan(bd_rate(other, SLOW))
    assert math.isnan(bd_rate(SLOW, other))


@given(
    st.lists(
        st.tuples(st.integers(1, 1000), st.integers(1, 10**9)),
        min_size=2,
        max_size=20,
        unique_by=(lambda s: s[0], lambda s: s[1]),
    )
)
def test_a_rate_and_its_inverse_are_treated_alike(steps: list[tuple[int, int]]) -> None:
    one = stairs(*zip(sorted(a / 1000 for a, _ in steps), sorted(float(b) for _, b in steps), strict=True))
    forth, back = bd_rate(one, SLOW), bd_rate(SLOW, one)
    assert math.isnan(forth) == math.isnan(back)
    if not math.isnan(forth):
        assert (1 + forth) * (1 + back) == pytest.approx(1.0)


def test_accuracies_at_equal_bytes_over_seeds() -> None:
    settings = {"a": {0: SLOW, 1: stairs((0.6, 2e6), (0.9, 5e6))}, "b": {0: SLOW}}
    table = accuracy_at(settings).set_index(["setting", "budget_bytes"])
    assert table.loc[("a", 5e6), "accuracy"] == pytest.approx((0.7 + 0.9) / 2)
    assert table.loc[("a", 5e6), "accuracy_low"] < 0.7  # Student's t of two seeds is wide
    assert math.isnan(table.loc[("a", 1e6), "accuracy"])  # one seed held nothing yet
    assert table.loc[("b", 1e7), "accuracy"] == 0.8
    assert accuracy_at({"a": {0: Staircase(*[np.zeros(0)] * 2)}}).empty


def test_budgets_are_round_numbers_up_to_where_all_have_ended() -> None:
    assert budgets([SLOW]) == [1e6, 2e6, 5e6, 1e7]
    assert budgets([stairs((0.5, 3e5), (0.6, 2e6))]) == [5e5, 1e6, 2e6]
    assert budgets([]) == []


def test_over_a_chosen_run_seed_by_seed() -> None:
    half = Staircase(SLOW.accuracies, SLOW.num_bytes / 2)
    quarter = Staircase(SLOW.accuracies, SLOW.num_bytes / 4)
    table = bd_rates_over({"a": {0: SLOW, 1: SLOW}, "b": {0: half, 1: quarter}, "c": {2: SLOW}}, "a")
    rows = table.set_index("setting")
    assert rows.loc["b", "bd_rate"] == pytest.approx(math.sqrt(1 / 8) - 1)
    assert rows.loc["b", "bd_rate_low"] < rows.loc["b", "bd_rate"] < rows.loc["b", "bd_rate_high"]
    assert rows.loc["a", "bd_rate"] == 0.0
    assert rows.loc["c", "seeds"] == 0
    assert math.isnan(rows.loc["c", "bd_rate"])


def test_a_study_has_them(tiny_study: Path) -> None:
    study = slsim.open_study(tiny_study)
    summary = study.summary.set_index("setting")
    over = study.bd_rate("identity").set_index("setting")
    assert over["bd_rate"].tolist() == pytest.approx(summary["bd_rate"].tolist(), nan_ok=True)
    assert set(study.frontier["setting"]) == set(summary.index)
    with pytest.raises(StudyError, match='there is no setting "identiy"; did you mean "identity"'):
        study.bd_rate("identiy")
