"""What lies in a study's folder and nothing needs any more: left by killed runs, set aside, or superseded."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import StudyError
from slsim.locks import PREFIX, LockedError, is_locked, training_lock
from slsim.results import CHECKPOINT, DAMAGED, ERROR, REPLAYS, StudyFolder
from slsim.study.inputs import FOLDER

TABLES = ("runs", "summary")  # that may say which trainings they were made of, in these columns:
COLUMNS = ("training", "baseline")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that may be removed: where, how large, and why. `training` is the path of the
    training that it is of, if of one."""

    path: Path
    num_bytes: int
    why: str
    training: Path | None = None


def studies_at(path: Path) -> list[StudyFolder]:
    """The study at `path`, or all those in the folder `path`, by name. Raises `StudyError` where there is
    none."""
    if _is_study(path):
        return [StudyFolder.of(path)]
    there = sorted(path.iterdir()) if path.is_dir() else []
    found = [StudyFolder.of(one) for one in there if _is_study(one)]
    if not found:
        raise StudyError(f"there is no study in {path}; name one, such as results/quickstart")
    return found


def _is_study(path: Path) -> bool:
    study = StudyFolder.of(path)
    return study.scenario_file.is_file() or study.manifest_file.is_file() or study.trainings.is_dir()


def in_use(folder: StudyFolder) -> bool:
    """Whether a run is training in it just now."""
    there = folder.trainings.glob(f"{PREFIX}*") if folder.trainings.is_dir() else ()
    return any(is_locked(folder.training(_training_of(one.name))) for one in there)


def leftovers(folder: StudyFolder) -> list[Leftover]:
    """What may be removed from a study and its replays, each once: nothing where a run is training in it, and
    no finished training that a table uses."""
    if in_use(folder):
        return []
    found: dict[Path, Leftover] = {}
    for path, why in _of_killed_runs(folder):
        found.setdefault(path, Leftover(path, _num_bytes(path), why))
    for path, why in _of_trainings(folder):
        training = folder.training(_training_of(path.name))
        found.setdefault(path, Leftover(path, _num_bytes(path), why, training))
    for path, why in _inputs(folder):
        found.setdefault(path, Leftover(path, _num_bytes(path), why))
    return list(found.values())


def remove(folder: StudyFolder, listed: Collection[Leftover]) -> list[Leftover]:
    """Delete what was listed of a study, as far as nothing needs it by now; what that was. Raises
    `DiskError`."""
    paths = {one.path for one in listed}
    return [one for one in leftovers(folder) if one.path in paths and _removed(one)]


def _removed(one: Leftover) -> bool:
    """Delete it, unless a process has just begun with the training that it is of."""
    lock = training_lock(one.training, blocking=False) if one.training else nullcontext()
    try:
        with lock, describing_disk_errors(one.path):
            if one.path.name.startswith(PREFIX):
                return True  # it goes with the lock that was just held
            atomic.remove(one.path)
    except LockedError:
        return False
    return True


def _replays(folder: StudyFolder) -> list[Path]:
    replays = folder.path / REPLAYS
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
    """Traces and code that the scenario does not name any more."""
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
