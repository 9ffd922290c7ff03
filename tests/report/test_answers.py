"""What tables answer: the target and who reached it, over which baseline, and how finely measured."""

from __future__ import annotations

import io
import math
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from slsim.report.answers import print_answers, print_link_rates, print_summary, stops_paying

MISSED = {"target_state": "not reached", "target_reason": "below it at all 24 evaluations"}
COSTS = (
    "time_to_target_s",
    "bytes_to_target",
    "uplink_bytes_to_target",
    "downlink_bytes_to_target",
    "evaluation_step_rounds",
    "evaluation_step_s",
    "evaluation_step_bytes",
    "traffic_multiplier",
    "speed_up",
)


def row(run: str, time_s: float = 3.414, **changes: Any) -> dict[str, Any]:
    """A run that reached its target at `time_s`, evaluated each millisecond and kilobyte; of a state without
    costs where `changes` say so."""
    whole = {
        "run": run,
        "status": "finished",
        "best_accuracy": 0.8571,
        "final_accuracy": 0.849,
        "target_accuracy": 0.85,
        "target_window": 3,
        "target_state": "reached",
        "target_reason": "",
        "time_to_target_s": time_s,
        "bytes_to_target": 242.4e6 * time_s,
        "uplink_bytes_to_target": 16_400_000.0,
        "downlink_bytes_to_target": 226e6,
        "evaluation_step_rounds": 20.0,
        "evaluation_step_s": 0.001,
        "evaluation_step_bytes": 1e3,
        "baseline": "identity-1",
        "rounds_to_target": 1e6,
        "traffic_multiplier": 10.714 * 3.414 / time_s,
        "speed_up": 1.5,
        "compression_ratio": 13.766,
        "rounds": 480,
        "training": f"{run}-1",
        **changes,
    }
    if whole["target_state"] != "reached":
        whole |= dict.fromkeys(COSTS, math.nan)
    if whole["target_state"] == "no target":
        whole["target_accuracy"] = math.nan
    return whole


def at_rates(series: str, seconds: dict[str, float], **changes: Any) -> list[dict[str, Any]]:
    """A run at each rate of an uplink; NaN seconds: not reached. The baseline takes 2 s at all rates."""
    rows = []
    for rate, time_s in seconds.items():
        bps = {"10 Mbps": 1e7, "100 Mbps": 1e8, "1 Gbps": 1e9}[rate]
        state = MISSED if math.isnan(time_s) else {"speed_up": 2.0 / time_s}
        link = {"uplink_bps": bps, "uplink_series": series, "training": f"{series}-1"}
        rows.append(row(f"{series}, {rate}", time_s, **state, **link, **changes))
    return rows


def output(rows: list[dict[str, Any]], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_answers(console, pd.DataFrame(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = (line for line in text.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def notes(text: str) -> str:
    """What stands under the table, on one line."""
    return " ".join(text.partition("┘")[2].split())


def test_a_run_that_reached_the_target() -> None:
    text = output([row("ms")])
    assert text.startswith("Target: test accuracy of 85.0 %, at 2 of 3 evaluations in a row")
    assert cells(text) == [["ms", "85.7, 84.9", "3.41 s", "16.4 + 226 MB", "10.71×", "13.77×"]]


def test_a_run_that_did_not_is_never_the_best() -> None:
    text = output([row("sp", **MISSED)])
    assert cells(text) == [["sp", "85.7, 84.9", *["not reached"] * 3, "13.77×"]]
    assert "Not reached by sp: below it at all 24 evaluations." in notes(text)
    assert "Multipliers" not in text


def test_without_a_target_there_is_no_time_and_the_reason_is_told() -> None:
    none = {"target_state": "no target", "target_reason": "the uncompressed run diverged in round 3"}
    text = output([row(run, status="diverged", rounds=2, **none) for run in ("identity", "ms")])
    assert text.startswith("No target\n") or text.startswith("No target ")
    assert [line[2:5] for line in cells(text)] == [["–"] * 3] * 2
    expected = "No target for identity and ms: the uncompressed run diverged in round 3."
    assert notes(text) == f"{expected} Diverged in round 3: identity and ms."


def test_bytes_of_different_sizes_have_their_own_units() -> None:
    text = output([row("ms", uplink_bytes_to_target=16_400.0)])
    assert [line[3] for line in cells(text)] == ["16.4 kB", "+ 226 MB"]


def test_it_fits_a_terminal_of_80_columns() -> None:
    rows = [row("identity", downlink_bytes_to_target=16_400_000.0), row("ms", **MISSED)]
    text = output(rows)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert [line[0] for line in cells(text)] == ["identity", "ms"]


def test_the_one_baseline_is_named() -> None:
    over = "Multipliers are over identity both ways"
    assert f"{over}." in notes(output([row("identity", training="identity-1"), row("ms", 5.0)]))
    assert f"{over}, which is no run of this table." in notes(output([row("ms")]))
    own = [row("a", training="one", baseline="one"), row("b", 9.0, training="two", baseline="two")]
    assert f"{over}, each run's of its own setting." in notes(output(own))
    failed = row("ms", traffic_multiplier=math.nan, speed_up=math.nan)
    assert f"{over}, which is no run of this table, which did not reach the target." in notes(
        output([failed])
    )


def test_where_the_baseline_is_missing_it_says_what_to_add() -> None:
    lacking = {"baseline": "", "traffic_multiplier": math.nan, "speed_up": math.nan}
    text = output([row("ms", **lacking)])
    assert cells(text)[0][4] == "–"
    assert 'which there is not for ms: add that run, with "identity" as codec.uplink' in notes(text)


def test_differences_below_an_evaluation_step_are_told() -> None:
    rows = [
        row("identity", 5.0, evaluation_step_s=0.3),
        row("qu", 4.0, evaluation_step_s=0.3),
        row("ms", 4.2, evaluation_step_s=0.1, evaluation_step_bytes=50e6),
    ]
    assert "Evaluated every 20 rounds; less than that apart: qu and ms in time and bytes." in notes(
        output(rows)
    )
    wide = [rows[0] | {"evaluation_step_rounds": 40.0}, rows[1], row("ms", 4.4)]
    assert "less than that apart" not in notes(output(wide))


def test_multipliers_that_are_less_than_a_step_apart_are_told() -> None:
    """20 of 400 rounds are 5 % of a multiplier."""
    rows = [row("qu", 4.0, traffic_multiplier=12.4), row("ms", 5.0, traffic_multiplier=12.85)]
    assert "less than that apart" not in notes(output(rows))
    rows = [one | {"rounds_to_target": 400.0} for one in rows]
    assert "less than that apart: qu and ms in multiplier." in notes(output(rows))


def test_a_multiplier_that_its_ratio_does_not_explain_is_told() -> None:
    rows = [row("qu", traffic_multiplier=12.4, compression_ratio=10.63), row("ms", 5.0)]
    assert "The multiplier of qu is more than the compression ratio explains:" in notes(output(rows))


def test_runs_of_one_training_are_compared_exactly() -> None:
    """They reached the target in the same round: the step between evaluations does not matter."""
    rows = [row(run, 4.0, evaluation_step_s=1.0, training="one") for run in ("one link", "another link")]
    assert "less than that apart" not in notes(output(rows))


def test_labels_with_brackets_are_printed_as_they_are() -> None:
    text = output([row("x[/b]:x:[red]", **MISSED)], width=100)
    assert cells(text)[0][0] == "x[/b]:x:[red]"
    assert "Not reached by x[/b]:x:[red]:" in notes(text)


def test_link_rates_with_speed_ups_and_where_each_codec_stops_paying() -> None:
    rows = [
        *at_rates("identity", {"1 Gbps": 2.0, "10 Mbps": 2.0}),
        *at_rates("ms", {"1 Gbps": 2.5, "10 Mbps": 0.4}),
        *at_rates("sp", {"1 Gbps": math.nan, "10 Mbps": math.nan}),
    ]
    text = output(rows)
    assert cells(text) == [
        ["identity", "2 s", "2 s", "–"],  # ascending rates, whatever the order of the rows
        ["", "1.00×", "1.00×", ""],
        ["ms", "400 ms", "2.5 s", "1 Gbps"],
        ["", "5.00×", "0.80×", ""],
        ["sp", "not", "not", "never"],
        ["", "reached", "reached", ""],
    ]
    assert "A codec pays where it reaches the target at least 5 % sooner than identity both ways." in notes(
        text
    )
    assert "Speed-ups, under the times, are over identity both ways." in notes(text)
    assert "Not reached by sp: below" in notes(text)


def test_runs_that_differ_in_more_than_the_rate_have_rows_of_their_own() -> None:
    rows = [
        *at_rates("ms, fast device", {"10 Mbps": 1.0, "100 Mbps": 0.5}),
        *at_rates("ms, slow device", {"10 Mbps": 4.0, "100 Mbps": 3.0}),
    ]
    names = [line[0] for line in cells(output(rows, width=100)) if line[0]]
    assert names == ["ms, fast device", "ms, slow device"]


def test_where_it_stops_paying_stands_beside_what_devices_are_assumed_to_cost() -> None:
    def costing(cheap: float, dear: float, *rows: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            one | {"speed_up_if_cheap": cheap * one["speed_up"], "speed_up_if_dear": dear * one["speed_up"]}
            for one in rows
        ]

    rows = [
        *costing(1.0, 1.0, *at_rates("identity", {"10 Mbps": 2.0, "1 Gbps": 2.0})),
        *costing(1.2, 0.2, *at_rates("ms", {"10 Mbps": 1.0, "1 Gbps": 2.0})),
        *costing(1.0, 0.9, *at_rates("qu", {"10 Mbps": 1.0, "1 Gbps": 1.0})),
    ]
    text = output(rows)
    expected = "were doubled: ms beyond 1 Gbps … never; qu beyond 1 Gbps either way."
    assert expected in notes(text)


def test_close_times_are_told_at_each_rate() -> None:
    rows = [
        *at_rates("qu", {"10 Mbps": 3.0, "1 Gbps": 1.0}, evaluation_step_s=0.5),
        *at_rates("ms", {"10 Mbps": 4.0, "1 Gbps": 1.2}, evaluation_step_s=0.5),
    ]
    assert "less than that apart: qu and ms at 1 Gbps." in notes(output(rows))


@pytest.mark.parametrize(
    ("speed_ups", "text"),
    [
        ({1e6: 9.0, 1e9: 1.2}, "beyond 1 Gbps"),
        ({1e6: 9.0, 1e7: 1.04, 1e9: 0.9}, "10 Mbps"),
        ({1e6: 0.9, 1e7: 2.0, 1e9: 1.0}, "1 Gbps"),
        ({1e6: 1.0}, "never"),
        ({1e6: math.nan}, "–"),
    ],
)
def test_where_a_codec_stops_paying(speed_ups: dict[float, float], text: str) -> None:
    rows = pd.DataFrame([row("ms", speed_up=value) for value in speed_ups.values()], index=list(speed_ups))
    assert stops_paying(rows, "speed_up") == text


def test_a_table_of_one_kind_may_be_printed_alone() -> None:
    rows = pd.DataFrame(at_rates("ms", {"10 Mbps": 1.0, "1 Gbps": 2.0}))
    for printing in (print_summary, lambda console, table: print_link_rates(console, table, "uplink")):
        console = Console(file=io.StringIO(), width=80)
        printing(console, rows)
        assert isinstance(console.file, io.StringIO)
        assert "ms" in console.file.getvalue()
