"""`slsim errors`: what codecs do to the activations of a trained network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch

from slsim.errors import StudyError
from slsim.events import silent
from slsim.scenario import load
from slsim.study.codec_errors import Sample, beaten, codec_errors, measured
from slsim.study.compared_codecs import compared, stages

DEAD = """
from torch import nn

def Dead(image_shape, num_classes):
    first = nn.Linear(64, 8)
    nn.init.constant_(first.bias, -1e6)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(8, 4))
"""


@pytest.fixture(scope="module")
def table(tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    model = {"name": "cnn", "channels": 4, "cut": "shallow"}  # 64 activations a sample, after a ReLU
    path = tmp_path_factory.mktemp("errors")
    (path / "scenario.toml").write_text(tomli_w.dumps({**tiny_document, "model": model}), encoding="utf-8")
    made, folder = codec_errors(load(path / "scenario.toml"), path / "results", silent)
    saved = folder.load_table("errors")
    pd.testing.assert_frame_equal(saved, made)
    assert (folder.figures / "errors_over_ratio.svg").is_file()
    assert (folder.figures / "rate_over_distortion.svg").is_file()
    return made


def error(table: pd.DataFrame, codec: str, stage: str = "none") -> float:
    (row,) = table[(table["codec"] == codec) & (table["stage"] == stage)]["relative_error"]
    return float(row)


def test_every_setting_is_measured_without_and_with_each_lossless_stage_which_changes_no_error(
    table: pd.DataFrame,
) -> None:
    """18 settings; the scenario has two more codecs, which have the stage that it gives them."""
    count = (1 + len(stages())) * (9 + 3 + 6)
    fixed = table[:count]
    assert table["codec"][count:].tolist() == ["identity", "MS (90 %, 2 bits)"]
    for _, rows in fixed.groupby("codec"):
        assert rows["stage"].tolist() == ["none", *stages()]
        assert rows["relative_error"].nunique() == rows["entropy_bits"].nunique() == 1
        assert rows["lossless"].tolist() == [False] + [True] * len(stages())


def test_the_scenarios_own_codecs_are_measured_as_they_are_given(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path]
) -> None:
    """But for those that are measured anyway."""
    own = [
        {"name": "qu", "bits": 3, "lossless": "zstd"},
        {"name": "qu", "bits": 5, "lossless": "zstd"},
        {"name": "qu", "bits": 6, "rounding": "stochastic", "label": "drawn"},
        {"name": "ms", "sparsity": 0.99, "bits": 2},
    ]
    tiny["sweep"] = {"codec.uplink": own, "network.uplink": ["1 Mbps", "2 Mbps"]}
    found = compared(load(write(tiny)))
    added = [(one.series, one.title, one.stage) for one in found[(1 + len(stages())) * 18 :]]
    assert added == [("QU", "QU (5 bits)", "zstd"), ("QU (stochastic)", "drawn", "none")]


def uniform(write: Callable[[dict[str, Any]], Path], tiny: dict[str, Any]) -> pd.DataFrame:
    """What codecs do to ten batches of independent values, uniform from 0 to 1: 32 samples of 1,000."""
    drawn = np.random.default_rng(0).random((10, 32, 10, 10, 10), np.float32)
    drawn[:, 0, 0, 0, :2] = 0, 1
    tiny["sweep"]["codec.uplink"] = [{"name": "identity"}]
    sample = Sample.of([torch.from_numpy(batch) for batch in drawn], floor_bytes=100.0)
    return measured(load(write(tiny)), sample).set_index(["codec", "stage"])


def test_limits_by_hand(tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path]) -> None:
    """Of QU with b bits on uniform values D is Δ²/12 with Δ = 1/(2^b - 1), and σ² is 1/12. The levels at
    both ends have half the probability of the others; no neighbour tells anything."""
    table = uniform(write, tiny)
    for bits in (2, 3, 4):
        row, steps = table.loc[(f"QU ({bits} bits)", "none")], 2**bits - 1
        entropy = (steps - 1) / steps * math.log2(steps) + 1 / steps * math.log2(2 * steps)
        assert row["distortion"] == pytest.approx(1 / steps**2, rel=0.01)
        assert row["gaussian_bits"] == pytest.approx(math.log2(steps), abs=0.01)
        beside = 8 * 20 * 10 / 320_000  # a header and a range in each of ten messages
        assert row["entropy_bits"] == pytest.approx(entropy + beside, abs=1e-3)
        assert row["context_entropy_bits"] == row["entropy_bits"] <= row["bits_per_element"]
    identity = table.loc[("identity", "none")]
    assert (identity["distortion"], identity["gaussian_bits"]) == (0, math.inf)


def test_bytes_beside_the_raw_data_by_hand(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path]
) -> None:
    """4,000 bytes of float32 a sample and a header of 12 a message of 32; the floor is 100 bytes a sample."""
    row = uniform(write, tiny).loc[("identity", "none")]
    assert row["bytes_per_sample"] == 4000 + 12 / 32
    assert row["times_raw_data"] == row["bytes_per_sample"] / 100
    assert row["bits_per_element"] == 8 * row["bytes_per_sample"] / 1000


def test_the_floor_is_the_raw_data_over_the_epochs(table: pd.DataFrame) -> None:
    """An 8×8 image is 64 bytes, and there are three epochs."""
    assert (table["bytes_per_sample"] / table["times_raw_data"]).to_numpy() == pytest.approx(64 / 3)


def test_errors_fall_with_bits_and_from_floor_to_nearest(table: pd.DataFrame) -> None:
    for rounding in ("", ", nearest", ", centroid"):
        errors = [error(table, f"MS (99 %, {bits} bits{rounding})") for bits in (2, 3, 4)]
        assert errors[0] > errors[1] > errors[2]
    for bits in (2, 3, 4):
        floor = error(table, f"MS (99 %, {bits} bits)")
        nearest = error(table, f"MS (99 %, {bits} bits, nearest)")
        assert nearest < floor
        assert error(table, f"MS (99 %, {bits} bits, centroid)") < floor
    assert error(table, "RT (95.875 %)") > error(table, "SP (95.875 %)")


def test_bytes_are_those_of_the_formats(table: pd.DataFrame) -> None:
    """60 test images in batches of 5: 12 messages of d = 5·4·4·4 = 320, k = 3; 12 bytes of header."""
    row = table[(table["codec"] == "MS (99 %, 2 bits)") & (table["stage"] == "none")].iloc[0]
    assert row["bytes"] == 12 * (80 + 12 + 12)
    assert row["compression_ratio"] == 12 * 1280 / row["bytes"]


def test_codecs_are_not_compared_on_a_network_that_diverged(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    tiny["training"]["learning_rate"] = 1e30
    with pytest.raises(StudyError, match=r"identity diverged in round \d+, so there are no activations"):
        codec_errors(load(write(tiny)), tmp_path / "results", silent)
    assert not (tmp_path / "results").exists()


def test_codecs_are_not_compared_on_activations_that_are_all_zero(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    (tmp_path / "dead.py").write_text(DEAD)
    tiny["model"] = {"name": "dead.py:Dead", "cut": 3}
    tiny["training"]["max_rounds"] = 1
    with pytest.raises(StudyError, match="activations of the test images are all 0"):
        codec_errors(load(write(tiny)), tmp_path / "results", silent)


def test_where_qu_beats_ms_is_said_and_nowhere_else() -> None:
    def row(series: str, num_bytes: int, relative_error: float, stage: str = "none") -> dict[str, Any]:
        return {
            "series": series,
            "codec": series,
            "stage": stage,
            "bytes": num_bytes,
            "compression_ratio": 1000 / num_bytes,
            "relative_error": relative_error,
        }

    table = pd.DataFrame(
        [
            row("MS floor", 100, 0.4),
            row("MS nearest", 100, 0.2),
            row("QU", 90, 0.3),
            row("QU", 50, 0.1, stage="zstd"),
        ]
    )
    assert beaten(table) == ["nominal: QU beats MS floor: error 0.300 against 0.400, ratio 11.1 against 10.0"]
