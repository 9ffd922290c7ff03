"""A training that was killed goes on from its checkpoint and ends as one that was not, bit for bit."""

from __future__ import annotations

import errno
import io
import itertools
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from listening import CtrlC, Log
from resumption import ONE_STEP, PROTOCOLS, Trained, assert_same, document_of, training_of

from slsim.errors import StudyError
from slsim.events import Event, Finished, RoundDone, StepDone, silent
from slsim.learning.loop import Loop
from slsim.study import checkpoint, run
from slsim.study.checkpoint import Checkpoint
from slsim.study.job import train
from slsim.study.training import Training

Write = Callable[[dict[str, Any]], Path]

OWN = """
from torch import nn

def net(image_shape, num_classes):
    block = nn.Sequential(nn.Conv2d(image_shape[0], 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU())
    return nn.Sequential(block, nn.Dropout(0.3), nn.Sequential(nn.Flatten(), nn.Linear(144, num_classes)))
"""


class Kept(Checkpoint):
    """A checkpoint after every round and every step within one, each kept as a file of its own: "3-7.pt" is
    seven steps into the fourth round. Their parts are in one folder."""

    within = 0

    def due(self, epoch_ended: bool) -> bool:
        return True

    def save(self, loop: Loop, wall_s: float) -> None:
        super().save(loop, wall_s)
        self.within = 0 if loop.state()["open"] is None else self.within + 1
        step = f"-{self.within}" if self.within else ""
        (self._path.parent / f"{loop.recording.num_rounds}{step}.pt").write_bytes(self._path.read_bytes())


def copied(kept: Path, name: str, target: Path) -> Path:
    """A checkpoint that `Kept` kept, with all parts, those that came later too; `target` is its new path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((kept / name).read_bytes())
    shutil.copytree(kept / "c.parts", target.with_suffix(".parts"))
    return target


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_resuming_from_any_checkpoint_ends_the_same(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    training = training_of(document_of(tiny, protocol))
    folder = tmp_path / "kept"
    whole = train(training, silent, Kept(folder / "c.pt"))
    total = whole[0].progress.total_rounds
    assert whole[1].num_rounds == total > 3
    assert {one.round for one in whole[1].measurements} == set(range(0, total + 1, 2))
    within = sorted(folder.glob("1-*.pt"), key=lambda path: int(path.stem.partition("-")[2]))
    assert bool(within) == (protocol not in ONE_STEP)
    assert bool(list(folder.glob("0-*.pt"))) == bool(within)
    paused = within[:1] + within[len(within) // 2 :][:2] + within[-1:]  # of one participant, and the next
    middle = total // 2  # in the midst of an epoch, for steps
    names = [f"{number}.pt" for number in sorted({1, middle, middle + 1, total})]
    for name in [*names, *(path.name for path in paused)]:
        log = Log()
        resumed = train(training, log, Checkpoint(copied(folder, name, tmp_path / name / "c.pt")))
        assert log.rounds == list(range(int(re.split(r"[-.]", name)[0]) + 1, total + 1))
        assert_same(resumed, whole)
    parts = {entry.name for entry in (folder / "c.parts").iterdir()}
    # None of a pause, beside one for what was measured before the first round, where that pauses.
    assert parts == {f"{number:06}" for number in range(1, total + 1 + bool(within))}


@pytest.mark.parametrize("protocol", ["splitfed", "splitfed-v2"])
def test_a_training_that_is_interrupted_again_and_again_ends_the_same(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    training = training_of(document_of(tiny, protocol))
    whole = train(training, silent)
    file, times = tmp_path / "c.pt", 0
    while True:
        left = itertools.count(6, -1)

        def stops(event: Event, left: Iterator[int] = left) -> None:
            if isinstance(event, (RoundDone, StepDone)) and not next(left):
                raise KeyboardInterrupt

        try:
            resumed = train(training, stops, Kept(file))
        except KeyboardInterrupt:
            times += 1
        else:
            break
    assert times > 2
    assert_same(resumed, whole)


OWN_PROTOCOL = """
from slsim.protocols import Protocol
from slsim.recording import Pause, Piece

class Pausing(Protocol):
    "A step, a barrier, and two pieces of work at the server, with a pause before each of these."

    def learn(self, exchange, resumed=None):
        while not exchange.progress.is_over:
            done = resumed["done"] if resumed else 0
            resumed = None
            if done < 1:
                batches = exchange.sampler.one_each(exchange.progress.rounds)
                at_server = exchange.upload(exchange.forward(batches))
                exchange.server_learns(at_server)
                exchange.return_gradients(at_server)
                exchange.step(len(batches))
                exchange.script.barrier()
                yield Pause(lambda: {"done": 1})
            if done < 2:
                exchange.script.lane(0).serve(0, Piece("server forward", samples=5, flops=1e6))
                yield Pause(lambda: {"done": 2})
            exchange.script.lane(0).serve(0, Piece("server backward", samples=5, flops=1e6))
            yield exchange.finish_round()
"""


def test_a_protocol_of_ones_own_may_pause_wherever_it_wants(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Between two sections, and while the server is at work. That something is saved changes nothing."""
    (tmp_path / "own.py").write_text(OWN_PROTOCOL)
    document = document_of(tiny, "splitfed")
    document["training"]["protocol"] = f"{tmp_path / 'own.py'}:Pausing"
    training = training_of(document)
    whole = train(training, silent)
    kept = tmp_path / "kept"
    assert_same(train(training, silent, Kept(kept / "c.pt")), whole)
    for name in ("2-1.pt", "2-2.pt"):
        assert_same(train(training, silent, Checkpoint(copied(kept, name, tmp_path / name / "c.pt"))), whole)


def test_rounds_that_repeat_those_before_an_interruption_are_kept_once(
    checkpointed: tuple[Training, Path, Trained], tmp_path: Path
) -> None:
    training, kept, whole = checkpointed
    assert len(whole[1].steps) < whole[1].num_rounds
    assert_same(train(training, silent, Checkpoint(copied(kept, "12.pt", tmp_path / "c.pt"))), whole)


def test_a_checkpoint_only_adds_what_is_new(tiny: dict[str, Any], tmp_path: Path) -> None:
    """A lossless stage makes each round another one."""
    states: list[int] = []
    there: dict[Path, tuple[int, int, bytes]] = {}

    class Adds(Checkpoint):
        def due(self, epoch_ended: bool) -> bool:
            return True

        def save(self, loop: Loop, wall_s: float) -> None:
            super().save(loop, wall_s)
            number = loop.recording.num_rounds
            assert {entry.name for entry in tmp_path.iterdir()} == {"c.pt", "c.parts"}
            now = {
                file: (file.stat().st_ino, file.stat().st_mtime_ns, file.read_bytes())
                for file in (tmp_path / "c.parts").rglob("*.parquet")
            }
            new = now.keys() - there.keys()
            assert {file.parent.name for file in new} == {f"{number:06}"}
            assert {file: now[file] for file in there} == there
            assert set(pq.read_table(tmp_path / "c.parts" / f"{number:06}" / "steps.parquet")["round"]) == {
                pq.read_table(tmp_path / "c.parts" / f"{number:06}" / "rounds.parquet")["same_as"][0]
            }
            there.update(now)
            states.append((tmp_path / "c.pt").stat().st_size)

    tiny["codec"] = {"uplink": {"name": "identity", "lossless": "zstd"}}
    tiny["training"]["evaluate_every"] = 1
    training = training_of({key: value for key, value in tiny.items() if key != "sweep"})
    recording = train(training, silent, Adds(tmp_path / "c.pt"))[1]
    assert len(recording.steps) == recording.num_rounds == len(states) == 36
    sizes = [sum(len(there[file][2]) for file in there if file.parent.name == f"{k:06}") for k in (2, 36)]
    assert sizes[1] < 1.2 * sizes[0]
    assert max(states) == min(states)


@pytest.mark.parametrize("protocol", ["splitfed", "splitfed local", "splitfed-v2", "u-shaped"])
def test_dropout_and_counted_statistics_go_on_too(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    """Dropout draws from the scenario's seed; batch normalization without momentum counts its batches."""
    (tmp_path / "own.py").write_text(OWN)
    model = {"name": f"{tmp_path / 'own.py'}:net", "cut": 1}
    training = training_of(document_of(tiny, protocol, model=model))
    whole = train(training, silent, Kept(tmp_path / "kept" / "c.pt"))
    torch.rand(5)  # somebody else draws in between
    again = train(training, silent)
    assert_same(again, whole)
    name = {"splitfed local": "1-7.pt", "splitfed-v2": "2-9.pt"}.get(protocol, "5.pt")
    resumed = train(training, silent, Checkpoint(copied(tmp_path / "kept", name, tmp_path / "c.pt")))
    assert_same(resumed, whole)


@pytest.fixture
def interrupted(tiny: dict[str, Any], write: Write, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A scenario file, its results after one of two trainings, and the second one's checkpoint."""

    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "qu", "bits": 3}]}
    path, results = write(tiny), tmp_path / "results"
    with pytest.raises(StudyError, match="1 of 2 trainings are finished"):
        run(path, results, tell=CtrlC(14, "QU (3 bits)"))
    (file,) = (results / "tiny" / "trainings").glob(".checkpoint-*.pt")
    assert file.with_suffix(".parts").is_dir()
    return path, results, file


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


OTHER_HASH = "the hash of what is in .checkpoint-qu.parts is not the one in the file"


def elsewhere(values: dict[str, Any]) -> None:
    values["parts"] = "../../../of-the-users"


def behind(values: dict[str, Any]) -> None:
    values["state"]["rounds"] = 11


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
    "a file of the user's": (changed(elsewhere), "str"),
    "more parts than there are": (changed(lambda values: values.update(parts=10**9)), "000037"),
    "fewer parts than there are": (changed(lambda values: values.update(parts=11)), OTHER_HASH),
    "far on": (changed(far_on), "state.rounds: 1000000000 is no count up to 36"),
    "behind": (changed(behind), "state.rounds: 11; 12 were recorded"),
    "not a number": (changed(with_nan), "state.client.weights: is not finite"),
    "another shape": (changed(smaller), r"state.server.weights: has the shape \(7,\), not"),
    "another training's": (changed(of_another_training), "it is of the training '01234567'"),
    "no state": (changed(lambda values: values.pop("state")), "'state' is missing"),
    "no momentum": (changed(lambda values: values["state"].pop("taken")), "state: has not the keys"),
}


@pytest.fixture(scope="module")
def checkpointed(
    tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Training, Path, Trained]:
    """A training, a folder with its checkpoints, and what came of it."""
    document = {key: value for key, value in tiny_document.items() if key != "sweep"}
    training, kept = training_of(document), tmp_path_factory.mktemp("kept")
    return training, kept, train(training, silent, Kept(kept / "c.pt"))


def assert_starts_anew(
    checkpointed: tuple[Training, Path, Trained], tmp_path: Path, damage: Callable[[Path], object], why: str
) -> None:
    """The checkpoint after a third of the training, damaged, is set aside with a notice."""
    training, kept, unbroken = checkpointed
    file = copied(kept, "12.pt", tmp_path / "trainings" / ".checkpoint-qu.pt")
    damage(file)
    content, log = file.read_bytes(), Log()
    told: list[str] = []
    again = train(training, log, Checkpoint(file, notice=told.append))
    assert_same(again, unbroken)
    assert log.rounds == list(range(1, 37))
    (line,) = told
    assert line.startswith(f"the checkpoint {file} cannot be resumed (")
    assert re.search(why, line)
    assert line.endswith("it is kept as .checkpoint-qu.pt.damaged, and that training starts anew")
    assert (file.parent / ".checkpoint-qu.pt.damaged").read_bytes() == content
    assert (file.parent / ".checkpoint-qu.parts.damaged" / "000001").is_dir()
    assert [entry.name for entry in tmp_path.iterdir()] == ["trainings"]
    assert_same(train(training, silent, Checkpoint(file)), unbroken)  # what was saved since is whole


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_training_starts_anew(
    checkpointed: tuple[Training, Path, Trained],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    why: str,
) -> None:
    def file_alone(file: Path) -> None:
        file.write_bytes(damage(file.read_bytes()))

    assert_starts_anew(checkpointed, tmp_path, file_alone, why)


def a_byte_changed(name: str) -> Callable[[Path], object]:
    def change(part: Path) -> None:
        content = bytearray((part / name).read_bytes())
        content[len(content) // 2] ^= 1
        (part / name).write_bytes(content)

    return change


def rewritten(part: Path) -> None:
    """With the same rows, by another writer."""
    pq.write_table(pq.read_table(part / "steps.parquet"), part / "steps.parquet", compression="none")


def exchanged(part: Path) -> None:
    other = part.with_name("000007")
    part.rename(part.with_name("aside"))
    other.rename(part)
    part.with_name("aside").rename(other)


def with_measurements(part: Path) -> None:
    schema = {"round": [6], "client": [0], "part": ["client"], "quantity": ["bias"], "value": [0.0]}
    pq.write_table(pa.table(schema), part / "measurements.parquet")


PART_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (shutil.rmtree, "No such file or directory: .*000006"),
    "steps missing": (lambda part: (part / "steps.parquet").unlink(), "No such file .*000006/steps.parquet"),
    "rounds missing": (lambda part: (part / "rounds.parquet").unlink(), "No such .*000006/rounds.parquet"),
    "steps halved": (lambda part: (part / "steps.parquet").write_bytes(b"PAR1"), "steps.parquet"),
    "a byte of steps": (a_byte_changed("steps.parquet"), ""),
    "a byte of rounds": (a_byte_changed("rounds.parquet"), ""),
    "a byte of evaluations": (a_byte_changed("evaluations.parquet"), ""),
    "rewritten": (rewritten, OTHER_HASH),
    "exchanged": (exchanged, ""),
    "a file more": (with_measurements, OTHER_HASH),
}


@pytest.mark.parametrize(("damage", "why"), PART_DAMAGES.values(), ids=PART_DAMAGES)
def test_a_damaged_part_sets_the_checkpoint_aside_too(
    checkpointed: tuple[Training, Path, Trained],
    tmp_path: Path,
    damage: Callable[[Path], object],
    why: str,
) -> None:
    assert_starts_anew(
        checkpointed, tmp_path, lambda file: damage(file.with_suffix(".parts") / "000006"), why
    )


def test_a_checkpoint_goes_on_where_it_was_and_fresh_ignores_it(
    interrupted: tuple[Path, Path, Path],
) -> None:
    path, results, file = interrupted
    kept, parts = file.read_bytes(), file.with_suffix(".parts")
    shutil.copytree(parts, results / "parts")
    resumed = Log()
    run(path, results, tell=resumed)
    assert resumed.rounds == list(range(13, 37))
    assert not file.exists()
    assert not parts.exists()
    file.write_bytes(kept)
    shutil.copytree(results / "parts", parts)
    fresh = Log()
    run(path, results, fresh=True, tell=fresh)
    assert fresh.rounds == [*range(1, 37)] * 2
    assert not file.exists()
    assert not parts.exists()


def test_a_checkpoint_of_another_version_is_not_resumed(
    interrupted: tuple[Path, Path, Path],
) -> None:
    path, results, file = interrupted
    older = changed(lambda values: values["versions"].update(torch="0.0.1"))
    file.write_bytes(older(file.read_bytes()))
    log = Log()
    run(path, results, tell=log)
    assert log.rounds == list(range(1, 37))


@pytest.mark.parametrize("full", ["part", "file"])
def test_a_full_disk_while_saving_is_one_clear_error_and_harms_nothing(
    tiny: dict[str, Any], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "qu", "bits": 3}]}
    path, results = write(tiny), tmp_path / "results"
    save, saved, sync = Checkpoint.save, [], os.fsync

    def filling(*arguments: Any) -> None:
        saved.append(arguments)
        if len(saved) == 5:  # three for the first training; the second checkpoint of the second
            left = [0 if full == "part" else 4]  # syncs of a part: three files and their folder
            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", lambda descriptor: no_space(descriptor, left))
                save(*arguments)
        save(*arguments)

    def no_space(descriptor: int, left: list[int]) -> None:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", filling)
        with pytest.raises(StudyError, match=r"cannot write .*\.checkpoint-qu-3-.*: No space left on device"):
            run(path, results)
    names = sorted(entry.name for entry in (results / "tiny" / "trainings").iterdir())
    assert [name.partition("-")[0] for name in names] == [".checkpoint", ".checkpoint", "identity"]
    (parts,) = (results / "tiny" / "trainings").glob("*.parts")
    found = sorted(entry.name for entry in parts.iterdir())
    assert found == ["000001", "000002"][: 1 if full == "part" else 2]  # and not half of one
    log = Log()
    run(path, results, tell=log)
    assert log.rounds == list(range(13, 37))  # the checkpoint before is whole


def test_no_temporary_folder_is_used(
    checkpointed: tuple[Training, Path, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "there is none"))
    training, kept, unbroken = checkpointed
    resumed = train(training, silent, Kept(copied(kept, "12.pt", tmp_path / "c.pt")))
    assert_same(resumed, unbroken)


def test_one_that_diverges_after_an_interruption_keeps_its_curve_and_the_sweep_goes_on(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    """Batches of noise at a rate that is too high: it takes some rounds to reach infinity."""

    tiny["training"] = {"epochs": 2, "evaluate_every": 1, "target_accuracy": 0.5, "weight_decay": 30.0}
    tiny["sweep"] = {"training.learning_rate": [0.5, 0.001]}
    log = Log()
    study = run(write(tiny), tmp_path / "results", tell=log)
    assert [one.status for one in log.events if isinstance(one, Finished)] == ["diverged", "finished"]
    diverged = study.played[0].recording
    assert diverged.status == "diverged"
    assert 0 < len(diverged.evaluations) <= diverged.num_rounds < 24
    assert study.played[1].recording.num_rounds == 24
    assert not list((study.path / "trainings").glob(".*"))
