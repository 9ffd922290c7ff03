"""Studies side by side as a reader sees them: what stands in each place, what is bold, and the notes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from studies import NEVER, study

from slsim.analysis.comparison import VALUES, Compared
from slsim.report.comparisons import compared
from slsim.report.formats import FORMATS, Cell, Sheet, csv, markdown

THREE = {"identity": [5.0, 5.2, 4.9], "qu": [3.5, 3.6, 3.4], "ms": [2.0, 2.1, 1.9]}
DEEP = {"model": {"name": "cnn", "cut": "deep"}}


def texts(sheet: Sheet) -> list[list[str]]:
    return [[cell.text for cell in row] for row in sheet.rows]


def bold(sheet: Sheet) -> set[str]:
    """The headings of columns with a number in bold."""
    pairs = [pair for row in sheet.rows for pair in zip(sheet.headings, row, strict=True)]
    return {heading for heading, cell in pairs if cell.bold}


def notes(*studies: Compared, layout: str = "table1", value: str = "traffic") -> str:
    return "\n".join(compared(studies, layout, value).notes)


def test_table1_has_a_row_a_cut_and_a_column_a_codec_without_the_baseline() -> None:
    one = study({**THREE, "sp": [NEVER] * 3}, "a")
    other = study({"identity": [5.0, 5.2, 4.9], "ms": [2.0, 2.1, 1.9]}, "b", **DEEP)
    sheet = compared([one, other], "table1")
    assert sheet.title == "Traffic multipliers, of activations on their way up (as in the paper)"
    assert list(sheet.headings) == ["data set", "model", "cut", "qu", "ms", "sp"]
    multipliers = [f"{one.summary['traffic_multiplier'].iloc[place]:.2f}×" for place in (1, 2)]
    assert texts(sheet) == [
        ["fashion-mini", "cnn", "medium", *multipliers, "INF"],
        ["fashion-mini", "cnn", "deep", "–", multipliers[1], "–"],
    ]
    assert [row[4].bold for row in sheet.rows] == [True, True]
    assert sheet.rows[0][4].detail == "16.2 … 20.7"
    assert sheet.rows[0][5] == Cell("INF")


def test_an_entry_says_how_many_seeds_reached_the_target_where_not_all_did() -> None:
    one = study({**THREE, "sp": [1.0, 2.0, NEVER]})
    (row,) = compared([one], "table1").rows
    assert row[5].detail.endswith("\n2 of 3 seeds")
    assert "seeds" not in row[4].detail
    (row,) = compared([study({**THREE, "sp": [1.0, NEVER, NEVER]})], "table1").rows
    assert row[5] == Cell("INF", "1 of 3 seeds")


def test_other_values_have_a_column_of_the_baseline_too() -> None:
    for value in ("time", "accuracy"):
        assert list(compared([study(THREE)], "table1", value).headings)[3:] == ["identity", "qu", "ms"]
    (times,) = compared([study(THREE)], "table1", "time").rows
    assert times[3:] == [
        Cell("5 s", "4.9 … 5.2 s"),
        Cell("3.5 s", "3.4 … 3.6 s"),
        Cell("2 s", "1.9 … 2.1 s", bold=True),
    ]
    (accuracies,) = compared([study(THREE)], "table1", "accuracy").rows
    assert accuracies[3:] == [Cell("85.7 ± 0.0")] * 3


@pytest.mark.parametrize("value", VALUES)
def test_every_value_says_what_it_is(value: str) -> None:
    sheet = compared([study(THREE)], "table1", value)
    assert sheet.title
    assert any("3 seeds" in note for note in sheet.notes)


def test_a_study_of_the_baseline_alone_has_no_multipliers() -> None:
    sheet = compared([study({"identity": [5.0, 5.2]})], "table1")
    assert sheet.rows == []
    assert list(sheet.headings) == ["data set", "model", "cut"]
    assert all(format(sheet) for format in FORMATS.values())


def test_studies_of_one_cut_are_rows_that_are_told_apart() -> None:
    sheet = compared([study(THREE), study(THREE, "b", network={"uplink": "1 Mbps"})], "table1")
    assert list(sheet.headings)[:4] == ["study", "data set", "model", "cut"]
    assert [row[0].text for row in sheet.rows] == ["a", "b"]
    assert "Links differ: network.uplink is 100 Mbps in a, 1 Mbps in b." in sheet.notes


def test_the_default_layout_has_a_row_a_setting() -> None:
    sheet = compared([study(THREE), study({"identity": [4.0], "ms": [1.0]}, "b")])
    assert [heading.replace("\n", " ") for heading in sheet.headings] == [
        *("study", "setting", "reached", "accuracy, %", "time to target", "bytes to target"),
        *("multiplier, activations up", "everything up", "both ways"),
    ]
    rows = texts(sheet)
    named = [("a", "identity"), ("", "qu"), ("", "ms")]  # a study is named once
    assert [tuple(row[:3]) for row in rows[:3]] == [(*names, "3 of 3") for names in named]
    assert rows[3][:5] == ["b", "identity", "1 of 1", "85.7", "4 s"]
    assert sheet.rows[0][5] == Cell("1.21 GB", "1.19 … 1.26 GB")
    assert [cell.detail for cell in sheet.rows[3]] == [""] * 9
    assert "study" not in compared([study(THREE)]).headings  # of one there is nothing to tell apart


def test_what_was_set_is_a_detail_of_a_studys_name() -> None:
    sheet = compared([study(THREE), replace(study(THREE), name="a with network.uplink = 1 Mbps")])
    assert [row[0] for row in sheet.rows if row[0].text] == [
        Cell("a"),
        Cell("a", "with network.uplink = 1 Mbps"),
    ]


def test_what_was_not_reached_is_inf_and_what_is_not_there_is_a_dash() -> None:
    one = study({**THREE, "sp": [NEVER] * 3})
    older = [column for column in one.summary if column.startswith(("uplink_mult", "total_mult"))]
    without = replace(one, summary=one.summary.drop(columns=older))
    rows = {row[0]: row for row in texts(compared([without]))}
    assert rows["sp"][3:] == ["INF"] * 5
    assert rows["qu"][6:] == ["–", "–"]
    no_target = one.summary.assign(target_state="no target", time_to_target_s=NEVER)
    assert texts(compared([replace(one, summary=no_target)]))[0][3] == "–"


def test_a_failed_setting_says_so() -> None:
    one = study(THREE)
    states = ["failed", "reached", "reached"]
    assert (
        texts(compared([replace(one, summary=one.summary.assign(target_state=states))]))[0][3:]
        == ["failed"] * 5
    )


def test_bold_is_explained_and_only_said_where_there_is_some() -> None:
    sheet = compared([study(THREE)], "table1")
    assert bold(sheet) == {"ms"}
    (line,) = [note for note in sheet.notes if note.startswith("Bold: ")]
    assert "significantly better than every other codec of the same study" in line
    assert "paired over seeds, 95 %" in line
    noisy = compared([study({**THREE, "ms": [0.2, 3.4, 3.3]})], "table1")
    assert bold(noisy) == set()
    assert any(note.startswith("No codec is significantly better") for note in noisy.notes)


def test_one_seed_is_never_bold() -> None:
    single = {codec: times[:1] for codec, times in THREE.items()}
    sheet = compared([study(single)], "table1")
    assert bold(sheet) == set()
    assert "One seed has no interval and cannot tell codecs apart: nothing is bold." in sheet.notes
    mixed = notes(study(THREE), study(single, "b", **DEEP))
    assert "Over 1 to 3 seeds" in mixed
    assert "A row of one seed never is." in mixed


def test_notes_say_what_is_counted_and_what_is_aimed_at() -> None:
    for value, counted in (
        ("traffic", "activations"),
        ("uplink", "everything on"),
        ("total", "everything both"),
    ):
        assert f"÷ those that this run sent, of {counted}" in notes(study(THREE), value=value)
    other = study(THREE, "b")
    other = replace(other, summary=other.summary.assign(target_accuracy=0.8, target_accuracy_low=NEVER))
    assert "a: target: test accuracy of 85.0 %, at 2 of 3 evaluations in a row." in notes(study(THREE), other)
    assert "b: target: test accuracy of 80.0 %" in notes(study(THREE), other)
    assert "\nTarget: test accuracy of 85.0 %" in notes(study(THREE), study(THREE, "b"))


def test_notes_say_which_studies_have_not_all_columns() -> None:
    one = study(THREE)
    lacking = [column for column in one.summary if column.startswith(("uplink_mult", "total_mult"))]
    told = notes(replace(one, summary=one.summary.drop(columns=lacking)), layout="settings")
    assert (
        "Multipliers of everything on its way up and everything both ways are not in the tables of a" in told
    )


def test_studies_without_a_common_seed_are_told() -> None:
    one = study(THREE)
    other = replace(study(THREE, "b"), runs=one.runs.assign(seed=one.runs["seed"] + 10))
    assert "The studies have no seed in common." in notes(one, other)
    assert "in common" not in notes(one, study(THREE, "b"))


def test_many_swept_values_and_many_keys_are_told_by_some() -> None:
    rates = [f"{rate} Mbps" for rate in range(1, 9)]
    one, other = study(THREE), study(THREE, "b")
    network = {"uplink": rates[0]}
    cases = [case for rate in rates for case in study(THREE, "b", network={**network, "uplink": rate}).cases]
    assert "1 Mbps … 8 Mbps (8 values) in b" in notes(one, replace(other, cases=cases))
    clients = {"count": 5, "batch_size": 2, "per_round": 3, "device": "rtx-3090"}
    training = {"epochs": 1, "learning_rate": 1.0, "momentum": 0.0, "weight_decay": 0.1}
    training |= {"precision": "bfloat16", "evaluate_every": 1, "threads": 2}
    told = notes(one, study(THREE, "b", clients=clients, training=training))
    assert "clients.count is 10 in a, 5 in b" in told
    assert "clients.per_round is none in a, 3 in b" in told
    assert "; and in 1 more." in told


def test_numbers_are_there_as_plain_columns() -> None:
    one = study({**THREE, "sp": [NEVER] * 3})
    table = compared([one]).data
    assert table["time_to_target_s"].tolist() == one.summary["time_to_target_s"].tolist()
    assert table["best_traffic"].tolist() == [False, False, True, False]
    (row,) = compared([one], "table1").data.to_dict("records")
    assert row["ms: traffic_multiplier"] == one.summary["traffic_multiplier"].iloc[2]
    assert (row["ms: best"], row["sp: target_state"]) == (True, "not reached")
    assert csv(compared([one], "table1")).count("\n") == 2


def test_bold_and_intervals_reach_the_page() -> None:
    assert "**" in markdown(compared([study(THREE)], "table1"))
