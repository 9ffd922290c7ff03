"""The summary: a row a setting, and no number that is the best of several."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from seeded import failed, over_seeds, row, with_baseline

from slsim.analysis import summarise

NEVER = math.nan


def summary_of(*rows: list[dict[str, object]]) -> pd.DataFrame:
    return summarise(pd.DataFrame([one for some in rows for one in some])).set_index("setting")


def test_means_medians_and_ranges() -> None:
    found = summary_of(over_seeds("ms", [3.0, 9.0, 4.0])).loc["ms"]
    assert (found["seeds"], found["finished"], found["reached"]) == (3, 3, 3)
    assert found["time_to_target_s"] == 4.0
    assert (found["time_to_target_s_least"], found["time_to_target_s_most"]) == (3.0, 9.0)
    assert (found["held_accuracy"], found["held_accuracy_low"]) == pytest.approx((0.8571, 0.8571))


@pytest.mark.parametrize(
    ("seconds", "median", "state"),
    [
        ([1.0, NEVER, NEVER], math.inf, "not reached"),
        ([1.0, 2.0, NEVER, NEVER], math.inf, "not reached"),  # half never got there
        ([1.0, 2.0, NEVER], 2.0, "reached"),
        ([1.0, 2.0, 3.0, NEVER], 2.5, "reached"),
        ([NEVER], math.inf, "not reached"),
    ],
)
def test_a_seed_that_never_reached_the_target_counts_as_infinite(
    seconds: list[float], median: float, state: str
) -> None:
    found = summary_of(over_seeds("ms", seconds)).loc["ms"]
    assert (found["time_to_target_s"], found["target_state"]) == (median, state)
    if len(seconds) > 1 and NEVER in seconds:
        assert found["time_to_target_s_most"] == math.inf


def test_without_a_target_nothing_is_infinite() -> None:
    none = {"target_state": "no target", "target_reason": "the baseline diverged"}
    found = summary_of([row("ms", seed=seed, **none) for seed in range(3)]).loc["ms"]
    assert math.isnan(found["time_to_target_s"])
    assert math.isnan(found["time_to_target_s_least"])


def test_speed_ups_are_each_seeds_over_its_own_baseline() -> None:
    """Seeds that are slow for both do not widen the interval: each is twice as fast."""
    rows = with_baseline([*over_seeds("identity", [2.0, 8.0, 20.0]), *over_seeds("ms", [1.0, 4.0, 10.0])])
    found = summary_of(rows).loc["ms"]
    assert (found["speed_up"], found["speed_up_low"], found["speed_up_high"]) == pytest.approx((2, 2, 2))
    assert (found["compared"], found["pays"]) == (3, "yes")


@pytest.mark.parametrize(
    ("seconds", "pays"),
    [
        ([2.0, 2.1, 1.9], "yes"),
        ([6.0, 6.1, 5.9], "no"),
        ([4.0, 4.01, 3.99], "no"),  # faster, but not by 5 %
        ([0.1, 5.0, 6.0], "unclear"),
        ([2.0, 2.1, NEVER], "unclear"),
        ([NEVER, NEVER, NEVER], "no"),
    ],
)
def test_a_setting_pays_only_where_that_is_significant(seconds: list[float], pays: str) -> None:
    rows = with_baseline([*over_seeds("identity", [4.1, 4.1, 4.1]), *over_seeds("ms", seconds)])
    assert summary_of(rows)["pays"].to_dict() == {"identity": "", "ms": pays}


def test_one_seed_neither_pays_nor_is_the_best() -> None:
    found = summary_of(with_baseline([row("identity", 9.0), row("ms", 1.0)]))
    assert set(found["pays"]) == {""}
    assert not found[["best_time", "best_bytes"]].any(axis=None)
    assert found["time_to_target_s_least"].isna().all()


def test_the_codec_with_one_lucky_seed_is_not_the_best() -> None:
    """By its luckiest seed ms would have won with 0.9 s; its median is INF, and it has no multiplier."""
    rows = with_baseline(
        [
            *over_seeds("identity", [5.0, 5.2, 4.9]),
            *over_seeds("qu", [3.5, 3.6, 3.4]),
            *over_seeds("ms", [0.9, NEVER, NEVER]),
        ]
    )
    found = summary_of(rows)
    assert found.loc["ms", "time_to_target_s"] == math.inf
    assert math.isnan(found.loc["ms", "speed_up"])
    assert math.isnan(found.loc["ms", "traffic_multiplier"])
    assert found["pays"].to_dict() == {"identity": "", "qu": "yes", "ms": "unclear"}
    assert not found["best_time"].any()  # where one seed of a rival was faster, nothing is proven


def test_the_best_is_significantly_better_than_every_other_that_got_there() -> None:
    never = over_seeds("rt", [NEVER, NEVER, NEVER])
    rows = [*over_seeds("identity", [5.0, 5.2, 4.9]), *over_seeds("qu", [3.5, 3.6, 3.4]), *never]
    assert summary_of(rows)["best_time"].to_dict() == {"identity": False, "qu": True, "rt": False}
    step = [one | {"evaluation_step_s": 2.0} for one in rows]  # less than one evaluation apart
    assert not summary_of(step)["best_time"].any()


def test_failed_seeds_are_counted_and_told() -> None:
    rows = [*over_seeds("ms", [1.0, 2.0]), failed("ms", seed=2, reason="no memory")]
    found = summary_of(rows).loc["ms"]
    assert (found["seeds"], found["finished"], found["failed"], found["reached"]) == (3, 2, 1, 2)
    assert (found["target_state"], found["failure"]) == ("reached", "1 of 3 seeds: no memory")
    every = summary_of([failed("ms", seed=seed) for seed in range(2)]).loc["ms"]
    assert (every["target_state"], every["failure"]) == ("failed", "the codec is wrong")
    assert math.isnan(every["time_to_target_s"])
