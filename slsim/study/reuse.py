"""Which of the trainings that are there count as finished, and which of those a run uses again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from slsim.atomic import describing_disk_errors
from slsim.recording import Recording
from slsim.results import StudyFolder
from slsim.study.fingerprints import unchanged
from slsim.study.training import made_by_this_version

SUPERSEDED = "superseded"  # an empty file in a training's folder, which goes when a new one replaces it
FILES = "files"  # in a recording's provenance: the fingerprints of what it read; left out if nothing


def finished(folder: StudyFolder, name: str) -> bool:
    """Whether that training is there, and none was asked for in its place."""
    return folder.has_training(name) and not (folder.training(name) / SUPERSEDED).exists()


def reusable(
    folder: StudyFolder, name: str, files: Mapping[str, str], any_version: bool = False
) -> Recording | None:
    """The finished training of that name; None where there is none, where another version made it (unless
    `any_version` will do), or where it read something else than the `files` that are there now (their
    fingerprints); those can be opened, replayed and checked all the same. Raises `RecordingError` when it is
    damaged."""
    if not finished(folder, name):
        return None
    recording = folder.load_training(name)
    same = (any_version or made_by_this_version(recording)) and unchanged(
        recording.provenance.get(FILES, {}), files
    )
    return recording if same else None


def supersede(folder: StudyFolder, names: Iterable[str]) -> list[str]:
    """Those trainings count no more: no run uses them again, no table shows them beside newer ones. They are
    kept on disk until new ones are finished. Which of them counted until now. Raises `DiskError`."""
    counted = [name for name in names if finished(folder, name)]
    with describing_disk_errors(folder.path):
        for name in counted:
            with suppress(FileNotFoundError):  # another run is just replacing it
                (folder.training(name) / SUPERSEDED).touch()
    return counted


def reinstate(folder: StudyFolder, names: Iterable[str]) -> None:
    """Those trainings count again. Raises `DiskError`."""
    with describing_disk_errors(folder.path):
        for name in names:
            (folder.training(name) / SUPERSEDED).unlink(missing_ok=True)
