"""Figures come from the saved tables alone, the same tables giving the same files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from seeded import at_rates, over_seeds, tables_of

from slsim.errors import StudyError
from slsim.recording.kinds import PHASES, phase_column
from slsim.report.drawing import styles
from slsim.report.figures import draw
from slsim.report.measurements import MOST_PANELS, draw_measurements
from slsim.results import StudyFolder

PNG = b"\x89PNG\r\n\x1a\n"


def folder_with(
    path: Path, codecs: list[str], rates: list[str], points: int = 3, seeds: int = 1
) -> StudyFolder:
    """Tables of codecs at rates, each of so many evaluations; the second never reaches the target."""
    folder = StudyFolder.of(path)
    rows: list[dict[str, Any]] = []
    for number, codec in enumerate(codecs):
        never = number == 1 or points < 3
        times = [math.nan if never else 2.0 + number + 0.1 * seed for seed in range(seeds)]
        if len(rates) > 1:
            rows += at_rates(codec, dict.fromkeys(rates, times), rounds_to_target=40.0)
        else:
            rows += over_seeds(codec, times, rounds_to_target=40.0)
    curves: list[dict[str, Any]] = []
    for row in rows:
        number = codecs.index(row["codec"])
        for step in range(1, points + 1):
            point = {"round": 20 * step, "sim_s": 1.0 * step, "uplink_bytes": 1e6 * step * (1 + number)}
            accuracy = 0.2 if number == 1 else 0.3 * step + 0.01 * row["seed"]
            named = {name: row[name] for name in ("run", "setting", "seed")}
            curves.append({**named, **point, "accuracy": accuracy})
    columns = ["run", "setting", "seed", "round", "sim_s", "uplink_bytes", "accuracy"]
    tables = tables_of([{**row, "target_accuracy": 0.6} for row in rows])
    folder.save_table("summary", tables.summary)
    folder.save_table("crossovers", tables.crossovers)
    folder.save_table("curves", pd.DataFrame(curves, columns=columns))
    return folder


def text_of(folder: StudyFolder, name: str) -> str:
    return (folder.figures / f"{name}.svg").read_text()


def test_accuracy_over_time_and_bytes_as_png_and_svg(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps"])
    names = draw(folder)
    assert sorted(names) == sorted(path.name for path in folder.figures.iterdir())
    assert {name.partition(".")[0] for name in names} == {"accuracy_over_time", "accuracy_over_bytes"}
    for path in folder.figures.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    svg = text_of(folder, "accuracy_over_time")
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


def test_of_several_seeds_there_are_bands_and_it_is_said(tmp_path: Path) -> None:
    one, three = (
        folder_with(tmp_path / str(seeds), ["identity", "sp", "ms"], ["1 Mbps", "10 Mbps"], seeds=seeds)
        for seeds in (1, 3)
    )
    draw(one)
    draw(three)
    assert "over 3 seeds" in text_of(three, "accuracy_over_time")
    assert "median and range over seeds" in text_of(three, "time_to_target_over_uplink")
    for name in ("accuracy_over_time", "time_to_target_over_uplink"):
        assert "FillBetweenPolyCollection" in text_of(three, name)
        assert "FillBetweenPolyCollection" not in text_of(one, name)
        assert "seeds" not in text_of(one, name)


def test_of_many_curves_a_few_are_drawn_and_it_is_said_which(tmp_path: Path) -> None:
    rates = [f"{number} Mbps" for number in range(1, 21)]
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], rates)
    draw(folder)
    svg = text_of(folder, "accuracy_over_time")
    assert "12 of 60 settings, of each codec the ends and between" in svg
    assert svg.count(">identity, ") == 4
    assert ">identity, 1 Mbps<" in svg
    assert ">identity, 20 Mbps<" in svg


def test_a_cross_marks_where_a_codec_stops_paying(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps", "100 Mbps"])
    unknown = dict.fromkeys(("low", "high"), math.nan)
    found = {
        "axis": "uplink_bps",
        "series": "ms",
        "assuming": "as stated",
        "direction": "stops",
        "value": 1e7,
    }
    ends = {"after": 1e6, "before": 1e8, "seeds": 1, "significant": False}
    folder.save_table("crossovers", pd.DataFrame([{**found, **unknown, **ends}]))
    draw(folder)
    assert "×: stops paying" in text_of(folder, "time_to_target_over_uplink")


def changed(folder: StudyFolder, table: str, **columns: Any) -> None:
    folder.save_table(table, folder.load_table(table).assign(**columns))


def test_where_nobody_reached_the_target_the_figure_says_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "ms"], ["1 Mbps", "10 Mbps"], points=2)
    draw(folder)
    assert "no run reached its target" in text_of(folder, "time_to_target_over_uplink")


def test_a_run_that_never_reached_the_target_is_named_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps", "10 Mbps"])
    draw(folder)
    assert "sp: not reached" in text_of(folder, "time_to_target_over_uplink")


def test_runs_that_were_never_evaluated_give_figures_that_say_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "ms"], ["1 Mbps"], points=0)
    draw(folder)
    assert "no run was evaluated" in text_of(folder, "accuracy_over_time")


@pytest.mark.parametrize(
    "columns",
    [
        {"uplink_bytes": 0},  # nothing is sent
        {"sim_s": 0.0, "uplink_bytes": 0},  # and nothing takes time
        {"accuracy": math.nan},
        {"sim_s": [0.0, 1.0, 1e6] * 3},  # no place on a logarithmic axis
    ],
    ids=["no bytes", "no time", "no accuracy", "a zero"],
)
def test_odd_numbers_still_make_a_figure(tmp_path: Path, columns: dict[str, Any]) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps"])
    changed(folder, "curves", **columns)
    assert len(draw(folder)) == 4


@pytest.mark.parametrize("points", [1, 2])
def test_runs_of_few_evaluations_still_make_figures(tmp_path: Path, points: int) -> None:
    assert len(draw(folder_with(tmp_path, ["identity"], ["1 Mbps", "2 Mbps"], points))) == 6


def test_times_of_nothing_still_make_a_figure_over_rates(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps", "2 Mbps"])
    changed(folder, "summary", time_to_target_s=[0.0, 1.0, math.nan, math.nan, 3.0, 4.0])
    assert "time_to_target_over_uplink.svg" in draw(folder)


def average_round(folder: StudyFolder, **own_s: float) -> str:
    """The figure of an average round of two runs with these columns beside the usual ones."""
    row = {"run": "identity", "setting": "identity", "seed": 0}
    row |= {**{phase_column(phase.name): 0.0 for phase in PHASES}, **own_s, "round_s": 0.0}
    row |= {"in_devices_s": 0.0, "bottleneck": "none", "bottleneck_share": 0.0}
    folder.save_table("breakdown", pd.DataFrame([row]))
    assert "average_round.svg" in draw(folder)
    return text_of(folder, "average_round")


def test_an_average_round_without_rounds_still_makes_a_figure(tmp_path: Path) -> None:
    svg = average_round(folder_with(tmp_path, ["identity"], ["1 Mbps"]))
    assert all(f">{phase.name}</text>" in svg for phase in PHASES)
    assert "devices" not in svg


def test_a_phase_of_ones_own_has_a_piece_of_an_average_round(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    svg = average_round(folder, shuffle_data_s=0.2, **{"all-reduce_s": 0.1})
    order = [">client backward</text>", ">shuffle data</text>", ">all-reduce</text>", ">barrier wait</text>"]
    places = [svg.find(label) for label in order]
    assert places == sorted(places)
    assert min(places) >= 0
    assert all(f">{phase.name}</text>" in svg for phase in PHASES)


def test_seconds_of_a_phase_of_ones_own_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    average_round(folder, shuffle_data_s=0.2)
    changed(folder, "breakdown", shuffle_data_s="often")
    with pytest.raises(StudyError, match="the column shuffle_data_s: 'often' in row 1 is not a number"):
        draw(folder)


def measured(folder: StudyFolder, *rows: tuple[str, str, float]) -> list[str]:
    """The names of the figures of a run in which hooks measured these parts, quantities and values."""
    columns = ["run", "setting", "seed", "round", "client", "part", "quantity", "value"]
    table = pd.DataFrame([("identity", "identity", 0, 30, 2, *row) for row in rows], columns=columns)
    folder.save_table("measurements", table)
    return draw_measurements(folder)


@pytest.mark.parametrize("rows", [[], [("client", "error", 0.0), ("client", "bound", math.nan)]])
def test_a_theory_that_found_nothing_still_makes_a_figure(
    tmp_path: Path, rows: list[tuple[str, str, float]]
) -> None:
    names = measured(folder_with(tmp_path, ["identity"], ["1 Mbps"]), *rows)
    assert {"theory.png", "theory.svg"} <= set(names)
    assert not any(name.startswith("measurements") for name in names)


def test_what_a_hook_of_ones_own_measured_has_a_panel_a_quantity(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    names = measured(folder, ("activations", "mean_norm", 1.0), ("weights", "drift", math.nan))
    assert {"measurements.png", "measurements.svg"} <= set(names)
    assert not any(name.startswith("theory") for name in names)
    svg = text_of(folder, "measurements")
    for text in ("mean norm, activations", "drift, weights", "round", "identity"):
        assert f">{text}</text>" in svg


def test_what_the_theory_measured_is_not_drawn_twice(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    names = measured(folder, ("activations", "alpha", 0.5), ("activations", "spread", 1.0))
    assert {"theory.svg", "measurements.svg"} <= set(names)
    assert "alpha" not in text_of(folder, "measurements")
    assert "spread" not in text_of(folder, "theory")


@pytest.mark.parametrize("count", [1, 2, 13])
def test_many_quantities_still_make_a_figure(tmp_path: Path, count: int) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    assert "measurements.svg" in measured(folder, *(("model", f"q{number}", 1.0) for number in range(count)))
    svg = text_of(folder, "measurements")
    assert sum(f">q{number}, model</text>" in svg for number in range(count)) == min(count, MOST_PANELS)


def test_the_target_is_marked_where_it_was_held_not_where_it_was_first_met(tmp_path: Path) -> None:
    marked = []
    for name, rounds in (("first", 40.0), ("held", 60.0), ("never", math.nan)):
        folder = folder_with(tmp_path / name, ["identity"], ["1 Mbps"])
        changed(folder, "summary", rounds_to_target=rounds)
        draw(folder)
        marked.append(text_of(folder, "accuracy_over_time"))
    assert len(set(marked)) == 3


@pytest.mark.parametrize("label", ["_Half", "a$b$", r"$\frac{", "x[/b]", "50 %"])
def test_labels_are_drawn_as_they_are(tmp_path: Path, label: str) -> None:
    folder = folder_with(tmp_path, [label], ["1 Mbps"])
    draw(folder)
    assert label in text_of(folder, "accuracy_over_time")


@pytest.mark.parametrize("count", [1, 9, 21, 60])
def test_no_two_runs_look_the_same(count: int) -> None:
    """Each group has a colour of its own, whatever it is called."""
    drawn = styles([f"codec {number // 6}" for number in range(6 * count)])
    assert len({str(style) for style in drawn}) == 6 * count
    assert len({str(style["color"]) for style in drawn}) == count


@pytest.mark.parametrize("count", [1, 8, 30])
def test_many_runs_with_long_names_still_make_a_figure(tmp_path: Path, count: int) -> None:
    folder = folder_with(
        tmp_path, [f"codec with a long name {number}" for number in range(count)], ["1 Mbps"]
    )
    draw(folder)
    svg = text_of(folder, "accuracy_over_time")
    assert f"codec with a long name {count - 1}" in svg


def test_a_folder_with_errors_alone_has_their_figure_and_one_without_tables_is_told(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path)
    with pytest.raises(StudyError, match=r"summary\.csv cannot be read"):
        draw(folder)
    point = {"series": "QU", "codec": "qu 3", "bytes": 10, "compression_ratio": 10.0, "relative_error": 0.2}
    folder.save_table("errors", pd.DataFrame([{**point, "lossless": False}, {**point, "lossless": True}]))
    assert draw(folder) == ["errors_over_ratio.png", "errors_over_ratio.svg"]
