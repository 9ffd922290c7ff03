"""Sweeps: what is written reads back as the same cases, equal values are one case, labels are unique."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from slsim.errors import ScenarioError
from slsim.scenario import Plan, override, plan, run_labels

BASE: dict[str, Any] = {
    "name": "swept",
    "data": {"name": "fashion-mini"},
    "model": {"name": "mlp", "cut": "shallow"},
}


def swept(sweep: dict[str, Any], folder: Path = Path(), **tables: Any) -> Plan:
    return plan({**BASE, **tables, "sweep": sweep}, "test", folder)


def written_and_read(first: Plan) -> Plan:
    return plan(tomllib.loads(tomli_w.dumps(first.document())), "again", Path("/"))


CODEC = '''
from slsim.codecs import Identity

class Half(Identity):
    """Mine."""
'''
DEVICE = '[device]\nname = "mine"\nformat = 1\n'


@pytest.mark.parametrize(
    ("sweep", "labels"),
    [
        ({"model.name": ["mlp", "cnn"]}, ["identity, model mlp", "identity, model cnn"]),
        (
            {"model.name": ["mlp", "cnn"], "model.cut": ["shallow", 2]},
            [
                "identity, model mlp 128 shallow",
                "identity, model mlp 128 2",
                "identity, model cnn 16 shallow",
                "identity, model cnn 16 2",
            ],
        ),
        ({"codec.uplink.name": ["qu", "ms"]}, ["QU (3 bits)", "MS (99 %, 2 bits)"]),
        ({"codec.uplink.name": ["qu", "identity"], "seed": [0, 1]}, None),
        (
            {"training.protocol.name": ["splitfed", "fedavg"]},
            ["identity, protocol splitfed", "identity, protocol fedavg"],
        ),
        ({"data.partition": [{"dirichlet": 0.5}, {"power_law": 0.5}]}, None),
        ({"data.partition.dirichlet": [0.5, 1.0]}, ["identity, dirichlet 0.5", "identity, dirichlet 1.0"]),
        ({"clients.device.efficiency": [0.3, 0.5]}, ["identity, efficiency 0.3", "identity, efficiency 0.5"]),
        ({"clients.device.name": ["atlas-200-dk", "raspberry-pi-4"]}, None),
        ({"server.device.efficiency": [0.3, 0.5]}, ["identity, efficiency 0.3", "identity, efficiency 0.5"]),
        ({"network.uplink.rate": ["1 Mbps", "2 Mbps"]}, ["identity, 1 Mbps", "identity, 2 Mbps"]),
        ({"network.uplink.latency": ["1 ms", "2 ms"]}, ["identity, 1 ms", "identity, 2 ms"]),
        ({"network.framing.header": [0, 66]}, ["identity, header 0", "identity, header 66"]),
        (
            {"network.access_points": [{"count": 1, "rate": "1 Gbps"}, {"count": 2, "rate": "1 Gbps"}]},
            None,
        ),
        ({"training.schedule": ["cosine", {"milestones": [1], "factor": 0.5}]}, None),
        (
            {"training.hooks": ["leakage", [], ["leakage", {"name": "theory", "every": 2}]]},
            ["identity, hooks leakage", "identity, hooks none", "identity, hooks leakage + theory"],
        ),
        ({"training.hooks": [{"name": "leakage", "every": 2}, "leakage"]}, None),
        (
            {"training.aggregation": ["free", "server", "all-reduce"]},
            [f"identity, aggregation {name}" for name in ("free", "server", "all-reduce")],
        ),
        ({"codec": [{"uplink": "qu"}, {"uplink": "qu", "downlink": "qu"}]}, None),
        ({"seed": [0, 1], "model.name": ["mlp", "cnn"], "clients.count": [2, 3], "model.cut": [1, 2]}, None),
    ],
)
def test_what_is_written_reads_back_as_the_same_cases_and_labels(
    sweep: dict[str, Any], labels: list[str] | None
) -> None:
    first = swept(sweep)
    again = written_and_read(first)
    assert again == first
    found = run_labels(first.cases)
    assert len(set(found)) == len(first.cases)
    assert len(first.cases) == len({str(case.scenario) for case in first.cases})
    assert run_labels(again.cases) == found
    if labels is not None:
        assert found == labels


@pytest.mark.parametrize(
    ("sweep", "labels"),
    [
        ({"model.head_cut": [3, 4]}, ["identity, head cut 3", "identity, head cut 4"]),
        ({"codec.head_uplink": ["qu", "ms"], "codec.head_downlink.bits": [2, 4]}, None),
        ({"codec": [{"head_uplink": "ms"}, {}]}, None),
    ],
)
def test_what_belongs_to_a_head_on_the_clients_can_be_swept(
    sweep: dict[str, Any], labels: list[str] | None
) -> None:
    tables = {"model": {"name": "cnn", "cut": "shallow", "head_cut": 4}, "codec": {"head_downlink": "qu"}}
    first = swept(sweep, training={"protocol": "u-shaped"}, **tables)
    again = written_and_read(first)
    assert again == first
    found = run_labels(first.cases)
    assert len(set(found)) == len(first.cases) > 1
    assert labels in (None, found)


def test_access_points_in_short_form_can_be_swept_inside() -> None:
    first = swept(
        {"network.access_points.count": [1, 2]}, network={"access_points": {"count": 1, "rate": "1 Gbps"}}
    )
    assert [case.scenario.network.access_points[0].count for case in first.cases] == [1, 2]
    assert written_and_read(first) == first


@pytest.mark.parametrize(
    ("key", "tables"),
    [
        ("clients.device.efficiency", {"clients": {"device": [{"device": "rtx-3090", "share": 1.0}]}}),
        ("network.access_points.count", {"network": {"access_points": 2 * [{"count": 1, "rate": "1 Gbps"}]}}),
        ("training.hooks.every", {"training": {"hooks": ["leakage"]}}),
    ],
)
def test_a_key_inside_a_list_is_refused_by_its_path(key: str, tables: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match=rf'sweep."{key}"\[0\]: .* is not a table \(it is a list\)'):
        swept({key: [1]}, **tables)


@pytest.mark.parametrize(
    ("key", "values", "count"),
    [
        ("network.uplink", ["1 Mbps", "1000 kbps", "1 Mbps", "2 Mbps"], 2),
        ("codec.uplink", ["qu", {"name": "qu", "bits": 3}, {"name": "qu", "bits": 4}], 2),
        ("network.framing", ["none", {"header": 0}], 1),
    ],
)
def test_values_that_are_equal_are_one_case(key: str, values: list[Any], count: int) -> None:
    first = swept({key: values})
    assert len(first.cases) == count
    assert written_and_read(first) == first


def test_components_of_one_name_in_two_files_have_labels_of_their_own(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(CODEC)
    first = swept({"codec.uplink": ["one/own.py:Half", "two/own.py:Half"]}, tmp_path)
    one, two = run_labels(first.cases)
    assert "one/own.py:Half" in one
    assert "two/own.py:Half" in two
    assert written_and_read(first) == first


def test_a_value_that_looks_like_another_ones_longer_label_has_a_label_of_its_own(tmp_path: Path) -> None:
    first = swept({"data.partition": [{"dirichlet": 0.5}, {"power_law": 0.5}, {"power_law": 1.0}]})
    assert run_labels(first.cases) == [
        f"identity, partition {name}" for name in ("dirichlet 0.5", "power_law 0.5", "power_law 1.0")
    ]


def test_a_sweep_is_counted_before_it_is_made() -> None:
    numbers = list(range(1, 101))
    sweep = {
        "training.max_rounds": numbers,
        "clients.count": numbers,
        "training.epochs": numbers,
        "clients.batch_size": numbers,
    }
    with pytest.raises(ScenarioError, match="sweep: has 100 × 100 × 100 × 100 = 100,000,000 cases; at most"):
        swept(sweep)


CLASSES = [{"rate": "1 Mbps", "share": 0.5}, {"rate": "9 Mbps", "share": 0.5}]
DEVICES = [{"device": "rtx-3090", "share": 0.5}, {"device": "atlas-200-dk", "share": 0.5}]
LEVELS = [{"count": 2, "rate": "1 Gbps"}, {"count": 1, "rate": "2 Gbps"}]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network.uplink", CLASSES),
        ("network.downlink", CLASSES),
        ("clients.device", DEVICES),
        ("clients.device", [{"device": one["device"]} for one in DEVICES]),
        ("network.access_points", LEVELS),
        ("training.schedule", {"milestones": [1, 2], "factor": 0.5}),
        ("training.hooks", ["leakage", {"name": "theory", "every": 2}]),
        ("training.hooks", ["leakage"]),
        ("training.hooks", []),
    ],
)
def test_a_list_of_classes_that_is_set_is_one_value(key: str, value: Any) -> None:
    (case,) = plan(override(BASE, {key: value}), "test", Path()).cases
    assert not case.values


def test_a_list_of_lists_of_levels_is_a_sweep() -> None:
    document = override(BASE, {"network.access_points": [LEVELS, LEVELS[:1]]})
    assert len(plan(document, "test", Path()).cases) == 2


def test_a_list_of_lists_of_hooks_is_a_sweep() -> None:
    document = override(BASE, {"training.hooks": [["leakage"], ["leakage", "theory"]]})
    cases = plan(document, "test", Path()).cases
    assert [[hook.name for hook in case.scenario.training.hooks] for case in cases] == [
        ["leakage"],
        ["leakage", "theory"],
    ]


def test_a_hook_that_stands_alone_can_be_set_inside() -> None:
    document = override({**BASE, "training": {"hooks": "leakage"}}, {"training.hooks.every": 3})
    (case,) = plan(document, "test", Path()).cases
    assert [hook.params["every"] for hook in case.scenario.training.hooks] == [3]


def test_milestones_that_are_set_are_one_value() -> None:
    training = {"schedule": {"milestones": [1], "factor": 0.5}}
    one = plan(
        override({**BASE, "training": training}, {"training.schedule.milestones": [2, 3]}), "t", Path()
    )
    assert [case.scenario.training.schedule.milestones for case in one.cases] == [(2.0, 3.0)]


def test_names_are_still_a_sweep() -> None:
    devices = ["atlas-200-dk", "raspberry-pi-4"]
    assert len(plan(override(BASE, {"clients.device": devices}), "test", Path()).cases) == 2


@pytest.mark.parametrize("key", ["sweep", "sweep.network.uplink"])
def test_a_sweep_is_set_by_the_keys_that_are_swept(key: str) -> None:
    with pytest.raises(ScenarioError, match="network.uplink=A,B,C"):
        override({**BASE, "sweep": {"clients.count": [2, 3]}}, {key: ["1 Mbps", "2 Mbps"]})
