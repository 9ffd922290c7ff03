"""`slsim trace`: which run and which rounds are meant, and the file that is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
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


def runs_called(*labels: str) -> Any:
    return [SimpleNamespace(label=label, setting=label.partition(",")[0]) for label in labels]


def test_a_label_names_its_run_where_others_contain_it() -> None:
    assert tracing.chosen_run(runs_called("ms", "ms, 10 Mbps"), "ms").label == "ms"


def test_parts_between_commas_are_looked_for_each() -> None:
    runs = runs_called("MS (99 %, 2 bit), 10 Mbps, seed 0", "MS (99 %, 2 bit), 10 Mbps, seed 1", "QU, seed 0")
    assert tracing.chosen_run(runs, "ms, seed 0") is runs[0]


def test_whole_words_are_looked_for_before_parts_of_words() -> None:
    runs = runs_called("ms, 1 Mbps, seed 1", "ms, 4.1 Mbps, seed 1", "ms, 1 Mbps, seed 10")
    assert tracing.chosen_run(runs, "1 mbps, seed 1") is runs[0]
    assert tracing.chosen_run(runs, "4.1") is runs[1]
    assert tracing.chosen_run(runs, "eed 10") is runs[2]


def test_several_runs_of_a_name_are_an_error_that_lists_them() -> None:
    message = '2 runs have "MS" in their names, and one can be traced: "ms, seed 0" and "ms, seed 1"$'
    with pytest.raises(StudyError, match=message):
        tracing.chosen_run(runs_called("qu, seed 0", "ms, seed 0", "ms, seed 1"), "MS")


def test_the_nearest_setting_is_proposed_where_no_label_is_near() -> None:
    with pytest.raises(StudyError, match='there is no run "rtt"; did you mean "rt"[?]'):
        tracing.chosen_run(runs_called("rt, seed 0", "ms, seed 0"), "rtt")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("", "the study has 3 runs; name one: its runs are identity, qu and ms"),
        ("idnt", 'there is no run "idnt"; did you mean "identity"? its runs are identity, qu and ms'),
        ("other", 'there is no run "other"; its runs are identity, qu and ms'),
    ],
)
def test_a_run_that_is_not_clear_is_an_error_that_lists_them(asked: str, message: str) -> None:
    with pytest.raises(StudyError, match=f"^{re.escape(message)}$"):
        tracing.chosen_run(runs_called("identity", "qu", "ms"), asked)


def test_the_only_run_needs_no_name() -> None:
    assert tracing.chosen_run(runs_called("qu"), "").label == "qu"


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
