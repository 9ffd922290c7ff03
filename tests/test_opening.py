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

import slsim
from slsim.errors import OwnCodeError, ReplayError
from slsim.recording import load, save
from slsim.results import StudyFolder
from slsim.study import open_study, run

Write = Callable[[dict[str, Any]], Path]

OWN = '''
import math
import numpy as np
from torch import nn
from slsim.codecs import Codec
from slsim.devices import Device

class Half(Codec):
    """float16: half the bytes."""

    scale: str = "none"

    def encode_values(self, values, shape, rng):
        return values.astype("<f2").tobytes()

    def decode_values(self, content, shape):
        return np.frombuffer(content, "<f2").astype(np.float32)

    def body_bytes(self, shape):
        return 2 * math.prod(shape)

def net(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, num_classes))

class Slow(Device):
    """A second, whatever is to be done."""

    def piece_seconds(self, work):
        return 1.0
'''
MARK = 'from pathlib import Path\n(Path(__file__).parent / "was-run").touch()\n'


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than all the rest, and nothing here looks at them."""
    monkeypatch.setattr("slsim.study.study.figures", SimpleNamespace(draw_runs=lambda folder: []))


@pytest.fixture
def own(tiny: dict[str, Any], write: Write, tmp_path: Path) -> slsim.Study:
    """A study of a model, a codec and a trace of the user's own."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "lte.csv").write_text("time_s,rate\n0,20 Mbps\n1,3 Mbps\n")
    tiny["model"] = {"name": "own.py:net", "cut": 3}
    tiny["network"] = {"uplink": {"trace": "lte.csv"}}
    tiny["training"] |= {"max_rounds": 2}
    tiny["sweep"] = {"codec.uplink": ["identity", "own.py:Half"]}
    return run(write(tiny), tmp_path / "results")


def assert_answers(path: Path, summary: pd.DataFrame) -> None:
    """The study can be opened, checked and replayed, and says the same."""
    study = open_study(path)
    pd.testing.assert_frame_equal(study.summary, summary)
    assert all(check.passed for check in study.check())
    assert list(study.replay({"network.uplink": "1 Mbps"}).summary["run"]) == list(summary["run"])


def test_a_study_answers_without_code_data_and_traces_and_elsewhere(
    own: slsim.Study, tmp_path: Path, tiny_npz: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN + "# a comment\n")
    assert_answers(own.path, own.summary)
    (tmp_path / "own.py").unlink()
    (tmp_path / "lte.csv").unlink()
    elsewhere = shutil.move(own.path, tmp_path / "elsewhere")
    assert_answers(elsewhere, own.summary)


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
    assert list(opened.summary["run"]) == ["Half"]
    opened.check()
    opened.replay({"network.uplink": "1 Mbps"})
    assert not list(tmp_path.rglob("was-run"))


def test_a_device_of_ones_own_is_run_when_it_is_trusted(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    tiny["server"] = {"device": "own.py:Slow"}
    tiny["training"] |= {"max_rounds": 1}
    tiny["sweep"] = {}
    study = run(write(tiny), tmp_path / "results")
    with pytest.raises(
        OwnCodeError, match=r'the device ".*own.py:Slow" is code that the study names, .* --trust'
    ):
        open_study(study.path)
    trusted = open_study(study.path, trust=True)
    pd.testing.assert_frame_equal(trusted.summary, study.summary)
    assert all(check.passed for check in trusted.check())
    faster = open_study(study.path, trust=True).replay({"server.device": "a100"})
    assert slsim.open_study(faster.path).summary["makespan_s"].iloc[0] < study.summary["makespan_s"].iloc[0]


def test_code_that_a_user_names_in_a_replay_is_run_from_the_working_directory(
    tiny_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tiny_study / "own.py").write_text(MARK)
    monkeypatch.chdir(tmp_path)
    slow = open_study(tiny_study).replay({"server.device": "own.py:Slow"})
    assert slow.summary["makespan_s"].min() > 36 * 4
    assert not (tiny_study / "was-run").exists()


def test_a_recording_from_before_a_key_had_its_default_is_found(tiny_study: Path) -> None:
    summary = open_study(tiny_study).summary
    for folder in (tiny_study / "trainings").iterdir():
        recording = load(folder)
        for key in ("weight_decay", "threads"):
            del recording.learning["training"][key]
        save(recording, folder)
    pd.testing.assert_frame_equal(open_study(tiny_study).summary, summary)


def test_another_trainings_recording_under_a_name_is_damaged(tiny_study: Path) -> None:
    (ms,) = (tiny_study / "trainings").glob("ms-*")
    (qu,) = (tiny_study / "trainings").glob("qu-*")
    shutil.rmtree(ms)
    shutil.copytree(qu, ms)
    study = open_study(tiny_study)
    assert list(study.summary["run"]) == ["identity", "qu"]


def test_a_replay_without_changes_shows_the_study_and_writes_nothing(tiny_study: Path) -> None:
    study = open_study(tiny_study)
    before = sorted(tiny_study.rglob("*"))
    pd.testing.assert_frame_equal(study.replay({}).summary, study.summary)
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
    assert [label.split(", ")[1] for label in study.summary["run"]] == ["a.csv", "b.csv"]
    elsewhere = shutil.move(study.path, tmp_path / "elsewhere")
    (tmp_path / "a.csv").unlink()
    pd.testing.assert_frame_equal(open_study(elsewhere).summary, study.summary)
