"""Listed points, `[[sweep]]`: small grids whose cases are joined in their order, written and read alike."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import ScenarioError
from slsim.scenario import Plan, axes, override, plan, run_labels
from slsim.scenario.schema import json_schema

BASE: dict[str, Any] = {
    "name": "points",
    "data": {"name": "fashion-mini"},
    "model": {"name": "mlp", "cut": "shallow"},
}
LINKS = """
[[sweep]]
"network.uplink" = "1 Mbps"
"network.latency" = ["1 ms", "9 ms"]

[[sweep]]
"network.uplink" = "10 Mbps .. 1 Gbps / 3"
"network.latency" = "1 ms"
"""
LINKS_OF_CASES = [
    ("1 Mbps", "1 ms"),
    ("1 Mbps", "9 ms"),
    ("10 Mbps", "1 ms"),
    ("100 Mbps", "1 ms"),
    ("1 Gbps", "1 ms"),
]


def planned(sweep: object, **tables: Any) -> Plan:
    return plan({**BASE, **tables, "sweep": sweep}, "test", Path())


def written_and_read(first: Plan) -> Plan:
    return plan(tomllib.loads(tomli_w.dumps(first.document())), "again", Path("/"))


def links(found: Plan) -> list[tuple[str, str]]:
    return [(case.values["network.uplink"], case.values["network.latency"]) for case in found.cases]


def test_points_are_joined_in_their_order() -> None:
    first = planned(tomllib.loads(LINKS)["sweep"])
    assert links(first) == LINKS_OF_CASES
    assert [axis.column for axis in axes(first.cases)] == ["uplink_bps", "latency_s"]
    assert run_labels(first.cases)[:2] == ["identity, 1 Mbps, 1 ms", "identity, 1 Mbps, 9 ms"]


def test_points_are_written_as_points_and_read_back() -> None:
    first = planned(tomllib.loads(LINKS)["sweep"], seeds=2)
    sweep = first.document()["sweep"]
    assert sweep[1] == {"network.uplink": ["1 Mbps"], "network.latency": ["9 ms"]}
    assert len(sweep) == 5
    assert written_and_read(first) == first
    assert written_and_read(first).seeds == (0, 1)


def test_points_that_are_a_product_in_its_order_are_written_as_a_grid() -> None:
    points = [{"network.uplink": rate, "clients.count": [2, 3]} for rate in ("1 Mbps", "2 Mbps")]
    first = planned(points)
    assert first.document()["sweep"] == {"network.uplink": ["1 Mbps", "2 Mbps"], "clients.count": [2, 3]}
    assert written_and_read(first) == first
    backwards = planned(
        [{"network.uplink": rate, "clients.count": n} for n in (2, 3) for rate in ("1 Mbps", "2 Mbps")]
    )
    assert isinstance(backwards.document()["sweep"], list)
    assert written_and_read(backwards) == backwards


def test_the_same_case_is_there_once() -> None:
    first = planned([{"clients.count": [2, 3]}, {"clients.count": [3, 4]}, {"clients.count": 2}])
    assert [case.scenario.clients.count for case in first.cases] == [2, 3, 4]


@pytest.mark.parametrize(
    "points",
    [
        [{"codec.uplink": "ms", "model.cut": 1}, {"codec.uplink": {"name": "qu", "bits": 2}, "model.cut": 2}],
        [{"model.name": "cnn", "clients.count": 2}, {"model.name": "mlp", "clients.count": [3, 4]}],
        [
            {"codec.uplink.name": "qu", "network.uplink.rate": "1 Mbps"},
            {"codec.uplink.name": "ms", "network.uplink.rate": "2 Mbps"},
        ],
        [
            {"training.hooks": [], "clients.count": 2},
            {"training.hooks": ["leakage", "theory"], "clients.count": 3},
        ],
        [
            {"training.hooks": [["leakage"], []], "clients.count": 2},
            {"training.hooks": [[]], "clients.count": 3},
        ],
        [
            {
                "clients.device": [{"device": "rtx-3090", "share": 0.5}, {"device": "a100", "share": 0.5}],
                "clients.count": 2,
            },
            {"clients.device": ["a100", "rtx-3090"], "clients.count": 4},
        ],
        [
            {"network.access_points.rate": "1 Gbps", "clients.count": 2},
            {"network.access_points.rate": "2 Gbps", "clients.count": 4},
        ],
        [{"codec": [{"uplink": "qu"}], "model.cut": 1}, {"codec": [{}], "model.cut": 2}],
    ],
)
def test_points_of_any_kind_read_back_as_the_same_cases(points: list[dict[str, Any]]) -> None:
    tables = {"network": {"access_points": {"count": 1, "rate": "1 Mbps"}}}
    first = planned(points, **tables)
    assert written_and_read(first) == first
    assert len(set(run_labels(first.cases))) == len(first.cases) > 1


VALUES = {
    "network.uplink": ["1 Mbps", "2 Mbps", "4 Mbps", "1000 kbps"],
    "clients.count": [2, 3, 4],
    "codec.uplink": ["ms", "identity", {"name": "qu", "bits": 2}],
}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {key: st.lists(st.sampled_from(values), min_size=1, max_size=2) for key, values in VALUES.items()}
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 3),
)
def test_whatever_is_swept_reads_back_as_the_same_cases(points: list[dict[str, Any]], seeds: int) -> None:
    first = planned(points, seeds=seeds)
    assert written_and_read(first) == first
    assert len(first.cases) == len(first.settings) * seeds
    assert len({str(case.scenario) for case in first.cases}) == len(first.cases)
    assert len(set(run_labels(first.cases))) == len(first.cases)


@pytest.mark.parametrize(
    ("sweep", "path", "message"),
    [
        ([], "sweep", "must be a table of dotted keys"),
        ([3], "sweep", "must be a table of dotted keys"),
        ([{}], "sweep[0]", "sweeps nothing"),
        (
            [{"clients.count": 2}, {"clients.count": 3, "network.loss": 0.1}],
            "sweep[1]",
            "has network.loss, which",
        ),
        (
            [{"clients.count": 2, "network.loss": 0.1}, {"clients.count": 3}],
            "sweep[1]",
            "lacks network.loss; each",
        ),
        ([{"clients.count": 2, "seed": [0, 1]}], 'sweep[0]."seed"', "write them at the top"),
        ([{"clients.count": 2, "seeds": 3}], 'sweep[0]."seeds"', "write them at the top"),
        ([{"name": "a"}], 'sweep[0]."name"', "one name"),
        ([{"clients.count": []}], 'sweep[0]."clients.count"', "a list of one value or more"),
        (
            [{"clients.count": 2}, {"clients.count": 0}],
            'sweep[1]."clients.count"',
            "greater than or equal to 1",
        ),
        ([{"clients.count": [2, 0]}], 'sweep[0]."clients.count"[1]', "greater than or equal to 1"),
        ([{"clients": {"count": 2}}], 'sweep[0]."clients"', "write a dotted key in quotes"),
        ([{"codec.uplink": "qu", "codec.uplink.bits": 2}], 'sweep[0]."codec.uplink.bits"', "is swept too"),
        ([{"network.uplink": "1 Mbps .. 2 / 3"}], 'sweep[0]."network.uplink"', "has no unit"),
    ],
)
def test_points_that_cannot_be_are_one_fault(sweep: object, path: str, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        planned(sweep)
    (fault,) = error.value.faults
    assert fault.path == path
    assert message in fault.message


def test_points_are_counted_before_they_are_made() -> None:
    point = {"clients.count": "1 .. 1000 / 1000", "training.epochs": "1 .. 51 / 51"}
    with pytest.raises(ScenarioError, match="has 2 tables = 102,000 cases; at most 100,000 are allowed"):
        planned([point, point])


def test_what_is_set_beside_points_goes_into_every_one_of_them() -> None:
    document = {**BASE, "sweep": tomllib.loads(LINKS)["sweep"]}

    def changed(**overrides: Any) -> Plan:
        return plan(
            override(document, {key.replace("__", "."): value for key, value in overrides.items()}),
            "t",
            Path(),
        )

    assert links(changed(clients__count=3)) == LINKS_OF_CASES
    assert changed(clients__count=3).cases[0].scenario.clients.count == 3
    crossed = changed(clients__count=[2, 3])
    assert links(crossed) == [link for link in LINKS_OF_CASES for _ in range(2)]
    assert [case.scenario.clients.count for case in crossed.cases] == [2, 3] * 5
    fixed = changed(network__latency="5 ms")
    assert [case.scenario.network.uplink for case in fixed.cases] == [1e6, 1e7, 1e8, 1e9]
    assert {case.scenario.network.latency for case in fixed.cases} == {0.005}
    ranged = changed(network__uplink="1 Mbps .. 4 Mbps / 3", network__latency="5 ms")
    assert [case.scenario.network.uplink for case in ranged.cases] == [1e6, 2e6, 4e6]
    (only,) = changed(network={"uplink": "3 Mbps"}).cases
    assert only.scenario.network.uplink == 3e6
    assert document["sweep"] == tomllib.loads(LINKS)["sweep"]


def test_the_schema_knows_points() -> None:
    schema = jsonschema.Draft202012Validator(json_schema())
    schema.validate({**BASE, **tomllib.loads(LINKS)})
    schema.validate(planned(tomllib.loads(LINKS)["sweep"]).document())
    for bad in ([], [{}], ["codec.uplink"], [{"seed": [1]}]):
        assert not schema.is_valid({**BASE, "sweep": bad}), bad
