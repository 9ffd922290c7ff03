"""Figures come from the saved tables alone, the same tables giving the same files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from drawn import changed, folder_with, text_of
from seeded import over_seeds, tables_of

from slsim.errors import StudyError, UnitError
from slsim.report.figures import draw, draw_runs, files, inches, known_formats
from slsim.results import StudyFolder

PNG = b"\x89PNG\r\n\x1a\n"
CURVES = {
    f"{of}_over_{along}"
    for of in ("accuracy", "loss")
    for along in ("time", "uplink_bytes", "all_bytes", "epochs")
}


def test_every_figure_that_the_tables_of_a_study_allow(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps", "2 Mbps"])
    names = draw(folder, formats=["svg"], width_in=3.3)
    assert sorted(names) == sorted(path.name for path in folder.figures.iterdir())
    drawn = {*CURVES, "learning_curves", "frontier", "time_to_target_over_uplink"}
    assert set(names) == {f"{name}.svg" for name in drawn}


def test_files_of_every_format_have_the_width_asked_for(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps"])
    asked: dict[str, Any] = {"only": ["frontier"], "width_in": inches("84 mm"), "output": tmp_path / "out"}
    names = draw(folder, formats=["pdf", "png", "svg"], **asked)
    pdf, png, svg = ((tmp_path / "out" / name).read_bytes() for name in names)
    width_pt = 84 / 25.4 * 72
    assert abs(float(re.search(rb"MediaBox \[ ?0 0 ([\d.]+)", pdf)[1]) - width_pt) < 0.01  # type: ignore[index]
    assert int.from_bytes(png[16:20]) == int(84 / 25.4 * files.DPI)
    assert png.startswith(PNG)
    assert f'width="{width_pt:.3f}'.encode() in svg
    assert not folder.figures.exists()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"only": ["acuracy_over_time"]}, 'did you mean "accuracy_over_time"'),
        ({"only": ["gantt"]}, r"gantt is drawn from round\.csv, and .* has none; running its scenario"),
        ({"only": ["errors_over_ratio"]}, "`slsim errors SCENARIO` writes it"),
        ({"only": ["time_to_target"]}, "no number is swept; `slsim replay"),
        ({"only": ["time_to_target_over_loss"]}, "no number is swept; `slsim replay"),
    ],
)
def test_a_figure_that_there_is_not_is_told(asked: dict[str, Any], told: str, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps"])
    with pytest.raises(StudyError, match=told):
        draw(folder, **asked)


def test_a_number_that_is_not_swept_is_told_with_those_that_are(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps", "2 Mbps"])
    with pytest.raises(StudyError, match="there are: time_to_target_over_uplink"):
        draw(folder, only=["time_to_target_over_loss"])


def test_a_format_that_there_is_not_is_told() -> None:
    with pytest.raises(StudyError, match='no format "pgn"; did you mean "png".* allowed: pdf, png, svg'):
        known_formats(["pgn"])


@pytest.mark.parametrize(
    ("width", "told"),
    [("3.3", "has no unit"), ("3.3 inchs", 'did you mean "in"|allowed: pt, mm, cm, in'), ("1 mm", "must be")],
)
def test_a_width_that_makes_no_sense_is_told(width: str, told: str) -> None:
    with pytest.raises(UnitError, match=told):
        inches(width)


@pytest.mark.parametrize("width", ["3.3in", "83.82 mm", "8.382cm", "237.6 pt"])
def test_widths_have_units(width: str) -> None:
    assert inches(width) == pytest.approx(3.3)


def test_accuracy_over_time(tmp_path: Path) -> None:
    svg = text_of(folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps"]), "accuracy_over_time")
    for text in ("identity", "sp", "ms", "simulated time (s)", "test accuracy (%)", "target 60.0 %"):
        assert f">{text}</text>" in svg


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("accuracy_over_all_bytes", ["traffic up and down (MB)", "test accuracy (%)"]),
        ("loss_over_epochs", ["epochs", "training loss (nats)"]),
        ("frontier", ["traffic up and down (MB)", "best test accuracy (%)"]),
    ],
)
def test_axes_have_units(name: str, labels: list[str], tmp_path: Path) -> None:
    svg = text_of(folder_with(tmp_path, ["identity", "sp"], ["1 Mbps"]), name)
    assert all(f">{label}</text>" in svg for label in labels)


def test_learning_curves_are_one_grid(tmp_path: Path) -> None:
    svg = text_of(folder_with(tmp_path, ["identity", "sp"], ["1 Mbps"]), "learning_curves")
    for label in ("simulated time (s)", "traffic up (MB)", "traffic up and down (MB)", "epochs"):
        assert svg.count(f">{label}</text>") == 2
    for label in ("test accuracy (%)", "training loss (nats)"):
        assert svg.count(f">{label}</text>") == 1


def test_a_replay_leaves_fewer_figures_than_a_run(tmp_path: Path) -> None:
    run = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps"])
    again = folder_with(tmp_path / "replays" / "b", ["identity", "sp"], ["1 Mbps"])
    drawn = [{name.partition(".")[0] for name in draw_runs(folder)} for folder in (run, again)]
    assert drawn[1] == {"accuracy_over_time"}
    assert drawn[0] == {*drawn[1], "accuracy_over_all_bytes", "frontier", "learning_curves"}


def test_the_same_tables_give_the_same_files(tmp_path: Path) -> None:
    first, second = (folder_with(tmp_path / name, ["identity", "ms"], ["1 Mbps"]) for name in "ab")
    asked: dict[str, Any] = {"only": ["accuracy_over_time"], "formats": ["pdf", "png", "svg"]}
    names = draw(first, **asked)
    assert draw(second, **asked) == names
    for name in names:
        assert (first.figures / name).read_bytes() == (second.figures / name).read_bytes()


def test_a_format_is_the_same_whatever_others_are_asked_for(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "ms"], ["1 Mbps"])
    draw(folder, only=["frontier"], formats=["pdf", "svg"])
    before = (folder.figures / "frontier.svg").read_text()
    assert text_of(folder, "frontier") == before


def test_of_several_seeds_there_are_bands_and_it_is_said(tmp_path: Path) -> None:
    one, three = (
        folder_with(tmp_path / str(seeds), ["identity", "sp", "ms"], ["1 Mbps", "10 Mbps"], seeds=seeds)
        for seeds in (1, 3)
    )
    assert "over 3 seeds" in text_of(three, "accuracy_over_time")
    assert "median and range over seeds" in text_of(three, "time_to_target_over_uplink")
    for name in ("accuracy_over_time", "time_to_target_over_uplink"):
        assert "FillBetweenPolyCollection" in text_of(three, name)
        assert "FillBetweenPolyCollection" not in text_of(one, name)
        assert "seeds" not in text_of(one, name)


def test_many_rates_have_a_panel_a_codec_and_a_colour_bar(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], [f"{number} Mbps" for number in range(1, 25)])
    changed(folder, "curves", sim_s=range(1, 217))
    svg = text_of(folder, "accuracy_over_time")
    assert "60 of 72 settings, of each codec the ends and between" in svg
    for text in ("identity", "sp", "ms", "uplink (Mbps)"):
        assert svg.count(f">{text}</text>") == 1


def test_settings_whose_curves_are_the_same_are_one_line(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], [f"{number} Mbps" for number in range(1, 25)])
    svg = text_of(folder, "accuracy_over_all_bytes")
    for codec in ("identity", "sp", "ms"):
        assert svg.count(f">{codec}</text>") == 1


def test_of_settings_that_no_number_tells_apart_some_of_every_codec_are_drawn(tmp_path: Path) -> None:
    rows = [
        row | {"setting": f"{codec}, {place}", "run": f"{codec}, {place}", "conditions": place}
        for codec in ("identity", "sp", "ms")
        for place in "abcdef"
        for row in over_seeds(codec, [2.0], rounds_to_target=40.0)
    ]
    folder = StudyFolder.of(tmp_path)
    folder.save_table("summary", tables_of(rows).summary)
    point = {"seed": 0, "round": 20, "sim_s": 1.0, "uplink_bytes": 1e6, "downlink_bytes": 1e6}
    curves = [
        {**point, "run": row["run"], "setting": row["setting"], "accuracy": 0.01 * number}
        for number, row in enumerate(rows)
    ]
    folder.save_table("curves", pd.DataFrame(curves))
    svg = text_of(folder, "accuracy_over_time")
    assert "12 of 18 settings, of each codec the ends and between" in svg
    for label in ("identity, a", "identity, f", "sp, a", "sp, f", "ms, a", "ms, f"):
        assert f">{label}</text>" in svg


def test_runs_that_were_never_evaluated_give_figures_that_say_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "ms"], ["1 Mbps"], points=0)
    for name in ("accuracy_over_time", "frontier"):
        assert "no run was evaluated" in text_of(folder, name)
    assert ">identity</text>" in text_of(folder, "learning_curves")


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
    for name in ("accuracy_over_time", "accuracy_over_uplink_bytes", "frontier", "learning_curves"):
        assert ">sp</text>" in text_of(folder, name)


@pytest.mark.parametrize("points", [1, 2])
def test_runs_of_few_evaluations_still_make_figures(tmp_path: Path, points: int) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps", "2 Mbps"], points)
    for name in ("accuracy_over_time", "frontier"):
        assert "identity" in text_of(folder, name)


def test_the_target_is_marked_where_it_was_held_not_where_it_was_first_met(tmp_path: Path) -> None:
    marked = []
    for name, rounds in (("first", 40.0), ("held", 60.0), ("never", math.nan)):
        folder = folder_with(tmp_path / name, ["identity"], ["1 Mbps"])
        changed(folder, "summary", rounds_to_target=rounds)
        marked.append(text_of(folder, "accuracy_over_time"))
    assert len(set(marked)) == 3


@pytest.mark.parametrize("label", ["_Half", "a$b$", r"$\frac{", "x[/b]", "50 %"])
def test_labels_are_drawn_as_they_are(tmp_path: Path, label: str) -> None:
    folder = folder_with(tmp_path, [label], ["1 Mbps"])
    assert label in text_of(folder, "accuracy_over_time")


@pytest.mark.parametrize("count", [1, 8, 30])
def test_many_runs_with_long_names_still_make_a_figure(tmp_path: Path, count: int) -> None:
    folder = folder_with(
        tmp_path, [f"codec with a long name {number}" for number in range(count)], ["1 Mbps"]
    )
    svg = text_of(folder, "accuracy_over_time")
    assert f"codec with a long name {count - 1}" in svg


def test_a_folder_with_errors_alone_has_their_figure_and_one_without_tables_is_told(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path)
    with pytest.raises(StudyError, match=r"summary\.csv cannot be read"):
        draw(folder)
    point = {"series": "QU", "codec": "qu 3", "bytes": 10, "compression_ratio": 10.0, "relative_error": 0.2}
    folder.save_table("errors", pd.DataFrame([{**point, "lossless": False}, {**point, "lossless": True}]))
    assert draw(folder) == ["errors_over_ratio.png", "errors_over_ratio.svg"]
    with pytest.raises(StudyError, match="an older one, without limits; `slsim errors SCENARIO` writes it"):
        draw(folder, only=["rate_over_distortion"])


def limits(codec: str, series: str, stage: str, distortion: float, bits: float) -> dict[str, Any]:
    """A row of `errors.csv`."""
    return {
        **{"series": series, "codec": codec, "stage": stage, "lossless": stage != "none"},
        **{"bytes": 10, "compression_ratio": 32 / bits, "relative_error": distortion**0.5},
        **{"distortion": distortion, "bits_per_element": bits, "gaussian_bits": 1.0},
        **{"entropy_bits": 0.8 * bits, "context_entropy_bits": 0.5 * bits},
        **{"bytes_per_sample": 1.0, "times_raw_data": 1.0},
    }


def test_rates_are_drawn_over_distortions_with_what_would_be_enough(tmp_path: Path) -> None:
    rows = [
        limits("qu 2", "QU", "none", 0.2, 2.0),
        limits("qu 2", "QU", "zstd", 0.2, 1.0),
        limits("qu 2", "QU", "context", 0.2, 0.7),
        limits("identity", "identity", "none", 0.0, 32.0),
    ]
    folder = StudyFolder.of(tmp_path)
    folder.save_table("errors", pd.DataFrame(rows))
    draw(folder)
    for name in ("rate_over_distortion", "errors_over_ratio"):
        svg = text_of(folder, name)
        assert all(word in svg for word in ("QU", "with zstd", "with context"))
        assert "identity" not in svg  # which changes nothing
    assert "enough for any source" in text_of(folder, "rate_over_distortion")


def test_where_no_codec_changed_anything_there_is_no_rate_over_distortion(tmp_path: Path) -> None:
    folder = StudyFolder.of(tmp_path)
    folder.save_table("errors", pd.DataFrame([limits("identity", "identity", "none", 0.0, 32.0)]))
    draw(folder)
    assert "no codec changed anything" in text_of(folder, "rate_over_distortion")
    assert "identity" in text_of(folder, "errors_over_ratio")
