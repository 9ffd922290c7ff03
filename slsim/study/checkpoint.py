"""Checkpoints of a training in progress: a file with its state, and beside it a folder of what was recorded.

Each checkpoint adds a part to the folder, with what is new, and then replaces the file, which says how many
parts count and has a hash over all of them: its cost does not grow with what is there. The file holds tensors
and plain values, read without unpickling anything else. A checkpoint that cannot be resumed is set aside.
"""

from __future__ import annotations

import hashlib
import io
import math
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import StudyError
from slsim.recording import Mark, Recording, append, tables_of
from slsim.results import DAMAGED, environment
from slsim.study.fingerprints import unchanged

if TYPE_CHECKING:
    from slsim.learning.loop import Loop

LONGEST_S = 60.0  # of real time without a checkpoint
FILES = ("steps.parquet", "rounds.parquet", "evaluations.parquet")  # of a part
PARTS = ".parts"  # what the folder's name ends in
MEASUREMENTS = "measurements.parquet"  # of a part in which something was measured


def rounds_in(path: Path) -> int:
    """How many rounds the checkpoint at `path` has, as far as its parts say; 0 where there is none."""
    import pyarrow.parquet as pq

    if not path.exists():
        return 0
    parts = sorted(path.with_suffix(PARTS).glob(f"*/{FILES[1]}"))
    try:
        return sum(pq.read_metadata(part).num_rows for part in parts)
    except (OSError, ValueError):
        return 0


class _UnusableError(Exception):
    """A checkpoint that cannot be resumed, and why."""


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
        self._mark, self._parts, self._chain = Mark(), 0, ""

    @property
    def _folder(self) -> Path:
        """Where the parts are."""
        return self._path.with_suffix(PARTS)

    def due(self, epoch_ended: bool) -> bool:
        """At every epoch, and after a minute."""
        return epoch_ended or time.monotonic() - self._saved_s >= LONGEST_S

    def save(self, loop: Loop, wall_s: float) -> None:
        """Add what is new to the checkpoint. Raises `DiskError`."""
        import torch

        recording = loop.recording
        if recording.mark != self._mark:
            tables = tables_of(recording.since(self._mark))
            with describing_disk_errors(self._folder):
                atomic.write_folder(self._part(self._parts + 1), tables)
            self._chain = _chained(self._chain, tables)
            self._parts, self._mark = self._parts + 1, recording.mark
        content = {
            "key": recording.key,
            "versions": environment()["versions"],
            "files": self.files,
            "wall_s": wall_s,
            "state": loop.state(),
            "parts": self._parts,
            "chain": self._chain,
        }
        buffer = io.BytesIO()  # torch says of a full disk only that a position is unexpected
        torch.save({**content, "hash": _hash(content)}, buffer)
        with describing_disk_errors(self._path):
            atomic.write(self._path, buffer.getbuffer())
        self._saved_s = time.monotonic()

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06}"

    def resume(self, loop: Loop) -> float:
        """Put `loop`, which has just begun, where the checkpoint is; the real seconds that went into it.

        The loop stays as it is, and the seconds are 0, where there is no checkpoint, where other versions
        made it or it read other files (they may learn differently), and where it is damaged or another
        training's: then it is set aside with a notice.
        """
        if not self._path.exists():
            return 0.0
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise StudyError(f"the checkpoint {self._path} cannot be read: {error.strerror}") from error
        begun = loop.state()
        try:
            return self._resumed(data, loop)
        except _UnusableError as error:
            loop.restore(begun)
            self._mark, self._parts, self._chain = Mark(), 0, ""
            self._set_aside(str(error))
            return 0.0

    def _resumed(self, data: bytes, loop: Loop) -> float:
        """The real seconds in the checkpoint, which was put into the loop; 0 where that is not to be done.
        Raises `_UnusableError`."""
        try:
            content = self._parsed(data, loop.recording.key)
            if content is None:
                return 0.0
            _check_state(content["state"], loop)
            loop.restore(content["state"])
            kept = self._recorded(content, loop)
        except MemoryError:
            raise
        except KeyError as error:
            raise _UnusableError(f"{error} is missing") from error
        except Exception as error:  # whatever a file that anyone may have written leads to
            raise _UnusableError(str(error).partition("\n")[0] or type(error).__name__) from error
        loop.recording = kept
        self._mark, self._parts, self._chain = kept.mark, content["parts"], content["chain"]
        return float(content["wall_s"])

    def _parsed(self, data: bytes, key: str) -> dict[str, Any] | None:
        """The content, or None where it is not to be resumed. Raises anything where it is damaged."""
        import torch

        _check_sums(data)
        content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if content.pop("hash") != _hash(content):
            raise ValueError("its hash is not that of its content")
        if content["versions"] != environment()["versions"]:
            return None
        if not unchanged(content["files"], self.files):
            return None
        if content["key"] != key:
            raise ValueError(f"it is of the training {content['key']!r}")
        return content

    def _recorded(self, content: Mapping[str, Any], loop: Loop) -> Recording:
        """The recording in the parts. Raises anything where they are damaged."""
        kept = replace(loop.recording, evaluations=[], measurements=[], phases=content["state"]["phases"])
        clients, chain = len(loop.exchange.sampler.taken), ""
        for number in range(1, content["parts"] + 1):
            part = self._part(number)
            names = [*FILES, *([MEASUREMENTS] if (part / MEASUREMENTS).exists() else [])]
            tables = {name: (part / name).read_bytes() for name in names}
            chain = _chained(chain, tables)
            append(kept, tables.__getitem__, clients, has_measurements=MEASUREMENTS in tables)
        if chain != content["chain"]:
            raise ValueError(f"the hash of what is in {self._folder.name} is not the one in the file")
        if kept.num_rounds != content["state"]["rounds"]:
            raise ValueError(f"state.rounds: {content['state']['rounds']}; {kept.num_rounds} were recorded")
        return kept

    def _set_aside(self, why: str) -> None:
        aside = self._path.with_name(self._path.name + DAMAGED)
        with describing_disk_errors(self._path):
            self._path.replace(aside)
            if self._folder.exists():
                atomic.move(self._folder, self._folder.with_name(self._folder.name + DAMAGED))
        self._notice(
            f"the checkpoint {self._path} cannot be resumed ({why}); it is kept as {aside.name}, and "
            "that training starts anew"
        )

    def remove(self) -> None:
        """Delete the checkpoint: the training is finished. Raises `DiskError`."""
        with describing_disk_errors(self._path):
            if self._path.exists():  # a disk that is read-only refuses to remove even what is not there
                self._path.unlink(missing_ok=True)
            if self._folder.exists():
                shutil.rmtree(self._folder)


def _chained(chain: str, tables: Mapping[str, bytes]) -> str:
    """A SHA-256 over all parts so far, in hexadecimal."""
    digest = hashlib.sha256(chain.encode())
    for name in sorted(tables):
        digest.update(hashlib.sha256(tables[name]).digest())
    return digest.hexdigest()


def _check_sums(data: bytes) -> None:
    """Check the sums that torch ignores when it reads. Raises `ValueError` where one is wrong."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


def _check_state(state: Any, loop: Loop) -> None:
    """Raises `ValueError` where `state` is not one that this loop, which has just begun, can come to: its
    keys, shapes, counters, and that every number in it is finite."""
    begun, total_rounds = loop.state(), loop.exchange.progress.total_rounds
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
    for name, most in (("rounds", total_rounds), ("steps", math.inf)):
        if type(state[name]) is not int or not 0 <= state[name] <= most:
            raise ValueError(f"state.{name}: {state[name]} is no count up to {most}")
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
