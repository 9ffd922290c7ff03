"""Locks between processes: one holder at a time, and a killed one lets go."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from slsim.locks import LockedError, is_locked, lock_file, training_lock
from slsim.results import StudyFolder

HOLDER = """
import sys, time
from pathlib import Path
from slsim.locks import training_lock
with training_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trainings" / "qu-3-12345678"
    with training_lock(path):
        assert is_locked(path)
        assert not StudyFolder.of(tmp_path).has_training(lock_file(path).name)
        with pytest.raises(LockedError), training_lock(path, blocking=False):
            raise AssertionError("two hold it")
        with training_lock(path.with_name("other")):
            pass
    assert not is_locked(path)
    assert list(path.parent.iterdir()) == []


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "training"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_locked(path)
        told: list[str] = []
        threading.Timer(0.1, holder.kill).start()
        with training_lock(path, waiting=lambda: told.append("waiting")):
            assert told == ["waiting"]
    assert list(tmp_path.iterdir()) == []


def test_of_many_threads_one_is_in_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def enter() -> None:
        for _ in range(3):
            with training_lock(tmp_path / "training"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12
