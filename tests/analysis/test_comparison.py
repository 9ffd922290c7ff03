"""Several studies as one table: which codecs are the same, where each stands, which is proven the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import CODECS, NEVER, document, study

from slsim.analysis.comparison import VALUES, Compared, places, settings_table, significantly_best
from slsim.analysis.differences import differences
from slsim.scenario import plan

THREE = {"identity": [5.0, 5.2, 4.9], "qu": [3.5, 3.6, 3.4], "ms": [2.0, 2.1, 1.9]}


def bests(seconds: dict[str, list[float]], value: str = "traffic") -> dict[str, bool]:
    """Which codecs are significantly the best of their study."""
    one = study(seconds)
    return dict(zip(seconds, significantly_best([one], settings_table([one]), value), strict=True))


def test_a_row_has_what_the_summary_and_the_scenario_say() -> None:
    one, other = study(THREE), study(THREE, "b", model={"name": "cnn", "cut": "deep"})
    table = settings_table([one, other])
    assert table["study"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table["setting"].tolist() == ["identity", "qu", "ms"] * 2
    assert set(zip(table["data"], table["model"], table["cut"], strict=True)) == {
        ("fashion-mini", "cnn", "medium"),
        ("fashion-mini", "cnn", "deep"),
    }
    assert table["is_baseline"].tolist() == [True, False, False] * 2
    assert (table["conditions"] == "").all()
    for column in ("time_to_target_s", "bytes_to_target_most", "traffic_multiplier_low", "held_accuracy"):
        assert table[column].tolist() == [*one.summary[column], *other.summary[column]], column


def test_columns_that_an_older_slsim_did_not_write_are_missing_numbers() -> None:
    one = study(THREE)
    older = replace(one, summary=one.summary.drop(columns="traffic_multiplier", errors="ignore"))
    table = settings_table([replace(older, name="older"), one])
    assert table["traffic_multiplier"].isna().tolist() == [True] * 3 + [False] * 3


def test_the_same_codec_is_called_alike_whatever_studies_call_it() -> None:
    one, other = study(THREE), study(THREE, "b")
    renamed = other.summary.assign(codec=["none", "quantization", "masks"])
    table = settings_table([one, replace(other, summary=renamed)])
    assert table["codec"].tolist() == ["identity", "qu", "ms"] * 2


def test_other_parameters_are_another_codec_also_under_one_name() -> None:
    one = study({"qu": [3.0, 3.1]})
    asked = document([{"name": "qu", "bits": 4}], name="b", seed=[0, 1])
    cases = plan(asked, "test", Path()).cases
    other = replace(one, name="b", rows=cases[:1], cases=cases)
    first, second = settings_table([one, other])["codec"]
    assert first != second
    assert "bits=3" in first
    assert "bits=4" in second


def test_a_setting_whose_case_is_not_known_keeps_its_codecs_name() -> None:
    one = study(THREE)
    table = settings_table([replace(one, rows=[None, *one.rows[1:]])])
    assert table["codec"].tolist() == ["identity", "qu", "ms"]
    assert table["data"].tolist() == ["", "fashion-mini", "fashion-mini"]


def swept(**sweep: list[Any]) -> Compared:
    """A study of one seed of two codecs over other keys too."""
    keys = {key.replace("_", "."): values for key, values in sweep.items()}
    asked = document([CODECS["identity"], CODECS["qu"]])
    asked["sweep"] |= keys
    cases = plan(asked, "test", Path()).cases
    whole = study({"identity": [1.0], "qu": [2.0]})
    summary, runs = (
        pd.concat([table] * (len(cases) // 2), ignore_index=True) for table in (whole.summary, whole.runs)
    )
    codecs = [case.scenario.codec.uplink.name for case in cases]
    return Compared("a", summary.assign(codec=codecs), runs, cases, cases)


def test_a_swept_cut_is_a_column_and_other_swept_keys_are_conditions() -> None:
    table = settings_table([swept(model_cut=["medium", "deep"])])
    assert table["cut"].tolist() == ["medium", "deep"] * 2
    assert (table["conditions"] == "").all()
    table = settings_table([swept(network_uplink=["1 Mbps", "9 Mbps"], clients_count=[5, 10])])
    each = [f"uplink {rate}, count {count}" for rate in ("1 Mbps", "9 Mbps") for count in (5, 10)]
    assert table["conditions"].tolist() == each * 2
    assert places(table).nunique() == 4


def test_a_swept_codec_of_another_message_is_part_of_the_codec() -> None:
    table = settings_table([swept(codec_downlink=["identity", "cast"])])
    assert table["codec"].nunique() == 4
    assert table["codec"].tolist()[:2] == ["identity, downlink identity", "identity, downlink cast"]
    assert (table["conditions"] == "").all()


# Which is the best, by the rule of the summary.


@pytest.mark.parametrize("value", ["traffic", "time"])
def test_the_best_is_significantly_better_than_every_other(value: str) -> None:
    assert bests(THREE, value) == {"identity": False, "qu": False, "ms": True}
    noisy = {**THREE, "ms": [0.2, 3.4, 3.3]}
    assert not any(bests(noisy, value).values())


@pytest.mark.parametrize("value", ["traffic", "time"])
def test_no_codec_is_the_best_where_a_rival_got_there_with_some_seeds_only(value: str) -> None:
    assert not any(bests({**THREE, "sp": [1.0, NEVER, NEVER]}, value).values())
    assert bests({**THREE, "sp": [NEVER, NEVER, NEVER]}, value)["ms"]


@pytest.mark.parametrize("value", VALUES)
def test_one_seed_is_never_the_best(value: str) -> None:
    assert not any(bests({codec: times[:1] for codec, times in THREE.items()}, value).values())


def test_a_codec_that_is_worse_than_the_uncompressed_run_is_not_the_best() -> None:
    assert bests({"identity": [2.0, 2.1, 1.9], "qu": [3.5, 3.6, 3.4]})["qu"] is False


def test_less_than_an_evaluation_apart_proves_nothing() -> None:
    one = study(THREE)
    coarse = one.summary.assign(evaluation_step_rounds=one.summary["rounds_to_target"])
    table = settings_table([replace(one, summary=coarse)])
    assert not any(significantly_best([one], table, "traffic"))


def test_accuracies_count_whether_the_target_was_reached_or_not() -> None:
    one = study({**THREE, "sp": [NEVER, NEVER, NEVER]})
    accuracies = {"identity": 0.80, "qu": 0.81, "ms": 0.82, "sp": 0.90}
    jitter = one.runs["seed"] / 1000
    runs = one.runs.assign(held_accuracy=one.runs["codec"].map(accuracies) + jitter)
    table = settings_table([one]).assign(held_accuracy=list(accuracies.values()))
    assert significantly_best([replace(one, runs=runs)], table, "accuracy") == [False, False, False, True]


def test_only_settings_of_one_place_are_rivals() -> None:
    one, other = study(THREE), study({"identity": [0.1, 0.1, 0.1], "qu": [0.01, 0.01, 0.01]}, "b")
    found = significantly_best([one, other], settings_table([one, other]), "time")
    assert found == [False, False, True, False, True]


def test_a_value_that_the_runs_lack_has_no_best() -> None:
    one = study(THREE)
    lacking = replace(one, runs=one.runs.drop(columns="traffic_multiplier"))
    assert not any(significantly_best([lacking], settings_table([lacking]), "traffic"))


# What studies differ in.


def test_equal_studies_differ_in_nothing() -> None:
    assert differences([study(THREE), study(THREE, "b")]) == []


def test_differences_are_told_by_what_they_are_about_targets_first() -> None:
    other = study(
        {"identity": [1.0, 2.0]},
        "b",
        clients={"count": 5},
        network={"uplink": "1 Mbps"},
        training={"target_accuracy": 0.8},
    )
    found = {(one.about, one.key): one.values for one in differences([study(THREE), other])}
    assert next(iter(found)) == ("targets", "training.target_accuracy")
    assert found["links", "network.uplink"] == {"a": ("100 Mbps",), "b": ("1 Mbps",)}
    assert found["clients", "clients.count"] == {"a": ("10",), "b": ("5",)}
    assert found["seeds", "seed"] == {"a": ("0", "1", "2"), "b": ("0", "1")}
    assert not any(key.startswith("codec.uplink") for _, key in found)


def test_parameters_of_another_component_are_not_compared_nor_what_is_told() -> None:
    one = study(THREE)
    other = study(THREE, "b", data={"name": "cifar10", "partition": {"dirichlet": 0.3}})
    keys = {found.key for found in differences([one, other])}
    assert "data.name" in keys
    assert "data.root" not in keys
    assert any(key.startswith("data.partition") for key in keys)
    assert "data.name" not in {found.key for found in differences([one, other], told=["data.name"])}


def test_a_swept_key_differs_by_all_its_values() -> None:
    one = swept(network_uplink=["1 Mbps", "9 Mbps"])
    (found,) = differences([one, replace(swept(), name="b")])
    assert found.values == {"a": ("1 Mbps", "9 Mbps"), "b": ("100 Mbps",)}
    assert found.key == "network.uplink"
