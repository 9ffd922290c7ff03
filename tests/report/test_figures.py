"""Figures come from the saved tables alone, the same tables giving the same files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from slsim.errors import StudyError
from slsim.report.figures import draw
from slsim.results import StudyFolder

PNG = b"\x89PNG\r\n\x1a\n"


def folder_with(path: Path, runs: list[str], rates: list[str]) -> StudyFolder:
    folder = StudyFolder.of(path)
    summary: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for number, run in enumerate(runs):
        for rate in rates:
            label = f"{run}, {rate}" if len(rates) > 1 else run
            never = number == 1
            summary.append(
                {
                    "run": label,
                    "codec": run,
                    "network.uplink": rate,
                    "target_accuracy": 0.6,
                    "time_to_target_s": math.inf if never else 2.0 + number,
                }
            )
            for step in range(1, 4):
                point = {"sim_s": 1.0 * step, "uplink_bytes": 1e6 * step * (1 + number)}
                curves.append({"run": label, **point, "accuracy": 0.2 if never else 0.3 * step})
    folder.save_table("summary", pd.DataFrame(summary))
    folder.save_table("curves", pd.DataFrame(curves))
    return folder


def test_accuracy_over_time_and_bytes_as_png_and_svg(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps"])
    names = draw(folder)
    assert sorted(names) == sorted(path.name for path in folder.figures.iterdir())
    assert {name.partition(".")[0] for name in names} == {"accuracy_over_time", "accuracy_over_bytes"}
    for path in folder.figures.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    svg = (folder.figures / "accuracy_over_time.svg").read_text()
    for text in ("identity", "sp", "ms", "simulated time (s)", "test accuracy (%)", "target"):
        assert text in svg


def test_the_same_tables_give_the_same_files(tmp_path: Path) -> None:
    first, second = (folder_with(tmp_path / name, ["identity", "ms"], ["1 Mbps"]) for name in "ab")
    names = draw(first)
    assert draw(second) == names
    for name in names:
        assert (first.figures / name).read_bytes() == (second.figures / name).read_bytes()


def test_swept_rates_add_time_to_target_over_the_rate(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps", "100 Mbps"])
    assert "time_to_target_over_uplink.svg" in draw(folder)


@pytest.mark.parametrize("count", [1, 8, 30])
def test_many_runs_with_long_names_still_make_a_figure(tmp_path: Path, count: int) -> None:
    folder = folder_with(
        tmp_path, [f"codec with a long name {number}" for number in range(count)], ["1 Mbps"]
    )
    svg = (draw(folder), (folder.figures / "accuracy_over_time.svg").read_text())[1]
    assert f"codec with a long name {count - 1}" in svg


def test_a_folder_with_errors_alone_has_their_figure_and_one_without_tables_is_told(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path)
    with pytest.raises(StudyError, match=r"summary\.csv cannot be read"):
        draw(folder)
    point = {"series": "QU", "codec": "qu 3", "bytes": 10, "compression_ratio": 10.0, "relative_error": 0.2}
    folder.save_table("errors", pd.DataFrame([{**point, "lossless": False}, {**point, "lossless": True}]))
    assert draw(folder) == ["errors_over_ratio.png", "errors_over_ratio.svg"]
