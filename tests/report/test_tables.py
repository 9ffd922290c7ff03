"""What is printed: numbers as a reader reads them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from slsim.checks import Check
from slsim.protocols import PHASES
from slsim.report.tables import print_breakdown, print_checks
from slsim.report.terminal import duration, listed, milliseconds, say


def console() -> Console:
    return Console(file=io.StringIO(), width=100, color_system=None)


def printed(output: Console) -> list[list[str]]:
    """The cells of every table row."""
    assert isinstance(output.file, io.StringIO)
    lines = output.file.getvalue().splitlines()
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in lines if line.startswith("│")]


def round_of(run: str, uplink_s: float = 0.0521) -> dict[str, Any]:
    phases = {f"{phase.replace(' ', '_')}_s": 0.001 for phase in PHASES}
    spent = {"uplink_s": uplink_s, "round_s": 0.001, "bottleneck": "uplink", "bottleneck_share": 0.876}
    return {"run": run, **phases, **spent}


@pytest.mark.parametrize(("seconds", "text"), [(0.0042, "4.2 ms"), (75.0, "1.25 min"), (math.nan, "–")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_many_words_are_listed_by_the_first_and_how_many_more() -> None:
    assert listed(["qu"]) == "qu"
    assert listed(["sp", "qu", "ms"]) == "sp, qu and ms"
    assert listed(["a", "b", "c", "d"], most=3) == "a, b and 2 more"
    assert listed(["qu, 1 Mbps", "ms"]) == '"qu, 1 Mbps" and ms'


def test_paths_and_runs_with_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    output = console()
    print_breakdown(output, pd.DataFrame([round_of("x[/b]")]))
    say(output, f"{tmp_path}/r[/b]:x:")
    assert isinstance(output.file, io.StringIO)
    text = output.file.getvalue()
    assert "x[/b]" in text
    assert text.endswith("/r[/b]:x:\n")


def test_checks_with_brackets_are_printed_as_they_are() -> None:
    output = console()
    print_checks(output, [Check("bytes of [/b]", False, "[bold] = 1", "[/]")])
    assert isinstance(output.file, io.StringIO)
    assert output.file.getvalue().splitlines()[:3] == [
        "FAIL bytes of [/b]",
        "       [bold] = 1",
        "       [/]",
    ]


def test_a_breakdown_is_in_milliseconds_and_names_the_bottleneck() -> None:
    output = console()
    print_breakdown(output, pd.DataFrame([round_of("ms"), round_of("identity", 0.61)]))
    rows = {name: cells for name, *cells in printed(output)}
    assert list(rows) == [*PHASES, "round", "bottleneck", "its share"]
    assert rows["uplink"] == ["52.1", "610"]
    assert rows["server wait"] == rows["round"] == ["1.00", "1.00"]
    assert rows["bottleneck"] == ["uplink", "uplink"]
    assert rows["its share"] == ["88 %", "88 %"]


def test_a_breakdown_of_many_runs_has_a_line_a_run() -> None:
    output = console()
    print_breakdown(output, pd.DataFrame([round_of(f"run {number}") for number in range(35)]))
    rows = printed(output)
    assert len(rows) == 30
    # devices: forward, encode, decode, backward; server: wait and compute
    assert rows[7] == ["run 7", "1.00", "4.00", "52.1", "2.00", "1.00", "uplink"]
    assert isinstance(output.file, io.StringIO)
    assert output.file.getvalue().rstrip().endswith("Phase by phase: breakdown.csv, 5 more runs too")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00"), (0.00021, "0.21"), (0.00999, "9.99"), (0.009996, "10.0"), (1.35, "1,350")],
)
def test_milliseconds_have_three_figures(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text
