"""Checkpoints of a training in progress: one file, the old or the new one, never half of it.

It holds tensors and plain values, read without unpickling anything else: the training's key, the trainer's
state, the recording so far, and a hash over all of it. One that cannot be gone on from is set aside.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import StudyError
from slsim.recording import (
    EVALUATIONS_FILE,
    HEADER_FILE,
    MESSAGES_FILE,
    PROBES_FILE,
    Recording,
)
from slsim.results import DAMAGED, environment
from slsim.study.fingerprints import unchanged

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer

LONGEST_S = 60.0  # of real time without a checkpoint
FILES = (HEADER_FILE, MESSAGES_FILE, EVALUATIONS_FILE, PROBES_FILE)


class _UnusableError(Exception):
    """A checkpoint that cannot be gone on from, and why."""


class Checkpoint:
    """The checkpoint of one training, at `path`; `files` are the fingerprints of what the training reads, and
    `notice` tells the user what happened to an older checkpoint."""

    def __init__(
        self,
        path: Path,
        files: Mapping[str, str] | None = None,
        notice: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._path = path
        self.files = dict(files or {})
        self._notice = notice
        self._saved_s = time.monotonic()

    def due(self, epoch_ended: bool) -> bool:
        """At every epoch, and after a minute."""
        return epoch_ended or time.monotonic() - self._saved_s >= LONGEST_S

    def save(self, state: dict[str, Any], recording: Recording, wall_s: float) -> None:
        """Replace the checkpoint. Raises `DiskError`."""
        import torch

        content = {
            "key": recording.key,
            "versions": environment()["versions"],
            "files": self.files,
            "wall_s": wall_s,
            "state": state,
            "recording": {name: _tensor(data) for name, data in recording.files().items()},
        }
        buffer = io.BytesIO()  # torch says of a full disk only that a position is unexpected
        torch.save({**content, "hash": _hash(content)}, buffer)
        with describing_disk_errors(self._path):
            atomic.write(self._path, buffer.getbuffer())
        self._saved_s = time.monotonic()

    def resume(self, trainer: Trainer, recording: Recording) -> float:
        """Put `trainer` and `recording`, which have just begun, where the checkpoint has got to; the real
        seconds that went into it. They stay as they are, and the seconds are 0, where there is no checkpoint,
        where other versions made it or it read other files (they may learn differently), and where it is
        damaged or another training's: then it is set aside with a notice."""
        if not self._path.exists():
            return 0.0
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise StudyError(f"the checkpoint {self._path} cannot be read: {error.strerror}") from error
        begun = trainer.state()
        try:
            kept, wall_s = self._restored(data, recording.key, trainer)
        except _UnusableError as error:
            trainer.restore(begun)
            self._set_aside(str(error))
            return 0.0
        if kept is not None:
            recording.rounds, recording.evaluations = kept.rounds, kept.evaluations
            recording.probes = kept.probes
            recording.costs = kept.costs  # some are measured: not again when a training is resumed
        return wall_s

    def _restored(self, data: bytes, key: str, trainer: Trainer) -> tuple[Recording | None, float]:
        """The recording so far and the real seconds in it, with the trainer restored; None where that is not
        to be done. Raises `_UnusableError`."""
        try:
            found = self._parsed(data, key)
            if found is None:
                return None, 0.0
            state, kept, wall_s = found
            _check_state(state, trainer, kept)
            trainer.restore(state)
        except MemoryError:
            raise
        except KeyError as error:
            raise _UnusableError(f"{error} is missing") from error
        except Exception as error:  # whatever a file that anyone may have written leads to
            raise _UnusableError(str(error).partition("\n")[0] or type(error).__name__) from error
        return kept, wall_s

    def _parsed(self, data: bytes, key: str) -> tuple[dict[str, Any], Recording, float] | None:
        """State, recording and seconds, or None where they are not to be gone on from. Raises anything where
        they are damaged."""
        import torch

        _check_sums(data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if content.pop("hash") != _hash(content):
            raise ValueError("its hash is not that of its content")
        if content["versions"] != environment()["versions"]:
            return None
        if not unchanged(content["files"], self.files):
            return None
        if content["key"] != key:
            raise ValueError(f"it is of the training {content['key']!r}")
        if unknown := set(content["recording"]) - set(FILES):
            raise ValueError(f"it has a file {min(unknown)!r} that no recording has")
        files = {name: data.numpy().tobytes() for name, data in content["recording"].items()}
        recording = Recording.from_files(files.__getitem__, str(self._path))
        if recording.key != key:
            raise ValueError(f"its recording is of the training {recording.key!r}")
        return content["state"], recording, float(content["wall_s"])

    def _set_aside(self, why: str) -> None:
        aside = self._path.with_name(self._path.name + DAMAGED)
        with describing_disk_errors(self._path):
            self._path.replace(aside)
        self._notice(
            f"the checkpoint {self._path} cannot be gone on from ({why}); it is kept as {aside.name}, and "
            "that training starts anew"
        )

    def remove(self) -> None:
        """The training is finished. Raises `DiskError`."""
        with describing_disk_errors(self._path):
            if self._path.exists():  # a disk that is read-only refuses to remove even what is not there
                self._path.unlink(missing_ok=True)


def _check_sums(data: bytes) -> None:
    """torch does not look at its own checksums when it reads. Raises ValueError where one is wrong."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


def _check_state(state: Any, trainer: Trainer, kept: Recording) -> None:
    """Raises `ValueError` where `state` is not one that this trainer, which has just begun, can come to: its
    keys, shapes, counters, and that every number in it is finite."""
    begun, total_rounds = trainer.state(), trainer.progress.total_rounds
    if not isinstance(state, dict) or state.keys() != begun.keys():
        raise ValueError(f"state: has not the keys {', '.join(begun)}")
    for name, value in state.items():
        _check_finite(value, f"state.{name}")
    for half in ("client", "server"):
        found, due = state[half]["weights"].shape, begun[half]["weights"].shape
        if found != due:
            raise ValueError(f"state.{half}.weights: has the shape {tuple(found)}, not {tuple(due)}")
    taken = state["taken"]
    if taken.shape != begun["taken"].shape or taken.dtype != begun["taken"].dtype or (taken < 0).any():
        raise ValueError("state.taken: is no count of mini-batches for each client")
    rounds, steps = state["rounds"], state["steps"]
    if type(rounds) is not int or rounds != len(kept.rounds) or rounds > total_rounds:
        raise ValueError(f"state.rounds: {rounds}; {len(kept.rounds)} of {total_rounds} were recorded")
    if type(steps) is not int or steps < 0:
        raise ValueError(f"state.steps: {steps} is no count")
    if not all(isinstance(loss, float) for loss in state["losses"]):
        raise ValueError("state.losses: are not numbers")


def _check_finite(value: Any, path: str) -> None:
    """Raises `ValueError` with the dotted path of what is neither a plain value nor a finite number."""
    import torch

    if isinstance(value, torch.Tensor):
        if not torch.isfinite(value).all():
            raise ValueError(f"{path}: is not finite")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_finite(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            _check_finite(item, f"{path}[{place}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path}: is {value}")


def _hash(value: Any) -> str:
    """A SHA-256 over plain values and tensors, in hexadecimal."""
    digest = hashlib.sha256()
    _digest(value, digest.update)
    return digest.hexdigest()


def _digest(value: Any, update: Callable[[bytes], object]) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        update(f"tensor {value.dtype} {tuple(value.shape)}".encode())
        update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, Mapping):
        update(f"table {len(value)}".encode())
        for key, item in value.items():
            _digest(key, update)
            _digest(item, update)
    elif isinstance(value, (list, tuple)):
        update(f"list {len(value)}".encode())
        for item in value:
            _digest(item, update)
    else:
        update(f"{type(value).__name__} {value!r};".encode())


def _tensor(content: bytes) -> Any:
    """A file's content as a uint8 tensor."""
    import numpy as np
    import torch

    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())
