"""What codecs are called, by themselves and by the scenario; and targets that are listed."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from slsim.errors import ScenarioError
from slsim.scenario import Plan, override, plan, run_labels

BASE: dict[str, Any] = {
    "name": "titles",
    "data": "fashion-mini",
    "model": {"name": "cnn", "cut": "medium"},
}


def planned(**tables: Any) -> Plan:
    return plan({**BASE, **tables}, "test.toml", Path())


@pytest.mark.parametrize(
    ("codec", "title"),
    [
        ("identity", "identity"),
        ({"name": "rt", "sparsity": 0.95875}, "RT (95.875 %, α 0.1)"),
        ({"name": "kmeans"}, "k-means (3 bits)"),
        ({"name": "ms", "bits": 1, "rounding": "nearest"}, "MS (99 %, 1 bit, nearest)"),
        ({"name": "qu", "lossless": "zstd"}, "QU (3 bits, zstd)"),
        ({"name": "cast", "dtype": "bfloat16"}, "cast (bfloat16)"),
        ({"name": "kmeans", "iterations": 2}, "k-means (3 bits, iterations 2)"),
        ({"name": "qsgd"}, "QSGD (4 bits)"),
        ({"name": "dsq"}, "DSQ (3 bits, α 0.2)"),
        ({"name": "sl-acc"}, "SL-ACC"),
        ({"name": "sl-acc", "groups": 8}, "SL-ACC (groups 8)"),
        ({"name": "lsq"}, "LSQ (3 bits)"),
        ({"name": "lsq", "bits": 4, "signed": True}, "LSQ (4 bits, signed)"),
        ({"name": "sp", "scope": "sample"}, "SP (95.875 %, by sample)"),
        ({"name": "fedlite"}, "FedLite (q 1152, L 2)"),
        ({"name": "fedlite", "subvectors": 288, "groups": 4}, "FedLite (q 288, L 2, groups 4)"),
        ({"name": "sl-fac"}, "SL-FAC (90 % energy)"),
        ({"name": "splitfc"}, "SplitFC (R 16, 0.1 bits)"),
        ({"name": "splitfc-drop", "reduction": 8}, "SplitFC-Drop (R 8)"),
        ({"name": "tah"}, "TAH-Quant"),
        ({"name": "tah", "bits": 6, "tile": 16}, "TAH-Quant (tile 16, 6 bits)"),
    ],
)
def test_codecs_are_called_by_what_they_are(codec: Any, title: str) -> None:
    (case,) = planned(codec={"uplink": codec}).cases
    assert case.scenario.codec.uplink.title == title


def test_a_scenario_may_call_a_codec_what_it_wants() -> None:
    """It changes nothing else: what is learned is the same, and it is read back as it was written."""
    codecs = [{"name": "ms", "label": "ours"}, {"name": "qu", "bits": 3}]
    first = planned(sweep={"codec.uplink": codecs})
    assert run_labels(first.cases) == ["ours", "QU (3 bits)"]
    assert plan(tomllib.loads(tomli_w.dumps(first.document())), "again", Path("/")) == first
    plain = planned(codec={"uplink": "ms"}).cases[0].scenario
    assert first.cases[0].scenario.learning_table() == plain.learning_table()
    assert planned(codec={"uplink": {"name": "identity", "label": "raw"}}).cases[0].scenario.is_baseline


@pytest.mark.parametrize("label", ["", "  ", "x" * 61, "two\nlines", 3])
def test_a_label_is_a_short_line(label: Any) -> None:
    with pytest.raises(ScenarioError, match=r"codec\.uplink\.label: must be a line of 1 to 60 characters"):
        planned(codec={"uplink": {"name": "ms", "label": label}})


def test_codecs_that_are_called_alike_are_told_apart_by_every_parameter() -> None:
    codecs = [{"name": "ms", "label": "ours"}, {"name": "qu", "label": "ours"}]
    assert len(set(run_labels(planned(sweep={"codec.uplink": codecs}).cases))) == 2


def test_several_targets_are_a_sweep_over_them() -> None:
    """None needs a training of its own."""
    targets = [0.7, "baseline - 2%", 0.8]
    first = planned(training={"target_accuracy": targets})
    assert [case.scenario.training.target_accuracy for case in first.cases] == targets
    assert len({str(case.scenario.learning_table()) for case in first.cases}) == 1
    assert run_labels(first.cases) == [f"identity, target {target}" for target in targets]
    assert plan(tomllib.loads(tomli_w.dumps(first.document())), "again", Path("/")) == first
    set_ = plan(override(BASE, {"training.target_accuracy": targets}), "test.toml", Path())
    assert set_.cases == first.cases


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ({"training": {"target_accuracy": []}}, "training.target_accuracy: must be"),
        ({"training": {"target_accuracy": [0.5, 2]}}, r'target_accuracy"?\[1\]: must be a number above 0'),
        (
            {"training": {"target_accuracy": [0.5]}, "sweep": {"training.target_accuracy": [0.6]}},
            "training.target_accuracy: is a list, and swept too",
        ),
        ({"training": {"target_method": "linear"}}, "training.target_method"),
    ],
)
def test_faulty_targets_are_told_by_their_path(tables: dict[str, Any], fault: str) -> None:
    with pytest.raises(ScenarioError, match=fault):
        planned(**tables)
