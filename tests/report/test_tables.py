"""What is printed: numbers as a reader reads them."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from slsim.recording.kinds import PHASES, phase_column
from slsim.report.breakdowns import print_breakdown
from slsim.report.network_use import print_shared_links
from slsim.report.study_tables import Tables, print_study
from slsim.report.terminal import duration, listed, milliseconds, say
from slsim.results import StudyFolder


def console() -> Console:
    return Console(file=io.StringIO(), width=100, color_system=None)


def printed(output: Console) -> list[list[str]]:
    """The cells of every table row."""
    assert isinstance(output.file, io.StringIO)
    lines = output.file.getvalue().splitlines()
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in lines if line.startswith("│")]


def round_of(run: str, uplink_s: float = 0.0521, **own_s: float) -> dict[str, Any]:
    """A row of a breakdown: a millisecond in each phase but the uplink, and `own_s` in those of ones own."""
    phases = {phase_column(phase.name): 0.001 for phase in PHASES} | {"uplink_s": uplink_s}
    groups = {"in_devices_s": 0.004, "in_uplink_s": uplink_s, "in_server_s": 0.002, "in_downlink_s": 0.001}
    own = {f"in_{name}": seconds for name, seconds in own_s.items()}
    end = {"bottleneck": "uplink", "bottleneck_share": 0.876}
    named = {"run": run, "setting": run, "seed": 0}
    return {**named, **phases, **own_s, "round_s": 0.001, **groups, **own, **end}


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


def test_a_breakdown_is_in_milliseconds_and_names_the_bottleneck() -> None:
    output = console()
    print_breakdown(output, pd.DataFrame([round_of("ms"), round_of("identity", 0.61)]))
    rows = {name: cells for name, *cells in printed(output)}
    called = {"server wait": "waits for server", "barrier wait": "waits for other clients"}
    phases = [called.get(phase.name, phase.name) for phase in PHASES]
    assert list(rows) == [*phases, "round", "bottleneck", "its share"]
    assert rows["uplink"] == ["52.1", "610"]
    assert rows["waits for server"] == rows["round"] == ["1.00", "1.00"]
    assert rows["bottleneck"] == ["uplink", "uplink"]
    assert rows["its share"] == ["88 %", "88 %"]


def test_rounds_that_differ_and_clients_that_are_served_unevenly_are_told() -> None:
    output = console()
    alike = {"round_median_s": 0.001, "round_p95_s": 0.001, "round_longest_s": 0.001, "fairness": 1.0}
    own = {"round_median_s": 0.001, "round_p95_s": 0.0012, "round_longest_s": 0.2, "fairness": 0.875}
    print_breakdown(output, pd.DataFrame([round_of("ms") | alike, round_of("identity") | own]))
    rows = {name: cells for name, *cells in printed(output)}
    assert [rows[name] for name in ("median", "95th percentile", "longest", "fairness")] == [
        ["1.00", "1.00"],
        ["1.00", "1.20"],
        ["1.00", "200"],
        ["1.00", "0.88"],
    ]
    output = console()
    print_breakdown(output, pd.DataFrame([round_of("ms") | alike]))
    assert not {"median", "fairness"} & {name for name, *_ in printed(output)}


def test_shared_links_are_told_with_how_much_of_them_was_used() -> None:
    def link(setting: str, name: str, share: float, seed: int = 0) -> dict[str, object]:
        own = {"links": 1, "shared": name == "medium", "wire_bytes": 2e8 * share, "utilisation": share}
        return {"setting": setting, "seed": seed, "link": name, **own}

    output = console()
    rows = [link("identity", "medium", 0.9), link("identity", "medium", 0.8, 1), link("ms", "medium", 0.1)]
    print_shared_links(output, pd.DataFrame([*rows, link("ms", "uplinks", 0.2)]))
    assert printed(output) == [["identity", "medium", "85 %", "170.0"], ["ms", "medium", "10 %", "20.0"]]
    output = console()
    print_shared_links(output, pd.DataFrame([link("ms", "uplinks", 0.2)]))
    assert isinstance(output.file, io.StringIO)
    assert output.file.getvalue() == ""


def test_a_breakdown_of_many_runs_has_a_line_a_run() -> None:
    output = console()
    print_breakdown(output, pd.DataFrame([round_of(f"run {number}") for number in range(35)]))
    rows = printed(output)
    assert len(rows) == 30
    assert [rows[0][0], rows[-1][0]] == ["run 0", "run 34"]
    assert rows[7] == ["run 8", "1.00", "4.00", "52.1", "2.00", "1.00", "uplink"]
    assert isinstance(output.file, io.StringIO)
    assert (
        output.file.getvalue()
        .rstrip()
        .endswith("30 of 35 settings shown. Phase by phase, of every run: breakdown.csv")
    )


def test_of_several_seeds_the_means_are_shown_and_every_bottleneck() -> None:
    output = console()
    rows = [round_of("ms", uplink_s) | {"seed": seed} for seed, uplink_s in enumerate((0.05, 0.07))]
    rows[1] |= {"run": "ms, seed 1", "bottleneck": "server"}
    print_breakdown(output, pd.DataFrame(rows))
    shown = {name: cells for name, *cells in printed(output)}
    assert shown["uplink"] == ["60.0"]
    assert shown["bottleneck"] == ["uplink or server"]


def test_a_study_is_printed_from_the_tables_that_are_there(tiny_study: Path) -> None:
    folder, output = StudyFolder.open(tiny_study), console()
    print_study(output, Tables.of(folder))
    assert isinstance(output.file, io.StringIO)
    whole = output.file.getvalue()
    output = console()
    print_study(output, Tables.of(folder, {"summary": folder.load_table("summary")}))
    assert isinstance(output.file, io.StringIO)
    assert output.file.getvalue().splitlines()[:8] == whole.splitlines()[:8]
    assert "An average round" in whole
    assert "An average round" not in output.file.getvalue()


def test_a_phase_of_ones_own_has_a_line_before_the_wait_at_the_barrier() -> None:
    output = console()
    rows = [round_of("one", shuffle_data_s=0.002), round_of("two", shuffle_data_s=0.0)]
    print_breakdown(output, pd.DataFrame(rows))
    shown = [row[:3] for row in printed(output)]
    usual = [phase.name.replace("server wait", "waits for server") for phase in PHASES[:-1]]
    ends = ["waits for other clients", "round", "bottleneck", "its share"]
    assert [name for name, *_ in shown] == [*usual, "shuffle data", *ends]
    assert ["shuffle data", "2.00", "0.00"] in shown


def test_a_phase_whose_name_begins_as_those_of_groups_do_is_a_phase() -> None:
    few, many = console(), console()
    print_breakdown(few, pd.DataFrame([round_of("one", in_transit_s=0.002)]))
    assert ["in transit", "2.00"] in printed(few)
    print_breakdown(many, pd.DataFrame([round_of(f"run {n}", in_transit_s=0.002) for n in range(6)]))
    assert printed(many)[0] == ["run 0", "1.00", "4.00", "52.1", "2.00", "1.00", "2.00", "uplink"]


def test_a_group_of_ones_own_has_a_column_where_there_are_many_runs() -> None:
    output = console()
    print_breakdown(output, pd.DataFrame([round_of(f"run {n}", disks_s=0.003) for n in range(6)]))
    assert isinstance(output.file, io.StringIO)
    lines = output.file.getvalue().splitlines()
    (headings,) = [line.strip("│┃").split("┃") for line in lines if line.startswith("┃")]
    groups = ["devices", "uplink", "server", "downlink", "disks"]
    assert [one.strip() for one in headings] == ["setting", "round", *groups, "bottleneck"]
    assert printed(output)[5] == ["run 5", "1.00", "4.00", "52.1", "2.00", "1.00", "3.00", "uplink"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00"), (0.00021, "0.21"), (0.00999, "9.99"), (0.009996, "10.0"), (1.35, "1,350")],
)
def test_milliseconds_have_three_figures(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text
