"""Axes: which swept keys are numbers, what tables call them, and the numbers of each case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slsim.scenario import Axis, Case, axes, plan, training_labels

BASE: dict[str, Any] = {
    "name": "axes",
    "data": {"name": "fashion-mini"},
    "model": {"name": "cnn", "cut": "shallow"},
}


def cases_of(sweep: dict[str, Any], **tables: Any) -> tuple[Case, ...]:
    return plan({**BASE, **tables, "sweep": sweep}, "test", Path()).cases


def only_axis(cases: tuple[Case, ...]) -> Axis:
    (axis,) = axes(cases)
    return axis


@pytest.mark.parametrize(
    ("key", "values", "column", "numbers", "is_learned"),
    [
        ("network.uplink", ["1 Mbps", "0.5 Gbps"], "uplink_bps", [1e6, 5e8], False),
        ("network.uplink.rate", ["1 Mbps", "2 Mbps"], "uplink_bps", [1e6, 2e6], False),
        ("network.downlink", ["1 MB/s", "2 Mbps"], "downlink_bps", [8e6, 2e6], False),
        ("network.medium", ["1 Mbps", "2 Mbps"], "medium_bps", [1e6, 2e6], False),
        ("network.ingress", ["1 Gbps", "2 Gbps"], "ingress_bps", [1e9, 2e9], False),
        ("network.latency", ["2 ms", "1 s"], "latency_s", [0.002, 1.0], False),
        ("network.loss", [0, 0.01], "loss", [0.0, 0.01], False),
        ("network.burst", ["0 B", "4 kB"], "burst_bytes", [0.0, 4000.0], False),
        ("network.framing.header", [0, 66], "framing_header", [0.0, 66.0], False),
        ("clients.count", [2, 3], "clients_count", [2.0, 3.0], True),
        ("server.parallel", [1, 4], "server_parallel", [1.0, 4.0], False),
        ("clients.device.overhead", ["1 ms", "2 ms"], "clients_device_overhead_s", [1e-3, 2e-3], False),
        ("clients.device.efficiency", [0.1, 0.2], "clients_device_efficiency", [0.1, 0.2], False),
        (
            "clients.device.peak",
            ["11 TFLOPS", "22 TFLOPS"],
            "clients_device_peak_flops",
            [11e12, 22e12],
            False,
        ),
        (
            "clients.device.memory",
            ["10 GB/s", "20 GB/s"],
            "clients_device_memory_bytes_per_s",
            [1e10, 2e10],
            False,
        ),
        ("codec.uplink.bits", [2, 4], "codec_uplink_bits", [2.0, 4.0], True),
        ("training.target_accuracy", [0.8, 0.9], "training_target_accuracy", [0.8, 0.9], False),
        ("training.learning_rate", [0.1, 0.01], "training_learning_rate", [0.1, 0.01], True),
        ("data.partition.dirichlet", [0.5, 1.0], "data_partition_dirichlet", [0.5, 1.0], True),
    ],
)
def test_any_swept_number_is_an_axis(
    key: str, values: list[Any], column: str, numbers: list[float], is_learned: bool
) -> None:
    cases = cases_of({key: values}, codec={"uplink": "qu"})
    axis = only_axis(cases)
    assert (axis.column, axis.is_learned) == (column, is_learned)
    assert [axis.value(case) for case in cases] == numbers
    for case in cases:
        written = axis.text(axis.value(case))
        assert written == case.values[axis.key]
        again = Case({}, case.scenario)  # of a plan that does not sweep it
        assert axis.value(again) == axis.value(case)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("codec.uplink", [{"name": "qu", "bits": 2}, {"name": "qu", "bits": 4}]),
        ("codec.uplink", ["qu", "ms"]),
        ("model.cut", ["shallow", 2]),
        ("network.uplink", ["1 Mbps", {"rate": "2 Mbps", "latency": "1 ms"}]),
        ("network.uplink", [{"rate": "1 Mbps", "latency": "1 ms"}, {"rate": "1 Mbps", "latency": "2 ms"}]),
        ("network.latency", ["2 ms"]),
        ("training.target_accuracy", [0.9, "baseline - 1%"]),
        ("training.target_accuracy", ["baseline", "baseline - 1%"]),
        ("training.channels_last", [True, False]),
    ],
)
def test_what_is_no_number_in_each_case_or_one_number_in_all_is_no_axis(key: str, values: list[Any]) -> None:
    assert axes(cases_of({key: values})) == ()


def test_axes_stand_in_the_order_of_the_sweep_and_seeds_are_none() -> None:
    sweep = {"network.latency": ["1 ms", "2 ms"], "codec.uplink": ["qu", "ms"], "clients.count": [3, 2]}
    cases = cases_of(sweep, seeds=2)
    assert [axis.key for axis in axes(cases)] == ["network.latency", "clients.count"]
    assert axes(cases_of({}, seeds=2)) == axes([]) == ()


def test_numbers_are_written_for_readers_and_for_files() -> None:
    cases = cases_of(
        {"network.uplink": ["1 Mbps", "2 Mbps"], "clients.count": [2, 3], "network.loss": [0, 0.1]}
    )
    uplink, count, loss = axes(cases)
    assert (uplink.pretty(287.4e6), uplink.text(287.4e6)) == ("287 Mbps", "287.4 Mbps")
    assert (count.pretty(1234.0), count.text(12.6)) == ("1,234", 13)
    assert (loss.pretty(0.0123456), loss.text(0.25)) == ("0.01235", 0.25)


LEARNED = {
    "codec.uplink": ["ms", {"name": "qu", "bits": 3}],
    "model.cut": ["shallow", "deep"],
    "network.uplink": ["1 Mbps", "2 Mbps"],
}


def test_trainings_are_called_by_what_differs_in_what_is_learned() -> None:
    cases = cases_of(LEARNED, seed=[0, 1])
    labels = training_labels([case.scenario for case in cases])
    assert len(set(labels)) == 8
    assert labels[0] == "MS (99 %, 2 bits), cut shallow, seed 0"
    assert labels[-1] == "QU (3 bits), cut deep, seed 1"
    by_learning = {
        str(case.scenario.learning_table()): label for case, label in zip(cases, labels, strict=True)
    }
    assert len(by_learning) == 8
    assert labels == [by_learning[str(case.scenario.learning_table())] for case in cases]


@pytest.mark.parametrize(
    ("sweep", "labels"),
    [
        ({"codec.uplink": ["ms", "qu"]}, ["MS (99 %, 2 bits)", "QU (3 bits)"]),
        (
            {"model.name": ["cnn", "mlp"]},
            ["identity, model cnn", "identity, model mlp"],
        ),
        (
            {"data.partition": ["iid", {"dirichlet": 0.5}]},
            ["identity, partition iid", "identity, partition dirichlet 0.5"],
        ),
        ({"training.learning_rate": [0.1]}, ["identity"]),
        (
            {"codec.downlink": ["qu", "ms"]},
            ["identity, downlink qu", "identity, downlink ms"],
        ),
        ({"clients.per_round": [2, 3]}, ["identity, per round 2", "identity, per round 3"]),
    ],
)
def test_a_training_is_called_by_the_last_part_of_a_key(sweep: dict[str, Any], labels: list[str]) -> None:
    assert training_labels([case.scenario for case in cases_of(sweep)]) == labels


def test_a_baseline_is_told_apart_by_its_codecs() -> None:
    (case,) = cases_of({}, codec={"uplink": "qu", "downlink": "qu"})
    labels = training_labels([case.scenario.baseline(), case.scenario])
    assert labels == ["identity, downlink identity", "QU (3 bits), downlink qu"]
