"""Figures of times: to the target, where a round's seconds go, a round step by step."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from drawn import changed, folder_with, text_of

from slsim.errors import StudyError
from slsim.recording.kinds import PHASES, phase_column
from slsim.report.breakdowns import phase_title
from slsim.report.figures import draw
from slsim.results import StudyFolder


def crossing(**changes: Any) -> pd.DataFrame:
    """The table of one crossover."""
    found = {"axis": "uplink_bps", "series": "ms", "assuming": "as stated", "direction": "stops"}
    numbers = {"value": 1e7, "low": math.nan, "high": math.nan, "after": 1e6, "before": 1e8}
    return pd.DataFrame([{**found, **numbers, "seeds": 1, "significant": False, **changes}])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "stops paying, or begins to"),
        ({"seeds": 3, "significant": True}, "stops paying, or begins to"),
        ({"seeds": 3}, "may stop paying: not significant"),
    ],
)
def test_where_a_codec_stops_paying_is_marked_with_its_number(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps", "100 Mbps"])
    folder.save_table("crossovers", crossing(**changes))
    svg = text_of(folder, "time_to_target_over_uplink")
    assert f">{told}</text>" in svg
    assert ">10 Mbps</text>" in svg


def test_other_assumptions_mark_nothing(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps", "100 Mbps"])
    folder.save_table("crossovers", crossing(assuming="if_dear"))
    assert "paying" not in text_of(folder, "time_to_target_over_uplink")


def test_where_nobody_reached_the_target_the_figure_says_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "ms"], ["1 Mbps", "10 Mbps"], points=2)
    assert "no run reached its target" in text_of(folder, "time_to_target_over_uplink")


def test_a_run_that_never_reached_the_target_is_named_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp"], ["1 Mbps", "10 Mbps"])
    assert "sp: not reached" in text_of(folder, "time_to_target_over_uplink")


def test_times_of_nothing_still_make_a_figure_over_rates(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity", "sp", "ms"], ["1 Mbps", "2 Mbps"])
    changed(folder, "summary", time_to_target_s=[0.0, 1.0, math.nan, math.nan, 3.0, 4.0])
    assert ">ms</text>" in text_of(folder, "time_to_target_over_uplink")


def average_round(folder: StudyFolder, **own_s: float) -> str:
    """The figure of an average round of two runs with these columns beside the usual ones."""
    row = {"run": "identity", "setting": "identity", "seed": 0}
    row |= {**{phase_column(phase.name): 0.0 for phase in PHASES}, **own_s, "round_s": 0.0}
    row |= {"in_devices_s": 0.0, "bottleneck": "none", "bottleneck_share": 0.0}
    folder.save_table("breakdown", pd.DataFrame([row]))
    return text_of(folder, "average_round")


def test_a_phase_that_takes_no_time_is_left_out(tmp_path: Path) -> None:
    svg = average_round(folder_with(tmp_path, ["identity"], ["1 Mbps"]), uplink_s=0.5)
    assert ">uplink</text>" in svg
    assert ">decode</text>" not in svg


def test_an_average_round_without_rounds_still_makes_a_figure(tmp_path: Path) -> None:
    svg = average_round(folder_with(tmp_path, ["identity"], ["1 Mbps"]))
    assert all(f">{phase_title(phase.name)}</text>" in svg for phase in PHASES)
    assert "devices" not in svg


def test_a_phase_of_ones_own_has_a_piece_of_an_average_round(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    usual = {phase_column(phase.name): 0.1 for phase in PHASES}
    svg = average_round(folder, **usual, shuffle_data_s=0.2, **{"all-reduce_s": 0.1})
    order = [
        ">client backward</text>",
        ">shuffle data</text>",
        ">all-reduce</text>",
        ">waits for other clients</text>",
    ]
    places = [svg.find(label) for label in order]
    assert places == sorted(places)
    assert min(places) >= 0
    assert all(f">{phase_title(phase.name)}</text>" in svg for phase in PHASES)


def test_seconds_of_a_phase_of_ones_own_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, ["identity"], ["1 Mbps"])
    average_round(folder, shuffle_data_s=0.2)
    changed(folder, "breakdown", shuffle_data_s="often")
    with pytest.raises(StudyError, match="the column shuffle_data_s: 'often' in row 1 is not a number"):
        draw(folder)


def test_many_rounds_are_shares_over_the_swept_number(tmp_path: Path) -> None:
    rates = [f"{number} Mbps" for number in range(1, 9)]
    folder = folder_with(tmp_path, ["identity", "sp"], rates)
    columns = {phase_column(phase.name): 0.125 for phase in PHASES}
    rows = [
        {"run": name, "setting": name, "seed": 0, **columns, "round_s": 1.125, "bottleneck": "uplink"}
        for name in folder.load_table("summary")["setting"]
    ]
    folder.save_table("breakdown", pd.DataFrame([{**row, "bottleneck_share": 0.5} for row in rows]))
    svg = text_of(folder, "average_round")
    for text in ("identity", "sp", "1.12 s … 1.12 s", "a round (%)", "uplink (Mbps)"):
        assert f">{text}</text>" in svg


def rounds_of(folder: StudyFolder, *runs: str) -> StudyFolder:
    """With one round each of these runs, a client and the server."""
    steps = [("client 3", "client forward", 0.0, 0.25), ("client 3", "own phase", 0.25, 1.0)]
    steps.append(("server", "server compute", 0.5, 0.75))
    columns = ["run", "setting", "seed", "round", "who", "phase", "start_s", "end_s"]
    rows = [(run, run, 0, 0, *step) for run in runs for step in steps]
    folder.save_table("round", pd.DataFrame(rows, columns=columns))
    return folder


def test_a_round_is_a_row_a_client_and_a_colour_a_phase(tmp_path: Path) -> None:
    folder = rounds_of(folder_with(tmp_path, ["identity", "sp"], ["1 Mbps"]), "identity", "sp")
    svg = text_of(folder, "gantt")
    for text in ("identity", "sp", "3", "server", "client forward", "own phase", "server compute"):
        assert f">{text}</text>" in svg
    assert ">uplink</text>" not in svg
    assert ">simulated time of the round (ms)</text>" in svg


def test_of_many_rounds_some_of_every_codec_are_drawn(tmp_path: Path) -> None:
    codecs = [f"codec-{number}" for number in range(8)]
    svg = text_of(rounds_of(folder_with(tmp_path, codecs, ["1 Mbps"]), *codecs), "gantt")
    assert all(f">{codec}</text>" in svg for codec in codecs)
