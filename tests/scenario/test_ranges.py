"""Ranges: how many values, spaced how, written how, and what is no range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slsim.errors import ScenarioError
from slsim.scenario import override, plan
from slsim.scenario.ranges import is_range, points
from slsim.scenario.schema import json_schema
from slsim.units import RATE

BASE: dict[str, Any] = {
    "name": "ranges",
    "data": {"name": "fashion-mini"},
    "model": {"name": "mlp", "cut": "shallow"},
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 Mbps .. 1 Gbps / 4", ["1 Mbps", "10 Mbps", "100 Mbps", "1 Gbps"]),
        ("1 Mbps .. 10 Mbps / 3", ["1 Mbps", "3.162 Mbps", "10 Mbps"]),
        ("1 Gbps .. 1 Mbps / 4", ["1 Gbps", "100 Mbps", "10 Mbps", "1 Mbps"]),
        ("1Mbps..1Gbps/4", ["1Mbps", "10 Mbps", "100 Mbps", "1Gbps"]),
        ("1 MB/s .. 100 MB/s / 3", ["1 MB/s", "10 MB/s", "100 MB/s"]),
        ("500 kbps .. 1.5 Mbps / 3 linear", ["500 kbps", "1 Mbps", "1.5 Mbps"]),
        ("0 ms .. 10 ms / 5", ["0 ms", "2.5 ms", "5 ms", "7.5 ms", "10 ms"]),
        ("1 ms .. 1 s / 4", ["1 ms", "10 ms", "100 ms", "1 s"]),
        ("1 h .. 3 h / 3 linear", ["1 h", "2 h", "3 h"]),
        ("4 MiB .. 16 MiB / 3", ["4 MiB", "8.389 MB", "16 MiB"]),
        ("1 TFLOPS .. 4 TFLOPS / 3", ["1 TFLOPS", "2 TFLOPS", "4 TFLOPS"]),
        ("0.9 .. 0.99 / 4", [0.9, 0.93, 0.96, 0.99]),
        ("0 .. 0.1 / 3", [0.0, 0.05, 0.1]),
        ("-1.0 .. 1.0 / 3", [-1.0, 0.0, 1.0]),
        ("1e-4 .. 1e-2 / 3 log", [1e-4, 1e-3, 1e-2]),
        ("10 .. 1000 / 3 log", [10, 100, 1000]),
        ("1 .. 10 / 4", [1, 4, 7, 10]),
        ("1 .. 3 / 20", [1, 2, 3]),
        ("10 .. 1 / 2", [10, 1]),
        ("1000.0 .. 1000.5 / 3", [1000.0, 1000.2, 1000.5]),
    ],
)
def test_values_of_a_range(text: str, values: list[Any]) -> None:
    found = points(text)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@given(
    st.floats(1e3, 1e12), st.floats(1e3, 1e12), st.integers(2, 60), st.sampled_from(["", " log", " linear"])
)
def test_a_range_has_its_ends_and_so_many_values_that_rise_or_fall(
    first: float, last: float, count: int, spacing: str
) -> None:
    ends = RATE.format(first), RATE.format(last)
    if abs(first - last) < 1e-6 * first:
        return
    found = points(f"{ends[0]} .. {ends[1]} / {count}{spacing}")
    numbers = [RATE.parse(value) for value in found]
    assert (found[0], found[-1], len(found)) == (*ends, count)
    assert len(set(numbers)) == count
    assert numbers == sorted(numbers, reverse=first > last)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Mbps .. 1 Gbps", "needs its number of points: "),
        ("1 MB/s .. 1 GB/s", "needs its number of points: "),
        ("0.1 .. 0.5", 'needs its number of points: "0.1 .. 0.5 / 20"'),
        ("0.1 .. 0.5 / many", "found 'many'"),
        ("1 Mbps .. 1 Gbps / 1", "from 2 to 100,000 points, found '1'"),
        ("1 Mbps .. 1 Gbps / many", "found 'many'"),
        ("1 Mbps .. 1 Gbps / 2.5", "found '2.5'"),
        ("1 Mbps .. 1 Gbps / -3", "found '-3'"),
        ("0 .. 1 / 1000000", "found '1000000'"),
        ("1 Mbps .. 1000 / 5", "'1000' has no unit; both ends of a range need one"),
        ("1 .. 10 Mbps / 5", "'1' has no unit"),
        ("1 Mbps .. 5 ms / 5", "'ms' is not a unit of bandwidth"),
        ("1 Mbps .. 1 Gpbs / 5", "'Gpbs' is not a unit of bandwidth"),
        ("0 Mbps .. 1 Gbps / 5", "must be more than 0"),
        ("0 ms .. 10 ms / 5 log", "a logarithm has no 0"),
        ("-1 .. 10 / 5 log", "a logarithm has no 0 and nothing below"),
        ("1 Mbps .. 1 Mbps / 5", "both ends of a range are the same"),
        ("3 .. 3 / 5", "both ends of a range are the same"),
        ("1 .. 1e999 / 5", "at most 2⁵³"),
        ("1 .. 9 / 5 cubic", "'cubic' is no spacing"),
    ],
)
def test_a_range_that_cannot_be_is_one_fault_where_it_stands(text: str, message: str) -> None:
    assert is_range(text)
    with pytest.raises(ScenarioError) as error:
        plan({**BASE, "sweep": {"network.uplink": ["1 Mbps", text]}}, "test", Path())
    (fault,) = error.value.faults
    assert fault.path == 'sweep."network.uplink"[1]'
    assert message in fault.message


@pytest.mark.parametrize(
    "value",
    [
        "../traces/lte.csv",
        "a..b/3",
        "1..x/3",
        "v1..v2 / 3",
        "3 pigs .. 5 pigs / 2",
        "",
        3,
        ["1 .. 2 / 3"],
    ],
)
def test_text_that_only_looks_a_bit_like_a_range_is_none(value: object) -> None:
    assert not is_range(value)


def test_ranges_stand_for_lists_in_lists_and_in_settings() -> None:
    ranged, rates = "1 Mbps .. 100 Mbps / 3", [1e6, 1e7, 1e8]

    def uplinks(document: dict[str, Any], overrides: dict[str, Any] | None = None) -> list[object]:
        cases = plan(override({**BASE, **document}, overrides or {}), "test", Path()).cases
        return [case.scenario.network.uplink for case in cases]

    assert uplinks({"sweep": {"network.uplink": ranged}}) == rates
    assert uplinks({"sweep": {"network.uplink": ["1 Gbps", ranged, "10 Mbps"]}}) == [1e9, *rates]
    assert uplinks({}, {"network.uplink": ranged}) == rates
    assert uplinks({}, {"network.uplink": [ranged, "1 Gbps"]}) == [*rates, 1e9]
    assert uplinks({"sweep": {"network.uplink": ranged}}, {"network.uplink": "2 Mbps"}) == [2e6]


def test_faults_of_a_ranges_values_are_told_at_the_range() -> None:
    with pytest.raises(ScenarioError) as error:
        plan({**BASE, "sweep": {"network.loss": "0.0 .. 0.2 / 3"}}, "test", Path())
    assert {fault.path for fault in error.value.faults} == {'sweep."network.loss"'}


def test_the_schema_knows_ranges() -> None:
    schema = jsonschema.Draft202012Validator(json_schema())
    for good in ("1 Mbps .. 1 Gbps / 20", "10 .. 1000 / 3 log", ["1 Mbps", "2 Mbps .. 4 Mbps / 3"]):
        schema.validate({**BASE, "sweep": {"network.uplink": good}})
    assert not schema.is_valid({**BASE, "sweep": {"network.uplink": "1 Mbps"}})
