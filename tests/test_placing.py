"""No settings take the place of others' finished study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from listening import CtrlC, Log

from slsim.scenario import plan
from slsim.study import Interrupted, run
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
    assert log.reused == ["identity", "qu 3"]
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
        run(short, results, tell=CtrlC(1, "qu 3"))
    (results / "tiny" / "summary.csv").unlink()  # as where not even the first training was finished
    other = run(short, results, overrides={"training.max_rounds": 1}).path
    assert other.name.startswith("tiny@training.max-rounds=1-")
    assert run(short, results).path == results / "tiny"


def test_settings_that_say_what_the_file_says_are_the_same_study(short: Path) -> None:
    results = short.parent / "results"
    home = run(short, results).path
    assert run(short, results, overrides={"training.max_rounds": 2}).path == home


def test_a_file_that_was_edited_renews_its_study_and_keeps_the_trainings(
    short: Path, tiny: dict[str, Any], write: Write
) -> None:
    results = short.parent / "results"
    home = run(short, results).path
    tiny["training"]["max_rounds"] = 1
    renewed = run(write(tiny), results)
    assert renewed.path == home
    assert list(renewed.summary["rounds"]) == [1, 1]
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
