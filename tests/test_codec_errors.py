"""`slsim errors`: what codecs do to the activations of a trained network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w

from slsim.errors import StudyError
from slsim.events import silent
from slsim.scenario import load
from slsim.study.codec_errors import beaten, codec_errors

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
    measured, folder = codec_errors(load(path / "scenario.toml"), path / "results", silent)
    saved = folder.load_table("errors")
    pd.testing.assert_frame_equal(saved, measured)
    assert (folder.figures / "errors_over_ratio.svg").is_file()
    return measured


def error(table: pd.DataFrame, codec: str, lossless: bool = False) -> float:
    (row,) = table[(table["codec"] == codec) & (table["lossless"] == lossless)]["relative_error"]
    return float(row)


def test_every_setting_is_measured_with_and_without_zstd_which_changes_no_error(table: pd.DataFrame) -> None:
    assert len(table) == 2 * (9 + 3 + 6)
    nominal, zstd = (table[table["lossless"] == lossless].set_index("codec") for lossless in (False, True))
    pd.testing.assert_series_equal(nominal["relative_error"], zstd["relative_error"])


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
    row = table[(table["codec"] == "MS (99 %, 2 bits)") & ~table["lossless"]].iloc[0]
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
    def row(series: str, num_bytes: int, relative_error: float, lossless: bool = False) -> dict[str, Any]:
        return {
            "series": series,
            "codec": series,
            "lossless": lossless,
            "bytes": num_bytes,
            "compression_ratio": 1000 / num_bytes,
            "relative_error": relative_error,
        }

    table = pd.DataFrame(
        [
            row("MS floor", 100, 0.4),
            row("MS nearest", 100, 0.2),
            row("QU", 90, 0.3),
            row("QU", 50, 0.1, lossless=True),
        ]
    )
    assert beaten(table) == ["nominal: QU beats MS floor: error 0.300 against 0.400, ratio 11.1 against 10.0"]
