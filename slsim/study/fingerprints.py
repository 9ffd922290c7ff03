"""What tells whether the files that a training reads are the same as before."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from slsim.own_code import without_folder
from slsim.scenario import Scenario


class Fingerprints:
    """Of the files and folders that components read, each taken once."""

    def __init__(self) -> None:
        self._taken: dict[Path, str] = {}

    def of(self, scenario: Scenario) -> dict[str, str]:
        """Of all that the scenario's learning reads, by what reads it and by the name of the file or folder,
        wherever that lies: "data: tiny.npz". What is not there is left out: a training fetches it, or says
        that it is missing."""
        training = scenario.training
        readers = {"data": scenario.data.component, "model": scenario.model.component}
        readers |= {f"codec.{key}": choice for key, choice in scenario.codec.choices().items()}
        readers |= {"protocol": training.protocol}
        readers |= {"adapter": scenario.model.adapter} if scenario.model.adapter else {}
        readers |= {f"hook {without_folder(hook.name)}": hook for hook in training.hooks}
        found: dict[str, str] = {}
        for reader, choice in readers.items():
            for path in choice.create().reads():
                if path not in self._taken and (taken := fingerprint(path)) is not None:
                    self._taken[path] = taken
                if path in self._taken:
                    found[_free(f"{reader}: {path.name}", found)] = self._taken[path]
        return found


def _free(name: str, taken: Collection[str]) -> str:
    """`name`, numbered where a file of that name is read already."""
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(one for one in (name, *itertools.islice(numbered, len(taken))) if one not in taken)


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
    return all(before.get(name) == taken for name, taken in now.items())
