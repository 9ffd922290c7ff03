"""`slsim compare` and `slsim.compare`: from saved tables and scenarios alone, with clear faults."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies import CODECS, document, study

import slsim
from slsim.errors import StudyError
from slsim.results import StudyFolder
from slsim.scenario import plan, setting_labels

Command = Callable[..., Any]

REFERENCE = Path(__file__).parents[1] / "results" / "reference" / "quickstart"
REPLAY = next((REFERENCE / "replays").iterdir())
TABLES = ("scenario.toml", "manifest.json", "summary.csv", "runs.csv")


def tables_of(study: Path, to: Path) -> Path:
    """A copy of what a comparison reads of a study, and nothing else."""
    to.mkdir(parents=True)
    for name in TABLES:
        shutil.copy(study / name, to)
    return to


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return tables_of(REFERENCE, tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The same study under another name, with another cut."""
    folder = tables_of(REFERENCE, tmp_path / "other")
    scenario = (folder / "scenario.toml").read_text("utf-8")
    scenario = scenario.replace('name = "quickstart"', 'name = "other"').replace(
        'cut = "medium"', 'cut = "deep"'
    )
    (folder / "scenario.toml").write_text(scenario, "utf-8")
    return folder


def test_the_terminal_shows_a_table_and_notes(command: Command, one: Path, other: Path) -> None:
    done = command("compare", one, other)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Studies compared")
    told = " ".join(done.stdout.split())
    assert "quickstart" in told
    assert "Models differ: model.cut is medium in quickstart, deep in other." in told


@pytest.mark.parametrize(
    ("format", "begins"),
    [
        ("markdown", "Traffic multipliers"),
        ("latex", "% Needs \\usepackage{booktabs}."),
        ("html", "<!doctype html>"),
        ("csv", "data,model,cut,"),
    ],
)
def test_every_format_is_printed(command: Command, one: Path, other: Path, format: str, begins: str) -> None:
    done = command("compare", one, other, "--layout", "table1", "--format", format)
    assert done.returncode == 0
    assert done.stdout.startswith(begins)
    assert ("Multipliers: bytes that" in done.stderr) == (format == "csv")
    assert "fashion-mini" in done.stdout


def test_the_ending_of_a_file_says_its_format(command: Command, one: Path) -> None:
    done = command("compare", one, "--output", "table.tex")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Table: table.tex\n", "")
    assert Path("table.tex").read_text("utf-8").startswith("% Needs")
    assert command("compare", one, "--output", "table.txt", "--format", "markdown").returncode == 0
    done = command("compare", one, "--output", "table.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "end it in one of .md (markdown), .tex (latex), .csv (csv), .html (html)" in done.stderr


def test_python_has_the_numbers_and_writes_the_table(one: Path, other: Path, tmp_path: Path) -> None:
    table = slsim.compare([one, str(other)])
    assert table["study"].tolist() == ["quickstart"] * 5 + ["other"] * 5
    summary = pd.read_csv(REFERENCE / "summary.csv")
    assert table["traffic_multiplier"].tolist()[:2] == summary["traffic_multiplier"].tolist()[:2]
    wide = slsim.compare([one, other], "table1", "time", tmp_path / "new" / "table.md")
    assert wide["cut"].tolist() == ["medium", "deep"]
    assert (tmp_path / "new" / "table.md").read_text("utf-8").startswith("Time to the target")


def test_a_study_of_python_is_compared_by_its_folder() -> None:
    opened = slsim.open_study(REFERENCE)
    assert slsim.compare([opened])["seeds"].tolist() == [3] * len(opened.summary)


@pytest.mark.parametrize("wrong", [{"layout": "table2"}, {"value": "trafic"}])
def test_a_layout_or_value_that_there_is_not_is_an_error(one: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(StudyError, match='did you mean "(table1|traffic)"'):
        slsim.compare([one], **wrong)


def test_a_replay_is_compared_with_its_study_and_called_by_what_was_set() -> None:
    table = slsim.compare([REFERENCE, REPLAY])
    assert table["study"].unique().tolist() == [
        "quickstart",
        "quickstart with network.uplink = 1 Mbps .. 1 Gbps / 20",
    ]
    assert len(table) == 5 + 100
    assert table["codec"].nunique() == 5
    assert table["conditions"].nunique() == 1 + 20


def test_studies_of_one_name_are_called_by_where_they_are(one: Path, tmp_path: Path) -> None:
    again = tables_of(REFERENCE, tmp_path / "again")
    names = slsim.compare([one, again])["study"].unique().tolist()
    assert names == [f"quickstart ({one})", f"quickstart ({again})"]


def test_settings_are_known_by_their_place_however_they_are_called(one: Path) -> None:
    summary = pd.read_csv(one / "summary.csv", keep_default_na=False)
    summary["setting"] = [f"setting {place}" for place in range(5)]
    summary.to_csv(one / "summary.csv", index=False)
    assert slsim.compare([one])["cut"].tolist() == ["medium"] * 5


def test_of_a_study_in_part_the_settings_are_known_by_their_names(tmp_path: Path) -> None:
    """Of three, the first is not there (yet)."""
    made = study({"identity": [2.0, 2.1], "qu": [1.0, 1.1], "ms": [1.5, 1.6]})
    names = dict(zip(made.summary["setting"], setting_labels(made.cases[::2]), strict=True))
    folder = StudyFolder.of(tmp_path / "part")
    asked = document([CODECS[codec] for codec in names], seed=[0, 1])
    folder.save_scenario(plan(asked, "test", tmp_path).document())
    for name, table in (("summary", made.summary), ("runs", made.runs)):
        named = table.assign(setting=table["setting"].map(names))
        folder.save_table(name, named[table["setting"] != "identity"])
    table = slsim.compare([folder.path])
    assert table["model"].tolist() == ["cnn", "cnn"]
    assert not table["is_baseline"].any()


# Faults.


def test_a_study_given_twice_is_there_once(command: Command, one: Path) -> None:
    done = command("compare", one, one.parent / "." / one.name, "--format", "csv")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1 + 5
    assert f"{one} was given 2 times, and is there once." in done.stderr
    assert len(slsim.compare([one, one])) == 5


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(StudyError, match="there is nothing to compare"):
        slsim.compare([])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("summary.csv", "setting,codec\na", "it ends within a line"),
        ("runs.csv", "run\n", "is missing"),
        ("runs.csv", None, "No such file"),
        ("scenario.toml", "name = ", "is not TOML"),
        ("scenario.toml", None, "is no study|no scenario.toml|cannot be read"),
    ],
)
def test_a_damaged_study_is_told_and_the_others_are_compared(
    command: Command, one: Path, other: Path, file: str, content: str | None, message: str
) -> None:
    if content is None:
        (other / file).unlink()
    else:
        (other / file).write_text(content)
    done = command("compare", one, other, "--format", "markdown")
    assert done.returncode == 1
    assert done.stdout.startswith("quickstart\n")
    (line,) = done.stderr.splitlines()
    assert str(other) in line
    assert any(part in line for part in message.split("|"))
    with pytest.raises(slsim.errors.SlsimError):
        slsim.compare([one, other])


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("summary", ("codec", "seeds", "target_state", "held_accuracy_low", "traffic_multiplier")),
        ("summary", ("evaluation_step_rounds", "target_window", "target_accuracy_high", "time_to_target_s")),
        ("runs", ("setting", "seed", "target_state", "held_accuracy", "traffic_multiplier")),
    ],
)
def test_a_column_that_is_missing_or_wrong_is_told_or_not_needed(
    one: Path, name: str, columns: tuple[str, ...]
) -> None:
    """Each in turn has a word in place of its last value, or is not there."""
    whole = pd.read_csv(one / f"{name}.csv", dtype=str, keep_default_na=False)
    for column in columns:
        damaged = whole.copy()
        damaged.loc[damaged.index[-1], column] = "x"
        for table in (damaged, whole.drop(columns=column)):
            table.to_csv(one / f"{name}.csv", index=False)
            with suppress(StudyError):
                assert len(slsim.compare([one], "table1")) == 1, column


def test_where_no_study_can_be_read_each_is_told(command: Command, tmp_path: Path) -> None:
    done = command("compare", tmp_path / "a", tmp_path / "b")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all("is no study: it has no scenario.toml" in line for line in lines)


def test_without_a_study_the_command_says_what_it_needs(command: Command) -> None:
    done = command("compare")
    assert done.returncode == 2
    assert "studies" in done.stderr.lower()


def test_a_manifest_is_not_needed(one: Path) -> None:
    (one / "manifest.json").write_text(json.dumps([1]))
    assert len(slsim.compare([one])) == 5
    (one / "manifest.json").unlink()
    assert len(slsim.compare([one])) == 5


def test_no_training_code_is_imported(one: Path) -> None:
    program = f"import sys, slsim; slsim.compare([{str(one)!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded & {"torch", "torchvision", "numba", "matplotlib"} == set()
