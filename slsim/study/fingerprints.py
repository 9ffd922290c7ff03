"""What tells whether the files that a training reads are the same as before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from slsim.scenario import Scenario


class Fingerprints:
    """Of the files and folders that components read, each taken once."""

    def __init__(self) -> None:
        self._taken: dict[Path, str] = {}

    def of(self, scenario: Scenario) -> dict[str, str]:
        """By path, of all that the scenario's learning reads. What is not there is left out: a training
        fetches it, or says that it is missing."""
        training = scenario.training
        choices = [scenario.data.component, scenario.model.component, training.protocol, *training.hooks]
        choices += scenario.codec.choices().values()
        paths = [path for choice in choices for path in choice.create().reads()]
        for path in paths:
            if path not in self._taken and (taken := fingerprint(path)) is not None:
                self._taken[path] = taken
        return {str(path): self._taken[path] for path in paths if path in self._taken}


def fingerprint(path: Path) -> str | None:
    """A SHA-256, in hexadecimal; None for what is not there or cannot be read.

    Of a file it is over the content. Of a folder it is over path, size and time of writing of every file
    below, hidden ones left out: to read the 150 GB of ImageNet would take longer than many a training, and
    to list them takes seconds. So a copy counts as the same where it keeps the times, in whole seconds as
    archives do; without them an image drawn over in a format of fixed size would pass for the old one.
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _of_folder(path: Path) -> str:
    digest = hashlib.sha256()
    pending = [("", str(path))]
    while pending:
        below, folder = pending.pop()
        with os.scandir(folder) as entries:
            there = sorted((one for one in entries if one.name[0] != "."), key=lambda one: one.name)
        for entry in there:
            name = f"{below}{entry.name}"
            if entry.is_dir():
                pending.append((f"{name}/", entry.path))
            else:
                status = entry.stat()
                line = f"{name}\0{status.st_size}\0{int(status.st_mtime)}\n"
                digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def unchanged(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether everything that is there now is as it was. What has gone since does not matter: that was
    learned from it, and nothing else."""
    return all(before.get(path) == taken for path, taken in now.items())
