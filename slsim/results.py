"""The results folder: where a study's files are, and how they are written so that a killed run, a full
disk or a second run never damages what was finished.

    results/<scenario name>/
        scenario.toml     the scenario, resolved: every default written out
        manifest.json     versions, seed, host, wall time
        summary.csv       one row a run
        curves.csv        one row an evaluation and run: what the figures are drawn from
        probes.csv        what theory probes found, one row a number; only where the scenario asked
        trainings/<codec>-<key>/    one folder a training: recording.json, messages and evaluations (Parquet)
        replays/<what changed>/     re-timings of these trainings: the same files, no trainings
        figures/          PNG and SVG
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from slsim.errors import StudyError
from slsim.recording import Recording

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = ("slsim", "torch", "torchvision", "numpy", "simpy", "pandas", "pyarrow")


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
        """An existing study. Raises `StudyError` when there is none at `path`."""
        if not (path / "scenario.toml").is_file():
            raise StudyError(
                f"{path} is no study: it has no scenario.toml; make one with `slsim run SCENARIO`"
            )
        folder = cls.of(path)
        parent = path.parent.parent
        is_replay = path.parent.name == "replays" and (parent / "scenario.toml").is_file()
        return folder.replay(parent, path.name) if is_replay else folder

    def replay(self, parent: Path, label: str) -> StudyFolder:
        """The folder of a re-timing of the study at `parent`."""
        return StudyFolder(parent / "replays" / label, parent / "trainings")

    @property
    def scenario_file(self) -> Path:
        return self.path / "scenario.toml"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def training(self, name: str) -> Path:
        return self.trainings / name

    def checkpoint(self, name: str) -> Path:
        """The checkpoint of a training in progress; there is none once it is finished."""
        return self.trainings / f".checkpoint-{name}.pt"

    def has_training(self, name: str) -> bool:
        """Whether that training is finished; a folder appears only when it is whole."""
        return self.training(name).is_dir()

    def load_training(self, name: str) -> Recording:
        """Its recording. Raises `RecordingError` when it is damaged."""
        return Recording.load(self.training(name))

    def save_training(self, name: str, recording: Recording) -> None:
        """Writes the recording whole or not at all; an older one of that name is replaced at the end."""
        with describing_disk_errors(self.path):
            self.trainings.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.trainings))
            try:
                recording.save(unfinished)
                unfinished.chmod(0o755)
                if self.training(name).exists():
                    shutil.rmtree(self.training(name))
                unfinished.rename(self.training(name))
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def save_scenario(self, document: Mapping[str, Any]) -> None:
        text = "# Resolved by slsim: every default is written out. It can be run again as it is.\n\n"
        self._write(self.scenario_file, text + tomli_w.dumps(document))

    def save_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._write(self.path / "manifest.json", json.dumps(manifest, indent=2) + "\n")

    def error_file(self, name: str) -> Path:
        """Where the traceback of a training that failed is."""
        return self.trainings / f"{name}.error.txt"

    def save_error(self, name: str, text: str) -> Path:
        self._write(self.error_file(name), text)
        return self.error_file(name)

    def save_table(self, name: str, table: pd.DataFrame) -> None:
        self._write(self.path / f"{name}.csv", table.to_csv(index=False))

    def has_table(self, name: str) -> bool:
        return (self.path / f"{name}.csv").is_file()

    def load_table(self, name: str) -> pd.DataFrame:
        """A saved table. Raises `StudyError` when it is missing or damaged."""
        import pandas as pd

        try:
            return pd.read_csv(self.path / f"{name}.csv", dtype={"run": str})
        except (OSError, ValueError) as error:
            raise StudyError(
                f"{self.path / f'{name}.csv'} cannot be read ({error}); running its scenario restores it"
            ) from error

    def _write(self, path: Path, text: str) -> None:
        """Writes through a temporary file, so that `path` is the old or the new text, never half of it."""
        with describing_disk_errors(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                unfinished.write_text(text, encoding="utf-8")
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)


@contextmanager
def describing_disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk or a missing permission into one `StudyError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"cannot write into {path}: {error.strerror or error}. "
            "Trainings that were finished are kept; mend that and run the same command again"
        ) from error


def slug(text: str) -> str:
    """`text` as a folder name: letters, digits, dots and hyphens."""
    return re.sub(r"[^A-Za-z0-9.=]+", "-", text).strip("-")


def environment() -> dict[str, Any]:
    """What a result may depend on beside the scenario: versions and the host."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "host": {"platform": platform.platform(), "machine": platform.machine(), "cpus": os.cpu_count()},
    }
