"""Trainings side by side in processes of their own: the same numbers, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from listening import Log
from trainings import recorded

from slsim.errors import DiskError
from slsim.events import Event, Saved
from slsim.study import Interrupted, run

Write = Callable[[dict[str, Any]], Path]

OWN = """
import os, signal
from pathlib import Path

from slsim.codecs.identity import Identity


class Raises(Identity):
    def encode_values(self, values, shape, rng):
        raise ArithmeticError("no number")


class Dies(Identity):
    def encode_values(self, values, shape, rng):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_numbers_do_not_depend_on_who_trains(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    path = write(tiny)
    alone, beside = run(path, tmp_path / "1"), run(path, tmp_path / "2", workers=2)
    with ThreadPoolExecutor(1) as executor:
        given = run(path, tmp_path / "3", executor=executor)
    assert recorded(alone.path) == recorded(beside.path) == recorded(given.path)
    for name in ("summary", "curves", "breakdown"):
        tables = {(study.path / f"{name}.csv").read_bytes() for study in (alone, beside, given)}
        assert len(tables) == 1


@pytest.mark.processes
def test_a_codec_that_raises_and_one_that_kills_its_process_leave_the_others(
    tiny: dict[str, Any], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN)
    tiny["sweep"] = {"codec.uplink": ["identity", f"{own}:Raises", f"{own}:Dies", {"name": "qu", "bits": 3}]}
    log = Log()
    monkeypatch.setattr("slsim.study.scheduling.MOST_DEATHS", 2)
    with pytest.warns(UserWarning, match="a training failed"):
        study = run(write(tiny), tmp_path / "results", workers=2, tell=log)
    assert sorted(log.trained) == ["QU (3 bits)", "identity"]
    reasons = {failure.label.rpartition(":")[2]: failure.reason for failure in study.failures}
    assert "no number" in reasons["Raises"]
    assert "killed by SIGKILL, 2 times in all" in reasons["Dies"]
    assert sum("it is resumed from its checkpoint" in notice for notice in log.notices) == 1


@pytest.mark.processes
def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    path, before = write(tiny), children()

    def ctrl_c(event: Event) -> None:
        if isinstance(event, Saved):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="of 3 trainings are finished"):
        run(path, tmp_path / "results", workers=2, tell=ctrl_c)
    deadline = time.monotonic() + 5
    while not children() <= before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert children() <= before
    log = Log()
    assert not run(path, tmp_path / "results", tell=log).failures
    assert sorted(log.trained + log.reused) == ["MS (90 %, 2 bits)", "QU (3 bits)", "identity"]


def children() -> set[int]:
    """The processes that this one has begun, and that live."""
    listed = Path("/proc/self/task").glob("*/children")
    return {int(one) for path in listed for one in path.read_text().split()}


@pytest.mark.processes
def test_two_runs_of_one_study_at_once_do_each_training_once(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    path, results = write(tiny), tmp_path / "results"
    command = [sys.executable, "-m", "slsim", "run", str(path), "--results", str(results), "--workers", "1"]
    other, log = subprocess.Popen(command, stdout=subprocess.PIPE, text=True), Log()
    while not list(results.rglob(".lock-*")):  # until it trains
        time.sleep(0.01)
    study = run(path, results, tell=log)
    told, _ = other.communicate(timeout=120)
    assert other.returncode == 0
    done_there = {
        label
        for label in ("identity", "QU (3 bits)", "MS (90 %, 2 bits)")
        if f"{label}: finished after" in told
    }
    assert done_there
    assert done_there | set(log.trained) == {"identity", "QU (3 bits)", "MS (90 %, 2 bits)"}
    assert not done_there & set(log.trained)
    assert sorted(log.trained + log.reused) == ["MS (90 %, 2 bits)", "QU (3 bits)", "identity"]
    assert not study.failures
    assert not list(results.rglob(".lock-*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "slsim-test", str(folder)])
    if mounted.returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.processes)])
def test_a_disk_that_fills_up_is_one_clear_error_and_after_making_room_the_same_command_finishes(
    tiny: dict[str, Any], write: Write, small_disk: Path, tmp_path: Path, workers: int
) -> None:
    path = write(tiny)
    undisturbed = run(path, tmp_path / "results")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(512 * 1024 - 110_000))
    with pytest.raises(DiskError, match=f"cannot write {small_disk}.*No space left on device") as caught:
        run(path, small_disk, workers=workers)
    assert "run the same command again" in str(caught.value)
    ballast.unlink()
    log = Log()
    study = run(path, small_disk, workers=workers, tell=log)
    assert sorted(log.trained + log.reused) == ["MS (90 %, 2 bits)", "QU (3 bits)", "identity"]
    assert recorded(study.path) == recorded(undisturbed.path)
