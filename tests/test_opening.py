"""A study in a folder is data: found without what it was learned from, and nothing that it names is run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from own_components import OWN, own_scenario

import slsim
from slsim.errors import OwnCodeError, ReplayError, ScenarioError
from slsim.recording import load, save
from slsim.registry import registry_of
from slsim.results import StudyFolder
from slsim.study import open_study, run

Write = Callable[[dict[str, Any]], Path]

MARK = 'from pathlib import Path\n(Path(__file__).parent / "was-run").touch()\n'


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than all the rest, and nothing here looks at them."""
    monkeypatch.setattr("slsim.study.study.figures", SimpleNamespace(draw_runs=lambda folder: []))


@pytest.fixture
def own(tiny: dict[str, Any], write: Write, tmp_path: Path) -> slsim.Study:
    """A study of a model, a codec, data and a trace of the user's own."""
    return run(write(own_scenario(tiny, tmp_path)), tmp_path / "results")


def assert_answers(path: Path, summary: pd.DataFrame) -> None:
    """The study can be opened, checked and replayed, and says the same."""
    study = open_study(path)
    pd.testing.assert_frame_equal(study.runs, summary)
    assert all(check.passed for check in study.check())
    assert list(study.replay({"network.uplink": "1 Mbps"}).runs["run"]) == list(summary["run"])


def test_a_study_answers_without_code_data_and_traces_and_elsewhere(
    own: slsim.Study, tmp_path: Path, tiny_npz: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN + "# a comment\n")
    assert_answers(own.path, own.runs)
    for name in ("own.py", "widths.py", "lte.csv", "own.npz"):
        (tmp_path / name).unlink()
    elsewhere = Path(shutil.move(own.path, tmp_path / "else" / "where"))
    assert_answers(elsewhere, own.runs)
    assert str(tmp_path / "own") not in (elsewhere / "scenario.toml").read_text().replace("own.npz", "")
    assert str(tmp_path) not in "".join(path.read_text() for path in elsewhere.rglob("recording.json"))
    (copy,) = elsewhere.glob("inputs/*/own.py")
    copy.write_text(OWN + "# edited there\n")
    check = next(check for check in open_study(elsewhere).check() if not check.passed)
    assert check.subject == f"inputs/{copy.parent.name}"
    shutil.rmtree(copy.parent)
    assert_answers(elsewhere, own.runs)


def test_the_written_scenario_is_run_again_elsewhere_and_finds_its_trainings(
    own: slsim.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own.py", "widths.py", "lte.csv"):
        (tmp_path / name).unlink()
    (tmp_path / "own.py").write_text("raise RuntimeError('edited')\n")
    elsewhere = Path(shutil.move(own.path, tmp_path / "else" / "where"))
    monkeypatch.setattr("slsim.study.job.train", None)  # nothing is trained
    again = run(elsewhere / "scenario.toml", tmp_path / "others")
    pd.testing.assert_frame_equal(again.runs, own.runs)
    assert (again.path / "scenario.toml").read_bytes() == (elsewhere / "scenario.toml").read_bytes()
    same = run(elsewhere / "scenario.toml", elsewhere.parent)
    assert same.path == elsewhere


REGISTERED = OWN.replace("class Half", '@register("elsewhere-half")\nclass Half').replace(
    "from slsim.codecs import Codec", "from slsim.codecs import Codec, register"
)


def test_a_study_answers_where_a_component_is_not_installed(
    tiny: dict[str, Any], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_of("codec"), "_entries", dict(registry_of("codec")._entries))
    (tmp_path / "widths.py").write_text("WIDTH = 8\n")
    exec(compile(REGISTERED.replace("from widths import WIDTH", "WIDTH = 8"), "installed", "exec"), {})
    tiny["training"] |= {"max_rounds": 2}
    tiny["sweep"] = {"codec.uplink": ["identity", "elsewhere-half"]}
    study = run(write(tiny), tmp_path / "results")
    del registry_of("codec")._entries["elsewhere-half"]
    assert_answers(study.path, study.runs)
    with pytest.raises(ReplayError, match="changes what is learned"):
        open_study(study.path).replay({"codec.uplink": "no-such"})
    with pytest.raises(ScenarioError, match='there is no device "no-such"'):
        open_study(study.path).replay({"server.device": "no-such"})
    with pytest.raises(ScenarioError, match='there is no codec "elsewhere-half"'):
        run(study.path / "scenario.toml", tmp_path / "others")


def test_recordings_of_code_called_by_its_path_are_found(own: slsim.Study, tmp_path: Path) -> None:
    """As up to version 0.1: there and in the scenario."""
    (copy,) = own.path.glob("inputs/*/own.py")
    scenario = own.path / "scenario.toml"
    scenario.write_text(scenario.read_text().replace(f"inputs/{copy.parent.name}/own.py", "/gone/own.py"))
    shutil.rmtree(copy.parent)
    for folder in own.path.glob("trainings/*"):
        recording = load(folder)
        recording.learning["model"]["name"] = "/gone/own.py:net"  # type: ignore[index]
        recording.learning["data"] |= {"name": "/gone/own.py:Data", "path": str(tmp_path / "own.npz")}  # type: ignore[operator]
        if "Half" in folder.name:
            recording.learning["codec"]["uplink"]["name"] = "/gone/own.py:Half"  # type: ignore[index]
        save(recording, folder)
    assert_answers(own.path, own.runs)


def test_nothing_that_a_study_names_is_run(own: slsim.Study, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(MARK)
    (own.path / "evil.py").write_text(MARK)
    scenario = own.path / "scenario.toml"
    (training,) = own.path.glob("trainings/identity-*")
    for kind, table in (("server", "device"), ("training", "protocol"), ("network", "transport")):
        whole = scenario.read_text()
        changed = whole.replace(f"[{kind}.{table}]\nname = ", f"[{kind}.{table}]\nname = 'evil.py:Evil' # ")
        assert changed != whole
        scenario.write_text(changed)
        with pytest.raises((OwnCodeError, slsim.errors.StudyError)):
            open_study(own.path)
        scenario.write_text(whole)
    recording = load(training)
    recording.learning["codec"]["uplink"]["name"] = "evil.py:Evil"  # type: ignore[index]
    save(recording, training)
    opened = open_study(own.path)
    assert list(opened.runs["run"]) == ["Half (scale none)"]
    opened.check()
    opened.replay({"network.uplink": "1 Mbps"})
    assert not list(tmp_path.rglob("was-run"))


def test_a_device_of_ones_own_is_run_when_it_is_trusted(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN.replace("widths import", "layers import"))
    (tmp_path / "layers.py").write_text("WIDTH = 8\n")
    tiny["server"] = {"device": "own.py:Slow"}
    tiny["training"] |= {"max_rounds": 1}
    tiny["sweep"] = {}
    study = run(write(tiny), tmp_path / "results")
    (tmp_path / "own.py").write_text("1 / 0\n")
    (tmp_path / "layers.py").unlink()
    with pytest.raises(
        OwnCodeError, match=r'the device ".*own.py:Slow" is code that the study names, .* --trust'
    ):
        open_study(study.path)
    trusted = open_study(study.path, trust=True)
    pd.testing.assert_frame_equal(trusted.runs, study.runs)
    assert all(check.passed for check in trusted.check())
    faster = open_study(study.path, trust=True).replay({"server.device": "a100"})
    assert slsim.open_study(faster.path).runs["makespan_s"].iloc[0] < study.runs["makespan_s"].iloc[0]


def test_code_that_a_user_names_in_a_replay_is_run_from_the_working_directory(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "widths.py").write_text("WIDTH = 8\n")
    (tiny_study / "own.py").write_text(MARK)
    monkeypatch.chdir(tmp_path)
    slow = open_study(tiny_study).replay({"server.device": "own.py:Slow"})
    assert slow.runs["makespan_s"].min() > 36 * 4
    assert not (tiny_study / "was-run").exists()


def test_a_recording_from_before_a_key_had_its_default_is_found(tiny_study: Path) -> None:
    summary = open_study(tiny_study).runs
    for folder in (tiny_study / "trainings").iterdir():
        recording = load(folder)
        for key in ("weight_decay", "threads"):
            del recording.learning["training"][key]
        save(recording, folder)
    pd.testing.assert_frame_equal(open_study(tiny_study).runs, summary)


def test_a_reader_is_told_where_trainings_were_computed_by_several_machines(tiny_study: Path) -> None:
    assert open_study(tiny_study).notes == ()
    for folder in (tiny_study / "trainings").iterdir():
        recording = load(folder)
        recording.provenance["host"]["processor"] = "Some CPU"
        recording.provenance["versions"]["torch"] = "2.9"
        if folder.name.startswith("ms-"):
            recording.provenance["device"] = "cuda (Some GPU)"
        save(recording, folder)
    (note,) = open_study(tiny_study).notes
    assert "2 by Some CPU with torch 2.9 and 1 by cuda (Some GPU) with torch 2.9: the same seed" in note


def test_another_trainings_recording_under_a_name_is_damaged(tiny_study: Path) -> None:
    (ms,) = (tiny_study / "trainings").glob("ms-*")
    (qu,) = (tiny_study / "trainings").glob("qu-*")
    shutil.rmtree(ms)
    shutil.copytree(qu, ms)
    study = open_study(tiny_study)
    assert list(study.runs["run"]) == ["identity", "QU (3 bits)"]


def test_a_replay_without_changes_shows_the_study_and_writes_nothing(tiny_study: Path) -> None:
    study = open_study(tiny_study)
    before = sorted(tiny_study.rglob("*"))
    pd.testing.assert_frame_equal(study.replay({}).runs, study.runs)
    assert sorted(tiny_study.rglob("*")) == before
    with pytest.raises(ReplayError, match="its name cannot be set"):
        study.replay({"name": "other"})


def test_replays_of_different_settings_have_folders_of_their_own(tiny_study: Path) -> None:
    study = open_study(tiny_study)
    one = study.replay({"network.uplink": "1 Mbps"})
    same = study.replay({"network.uplink": "1 Mbps"})
    of_another = study.replay({"server.device": "a100"}).replay({"network.uplink": "1 Mbps"})
    assert one.path == same.path
    assert one.path != of_another.path


def test_the_manifest_says_which_trainings_and_threads_a_study_was_made_with(tiny_study: Path) -> None:
    manifest = json.loads((tiny_study / "manifest.json").read_text())
    names = {folder.name for folder in (tiny_study / "trainings").iterdir()}
    assert set(manifest["trainings"]) == names
    folder = StudyFolder.open(tiny_study)
    assert all(folder.load_training(name).provenance["threads"] >= 1 for name in names)


@pytest.mark.parametrize(
    "sweep",
    [
        {"network.uplink": [{"trace": "a.csv"}, {"trace": "b.csv"}]},
        {"network.uplink.trace": ["a.csv", "b.csv"]},
        [
            {"network.uplink": {"trace": "a.csv"}, "network.latency": "1 ms"},
            {"network.uplink": {"trace": "b.csv"}, "network.latency": "2 ms"},
        ],
    ],
)
def test_runs_over_swept_traces_are_called_the_same_wherever_the_study_is(
    tiny: dict[str, Any], write: Write, tmp_path: Path, sweep: object
) -> None:
    for name, rate in (("a.csv", "20 Mbps"), ("b.csv", "3 Mbps")):
        (tmp_path / name).write_text(f"time_s,rate\n0,{rate}\n")
    tiny["training"] |= {"max_rounds": 1}
    tiny["network"] = {"uplink": {"trace": "a.csv"}}
    tiny["sweep"] = sweep
    study = run(write(tiny), tmp_path / "results")
    assert [label.count(name) for label, name in zip(study.runs["run"], ("a.csv", "b.csv"), strict=True)] == [
        1,
        1,
    ]
    elsewhere = shutil.move(study.path, tmp_path / "elsewhere")
    (tmp_path / "a.csv").unlink()
    pd.testing.assert_frame_equal(open_study(elsewhere).runs, study.runs)


def test_a_study_that_is_not_there_is_answered_with_the_nearest(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked in (tiny_study.with_name("tinny"), tiny_study.parent):
        with pytest.raises(slsim.errors.StudyError, match=f'did you mean "{tiny_study}"'):
            open_study(asked)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(slsim.errors.StudyError, match='did you mean "results/tiny"'):
        open_study("tiny")
    with pytest.raises(slsim.errors.StudyError, match="is no study: it has no scenario.toml; make one"):
        open_study(tmp_path / "nothing" / "like")
