"""One process at a time: advisory locks between the processes that write into one results folder.

A lock is a file that a process holds open, so a process that is killed lets go of it. Whoever releases a lock
removes its file; a file that a killed process left is taken over by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from slsim.atomic import describing_disk_errors

PREFIX = ".lock-"  # begins the name of a lock's file: no training's, and none that `atomic.sweep` removes
POLL_S = 0.2  # of real time between two attempts


class LockedError(Exception):
    """Another process holds the lock."""


def lock_file(path: Path) -> Path:
    """The file of the lock of `path`, beside it."""
    return path.with_name(f"{PREFIX}{path.name}")


@contextmanager
def training_lock(
    path: Path, *, blocking: bool = True, waiting: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the lock of the training at `path`, a folder that need not exist yet.

    Where another process, or another thread, holds the lock, call `waiting` once and wait until it is free;
    where `blocking` is false, raise `LockedError` at once. Raises `DiskError` when the lock's file cannot be
    made.
    """
    file = lock_file(path)
    with describing_disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not blocking:
                raise LockedError(f"another run has {path.name}") from None
            waiting()
            lock.acquire(poll_interval=POLL_S)
    try:
        yield
    finally:
        with suppress(OSError):  # still held: who opened this file before tries again with a new one
            file.unlink()
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock of the training at `path`."""
    if not lock_file(path).exists():
        return False
    try:
        with training_lock(path, blocking=False):
            return False
    except LockedError:
        return True
