"""The results folder: where a study's files are, and how they are written so that a killed run, a full
disk or a second run never damages what was finished.

    results/<scenario name>/     and <scenario name>@<what was set>/ beside it, for other settings
        scenario.toml     the scenario, resolved: every default written out
        manifest.json     date, command, versions, host, seed, wall time, its trainings, what was set
        inputs/           the rate traces and the code of one's own that it was made with
        runs.csv          one row a run, which is a setting with one seed; those that failed too
        summary.csv       one row a setting: statistics over its seeds
        crossovers.csv    where each setting stops paying, over each swept number
        curves.csv        one row an evaluation and run: what the figures are drawn from
        round.csv         one round of each setting, step by step in time
        measurements.csv  what hooks measured, one row a number; only where the scenario has hooks
        trainings/<codec>-<key>/    one folder a training: JSON and Parquet (see recording/disk.py)
        replays/<what changed>/     re-timings of these trainings: the same files, no trainings
        figures/          PNG and SVG
        report.html       what `slsim report` writes: all of it on one page
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from slsim import atomic, saved
from slsim import recording as recordings
from slsim.atomic import describing_disk_errors
from slsim.circumstances import processor_name
from slsim.code_hash import code_hash
from slsim.codecs.costs import with_core_seconds
from slsim.errors import RecordingError, StudyError
from slsim.recording import Recording
from slsim.units import nearest

if TYPE_CHECKING:
    import pandas as pd

DAMAGED = (
    ".damaged"  # what the name of a file or folder ends in that was set aside, because it cannot be read
)
SCENARIO = "scenario.toml"
REQUIRED = ("name", "data", "model", "clients", "training")  # tables that each resolved scenario has
REPLAYS = "replays"
RESULTS = Path("results")  # where studies are, unless a command says otherwise
APART = ("errors", "partition")  # tables that commands of their own make, before or without any run
LONGEST_SLUG = 60
_ENDS_IN_KEY = re.compile("-[0-9a-f]{8}$")  # as a training's name does
CHECKPOINT = ".checkpoint-"  # begins the names of what is kept of a training in progress
ERROR = ".error.txt"  # ends the name of a file with the traceback of a training that failed
PACKAGES = ("slsim", "torch", "torchvision", "numpy", "simpy", "pandas", "pyarrow")
CODE = "slsim_code"  # among the versions: the hash of the code that learns
# The code that decides what is learned, and which steps are written.
LEARNS = ("codecs", "learning", "protocols", "recording/cut_shape", "recording/script", "seeds")


@dataclass(frozen=True)
class StudyFolder:
    """One study on disk. `trainings` is elsewhere for a replay: in the study that it re-times."""

    path: Path
    trainings: Path

    @classmethod
    def of(cls, path: Path) -> StudyFolder:
        """The folder of a study of its own at `path`, whether it exists yet or not."""
        return cls(path, path / "trainings")

    @classmethod
    def open(cls, path: Path) -> StudyFolder:
        """An existing study. Raises `StudyError` when there is none at `path`, or its scenario is damaged."""
        folder = cls.of(path)
        if not folder.has_begun and not folder.scenario_file.exists():
            raise StudyError(
                f"{path} is no study: it has no {SCENARIO}; {nearest_study(path)}make one with "
                "`slsim run SCENARIO`"
            )
        if why := folder._scenario_fault():
            raise StudyError(f"{folder.scenario_file} {why}, so nothing says what was asked; {folder.remedy}")
        parent = path.parent.parent
        has_parent = folder.is_replay and (parent / folder.trainings.name).is_dir()
        return folder.replay(parent, path.name) if has_parent else folder

    @classmethod
    def shown(cls, path: Path) -> StudyFolder:
        """An existing study or replay that has tables, of which nothing else is needed. Raises `StudyError`
        when there are none at `path`."""
        folder = cls.of(path)
        if any(folder.has_table(name) for name in saved.COLUMNS):
            return folder
        if folder.has_begun or folder.scenario_file.exists():
            raise StudyError(f"{path} has no tables (yet); {folder.remedy}")
        raise StudyError(
            f"{path} is no study: it has no tables; {nearest_study(path)}make one with `slsim run SCENARIO`"
        )

    def replay(self, parent: Path, label: str) -> StudyFolder:
        """The folder of a re-timing of the study at `parent`."""
        return StudyFolder(parent / REPLAYS / label, parent / "trainings")

    @property
    def is_replay(self) -> bool:
        """Whether it lies where re-timings of a study lie."""
        return self.path.parent.name == REPLAYS

    @property
    def has_begun(self) -> bool:
        """Whether it has something that would be lost: tables, trainings, or a checkpoint of one."""
        kept = self.trainings.iterdir() if self.trainings.is_dir() else ()
        return self.has_answers or any(not one.name.endswith(ERROR) for one in kept)

    @property
    def has_answers(self) -> bool:
        """Whether it has tables of runs."""
        return any(self.has_table(name) for name in saved.COLUMNS if name not in APART)

    @property
    def remedy(self) -> str:
        """How a file of it that is missing or damaged is written again."""
        if self.is_replay:
            return "the same `slsim replay` restores it"
        return "running its scenario restores it"

    def _scenario_fault(self) -> str:
        """What is wrong with the file of the scenario, as far as that shows without reading it as one."""
        try:
            document = tomllib.loads(self.scenario_file.read_text(encoding="utf-8-sig"))
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        except (ValueError, RecursionError) as error:
            return f"is not TOML ({error})"
        missing = [key for key in REQUIRED if key not in document]
        return f"is no whole scenario (no {missing[0]})" if missing else ""

    @property
    def scenario_file(self) -> Path:
        return self.path / SCENARIO

    @property
    def manifest_file(self) -> Path:
        return self.path / "manifest.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def training(self, name: str) -> Path:
        return self.trainings / name

    def checkpoint(self, name: str) -> Path:
        """The checkpoint of a training in progress; there is none once it is finished."""
        return self.trainings / f"{CHECKPOINT}{name}.pt"

    def has_training(self, name: str) -> bool:
        """Whether that training is finished; a folder appears only when it is whole."""
        return not name.startswith(".") and not name.endswith(DAMAGED) and self.training(name).is_dir()

    def trainings_of_key(self, key: str) -> list[str]:
        """The names of the finished trainings of that key: versions of slsim may call one differently."""
        return sorted(path.name for path in self.trainings.glob(f"*-{key}") if self.has_training(path.name))

    def looks_like_training(self, name: str) -> bool:
        """Whether a folder of that name may be a training, whole or damaged, and is not somebody else's."""
        has_header = (self.training(name) / recordings.HEADER_FILE).is_file()
        return self.has_training(name) and (has_header or bool(_ENDS_IN_KEY.search(name)))

    def load_training(self, name: str) -> Recording:
        """Its recording. Raises `RecordingError` when it is damaged, or another training's."""
        recording = with_core_seconds(recordings.load(self.training(name)))
        if not name.endswith(f"-{recording.key}"):
            raise RecordingError(
                f"the recording {self.training(name)} is of another training: its folder is called {name}, "
                f"its recording.json says key: {recording.key!r}"
            )
        return recording

    def set_training_aside(self, name: str) -> Path:
        """Move a training that cannot be read out of the way; where to. Raises `DiskError`."""
        aside = self.trainings / f"{name}{DAMAGED}"
        with describing_disk_errors(self.training(name)):
            atomic.move(self.training(name), aside)
        return aside

    def sweep(self) -> None:
        """Remove what killed runs left."""
        for folder in (self.path, self.trainings, self.figures):
            atomic.sweep(folder)

    def save_training(self, name: str, recording: Recording) -> None:
        """Write the recording whole or not at all; an older one of that name is deleted last. Raises
        `DiskError`."""
        with describing_disk_errors(self.training(name)):
            recordings.save(recording, self.training(name))

    def save_scenario(self, document: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> None:
        """Write the resolved scenario, and the `files` that it names, by path in this folder."""
        for name, content in (files or {}).items():
            with describing_disk_errors(self.path / name):
                if not _holds(self.path / name, content):
                    atomic.write(self.path / name, content)
        text = "# Resolved by slsim: every default is written out. It can be run again as it is.\n\n"
        self._write(self.scenario_file, text + tomli_w.dumps(document))

    def save_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._write(self.manifest_file, json.dumps(manifest, indent=2, default=str) + "\n")

    def load_manifest(self) -> dict[str, Any]:
        """The manifest; empty where there is none, or a damaged one: nothing depends on it alone."""
        try:
            manifest = json.loads(self.manifest_file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def trainings_listed(self) -> list[str]:
        """The names of the trainings that the study itself, not a replay of it, was made of last; none where
        it does not say so."""
        listed = StudyFolder.of(self.trainings.parent).load_manifest().get("trainings", [])
        return [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []

    def error_file(self, name: str) -> Path:
        """Where the traceback of a training that failed is."""
        return self.trainings / f"{name}{ERROR}"

    def save_error(self, name: str, text: str) -> Path:
        self._write(self.error_file(name), text)
        return self.error_file(name)

    def save_table(self, name: str, table: pd.DataFrame) -> None:
        self._write(self.path / f"{name}.csv", table.to_csv(index=False))

    def has_table(self, name: str) -> bool:
        return (self.path / f"{name}.csv").is_file()

    def load_table(self, name: str) -> pd.DataFrame:
        """A saved table. Raises `StudyError` when it is missing or damaged: which column, and why."""
        path = self.path / f"{name}.csv"
        try:
            text = path.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):
                raise ValueError("it ends within a line")
            return saved.parse(name, text)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            first = "remove that folder, then " if path.is_dir() else ""
            raise StudyError(f"{path} cannot be read ({why}); {first}{self.remedy}") from error

    def _write(self, path: Path, text: str) -> None:
        with describing_disk_errors(path):
            atomic.write(path, text)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def nearest_study(path: Path) -> str:
    """`did you mean "…"? ` for a study in the folder `path`, or for the one that is called most like it,
    beside it or in ./results; an empty string if there is none."""
    places = [path.parent, *([RESULTS] if path.parent == Path() else [])]
    within, beside = _studies([path]), _studies(places)
    if within:
        return f'did you mean "{next(iter(within.values()))}"? '
    if path.name in beside and beside[path.name] != str(path):
        return f'did you mean "{beside[path.name]}"? '
    return nearest(path.name, beside, shown=beside)


def _studies(folders: Sequence[Path]) -> dict[str, str]:
    """The studies in folders: what each folder is called, and where it is."""
    try:
        found = [one for folder in folders if folder.is_dir() for one in sorted(folder.iterdir())]
        return {one.name: str(one) for one in reversed(found) if (one / SCENARIO).is_file()}
    except OSError:
        return {}


def slug(text: str) -> str:
    """`text` as the beginning of a folder's name: letters, digits, dots and hyphens, not too many."""
    return re.sub(r"[^A-Za-z0-9.=]+", "-", text)[:LONGEST_SLUG].strip(".-")


def digest(value: Any) -> str:
    """Eight hexadecimal digits that tell plain values apart, for a folder's name."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


@cache
def _versions() -> dict[str, str]:
    """Versions of the packages that results depend on, and the hash of slsim's code that learns, read once:
    each checkpoint states them."""
    return {name: importlib.metadata.version(name) for name in PACKAGES} | {CODE: code_hash(*LEARNS)}


def environment() -> dict[str, Any]:
    """What a result may depend on beside the scenario: versions and the host."""
    return {
        "versions": dict(_versions()),
        "python": platform.python_version(),
        "host": {
            "platform": platform.platform(),
            "machine": platform.machine(),
            "processor": processor_name(),
            "cpus": os.cpu_count(),
        },
    }
