"""`slsim trace`: which run and which rounds are meant, and the file that is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slsim
from slsim.errors import StudyError
from slsim.study import tracing

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def study(tiny_results: Path) -> slsim.Study:
    return slsim.open_study(tiny_results)


def rounds_of(trace: dict[str, Any]) -> set[int]:
    return {event["args"]["round"] for event in trace["traceEvents"] if event["ph"] == "X"}


def test_the_command_writes_a_trace_of_the_first_three_rounds(command: Command, tiny_study: Path) -> None:
    label = slsim.open_study(tiny_study).played[1].label
    done = command("trace", tiny_study, "--run", "qu")
    assert (done.returncode, done.stderr) == (0, "")
    trace = json.loads(Path("trace.json").read_text("utf-8"))
    assert rounds_of(trace) == {0, 1, 2}
    assert trace["otherData"] == {"study": "tiny", "run": label, "rounds": "0 to 2"}
    events = f"{len(trace['traceEvents']):,} events"
    assert done.stdout == f"Trace: trace.json, {events}; open it at https://ui.perfetto.dev\n"


def test_python_has_the_same_trace_with_or_without_a_file(study: slsim.Study, tmp_path: Path) -> None:
    trace = study.trace("qu", "0:2", tmp_path / "some" / "trace.json")
    assert json.loads((tmp_path / "some" / "trace.json").read_text("utf-8")) == trace
    assert study.trace("qu", "0:2") == trace


@pytest.mark.parametrize("asked", ["ms", "MS", "m"])
def test_a_part_of_a_label_names_a_run_in_whatever_case(study: slsim.Study, asked: str) -> None:
    assert study.trace(asked, "0")["otherData"]["run"] == study.played[2].label


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [("0:3", [0, 1, 2]), ("5", [5]), ("34:", [34, 35]), (":2", [0, 1]), ("35:99", [35]), (":", [*range(36)])],
)
def test_rounds_are_a_range_as_in_python(asked: str, numbers: list[int]) -> None:
    assert tracing.chosen_rounds(asked, 36) == numbers


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("first", '"first" are no rounds: give a range such as 0:3'),
        ("-1", '"-1" are no rounds'),
        ("0:9:2", '"0:9:2" are no rounds'),
        ("", '"" are no rounds'),
        ("36", 'no round is in "36": the run has 36, counted from 0'),
        ("40:", 'no round is in "40:"'),
        ("3:3", 'no round is in "3:3"'),
    ],
)
def test_rounds_that_are_not_there_are_an_error(asked: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        tracing.chosen_rounds(asked, 36)


def test_more_events_than_a_trace_holds_are_an_error_that_says_how_many_rounds_fit(
    study: slsim.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(study.trace("ms", "0:8")["traceEvents"])
    monkeypatch.setattr(tracing, "MOST_EVENTS", whole)
    message = r'36 rounds of ".+" have up to [0-9,]+ events, and a trace holds [0-9,]+: (\d+) of them fit$'
    with pytest.raises(StudyError, match=message) as told:
        study.trace("ms", ":")
    fit = int(str(told.value).split(": ")[-1].split()[0])
    assert 1 <= fit <= 8
    study.trace("ms", f":{fit}")


def test_a_trace_that_cannot_be_written_is_an_error(command: Command, tiny_study: Path) -> None:
    Path("taken").write_text("")
    done = command("trace", tiny_study, "--run", "ms", "--output", "taken/trace.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cannot write taken")


def test_where_there_is_no_study_there_is_no_trace(command: Command, tmp_path: Path) -> None:
    done = command("trace", tmp_path / "none")
    assert done.returncode == 2
    assert "is no study" in done.stderr
