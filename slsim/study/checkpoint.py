"""Checkpoints of a training in progress: one file, the old or the new one, never half of it.

It holds tensors and plain values, read without unpickling anything else, and the recording so far.
"""

from __future__ import annotations

import glob
import os
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slsim.errors import StudyError
from slsim.recording import Recording
from slsim.results import describing_disk_errors, environment
from slsim.study.fingerprints import unchanged

LONGEST_S = 60.0  # of real time without a checkpoint


class Checkpoint:
    """The checkpoint of one training, at `path`; `files` are the fingerprints of what the training reads."""

    def __init__(self, path: Path, files: Mapping[str, str] | None = None) -> None:
        self._path = path
        self.files = dict(files or {})
        self._saved_s = time.monotonic()

    def due(self, epoch_ended: bool) -> bool:
        """At every epoch, and after a minute."""
        return epoch_ended or time.monotonic() - self._saved_s >= LONGEST_S

    def save(self, state: dict[str, Any], recording: Recording, wall_s: float) -> None:
        """Replaces the checkpoint. Raises `StudyError` when the disk does not play along."""
        import torch

        with describing_disk_errors(self._path.parent.parent):
            content = {
                "versions": environment()["versions"],
                "files": self.files,
                "wall_s": wall_s,
                "state": state,
                "recording": _files_of(recording),
            }
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            try:
                torch.save(content, unfinished)
                unfinished.replace(self._path)
            except RuntimeError as error:  # torch's, for a disk that is full
                raise OSError(str(error)) from error
            finally:
                unfinished.unlink(missing_ok=True)
        self._saved_s = time.monotonic()

    def load(self) -> tuple[dict[str, Any], Recording, float] | None:
        """The trainer's state, the recording so far, and the real seconds that went into it; None if there
        is no checkpoint, or one that other versions made or that read other files: they may learn
        differently. Raises `StudyError` when it is damaged."""
        import torch

        if not self._path.exists():
            return None
        try:
            _check_sums(self._path)
            content = torch.load(self._path, map_location="cpu", weights_only=True)
            if content["versions"] != environment()["versions"]:
                return None
            if not unchanged(content.get("files", {}), self.files):
                return None
            with tempfile.TemporaryDirectory() as folder:
                for name, data in content["recording"].items():
                    (Path(folder) / name).write_bytes(data.numpy().tobytes())
                recording = Recording.load(Path(folder))
            return content["state"], recording, content["wall_s"]
        except Exception as error:
            raise StudyError(
                f"the checkpoint {self._path} cannot be read ({type(error).__name__}); delete it and run the "
                "scenario again: that training starts anew, finished ones are kept"
            ) from error

    def remove(self) -> None:
        """The training is finished. Of a run that was killed, half a checkpoint may be left too."""
        for path in (self._path, *self._path.parent.glob(f"{glob.escape(self._path.name)}.*")):
            path.unlink(missing_ok=True)


def _check_sums(path: Path) -> None:
    """torch does not look at its own checksums when it reads. Raises ValueError where one is wrong."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


def _files_of(recording: Recording) -> dict[str, Any]:
    """The recording's files as uint8 tensors, by name."""
    import numpy as np
    import torch

    with tempfile.TemporaryDirectory() as folder:
        recording.save(Path(folder))
        return {
            path.name: torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8).copy())
            for path in Path(folder).iterdir()
        }
