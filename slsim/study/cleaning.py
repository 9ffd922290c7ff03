"""What lies in a study's folder and nothing needs any more: left by killed runs, set aside, or superseded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import StudyError
from slsim.locks import PREFIX, is_locked
from slsim.results import CHECKPOINT, DAMAGED, ERROR, StudyFolder
from slsim.study.inputs import FOLDER

TABLES = ("runs", "summary")  # that may say which trainings they were made of, in these columns:
COLUMNS = ("training", "baseline")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may be removed: where, how large, and why."""

    path: Path
    num_bytes: int
    why: str

    def remove(self) -> None:
        """Delete it. Raises `DiskError`."""
        with describing_disk_errors(self.path):
            atomic.remove(self.path)


def studies_in(results: Path) -> list[StudyFolder]:
    """The studies in a folder, by name. Raises `StudyError` where there is none."""
    paths = sorted(results.iterdir()) if results.is_dir() else []
    found = [StudyFolder.of(path) for path in paths if _is_study(path)]
    if not found:
        raise StudyError(f"there is no study in {results}; name one, such as results/quickstart")
    return found


def _is_study(path: Path) -> bool:
    study = StudyFolder.of(path)
    return study.scenario_file.is_file() or study.manifest_file.is_file() or study.trainings.is_dir()


def leftovers(folder: StudyFolder) -> list[Leftover]:
    """What may be removed from a study and its replays, each once. Nothing that a living process holds is
    among it, nor a finished training that a table uses."""
    found: dict[Path, str] = {}
    for path, why in (*_of_killed_runs(folder), *_of_trainings(folder), *_inputs(folder)):
        found.setdefault(path, why)
    return [Leftover(path, _num_bytes(path), why) for path, why in found.items()]


def _replays(folder: StudyFolder) -> list[Path]:
    replays = folder.path / "replays"
    return sorted(path for path in replays.iterdir() if path.is_dir()) if replays.is_dir() else []


def _of_killed_runs(folder: StudyFolder) -> Iterator[tuple[Path, str]]:
    studies = [folder.path, *_replays(folder)]
    homes = [place for path in studies for place in (path, path / "figures", *(path / FOLDER).glob("*"))]
    for home in (*homes, folder.trainings):
        for entry in atomic.left_in(home):
            yield entry, "left by a run that was killed"


def _of_trainings(folder: StudyFolder) -> Iterator[tuple[Path, str]]:
    used = _used(folder)
    for path in sorted(folder.trainings.iterdir()) if folder.trainings.is_dir() else ():
        name = path.name
        training = _training_of(name)
        if is_locked(folder.training(training)):
            continue
        if name.startswith(PREFIX):
            yield path, "a lock that nobody holds"
        elif name.endswith(DAMAGED):
            yield path, "set aside, because it cannot be read"
        elif name.startswith(CHECKPOINT):
            done = folder.has_training(training)
            yield (
                path,
                "of a training that is finished" if done else "a training begun; a run would resume it",
            )
        elif name.endswith(ERROR):
            if folder.has_training(training):
                yield path, "of a training that was done since"
            elif used is not None and training not in used and training not in folder.trainings_listed():
                yield path, "of a training that no table uses any more"
        elif used is not None and folder.looks_like_training(name) and name not in used:
            yield path, "a training that no table uses any more"


def _training_of(name: str) -> str:
    """The name of the training that a file or folder beside the trainings is of."""
    for beginning in (PREFIX, CHECKPOINT):
        name = name.removeprefix(beginning)
    for ending in (DAMAGED, ERROR, ".pt", ".parts"):
        name = name.removesuffix(ending)
    return name


def _used(folder: StudyFolder) -> set[str] | None:
    """The trainings that a study, its tables or those of its replays name; None where that cannot be told."""
    used = set(folder.trainings_listed())
    if not used:
        return None
    for path in (folder.path, *_replays(folder)):
        found = [_named_in(path / f"{table}.csv") for table in TABLES]
        told = [names for names in found if names is not None]
        if not told and path == folder.path:
            return None
        used.update(*told)
        if any(
            (path / f"{table}.csv").exists() and names is None
            for table, names in zip(TABLES, found, strict=True)
        ):
            return None
    return used


def _named_in(table: Path) -> set[str] | None:
    """The trainings that a table names; None where it cannot be read, or names none at all."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return None
    return {row[column] for row in rows for column in COLUMNS if row.get(column)}


def _inputs(folder: StudyFolder) -> Iterator[tuple[Path, str]]:
    """Traces and code that the scenario does not name any more, unless a run is under way."""
    running = [one.name for one in folder.trainings.glob(f"{PREFIX}*")] if folder.trainings.is_dir() else []
    if any(is_locked(folder.training(_training_of(name))) for name in running):
        return
    for path in (folder.path, *_replays(folder)):
        try:
            scenario = (path / folder.scenario_file.name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        for home in sorted((path / FOLDER).glob("*")):
            if f"{FOLDER}/{home.name}/" not in scenario and not home.name.startswith("."):
                yield home, "its scenario does not name it any more"


def _num_bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() or file.is_symlink())
