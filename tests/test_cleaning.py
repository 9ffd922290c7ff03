"""What `slsim clean` finds in a study, and what it leaves alone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from slsim import cli
from slsim.locks import training_lock
from slsim.results import StudyFolder
from slsim.study import open_study
from slsim.study.cleaning import leftovers, remove

KEY = "01234567"


def whys(study: Path) -> dict[str, str]:
    """Why each thing may be removed, by its path in the study."""
    found = leftovers(StudyFolder.of(study))
    return {one.path.relative_to(study).as_posix(): one.why for one in found}


def begun(study: Path, name: str) -> None:
    """As a run leaves a training that it was killed in."""
    folder = StudyFolder.of(study)
    folder.checkpoint(name).write_bytes(b"state")
    (folder.checkpoint(name).with_suffix(".parts") / "000001").mkdir(parents=True)


def files(study: Path) -> set[Path]:
    return set(study.rglob("*"))


def test_a_finished_study_has_nothing_to_remove(tiny_study: Path) -> None:
    open_study(tiny_study).replay({"network.uplink": "1 Mbps"})
    assert whys(tiny_study) == {}


def test_what_is_incomplete_or_superseded_is_removed_and_nothing_else(tiny_study: Path) -> None:
    before, trainings = files(tiny_study), tiny_study / "trainings"
    (qu,) = trainings.glob("qu-*")
    begun(tiny_study, f"sp-{KEY}")
    (tiny_study / ".unfinished-0123").write_text("half a table")
    (trainings / ".unfinished-4567").mkdir()
    (trainings / f".lock-sp-{KEY}").touch()
    shutil.copytree(qu, trainings / f"{qu.name}.damaged")
    shutil.copytree(qu, trainings / f"qu-3-{KEY}")
    (trainings / f"{qu.name}.error.txt").write_text("of an attempt before")
    (tiny_study / "inputs" / KEY).mkdir(parents=True)
    (tiny_study / "inputs" / KEY / "lte.csv").write_text("time_s,rate\n")
    (tiny_study / "notes.txt").write_text("a user's own")
    (trainings / "a-users-folder").mkdir()
    found = whys(tiny_study)
    assert found == {
        ".unfinished-0123": "left by a run that was killed",
        "trainings/.unfinished-4567": "left by a run that was killed",
        f"trainings/.checkpoint-sp-{KEY}.pt": "a training begun; a run would resume it",
        f"trainings/.checkpoint-sp-{KEY}.parts": "a training begun; a run would resume it",
        f"trainings/{qu.name}.damaged": "set aside, because it cannot be read",
        f"trainings/qu-3-{KEY}": "a training that no table uses any more",
        f"trainings/{qu.name}.error.txt": "of a training that was done since",
        f"inputs/{KEY}": "its scenario does not name it any more",
    }
    folder = StudyFolder.of(tiny_study)
    assert len(remove(folder, leftovers(folder))) == len(found)
    kept = {tiny_study / "notes.txt", trainings / "a-users-folder", tiny_study / "inputs"}
    assert files(tiny_study) == before | kept
    assert all(check.passed for check in open_study(tiny_study).check())


def test_a_training_that_a_replay_shows_is_kept(tiny_study: Path) -> None:
    replayed = open_study(tiny_study).replay({"network.uplink": "1 Mbps"})
    (ms,) = (tiny_study / "trainings").glob("ms-*")
    for table in tiny_study.glob("*.csv"):  # as of a scenario without that codec
        rows = table.read_text().splitlines(keepends=True)
        table.write_text("".join(row for row in rows if not row.startswith('"MS')))
    manifest = json.loads((tiny_study / "manifest.json").read_text())
    manifest["trainings"].remove(ms.name)
    (tiny_study / "manifest.json").write_text(json.dumps(manifest))
    assert whys(tiny_study) == {}
    shutil.rmtree(replayed.path)
    assert list(whys(tiny_study)) == [f"trainings/{ms.name}"]


@pytest.mark.parametrize("file", ["manifest.json", "summary.csv"])
def test_no_training_is_removed_where_nothing_says_which_are_used(file: str, tiny_study: Path) -> None:
    (qu,) = (tiny_study / "trainings").glob("qu-*")
    shutil.copytree(qu, qu.with_name(f"qu-3-{KEY}"))
    (tiny_study / file).write_bytes(b"\xff")
    assert whys(tiny_study) == {}


def test_a_study_that_is_being_trained_in_is_left_alone(tiny_study: Path) -> None:
    begun(tiny_study, f"sp-{KEY}")
    folder = StudyFolder.of(tiny_study)
    listed = leftovers(folder)
    before = files(tiny_study)
    with training_lock(folder.training(f"other-{KEY}")):
        assert whys(tiny_study) == {}
        assert remove(folder, listed) == []  # begun after the question was asked
    assert files(tiny_study) == before
    assert len(remove(folder, listed)) == 2


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch, tiny_study: Path) -> Path:
    """The checkpoint of a training begun, in a study in the working directory."""
    begun(tiny_study, f"sp-{KEY}")
    monkeypatch.chdir(tiny_study.parent.parent)
    return StudyFolder.of(tiny_study).checkpoint(f"sp-{KEY}")


@pytest.mark.parametrize(
    ("arguments", "answer", "is_removed"),
    [
        ([], "n", False),
        ([], "y", True),
        ([], None, False),
        (["--yes"], None, True),
        (["results", "-y"], None, True),
    ],
)
def test_it_asks_before_it_removes(
    arguments: list[str],
    answer: str | None,
    is_removed: bool,
    at_a_terminal: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: answer is not None, raising=False)
    monkeypatch.setattr("typer.confirm", lambda _: answer == "y")
    monkeypatch.setattr(sys, "argv", ["slsim", "clean", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert f"results/tiny/trainings/{at_a_terminal.name}: a training begun" in out
    assert at_a_terminal.exists() is not is_removed
    assert ("Removed 2" in out) is is_removed
