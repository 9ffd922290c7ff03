"""Write files and folders whole: aside, synced to the disk, then renamed.

Whoever reads a path finds its old content or its new one, whenever the writer was killed. What is being
written lies in the same folder under a name that begins with a dot, and is locked; what a killed process left
is not locked, and `sweep` removes it. Nothing is written to the system's temporary folder.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from slsim.errors import DiskError

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, so nothing is swept
    fcntl = None  # type: ignore[assignment]

UNFINISHED, REPLACED = ".unfinished-", ".replaced-"
# Up to version 0.1 files were written as .NAME.PID.
_LEFT = re.compile(r"\.unfinished-.|\.replaced-[0-9a-f]{8}-.|\..+\.(pt|csv|json|toml|npy)\.\d+$")
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)  # by another process, in the meantime


def write(path: Path, content: bytes | memoryview | str) -> None:
    """Replace the file at `path`, its folder made where there is none. Raises `OSError` that names `path`."""
    with writing(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which replaces the one at `path` at the end. Raises `OSError` that names
    `path`."""
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside, descriptor = _locked_aside(path.parent, _new_file)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                aside.replace(path)
            _sync_folder(path.parent)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Replace the folder at `path` by one of these files, by their paths below it: the old one is set aside,
    the new one takes its place, then the old one is deleted. Raises `OSError` that names `path`."""
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside, descriptor = _locked_aside(path.parent, _new_folder)
        try:
            for name, content in files.items():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                with (aside / name).open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _sync_folder(aside)
            _put(aside, path)
        finally:
            os.close(descriptor)
            shutil.rmtree(aside, ignore_errors=True)


def move(path: Path, target: Path) -> None:
    """Rename a file or folder to `target`; what was there is deleted. Raises `OSError` that names `path`."""
    with _naming(path):
        _put(path, target)


def _put(aside: Path, path: Path) -> None:
    """Rename a folder to `path`; what was there is set aside first, deleted last, and put back where the
    renaming fails."""
    while True:
        old = path.with_name(f"{REPLACED}{secrets.token_hex(4)}-{path.name}")
        with suppress(FileNotFoundError):
            path.rename(old)
        try:
            aside.rename(path)
        except OSError as error:
            if error.errno in _TAKEN:
                shutil.rmtree(old, ignore_errors=True)
                continue
            with suppress(OSError):
                old.rename(path)
            raise
        _sync_folder(path.parent)
        shutil.rmtree(old, ignore_errors=True)  # where it cannot be deleted, the next sweep tries again
        return


def sweep(folder: Path) -> None:
    """Remove what killed processes left in `folder`. A folder that one had set aside, without having put
    another in its place, is put back. What a living process writes, or cannot be removed, is left alone."""
    for entry in left_in(folder):
        with suppress(OSError), _if_free(entry):
            _remove(entry)


def left_in(folder: Path) -> list[Path]:
    """What killed processes left in `folder`, and what living ones do not hold."""
    found = []
    with suppress(OSError):
        for entry in sorted(folder.iterdir()) if fcntl is not None else ():
            if _LEFT.match(entry.name):
                with suppress(OSError), _if_free(entry):
                    found.append(entry)
    return found


def remove(path: Path) -> None:
    """Delete a file, a link or a folder; a folder is gone at once, or, where that fails, there as it was.
    Raises `OSError` that names `path`."""
    with _naming(path):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        aside = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)  # what is left is swept


def _remove(entry: Path) -> None:
    if entry.name.startswith(REPLACED):
        path = entry.with_name(entry.name[len(REPLACED) + 9 :])
        if not path.exists():
            entry.rename(path)
            return
    if entry.is_dir():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink()


@contextmanager
def _if_free(entry: Path) -> Iterator[None]:
    """Hold the lock of `entry`. Raises `OSError` where a living process has it."""
    descriptor = os.open(entry, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _locked_aside(parent: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """A new file or folder in `parent`, locked, and its open descriptor."""
    while True:
        aside = parent / f"{UNFINISHED}{secrets.token_hex(8)}"
        descriptor = make(aside)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks: nothing there is swept either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if aside.exists():
            return aside, descriptor
        os.close(descriptor)  # swept between its making and its locking


def _new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)


def _new_folder(path: Path) -> int:
    path.mkdir()
    return os.open(path, os.O_RDONLY)


def _sync_folder(folder: Path) -> None:
    """Make renamings in `folder` last; not every system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name `path` in an `OSError`, not the file aside."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextmanager
def describing_disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` into one `DiskError`: what could not be written (`path`, unless the error says it),
    the system's own reason, and what to do."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"cannot write {error.filename or path}: {error.strerror or error}. "
            "What was finished is kept; mend that and run the same command again"
        ) from error
