"""What a run uses again: not what was asked for anew, nor what was learned from other files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slsim.errors import DataError
from slsim.events import Notice, Tell
from slsim.recording import Recording
from slsim.registry import registry_of
from slsim.results import CODE, StudyFolder, environment
from slsim.scenario import load, plan
from slsim.study import Interrupted, foresee, run
from slsim.study.checkpoint import Checkpoint
from slsim.study.fingerprints import Fingerprints, fingerprint, unchanged
from slsim.study.keys import training_key
from slsim.study.reuse import finished
from slsim.study.training import Training

Write = Callable[[dict[str, Any]], Path]
CODECS = ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]


class Trainings:
    """Stands in for training: notes what would have been trained, and is interrupted where it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.interrupted_at: str | None = None
        self.before: Callable[[], object] = lambda: None  # the data are there

    def __call__(
        self,
        training: Training,
        tell: Tell,
        checkpoint: Checkpoint,
        device: str,
        ready: Any,
        known: Any,
        over: Any,
    ) -> Any:
        del over
        self.before()
        ready()
        if training.label == self.interrupted_at:
            raise KeyboardInterrupt
        self.done.append(training.label)
        provenance = {**environment(), "wall_s": 0.0}
        return None, Recording(training.key, training.scenario.learning_table(), provenance=provenance)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    stand_in = Trainings()
    monkeypatch.setattr("slsim.study.job.train", stand_in)
    monkeypatch.setattr("slsim.study.conducting.rehearse", lambda *_: None)
    monkeypatch.setattr("slsim.study.conducting._Conductor._saved", lambda _: SimpleNamespace(failures=()))
    return stand_in


@pytest.fixture
def npz(tiny: dict[str, Any], tmp_path: Path) -> Path:
    """The data file that `tiny` reads; what it holds does not matter to a stand-in."""
    path = tmp_path / "own.npz"
    path.write_bytes(b"images")
    tiny["data"]["path"] = str(path)
    return path


def trained(trainings: Trainings, path: Path, **options: Any) -> list[str]:
    """What a run trains."""
    trainings.done = []
    run(path, path.parent / "results", **options)
    return trainings.done


def test_what_another_version_made_is_used_again_where_that_is_said(
    trainings: Trainings, tiny: dict[str, Any], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = write(tiny), list[Any]()
    assert trained(trainings, path) == CODECS
    now = environment()
    later = {**now, "versions": {**now["versions"], CODE: "01234567"}}
    monkeypatch.setattr("slsim.study.training.environment", lambda: later)
    assert trained(trainings, path, any_version=True, tell=told.append) == []
    texts = [event.text for event in told if isinstance(event, Notice)]
    assert texts == ["3 of the trainings used again were made by other versions of slsim"]
    (called,) = (path.parent / "results" / "tiny" / "trainings").glob("qu-*")
    called.rename(called.with_name(called.name.replace("qu-3", "QU-3-bits")))
    assert trained(trainings, path, any_version=True) == []  # though it calls one by another name
    for any_version, states in ((True, {"finished"}), (False, {"to do"})):
        forecast = foresee(load(path), path.parent / "results", measured=False, any_version=any_version)
        assert {one.state for one in forecast.trainings} == states
    with pytest.raises(TypeError, match="fresh or any_version, not both"):
        trained(trainings, path, fresh=True, any_version=True)
    assert trained(trainings, path) == CODECS


def test_a_data_file_with_another_content_is_learned_from_anew(
    trainings: Trainings, npz: Path, tiny: dict[str, Any], write: Write
) -> None:
    path = write(tiny)
    assert trained(trainings, path) == CODECS
    npz.touch()
    assert trained(trainings, path) == []
    npz.write_bytes(b"others")
    assert trained(trainings, path) == CODECS
    npz.unlink()  # nothing was learned from anything else
    assert trained(trainings, path) == []


def test_data_that_were_moved_are_those_that_were_learned_from(
    trainings: Trainings, npz: Path, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    assert trained(trainings, write(tiny)) == CODECS
    moved = tmp_path / "elsewhere" / npz.name
    moved.parent.mkdir()
    npz.rename(moved)
    tiny["data"]["path"] = str(moved)
    assert trained(trainings, write(tiny)) == []
    moved.write_bytes(b"others")
    assert trained(trainings, write(tiny)) == CODECS


def test_what_was_there_before_fingerprints_were_taken_is_learned_anew(
    trainings: Trainings, npz: Path, tiny: dict[str, Any], write: Write
) -> None:
    path = write(tiny)
    npz.unlink()
    assert trained(trainings, path) == CODECS
    npz.write_bytes(b"images")
    assert trained(trainings, path) == CODECS


def test_data_that_a_training_downloads_are_those_that_it_has_read(
    trainings: Trainings, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "cifar-100-python"

    def download() -> None:
        if not folder.exists():
            folder.mkdir(parents=True)
            for name in ("train", "test", "meta"):
                (folder / name).write_bytes(b"images")

    trainings.before = download
    tiny["data"] = {"name": "cifar100", "root": str(tmp_path / "data"), "download": True}
    path = write(tiny)
    assert trained(trainings, path) == CODECS
    assert trained(trainings, path) == []
    (folder / "train").write_bytes(b"damaged")
    assert trained(trainings, path) == CODECS


def test_a_missing_data_file_is_still_one_clear_error(
    npz: Path, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    npz.unlink()
    with pytest.raises(DataError, match="there is no data file .*own.npz"):
        run(write(tiny), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_fresh_run_that_is_interrupted_is_done_to_its_end_by_the_next_one(
    trainings: Trainings, tiny: dict[str, Any], write: Write
) -> None:
    path = write(tiny)
    assert trained(trainings, path) == CODECS
    trainings.interrupted_at = "QU (3 bits)"
    with pytest.raises(Interrupted, match="1 of 3 .*; run the same command again without --fresh"):
        trained(trainings, path, fresh=True)
    folder = StudyFolder.of(path.parent / "results" / "tiny")
    there = sorted(path.parent.name for path in folder.trainings.glob("*/recording.json"))
    assert [finished(folder, name) for name in there] == [True, False, False]  # and nothing is lost
    trainings.interrupted_at = None
    assert trained(trainings, path) == ["QU (3 bits)", "MS (90 %, 2 bits)"]
    assert trained(trainings, path) == []
    assert not list(folder.trainings.glob("*/superseded"))


def test_a_fresh_run_goes_on_from_no_checkpoint_that_is_older_not_even_after_an_interruption(
    trainings: Trainings, tiny: dict[str, Any], write: Write
) -> None:
    path = write(tiny)
    last = Training.of(plan(tiny, "test", path.parent).cases[-1].scenario)
    older = StudyFolder.of(path.parent / "results" / "tiny").checkpoint(last.name)
    older.parent.mkdir(parents=True)
    older.write_bytes(b"older")
    trainings.interrupted_at = "identity"
    with pytest.raises(Interrupted):
        trained(trainings, path, fresh=True)
    assert not older.exists()


def test_a_fresh_run_without_its_data_leaves_what_is_finished(
    trainings: Trainings, tiny: dict[str, Any], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise DataError("there is no data file")

    path = write(tiny)
    assert trained(trainings, path) == CODECS
    with monkeypatch.context() as patch:
        patch.setattr("slsim.study.conducting.rehearse", missing)
        with pytest.raises(DataError):
            trained(trainings, path, fresh=True)
    assert trained(trainings, path) == []


def test_a_models_weights_are_read_too_and_leave_its_key_as_it_is(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "resnet18.pth"
    weights.write_bytes(b"weights")
    tiny["model"] = {"name": "resnet18", "cut": "medium", "weights": str(weights)}
    scenario = plan(tiny, "test", tmp_path).cases[0].scenario
    before, key = Fingerprints().of(scenario), training_key(scenario)
    weights.write_bytes(b"updated")
    now = Fingerprints().of(scenario)
    assert set(now) == {"model: resnet18.pth", "data: tiny.npz"}
    assert not unchanged(before, now)
    assert training_key(scenario) == key  # recordings are found without what they read


OWN = """
from slsim.codecs import Identity
from slsim.learning.hooks import Hook

class Reads(Identity):
    def reads(self):
        return [PATH]

class Looks(Hook):
    def reads(self):
        return [PATH]

    def measure(self, look):
        return []
"""


@pytest.mark.parametrize("where", ["uplink", "downlink", "weights", "head_uplink", "head_downlink", "hooks"])
def test_what_any_codec_or_hook_reads_is_learned_from(
    npz: Path, tiny: dict[str, Any], tmp_path: Path, where: str
) -> None:
    read = tmp_path / "codebook"
    read.write_bytes(b"codes")
    own = tmp_path / "own.py"
    own.write_text(OWN.replace("PATH", f"__import__('pathlib').Path({str(read)!r})"))
    tiny["sweep"] = {}
    tiny["model"] |= {"cut": 1, "head_cut": 2}
    tiny["training"]["protocol"] = "u-shaped"
    if where == "hooks":
        tiny["training"]["hooks"] = [{"name": f"{own}:Looks"}]
    else:
        tiny["codec"] = {where: f"{own}:Reads"}
    scenario = plan(tiny, "test", tmp_path).cases[0].scenario
    reader = "hook own.py:Looks" if where == "hooks" else f"codec.{where}"
    assert set(Fingerprints().of(scenario)) == {f"{reader}: codebook", "data: own.npz"}


def test_a_folder_is_another_one_when_a_file_is_added_renamed_resized_or_written(tmp_path: Path) -> None:
    train = tmp_path / "train" / "cat"
    train.mkdir(parents=True)
    (train / "1.png").write_bytes(b"one")
    os.utime(train / "1.png", (1e9, 1e9))
    seen = [fingerprint(tmp_path)]
    (train / ".DS_Store").write_bytes(b"")
    os.utime(train / "1.png", (1e9, 1e9 + 0.5))  # as an archive would keep it
    assert fingerprint(tmp_path) == seen[0]
    (train / "2.png").write_bytes(b"two")
    seen.append(fingerprint(tmp_path))
    (train / "2.png").rename(train / "3.png")
    seen.append(fingerprint(tmp_path))
    (train / "3.png").write_bytes(b"three")
    seen.append(fingerprint(tmp_path))
    os.utime(train / "1.png", (1e9 + 1, 1e9 + 1))
    seen.append(fingerprint(tmp_path))
    assert None not in seen
    assert len(set(seen)) == 5
    assert fingerprint(tmp_path / "nowhere") is None


def test_image_folders_are_read_where_the_images_are(tmp_path: Path) -> None:
    """Decoded images that lie in the root are not, nor is a `test` beside a `val`."""
    for name in ("train", "val", "test"):
        (tmp_path / name).mkdir()
    source = registry_of("data").create("folder", root=str(tmp_path), cache=str(tmp_path / "cache"))
    assert source.reads() == [tmp_path / "train", tmp_path / "val"]
    assert registry_of("data").create("fashion-mini").reads() == []


def test_a_fresh_run_that_is_killed_before_its_first_round_is_done_by_the_next_one(
    trainings: Trainings, tiny: dict[str, Any], write: Write
) -> None:
    class Killed(BaseException):
        """As SIGKILL does: nothing of ours runs any more."""

    def killed() -> None:
        raise Killed

    path = write(tiny)
    assert trained(trainings, path) == CODECS
    trainings.before = killed
    with pytest.raises(Killed):
        trained(trainings, path, fresh=True)
    trainings.before = lambda: None
    assert trained(trainings, path) == CODECS
