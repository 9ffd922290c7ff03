"""What tables answer: the target and who reached it, over which baseline, how finely measured, and what seeds
prove."""

from __future__ import annotations

import io
import math
import re
from itertools import pairwise
from typing import Any

import pytest
from rich.console import Console
from seeded import MISSED, at_rates, failed, over_seeds, row, tables_of, with_baseline

from slsim.report.answers import crossing, print_answers
from slsim.report.swept import Swept


def output(rows: list[dict[str, Any]], width: int = 80, style: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=style, force_terminal=style is not None)
    tables = tables_of(rows)
    print_answers(console, tables.summary, tables.crossovers)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(text: str) -> list[list[str]]:
    """The cells of every table row."""
    lines = (line for line in text.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def bold(text: str) -> list[str]:
    """What is bold below the headings."""
    below = text.partition("╇")[2]
    return [found.strip() for found in re.findall(r"\x1b\[1m(.*?)\x1b\[0m", below)]


def notes(text: str) -> str:
    """What stands under the table, on one line."""
    return " ".join(text.partition("┘")[2].split())


def test_a_run_that_reached_the_target() -> None:
    text = output([row("ms")])
    assert text.startswith("Target: test accuracy of 85.0 %, at 2 of 3 evaluations in a row")
    assert cells(text) == [["ms", "85.7, 84.9", "3.41", "16.4+226.0", "10.71×", "1.84×"]]
    assert "target, s" in text
    assert "target, MB" in text
    wide = cells(output([row("ms")], width=100))
    assert wide[0][-1] == "13.77×"  # the compression ratio, where there is room


def test_a_run_that_did_not_is_never_the_best() -> None:
    text = output([row("sp", **MISSED)])
    assert cells(text) == [["sp", "85.7, 84.9", *["not"] * 4], ["", "", *["reached"] * 4]]
    assert "Not reached by sp: below it at all 24 evaluations." in notes(text)
    assert "Multipliers" not in text


def test_without_a_target_there_is_no_time_and_the_reason_is_told() -> None:
    none = {"target_state": "no target", "target_reason": "the uncompressed run diverged in round 3"}
    text = output([row(run, status="diverged", rounds=2, **none) for run in ("identity", "ms")])
    assert text.startswith("No target\n") or text.startswith("No target ")
    assert [line[2:5] for line in cells(text)] == [["–"] * 3] * 2
    assert "No target for identity and ms: the uncompressed run diverged in round 3." in notes(text)
    assert "Diverged: identity and ms." in notes(text)


def test_numbers_of_a_column_have_one_unit_and_as_many_decimals() -> None:
    same = {"bytes_to_target": 242.4e6}
    rows = [row("identity", 71.5, **same), row("ms", 3.0, uplink_bytes_to_target=1_640_000.0, **same)]
    assert [line[2:4] for line in cells(output(rows))] == [
        ["71.50", "16.40+226.00"],
        ["3.00", "1.64+226.00"],
    ]


def test_where_half_of_the_seeds_got_nowhere_the_ranges_have_a_fitting_unit() -> None:
    """The medians are infinite, and only the ranges' lower ends are numbers."""
    text = output(over_seeds("ms", [3.0, math.nan, math.nan]))
    assert cells(text)[1][2:] == ["reached", "reached", "reached", "reached"]
    assert "target, MB" in text
    assert "3.00–∞" in text


def test_it_fits_a_terminal_of_80_columns() -> None:
    several = [over_seeds(codec, [3.4, 123.0, 55.0], held_accuracy=0.8) for codec in ("identity", "a" * 30)]
    for rows in ([row("identity"), row("ms", **MISSED)], [*several[0], *several[1]]):
        text = output(rows)
        assert all(len(line) <= 80 for line in text.splitlines())
        assert cells(text)[0][0] == "identity"


def test_the_one_baseline_is_named() -> None:
    over = "Multipliers are over identity both ways"
    assert f"{over}." in notes(output([row("identity"), row("ms", 5.0)]))
    assert f"{over}, which is no row of this table." in notes(output([row("ms")]))
    own = [row("a", training="one", baseline="one"), row("b", 9.0, training="two", baseline="two")]
    assert f"{over}, each of its own setting." in notes(output(own))
    alone = row("ms", traffic_multiplier=math.nan, speed_up=math.nan)
    assert f"{over}, which is no row of this table, which did not reach the target." in notes(output([alone]))
    seeds = [*over_seeds("identity", [4.0, 5.0]), *over_seeds("ms", [1.0, 2.0])]
    assert f"{over} with the same seed." in notes(output(seeds))


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
    told = "Evaluated every 20 rounds; less than that apart: qu and ms in time and bytes."
    assert told in notes(output(rows))
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
    assert "which one seed does not prove of a codec." in notes(output(rows))


@pytest.mark.parametrize(
    ("multipliers", "told"),
    [
        (
            [12.4, 12.5, 12.3],
            "The multiplier of qu is significantly more than the compression ratio explains",
        ),
        ([16.4, 11.0, 10.0], "which 3 seeds do not prove of a codec."),
    ],
)
def test_seeds_may_prove_that_a_codec_needs_fewer_steps(multipliers: list[float], told: str) -> None:
    rows = [
        row("qu", seed=seed, traffic_multiplier=multiplier, compression_ratio=10.63)
        for seed, multiplier in enumerate(multipliers)
    ]
    assert told in notes(output(rows))


def test_runs_of_one_training_are_compared_exactly() -> None:
    """They reached the target in the same round: the step between evaluations does not matter."""
    rows = [row(run, 4.0, evaluation_step_s=1.0, training="one") for run in ("one link", "another link")]
    assert "less than that apart" not in notes(output(rows))


def test_labels_with_brackets_are_printed_as_they_are() -> None:
    text = output([row("x[/b]:x:[red]", **MISSED)], width=100)
    assert cells(text)[0][0] == "x[/b]:x:[red]"
    assert "Not reached by x[/b]:x:[red]:" in notes(text)


def test_a_failed_training_has_a_row_and_its_reason_below() -> None:
    text = output([row("identity"), failed("ms", reason="codec own.py:Ms, in encode: no")])
    assert cells(text)[1] == ["ms", "–, –", "failed", "failed", "failed", "failed"]
    assert "Failed: ms: codec own.py:Ms, in encode: no." in notes(text)
    swept = [
        *at_rates("identity", {"1 Mbps": 2.0, "1 Gbps": 1.0}),
        *at_rates("ms", {"1 Mbps": 1.0}, **{"status": "failed", "target_state": "", "failure": "no"}),
    ]
    assert ["ms", "failed", "", "–"] in cells(output(swept))


def test_one_seed_cannot_tell_and_the_table_says_so() -> None:
    text = output([row("identity", 9.0), row("ms", 1.0)], style="standard")
    assert "One seed cannot tell codecs apart: add seeds = 5 to the scenario." in notes(text)
    assert bold(text) == []
    assert "significantly" not in text


def test_seeds_give_means_with_intervals_and_medians_with_ranges() -> None:
    """Half of the interval of 85, 86 and 87 % is t · s / √3 = 4.303 · 1 / 1.732 = 2.48 %."""
    rows = [
        one | {"held_accuracy": 0.85 + one["seed"] / 100, "traffic_multiplier": 10.0}
        for one in over_seeds("ms", [3.0, 5.0, 4.5])
    ]
    assert cells(output(rows)) == [
        ["ms", "86.0 ± 2.5", "4.50", "16.4+226.0", "10.00×", "1.54×"],
        ["3 of 3", "84.9 ± 0.0", "3.00–5.00", "727.2–", "", "0.79–3.01"],
        ["", "", "", "1,212.0", "", ""],
    ]


def test_a_codec_is_bold_only_where_it_is_significantly_better_than_every_other() -> None:
    sure = [
        *over_seeds("identity", [9.0, 9.5, 8.8]),
        *over_seeds("qu", [4.0, 4.2, 3.9]),
        *over_seeds("ms", [2.0, 2.1, 1.9]),
    ]
    text = output(sure, style="standard")
    assert bold(text) == ["2.00", "16.4+226.0", "1.90–2.10", "460.6–509.0"]
    better = "Bold: significantly better than every other codec that reached the target"
    assert f"{better} (paired over 3 seeds, 95 %): ms in time; ms in bytes." in " ".join(text.split())
    near = [*sure[:6], *over_seeds("ms", [3.0, 5.0, 3.1])]
    text = output(near, style="standard")
    assert bold(text) == []
    assert "No codec is significantly better than every other that reached the target" in text


def test_the_luckiest_seed_of_a_codec_does_not_make_it_win() -> None:
    """One of ms's five seeds is the fastest of all runs; three never got there."""
    never = math.nan
    rows = with_baseline(
        [
            *over_seeds("identity", [5.0, 5.2, 4.9, 5.1, 5.0]),
            *over_seeds("qu", [3.5, 3.6, 3.4, 3.7, 3.5]),
            *over_seeds("ms", [0.9, 6.0, never, never, never]),
            *over_seeds("sp", [1.0, 5.5, 5.6, 5.4, 5.7]),
        ]
    )
    text = output(rows, style="standard")
    shown = {line[0]: line for line in cells(output(rows, width=100))}
    assert shown["ms"][2] == "not"  # and below it "reached": not 0.9 s
    assert shown["ms"][4] == "not"
    assert shown["sp"][2] == "5.50"  # the median, not 1 s
    assert "2 of 5" in shown  # reached
    assert bold(text) == []
    assert "No codec is significantly better than every other" in text
    assert "not reached: by half of the seeds or more; ∞: a seed that did not." in " ".join(text.split())
    assert "Not reached by ms: 3 of 5 seeds: below it at all 24 evaluations." in notes(output(rows))


def test_rates_with_speed_ups_and_where_each_codec_stops_paying() -> None:
    rows = [
        *at_rates("identity", {"1 Gbps": 2.0, "10 Mbps": 2.0}),
        *at_rates("ms", {"1 Gbps": 2.5, "10 Mbps": 0.4}),
        *at_rates("sp", {"1 Gbps": math.nan, "10 Mbps": math.nan}),
    ]
    text = output(with_baseline(rows))
    assert cells(text) == [
        ["identity", "2,000", "2,000", "–"],  # ascending rates, whatever the order of the rows
        ["", "1.00×", "1.00×", ""],
        ["ms", "400", "2,500", "up to"],
        ["", "5.00×", "0.80×", "10 Mbps … 1 Gbps"],  # no clock here that tells more
        ["sp", "not", "not", "never"],
        ["", "reached", "reached", ""],
    ]
    due = "A codec pays where it reaches the target at least 5 % sooner than identity both ways."
    assert due in notes(text)
    assert "Speed-ups, under the times, are over identity both ways." in notes(text)
    assert "Not reached by sp: below" in notes(text)
    assert "nor where one stops paying" in notes(text)


def test_over_seeds_a_codec_stops_paying_only_where_that_is_significant() -> None:
    rows = with_baseline(
        [
            *at_rates("identity", {"10 Mbps": [9.0, 9.1, 9.2], "1 Gbps": [2.0, 2.1, 2.05]}),
            *at_rates("ms", {"10 Mbps": [3.0, 3.1, 3.0], "1 Gbps": [4.0, 4.1, 4.2]}),
            *at_rates("qu", {"10 Mbps": [3.0, 9.1, 12.0], "1 Gbps": [1.0, 4.0, 3.2]}),
            *at_rates("sp", {"10 Mbps": [3.0, 3.1, 3.2], "1 Gbps": [1.0, 1.1, 1.1]}),
            *at_rates("rt", {"10 Mbps": [math.nan] * 3, "1 Gbps": [math.nan] * 3}),
        ]
    )
    text = output(rows, width=100)
    ends = {line[0]: line[-1] for line in cells(text) if line[0]}
    assert ends == {"identity": "–", "ms": "up to", "qu": "unclear", "sp": "always", "rt": "never"}
    assert "?: the 95 % interval over seeds does not tell." in notes(text)
    (under,) = (line for before, line in pairwise(cells(text)) if before[0] == "qu")
    assert all(cell.endswith("×?") for cell in under[1:3])


def test_runs_that_differ_in_more_than_the_rate_have_rows_of_their_own() -> None:
    rows = [
        *at_rates("ms, fast device", {"10 Mbps": 1.0, "100 Mbps": 0.5}),
        *at_rates("ms, slow device", {"10 Mbps": 4.0, "100 Mbps": 3.0}),
    ]
    names = [line[0] for line in cells(output(rows, width=100)) if line[0]]
    assert names == ["ms, fast device", "ms, slow device"]


def test_where_it_stops_paying_stands_beside_what_devices_are_assumed_to_cost() -> None:
    def costing(cheap: float, dear: float, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            one | {"speed_up_if_cheap": cheap * one["speed_up"], "speed_up_if_dear": dear * one["speed_up"]}
            for one in rows
        ]

    identity = at_rates("identity", {"10 Mbps": 2.0, "1 Gbps": 2.0})
    ms = at_rates("ms", {"10 Mbps": 1.0, "1 Gbps": 2.0})
    qu = at_rates("qu", {"10 Mbps": 1.0, "1 Gbps": 1.0})
    every = with_baseline([*identity, *ms, *qu])
    rows = [*costing(1.0, 1.0, every[:2]), *costing(1.2, 0.2, every[2:4]), *costing(1.0, 0.9, every[4:])]
    assert "were doubled: ms always … never; qu always either way." in notes(output(rows))


def test_close_times_are_told_at_each_rate() -> None:
    rows = [
        *at_rates("qu", {"10 Mbps": 3.0, "1 Gbps": 1.0}, evaluation_step_s=0.5),
        *at_rates("ms", {"10 Mbps": 4.0, "1 Gbps": 1.2}, evaluation_step_s=0.5),
    ]
    assert "less than that apart: qu and ms at 1 Gbps." in notes(output(rows))


def test_of_many_rates_some_are_shown_and_it_is_said_where_all_are() -> None:
    rates = {f"{number} Mbps": 100.0 / number for number in range(1, 101)}
    text = output([*at_rates("identity", rates), *at_rates("ms", rates)])
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "1 Mbps" in text
    assert "100 Mbps" in text
    (told,) = (line for line in text.splitlines() if "of 100 values of uplink" in line)
    assert int(told.split()[0]) >= 4


def test_of_many_settings_each_codec_has_some_rows() -> None:
    rows = [
        row(codec, setting=f"{codec}, {number}", training=f"{codec}-{number}")
        for codec in ("identity", "qu", "ms")
        for number in range(50)
    ]
    text = output(rows)
    assert [sum(line[0].startswith(codec) for line in cells(text)) for codec in ("identity", "qu", "ms")] == [
        10
    ] * 3
    assert "30 of 150 settings shown, of each codec" in notes(text)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"direction": "stops", "value": 287e6}, "up to\n287 Mbps"),
        ({"direction": "begins", "value": 287e6}, "from\n287 Mbps"),
        ({"direction": "stops", "after": 1e6, "before": 1e9}, "up to\n1 Mbps … 1 Gbps"),
        ({"direction": "always"}, "always"),
        ({"direction": "never"}, "never"),
        ({"direction": "stops", "value": 287e6, "seeds": 3}, "unclear"),
        (
            {"direction": "stops", "value": 2e8, "low": 1e8, "high": 3e8, "seeds": 3, "significant": True},
            "up to\n200 Mbps\n100 … 300 Mbps",
        ),
    ],
)
def test_where_a_codec_stops_paying_for_a_reader(found: dict[str, Any], text: str) -> None:
    unknown = dict.fromkeys(("value", "low", "high", "after", "before"), math.nan)
    whole = {**unknown, "seeds": 1, "significant": False, "assuming": "as stated", **found}
    assert crossing(whole, Swept("uplink_bps")) == text
