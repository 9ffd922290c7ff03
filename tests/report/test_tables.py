"""What is printed: numbers as a reader reads them."""

from __future__ import annotations

import io
import math
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from slsim.protocols import PHASES
from slsim.report.tables import (
    duration,
    milliseconds,
    multiplier,
    print_breakdown,
    print_link_rates,
    print_study,
    print_summary,
    stops_paying,
)


def console() -> Console:
    return Console(file=io.StringIO(), width=100, color_system=None)


def printed(output: Console) -> list[list[str]]:
    """The cells of every table row."""
    assert isinstance(output.file, io.StringIO)
    lines = output.file.getvalue().splitlines()
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in lines if line.startswith("│")]


def row(run: str, codec: str, uplink: str, time_s: float, **changes: Any) -> dict[str, Any]:
    reached = math.isfinite(time_s)
    return {
        "run": run,
        "codec": codec,
        "network.uplink": uplink,
        "status": "finished",
        "accuracy": 0.8571,
        "target_accuracy": 0.85,
        "time_to_target_s": time_s,
        "uplink_bytes_to_target": 16_400_000.0 if reached else math.inf,
        "downlink_bytes_to_target": 226e6 if reached else math.inf,
        "traffic_multiplier": 10.714 if reached else 0.0,
        "compression_ratio": 13.766,
        **changes,
    }


def round_of(run: str, uplink_s: float = 0.0521) -> dict[str, Any]:
    phases = {f"{phase.replace(' ', '_')}_s": 0.001 for phase in PHASES}
    spent = {"uplink_s": uplink_s, "round_s": 0.001, "bottleneck": "uplink", "bottleneck_share": 0.876}
    return {"run": run, **phases, **spent}


def test_a_summary_row() -> None:
    output = console()
    print_summary(output, pd.DataFrame([row("ms", "ms 0.99 2", "10 Mbps", 3.414)]))
    assert printed(output) == [["ms", "85.7 %", "3.41 s", "16.4 MB + 226 MB", "10.71×", "13.77×"]]


def test_never_reached_is_inf_in_time_bytes_and_multiplier() -> None:
    output = console()
    print_summary(output, pd.DataFrame([row("sp", "sp 0.96", "10 Mbps", math.inf, status="diverged")]))
    assert printed(output) == [["sp", "85.7 % diverged", "INF", "INF", "INF", "13.77×"]]


def test_without_a_baseline_there_is_no_multiplier() -> None:
    assert multiplier(math.nan) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0042, "4.2 ms"), (75.0, "1.25 min"), (math.inf, "INF"), (0.0, "0 ns")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_link_rates_with_speed_ups_and_where_each_codec_stops_paying() -> None:
    times = {
        "identity": {"1 Gbps": 2.0, "10 Mbps": 20.0},
        "ms 0.99 2": {"1 Gbps": 2.5, "10 Mbps": 4.0},
        "sp 0.96": {"1 Gbps": math.inf, "10 Mbps": math.inf},
    }
    rows = [row(f"{c}, {r}", c, r, t) for c, by_rate in times.items() for r, t in by_rate.items()]
    output = console()
    print_link_rates(output, pd.DataFrame(rows), "network.uplink")
    assert printed(output) == [
        ["identity", "20 s", "2 s", "–"],  # ascending rates, whatever the order of the rows
        ["", "1.00×", "1.00×", ""],
        ["ms", "4 s", "2.5 s", "1 Gbps"],
        ["", "5.00×", "0.80×", ""],
        ["sp", "INF", "INF", "never"],
    ]


@pytest.mark.parametrize(
    ("speed_ups", "text"),
    [
        ({"1 Mbps": 9.0, "1 Gbps": 1.2}, "beyond 1 Gbps"),
        ({"1 Mbps": 9.0, "10 Mbps": 1.04, "1 Gbps": 0.9}, "10 Mbps"),
        ({"1 Mbps": 0.9, "10 Mbps": 2.0, "1 Gbps": 1.0}, "1 Gbps"),
        ({"1 Mbps": 1.0}, "never"),
        ({"1 Mbps": 0.0}, "never"),
        ({"1 Mbps": math.nan}, "never"),
    ],
)
def test_where_a_codec_stops_paying(speed_ups: dict[str, float], text: str) -> None:
    assert stops_paying(speed_ups) == text


def test_the_rates_table_replaces_the_summary_where_links_vary(tmp_path: Any) -> None:
    rows = [row("ms, 1 Mbps", "ms 0.99 2", "1 Mbps", 5.0), row("ms, 2 Mbps", "ms 0.99 2", "2 Mbps", 4.0)]
    output = console()
    print_study(output, pd.DataFrame(rows), pd.DataFrame([round_of("ms")]), tmp_path)
    assert printed(output)[0] == ["ms", "5 s", "4 s", "never"]  # without identity nothing can be said to pay


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
