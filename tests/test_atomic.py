"""Files and folders are written whole or not at all, and what a killed writer left is swept."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slsim import atomic
from slsim.errors import DiskError

WRITER = """
import os, signal, sys
from pathlib import Path
from slsim import atomic

renamed = Path.rename
def dying(self, target):
    result = renamed(self, target)
    if self.name == "training":  # the old one is aside, the new one not yet in its place
        os.kill(os.getpid(), signal.SIGKILL)
    return result
Path.rename = dying
atomic.write_folder(Path(sys.argv[1]) / "training", {"a": b"new"})
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.csv"
    atomic.write(path, "old")
    atomic.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["file.csv"]


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.csv"
    atomic.write(path, "old")
    monkeypatch.setattr(os, "fsync", no_space)
    reason = rf"^cannot write {path}: No space left on device\. What was finished is kept"
    with pytest.raises(DiskError, match=reason), atomic.describing_disk_errors(tmp_path):
        atomic.write(path, "new")
    with pytest.raises(OSError, match="No space"):
        atomic.write_folder(tmp_path / "folder", {"a": b"new"})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.csv"]


def test_a_folder_is_replaced_by_exactly_the_new_files(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    atomic.write_folder(path, {"a": b"1", "b": b"2"})
    atomic.write_folder(path, {"a": b"3"})
    assert names(path) == ["a"]
    assert (path / "a").read_bytes() == b"3"
    assert names(tmp_path) == ["folder"]


def test_where_the_new_folder_cannot_take_its_place_the_old_one_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    atomic.write_folder(path, {"a": b"old"})
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.startswith(atomic.UNFINISHED):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output error"):
        atomic.write_folder(path, {"a": b"new"})
    assert (path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_another_process_puts_there_in_the_meantime_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rename, others = tmp_path / "folder", Path.rename, [b"theirs"]

    def late(self: Path, target: Path) -> Path:
        if self.name.startswith(atomic.UNFINISHED) and others:
            path.mkdir()
            (path / "a").write_bytes(others.pop())
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    atomic.write_folder(path, {"a": b"ours"})
    assert (path / "a").read_bytes() == b"ours"
    assert names(tmp_path) == ["folder"]


def test_an_old_folder_comes_back_when_the_writer_was_killed_before_the_new_one_was_there(
    tmp_path: Path,
) -> None:
    atomic.write_folder(tmp_path / "training", {"a": b"old"})
    killed = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [name.partition("-")[0] for name in names(tmp_path)] == [".replaced", ".unfinished"]
    atomic.sweep(tmp_path)
    assert names(tmp_path) == ["training"]
    assert (tmp_path / "training" / "a").read_bytes() == b"old"


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    left = [
        ".unfinished-0123",
        ".checkpoint-qu-3-01234567.pt.4711",
        ".summary.csv.17",
        ".unfinished-x.damaged",
    ]
    kept = [
        ".checkpoint-qu-3-01234567.pt",
        "summary.csv",
        ".gitignore",
        ".checkpoint-a.pt.damaged",
        "a.csv.17",
    ]
    for name in left + kept:
        (tmp_path / name).write_text("half")
    folder = tmp_path / ".unfinished-folder"
    folder.mkdir()
    (folder / "recording.json").write_text("half")
    (tmp_path / ".replaced-01234567-summary.csv").write_text("older")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == sorted(kept)
    atomic.sweep(tmp_path / "nowhere")


def test_what_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with atomic.writing(tmp_path / "file.csv") as file:
        file.write(b"whole")
        atomic.sweep(tmp_path)
    assert names(tmp_path) == ["file.csv"]
