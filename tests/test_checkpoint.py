"""A training that was killed goes on from its checkpoint and ends as one that was not, bit for bit."""

from __future__ import annotations

import errno
import io
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from slsim.errors import StudyError
from slsim.learning.trainer import Trainer
from slsim.recording import Recording, Status
from slsim.results import StudyFolder
from slsim.scenario import plan
from slsim.study import Silent, checkpoint, run
from slsim.study.checkpoint import Checkpoint
from slsim.study.training import Training, train

Write = Callable[[dict[str, Any]], Path]

OWN = """
from torch import nn

def net(image_shape, num_classes):
    block = nn.Sequential(nn.Conv2d(image_shape[0], 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU())
    rest = nn.Sequential(nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, num_classes))
    return nn.Sequential(block, rest)
"""
PROTOCOLS: dict[str, Any] = {
    "splitfed": "splitfed",
    "splitfed local": {"name": "splitfed", "local_epochs": 1},
    "splitfed-v2": {"name": "splitfed-v2", "local_epochs": 1},
    "sequential": "sequential",
    "fedavg": "fedavg",
    "centralized": "centralized",
}


def document_of(tiny: dict[str, Any], protocol: str, **tables: Any) -> dict[str, Any]:
    """Random draws wherever there can be some: participants, codec, augmentation, batches."""
    document = {key: value for key, value in tiny.items() if key != "sweep"}
    return {
        **document,
        "data": {**tiny["data"], "augment": {"flip": True}, "partition": {"dirichlet": 1.0}},
        "clients": {"count": 6, "per_round": 3, "batch_size": 10},
        "codec": {"uplink": {"name": "rt", "sparsity": 0.5}, "weights": {"name": "qsgd"}},
        "training": {
            "protocol": PROTOCOLS[protocol],
            "epochs": 3,
            "learning_rate": 0.02,
            "momentum": 0.9,
            "target_accuracy": 0.5,
        },
        **tables,
    }


def training_of(document: dict[str, Any]) -> Training:
    return Training.of(plan(document, "test", Path()).cases[0].scenario)


class Kept(Checkpoint):
    """A checkpoint after every round and every step within one, each kept as a file of its own."""

    def due(self, epoch_ended: bool) -> bool:
        return True

    def save(self, state: dict[str, Any], recording: Recording, wall_s: float) -> None:
        super().save(state, recording, wall_s)
        within = f"-{len(state['open_round']['turns'])}" if state["open_round"] else ""
        name = f"{len(recording.rounds)}{within}.pt"  # "3-7.pt": seven turns into the fourth round
        (self._path.parent / name).write_bytes(self._path.read_bytes())


class Rounds(Silent):
    """Notes the rounds that were done here, and not before an interruption."""

    def __init__(self) -> None:
        self.done: list[int] = []

    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None:
        self.done.append(rounds_done)


def assert_same(one: tuple[Trainer, Recording], other: tuple[Trainer, Recording]) -> None:
    """Messages, evaluations, weights, momentum and everything else that is kept."""
    assert one[1].rounds == other[1].rounds
    assert one[1].evaluations == other[1].evaluations
    first, second = one[0].state(), other[0].state()
    assert first.keys() == second.keys()
    for key, value in first.items():
        torch.testing.assert_close(value, second[key], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_going_on_from_any_rounds_checkpoint_ends_the_same(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    training = training_of(document_of(tiny, protocol))
    folder = tmp_path / "kept"
    whole = train(training, Silent(), Kept(folder / "c.pt"))
    total = whole[0].progress.total_rounds
    assert len(whole[1].rounds) == total > 3
    middle = total // 2  # in the midst of an epoch, for steps
    for number in sorted({1, middle, middle + 1, total}):
        observer = Rounds()
        resumed = train(training, observer, Checkpoint(folder / f"{number}.pt"))
        assert observer.done == list(range(number + 1, total + 1))
        assert_same(resumed, whole)
    within = sorted(folder.glob("1-*.pt"), key=lambda path: int(path.stem.partition("-")[2]))
    assert bool(within) == (protocol not in ("splitfed", "centralized"))
    for path in within[:1] + within[len(within) // 2 :][:2] + within[-1:]:  # of one participant, and the next
        observer = Rounds()
        resumed = train(training, observer, Checkpoint(path))
        assert observer.done == list(range(2, total + 1))
        assert_same(resumed, whole)


@pytest.mark.parametrize(
    ("protocol", "kept"), [("splitfed", "5.pt"), ("splitfed local", "1-7.pt"), ("splitfed-v2", "2-9.pt")]
)
def test_dropout_and_counted_statistics_go_on_too(
    tiny: dict[str, Any], tmp_path: Path, protocol: str, kept: str
) -> None:
    """Dropout draws from the scenario's seed; batch normalization without momentum counts its batches."""
    (tmp_path / "own.py").write_text(OWN)
    model = {"name": f"{tmp_path / 'own.py'}:net", "cut": 1}
    training = training_of(document_of(tiny, protocol, model=model))
    whole = train(training, Silent(), Kept(tmp_path / "kept" / "c.pt"))
    torch.rand(5)  # somebody else draws in between
    again = train(training, Silent())
    assert_same(again, whole)
    resumed = train(training, Silent(), Checkpoint(tmp_path / "kept" / kept))
    assert_same(resumed, whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from slsim.study import Silent, checkpoint, run

class Killer(Silent):
    def round_finished(self, label, rounds_done, accuracy):
        if str(rounds_done) == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

if "." in sys.argv[3]:  # within the round: after so many saves, of which every pause has one
    checkpoint.LONGEST_S, left = 0, [int(sys.argv[3].partition(".")[2])]
    save = checkpoint.Checkpoint.save
    def saving(*arguments):
        save(*arguments)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.Checkpoint.save = saving

run(Path(sys.argv[1]), Path(sys.argv[2]), observer=Killer())
"""


@pytest.mark.parametrize(
    ("protocol", "killed_at", "kept"), [("splitfed", "21", 16), ("splitfed-v2", "2.31", 2)]
)
def test_a_run_killed_by_the_system_goes_on(
    tiny: dict[str, Any], write: Write, tmp_path: Path, protocol: str, killed_at: str, kept: int
) -> None:
    """SIGKILL, so many rounds, or checkpoints, into a training whose last checkpoint has `kept` rounds."""
    clients = {"count": 6, "per_round": 3, "batch_size": 10}
    even = {**tiny["data"], "augment": {"flip": True}}  # 40 images each: 8 rounds of steps an epoch
    document = document_of(tiny, protocol, clients=clients, data=even)
    path, results = write(document), tmp_path / "results"
    command = [sys.executable, "-W", "error", "-c", KILLED, str(path), str(results), killed_at]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    training = training_of(document)
    file = StudyFolder.of(results / "tiny").checkpoint(training.name)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    whole = train(training, Silent())
    copied = tmp_path / "copied.pt"
    copied.write_bytes(file.read_bytes())
    assert_same(train(training, Silent(), Checkpoint(copied)), whole)
    observer = Rounds()
    study = run(path, results, observer=observer)
    assert observer.done == list(range(kept + 1, whole[0].progress.total_rounds + 1))
    assert study.runs[0].recording.rounds == whole[1].rounds
    assert study.runs[0].recording.evaluations == whole[1].evaluations
    assert [entry.name for entry in file.parent.iterdir()] == [training.name]  # the checkpoint is gone
    unbroken = run(path, tmp_path / "unbroken")
    pd.testing.assert_frame_equal(study.summary, unbroken.summary)


@pytest.fixture
def interrupted(tiny: dict[str, Any], write: Write, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A scenario file, its results after one of two trainings, and the second one's checkpoint."""

    class CtrlC(Silent):
        def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None:
            if "qu" in label and rounds_done == 14:
                raise KeyboardInterrupt

    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "qu", "bits": 3}]}
    path, results = write(tiny), tmp_path / "results"
    with pytest.raises(StudyError, match="1 of 2 trainings are finished"):
        run(path, results, observer=CtrlC())
    (file,) = (results / "tiny" / "trainings").glob(".checkpoint-*")
    return path, results, file


class Notices(Rounds):
    """Notes what the user is told, too."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def notice(self, text: str) -> None:
        self.told.append(text)


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(byte ^ 1 for byte in content[middle : middle + 100])
        + content[middle + 100 :]
    )


def changed(change: Callable[[dict[str, Any]], object], sealed: bool = True) -> Callable[[bytes], bytes]:
    """A checkpoint with other content, by somebody who knows how its hash is made, unless not `sealed`."""

    def of(content: bytes) -> bytes:
        values = torch.load(io.BytesIO(content), weights_only=True)
        change(values)
        if sealed:
            values["hash"] = checkpoint._hash({key: item for key, item in values.items() if key != "hash"})
        written = io.BytesIO()
        torch.save(values, written)
        return written.getvalue()

    return of


def into_a_file(values: dict[str, Any]) -> None:
    values["recording"]["../../../../of-the-users"] = torch.zeros(3, dtype=torch.uint8)


def far_on(values: dict[str, Any]) -> None:
    values["state"]["rounds"] = 10**9


def with_nan(values: dict[str, Any]) -> None:
    values["state"]["client"]["weights"][3] = math.nan


def smaller(values: dict[str, Any]) -> None:
    values["state"]["server"]["weights"] = torch.zeros(7)


def of_another_training(values: dict[str, Any]) -> None:
    values["key"] = "01234567"


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "half": (halved, "zip"),
    "empty": (lambda _: b"", "zip"),
    "text": (lambda _: b"nonsense", "zip"),
    "flipped": (flipped, "is wrong|zip|Bad|magic"),
    "edited": (changed(far_on, sealed=False), "its hash is not that of its content"),
    "a file of the user's": (changed(into_a_file), "has a file '../../../../of-the-users' that no recording"),
    "far on": (changed(far_on), "state.rounds: 1000000000; 12 of 36 were recorded"),
    "not a number": (changed(with_nan), "state.client.weights: is not finite"),
    "another shape": (changed(smaller), r"state.server.weights: has the shape \(7,\), not"),
    "another training's": (changed(of_another_training), "it is of the training '01234567'"),
    "no state": (changed(lambda values: values.pop("state")), "'state' is missing"),
    "no momentum": (changed(lambda values: values["state"].pop("taken")), "state: has not the keys"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_training_starts_anew(
    checkpointed: tuple[Training, bytes, Recording],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    why: str,
) -> None:
    training, content, unbroken = checkpointed
    file = tmp_path / "trainings" / ".checkpoint-qu.pt"
    file.parent.mkdir()
    file.write_bytes(damage(content))
    observer = Notices()
    _, recording = train(training, observer, Checkpoint(file, notice=observer.notice))
    assert recording.evaluations == unbroken.evaluations
    assert observer.done == list(range(1, 37))
    (told,) = observer.told
    assert told.startswith(f"the checkpoint {file} cannot be gone on from (")
    assert re.search(why, told)
    assert told.endswith("it is kept as .checkpoint-qu.pt.damaged, and that training starts anew")
    assert not (tmp_path / "of-the-users").exists()


@pytest.fixture(scope="module")
def checkpointed(
    tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Training, bytes, Recording]:
    """A training, the checkpoint after a third of it, and its recording."""
    document = {key: value for key, value in tiny_document.items() if key != "sweep"}
    training, kept = training_of(document), tmp_path_factory.mktemp("kept")
    _, recording = train(training, Silent(), Kept(kept / "c.pt"))
    return training, (kept / "12.pt").read_bytes(), recording


def test_a_checkpoint_goes_on_where_it_was_and_fresh_ignores_it(
    interrupted: tuple[Path, Path, Path],
) -> None:
    path, results, file = interrupted
    kept = file.read_bytes()
    resumed = Rounds()
    run(path, results, observer=resumed)
    assert resumed.done == list(range(13, 37))
    assert not file.exists()
    file.write_bytes(kept)
    fresh = Rounds()
    run(path, results, fresh=True, observer=fresh)
    assert fresh.done == [*range(1, 37)] * 2
    assert not file.exists()


def test_a_checkpoint_of_another_version_is_not_gone_on_from(
    interrupted: tuple[Path, Path, Path],
) -> None:
    path, results, file = interrupted
    older = changed(lambda values: values["versions"].update(torch="0.0.1"))
    file.write_bytes(older(file.read_bytes()))
    observer = Rounds()
    run(path, results, observer=observer)
    assert observer.done == list(range(1, 37))


def test_a_full_disk_while_saving_is_one_clear_error_and_harms_nothing(
    tiny: dict[str, Any], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "qu", "bits": 3}]}
    path, results = write(tiny), tmp_path / "results"
    save, saved = Checkpoint.save, []

    def full(*arguments: Any) -> None:
        saved.append(arguments)
        if len(saved) == 5:  # three for the first training; the second checkpoint of the second
            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", no_space)
                save(*arguments)
        save(*arguments)

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", full)
        with pytest.raises(StudyError, match=r"cannot write .*\.checkpoint-qu-3-.*: No space left on device"):
            run(path, results)
    names = sorted(entry.name for entry in (results / "tiny" / "trainings").iterdir())
    assert [name.partition("-")[0] for name in names] == [".checkpoint", "identity"]  # and not half of one
    observer = Rounds()
    run(path, results, observer=observer)
    assert observer.done == list(range(13, 37))  # the checkpoint before is whole


def test_no_temporary_folder_is_used(
    checkpointed: tuple[Training, bytes, Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "there is none"))
    training, content, unbroken = checkpointed
    file = tmp_path / "c.pt"
    file.write_bytes(content)
    resumed = train(training, Silent(), Kept(file))[1]
    assert resumed.evaluations == unbroken.evaluations


def test_one_that_diverges_after_an_interruption_keeps_its_curve_and_the_sweep_goes_on(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    """Batches of noise at a rate that is too high: it takes some rounds to reach infinity."""

    class Log(Silent):
        statuses: list[Status]

        def __init__(self) -> None:
            self.statuses = []

        def training_finished(self, label: str, status: Status, wall_s: float) -> None:
            self.statuses.append(status)

    tiny["training"] = {"epochs": 2, "evaluate_every": 1, "target_accuracy": 0.5, "weight_decay": 30.0}
    tiny["sweep"] = {"training.learning_rate": [0.5, 0.001]}
    log = Log()
    study = run(write(tiny), tmp_path / "results", observer=log)
    assert log.statuses == ["diverged", "finished"]
    diverged = study.runs[0].recording
    assert diverged.status == "diverged"
    assert 0 < len(diverged.evaluations) <= len(diverged.rounds) < 24
    assert len(study.runs[1].recording.rounds) == 24
    assert not list((study.path / "trainings").glob(".*"))
    assert Log().statuses == []
