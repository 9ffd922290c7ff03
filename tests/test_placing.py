"""No settings take the place of others' finished study."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from listening import CtrlC, Log

from slsim.circumstances import git_commit
from slsim.errors import ScenarioError
from slsim.results import StudyFolder
from slsim.scenario import plan
from slsim.study import Interrupted, open_study, run
from slsim.study.placing import described
from slsim.study.training import Training

Write = Callable[[dict[str, Any]], Path]


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".toml")}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than all the rest, and nothing here looks at them."""
    monkeypatch.setattr("slsim.study.study.figures", SimpleNamespace(draw_runs=lambda folder: []))


@pytest.fixture
def short(tiny: dict[str, Any], write: Write) -> Path:
    """A scenario of two trainings of two rounds."""
    tiny["training"] |= {"max_rounds": 2}
    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "qu", "bits": 3}]}
    return write(tiny)


def test_other_settings_have_a_folder_of_their_own_and_reuse_what_is_the_same(short: Path) -> None:
    results = short.parent / "results"
    home = run(short, results).path
    before, log = tables(home), Log()
    other = run(short, results, overrides={"network.uplink": "1 Mbps"}, tell=log)
    assert other.path.name.startswith("tiny@network.uplink=1-Mbps-")
    assert log.reused == ["identity", "QU (3 bits)"]
    assert log.notices == [f"{home} has other settings; these go to {other.path}"]
    assert all(check.passed for check in other.check())
    assert {path.name for path in (other.path / "trainings").iterdir()} == {
        path.name for path in (home / "trainings").iterdir()
    }
    again = run(short, results, overrides={"network.uplink": "1 Mbps"}).path
    limited = run(short, results, overrides={"training.max_rounds": 1}).path
    assert again == other.path
    assert limited not in (home, other.path)
    assert tables(home) == before


def test_other_settings_leave_an_interrupted_study_to_be_resumed(short: Path) -> None:
    results = short.parent / "results"
    with pytest.raises(Interrupted):
        run(short, results, tell=CtrlC(1, "QU (3 bits)"))
    (results / "tiny" / "runs.csv").unlink()  # as where not even the first training was finished
    other = run(short, results, overrides={"training.max_rounds": 1}).path
    assert other.name.startswith("tiny@training.max-rounds=1-")
    assert run(short, results).path == results / "tiny"


def test_settings_that_say_what_the_file_says_are_the_same_study(short: Path) -> None:
    results = short.parent / "results"
    home = run(short, results).path
    assert run(short, results, overrides={"training.max_rounds": 2}).path == home


def test_a_file_that_was_edited_renews_its_study_and_keeps_the_former_answers_and_the_trainings(
    short: Path, tiny: dict[str, Any], write: Write
) -> None:
    results, log = short.parent / "results", Log()
    home = run(short, results).path
    before = tables(home)
    tiny["training"]["max_rounds"] = 1
    renewed = run(write(tiny), results, tell=log)
    (former,) = (home / "replays").iterdir()
    assert former.name.startswith("before-20")
    assert log.notices == [f"{home} had other settings: its tables, figures and scenario are in {former} now"]
    assert tables(former) == before
    opened = open_study(former)
    assert list(opened.runs["rounds"]) == [2, 2]
    assert all(check.passed for check in opened.check())
    run(write(tiny), results)
    assert list((home / "replays").iterdir()) == [former]
    assert renewed.path == home
    assert list(renewed.runs["rounds"]) == [1, 1]
    assert len(list((home / "trainings").iterdir())) == 4


def test_the_file_itself_does_not_replace_what_was_set_first(short: Path) -> None:
    results = short.parent / "results"
    first = run(short, results, overrides={"training.max_rounds": 1}).path
    assert first.name == "tiny"
    before = tables(first)
    assert run(short, results).path.name.startswith("tiny@")
    assert tables(first) == before


def test_folders_are_called_by_short_names_that_differ(tiny: dict[str, Any], tmp_path: Path) -> None:
    long = {"network.uplink": [f"{rate} Mbps" for rate in range(1, 90)]}
    longer = {"network.uplink": [f"{rate} Mbps" for rate in range(1, 91)]}
    alike = [{"network.uplink": "1 Mbps"}, {"network.uplink": "1-Mbps"}]
    names = [described(one) for one in (long, longer, *alike)]
    assert len(set(names)) == 4
    assert max(map(len, names)) < 80
    tiny["sweep"] = {}
    (tmp_path / "own.py").write_text(OWN)
    tiny["codec"] = {"uplink": {"name": "own.py:Mine", "text": "../[/b]" * 50}}
    name = Training.of(plan(tiny, "test", tmp_path).cases[0].scenario).name
    assert name.startswith("Mine-..-b-..-b")
    assert len(name) < 80


OWN = """
from slsim.codecs import Identity

class Mine(Identity):
    text: str
"""


def test_another_file_with_the_name_of_a_study_has_a_folder_of_its_own(
    short: Path, tiny: dict[str, Any], write: Write
) -> None:
    results = short.parent / "results"
    home = run(short, results).path
    before, log = tables(home), Log()
    tiny["network"] = {"uplink": "1 Mbps"}
    (short.parent / "other").mkdir()
    other = run(write(tiny, "other/scenario.toml"), results, tell=log).path
    assert other.name.startswith("tiny@scenario-")
    assert log.reused == ["identity", "QU (3 bits)"]
    tiny["network"] = {"uplink": "2 Mbps"}
    assert run(write(tiny, "other/scenario.toml"), results).path == other  # edited: renewed
    assert run(short, results).path == home
    assert tables(home) == before
    settings = {"training.max_rounds": 1}
    of_first, of_other = (
        run(path, results, overrides=settings).path
        for path in (short, short.parent / "other" / "scenario.toml")
    )
    assert len({home, other, of_first, of_other}) == 4


def test_the_same_scenario_in_another_file_is_the_same_study(
    short: Path, tiny: dict[str, Any], write: Write
) -> None:
    home = run(short, short.parent / "results").path
    (short.parent / "other").mkdir()
    assert run(write(tiny, "other/scenario.toml"), short.parent / "results").path == home


def test_scenario_and_results_that_were_moved_together_are_the_same_study(
    short: Path, tiny: dict[str, Any], write: Write
) -> None:
    project = short.parent / "project"
    project.mkdir()
    run(write(tiny, "project/scenario.toml"), project / "results")
    moved = project.rename(short.parent / "moved")
    tiny["training"]["max_rounds"] = 1
    write(tiny, "moved/scenario.toml")
    assert run(moved / "scenario.toml", moved / "results").path == moved / "results" / "tiny"


def test_a_study_has_the_name_that_it_is_given_and_shares_trainings(short: Path) -> None:
    results = short.parent / "results"
    home, log = run(short, results).path, Log()
    before = tables(home)
    mine = run(short, results, name="mine", overrides={"network.uplink": "1 Mbps"}, tell=log)
    assert mine.path == results / "mine"
    assert log.reused == ["identity", "QU (3 bits)"]
    assert 'name = "mine"' in (mine.path / "scenario.toml").read_text()
    assert run(short, results, name="mine").path.name.startswith("mine@")
    assert tables(home) == before
    with pytest.raises(ScenarioError, match="name: "):
        run(short, results, name="../mine")


def test_the_manifest_tells_how_a_study_was_made(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/slsim", "run", "scenario.toml"])
    study = run(short, short.parent / "results", overrides={"training.max_rounds": 1})
    manifest = StudyFolder.of(study.path).load_manifest()
    made = datetime.datetime.fromisoformat(manifest["date"])
    assert made.tzinfo is not None
    assert manifest["command"] == ["slsim", "run", "scenario.toml"]
    assert manifest["set"] == {"training.max_rounds": 1}
    assert manifest["scenario"] == "../../scenario.toml"
    assert manifest["host"]["processor"]
    assert manifest["host"]["cpus"] >= 1


def test_the_commit_of_the_working_directory_is_told_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_commit(tmp_path) == {}

    def git(*command: str) -> None:
        named = ["-c", "user.name=A", "-c", "user.email=a@b.org"]
        subprocess.run(["git", *named, *command], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    (tmp_path / "results").write_text("untracked")
    clean = git_commit(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == {**clean, "dirty": True}
    monkeypatch.setenv("PATH", "")
    assert git_commit(tmp_path) == {}
