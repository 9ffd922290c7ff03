"""Figures of what hooks measured."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from drawn import folder_with, text_of

from slsim.report.figures import draw_runs
from slsim.report.figures.measurements import MOST_PANELS, MOST_RUNS
from slsim.results import StudyFolder

COLUMNS = ["run", "setting", "seed", "round", "client", "part", "quantity", "value"]


@pytest.fixture(autouse=True)
def unrendered_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here looks at the other figures."""
    monkeypatch.setattr("slsim.report.figures.drawing.AFTER_RUNS", ("theory", "measurements"))


def measured(folder: StudyFolder, *rows: tuple[str, str, float]) -> set[str]:
    """The figures that a run in which hooks measured these parts, quantities and values leaves."""
    table = pd.DataFrame([("identity", "identity", 0, 30, 2, *row) for row in rows], columns=COLUMNS)
    folder.save_table("measurements", table)
    drawn = {name.partition(".")[0] for name in draw_runs(folder)}
    return drawn & {"theory", "measurements"}


@pytest.mark.parametrize("rows", [[], [("client", "error", 0.0), ("client", "bound", math.nan)]])
def test_a_theory_that_found_nothing_still_makes_a_figure(
    tmp_path: Path, rows: list[tuple[str, str, float]]
) -> None:
    names = measured(folder_with(tmp_path, ["identity"], ["1 Mbps"]), *rows)
    assert names == {"theory"}


def test_what_a_hook_of_ones_own_measured_has_a_panel_a_quantity(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    names = measured(folder, ("activations", "mean_norm", 1.0), ("weights", "drift", math.nan))
    assert names == {"measurements"}
    svg = text_of(folder, "measurements")
    for text in ("mean norm, activations", "drift, weights", "round", "identity"):
        assert f">{text}</text>" in svg


def test_what_the_theory_measured_is_not_drawn_twice(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    names = measured(folder, ("activations", "alpha", 0.5), ("activations", "spread", 1.0))
    assert names == {"theory", "measurements"}
    assert "alpha" not in text_of(folder, "measurements")
    assert "spread" not in text_of(folder, "theory")


@pytest.mark.parametrize("count", [1, 2, 13])
def test_many_quantities_still_make_a_figure(tmp_path: Path, count: int) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    measured(folder, *(("model", f"q{number}", 1.0) for number in range(count)))
    svg = text_of(folder, "measurements")
    assert sum(f">q{number}, model</text>" in svg for number in range(count)) == min(count, MOST_PANELS)


def test_of_many_runs_some_of_every_codec_are_drawn(tmp_path: Path) -> None:
    """One codec has many runs, another few."""
    folder = folder_with(tmp_path, ["identity", "ms"], ["1 Mbps"], seeds=30)
    runs = [("identity", seed) for seed in range(30)] + [("ms", seed) for seed in range(3)]
    rows = [(f"{codec}, seed {seed}", codec, seed, 1, 0, "model", "q", 1.0) for codec, seed in runs]
    folder.save_table("measurements", pd.DataFrame(rows, columns=COLUMNS))
    svg = text_of(folder, "measurements")
    assert ">9 of 33 runs, of each codec the ends and between</text>" in svg
    shown = [f"{codec}, seed {seed}" for codec, seed in runs if f">{codec}, seed {seed}</text>" in svg]
    assert len(shown) == 9 <= MOST_RUNS
    assert {"identity, seed 0", "identity, seed 29", "ms, seed 0", "ms, seed 2"} <= set(shown)
