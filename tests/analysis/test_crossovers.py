"""Where a setting stops paying over a swept number: computed, and over seeds only where significant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from seeded import UPLINK, at_rates, with_baseline

import slsim
from slsim.analysis import FASTER_BY, crossovers, estimated, summarise
from slsim.analysis.crossovers import crossing
from slsim.scenario.axes import Axis


def rows_of(table: pd.DataFrame, series: str) -> list[dict[Any, Any]]:
    return table[(table["series"] == series) & (table["assuming"] == "as stated")].to_dict("records")


def found(*rows: list[dict[str, Any]], probe: Any = lambda *_: None) -> pd.DataFrame:
    every = with_baseline([one for some in rows for one in some])
    return crossovers(summarise(pd.DataFrame(every)), [UPLINK], probe)


@pytest.mark.parametrize("ends", [(1e6, 1e9), (1e8, 5e8)])
def test_the_crossing_of_a_curve_is_found_to_half_a_percent(ends: tuple[float, float]) -> None:
    def speed_up(rate: float) -> float:
        return (1 + 1e9 / rate) / (3 + 1e8 / rate)

    due = (1e9 - FASTER_BY * 1e8) / (3 * FASTER_BY - 1)
    values = (speed_up(ends[0]), speed_up(ends[1]))
    assert crossing(speed_up, ends, values) == pytest.approx(due, rel=0.005)


def test_a_curve_that_ends_at_infinity_or_zero_is_halved() -> None:
    at = crossing(lambda number: 2.0 if number < 0.3 else 0.0, (0.0, 1.0), (2.0, 0.0))
    assert at == pytest.approx(0.3, abs=0.006)


def test_one_seed_stops_paying_somewhere_and_nothing_is_significant() -> None:
    table = found(
        at_rates("identity", {"10 Mbps": 2.0, "1 Gbps": 2.0}),
        at_rates("ms", {"10 Mbps": 1.0, "1 Gbps": 4.0}),
        at_rates("qu", {"10 Mbps": 1.0, "1 Gbps": 1.0}),
        at_rates("rt", {"10 Mbps": math.nan, "1 Gbps": math.nan}),
    )
    (ms,) = rows_of(table, "ms")
    assert (ms["direction"], ms["after"], ms["before"]) == ("stops", 1e7, 1e9)
    assert math.isnan(ms["value"])  # no clock was asked
    assert [rows_of(table, name)[0]["direction"] for name in ("qu", "rt")] == ["always", "never"]
    assert rows_of(table, "identity") == []
    assert not table["significant"].any()


def test_over_seeds_the_ends_of_the_interval_cross_too() -> None:
    """Seeds whose speed-ups are 0.9, 1 and 1.1 times 300 Mbps ÷ rate."""

    def probe(setting: str, axis: Axis, rate: float, assuming: str) -> Mapping[str, float]:
        assert (axis, assuming) == (UPLINK, "as stated")
        return estimated([factor * 3e8 / rate for factor in (0.9, 1.0, 1.1)])

    due = (
        [2.0 / (factor * 30.0) for factor in (0.9, 1.0, 1.1)],
        [2.0 / (factor * 0.3) for factor in (0.9, 1.0, 1.1)],
    )
    table = found(
        at_rates("identity", {"10 Mbps": [2.0] * 3, "1 Gbps": [2.0] * 3}),
        at_rates("ms", {"10 Mbps": due[0], "1 Gbps": due[1]}),
        probe=probe,
    )
    (ms,) = rows_of(table, "ms")
    assert ms["value"] == pytest.approx(3e8 * (0.9 * 1.1) ** (1 / 3) / FASTER_BY, rel=0.01)
    assert ms["low"] < ms["value"] < ms["high"]
    assert bool(ms["significant"])


@pytest.fixture
def study(tiny_study: Any) -> slsim.Study:
    return slsim.open_study(tiny_study)


@pytest.mark.parametrize(
    ("key", "values", "column"),
    [
        ("network.uplink", ["100 kbps", "10 Gbps"], "uplink_bps"),
        ("network.latency", ["0 ms", "10 ms", "10 s"], "latency_s"),
        ("network.medium", ["100 kbps", "1 Gbps"], "medium_bps"),
        ("clients.device.overhead", ["0 s", "1 ms", "1 s"], "clients_device_overhead_s"),
        ("training.target_accuracy", [0.3, 0.5, 0.8], "training_target_accuracy"),
    ],
)
def test_any_swept_number_has_a_column_and_its_crossovers(
    study: slsim.Study, key: str, values: list[Any], column: str
) -> None:
    """Where a number between the swept ones was computed, a replay there has just the speed-up that pays."""
    swept = study.replay({key: values}, save=False)
    assert swept.runs[column].dtype.kind in "fi"
    assert set(swept.crossovers["axis"]) == {column}
    (axis,) = swept._played.axes
    for one in swept.crossovers.dropna(subset=["value"]).to_dict("records"):
        if one["assuming"] == "as stated":
            at = study.replay({key: axis.text(one["value"])}, save=False).runs.set_index("setting")
            assert at.loc[one["series"], "speed_up"] == pytest.approx(FASTER_BY, rel=0.02)
