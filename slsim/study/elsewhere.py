"""A training on a machine that does not see the study's folder.

It is done in a temporary folder there. Its checkpoints, and what became of it, go through a place that all
machines see under one fsspec URL ("s3://bucket/slsim", "file:///mnt/shared"), each as one ZIP archive; the
one that conducts the study fetches what became of it, and removes both.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.boundary import told
from slsim.errors import DiskError, RecordingError
from slsim.events import Event, Saved, Tell, silent
from slsim.results import StudyFolder
from slsim.study.job import Outcome, train_to_disk
from slsim.study.preparing import Manners

if TYPE_CHECKING:
    from slsim.study.training import Training

ENDED, BEGUN = ".zip", ".checkpoint.zip"  # end the names of the archives of a training


@dataclass(frozen=True)
class Place:
    """A folder at an fsspec URL that all machines see."""

    url: str

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write an archive of these files. Raises `DiskError`."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        with self._files(name) as (system, path):
            system.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
            system.pipe_file(path, buffer.getvalue())

    def get(self, name: str) -> dict[str, bytes]:
        """The files of an archive; none where there is none, or a damaged one. Raises `DiskError`."""
        with self._files(name) as (system, path), suppress(FileNotFoundError):
            try:
                with zipfile.ZipFile(io.BytesIO(system.cat_file(path))) as archive:
                    return {entry: archive.read(entry) for entry in archive.namelist()}
            except zipfile.BadZipFile:  # its writer was killed
                return {}
        return {}

    def remove(self, *names: str) -> None:
        """Remove archives, where they are there. Raises `DiskError`."""
        for name in names:
            with self._files(name) as (system, path), suppress(FileNotFoundError):
                system.rm_file(path)

    @contextmanager
    def _files(self, name: str) -> Iterator[tuple[Any, str]]:
        """The file system and the path of an archive. Raises `DiskError` for whatever goes wrong there."""
        import fsspec  # comes with torch

        url = f"{self.url.rstrip('/')}/{name}"
        try:
            yield fsspec.core.url_to_fs(url)
        except Exception as error:  # each kind of place has errors of its own
            raise DiskError(
                f"cannot use the shared place {url}: {told(error)}. What was finished is kept; mend that and "
                "run the same command again"
            ) from error


def train_elsewhere(
    place: Place,
    training: Training,
    folder: StudyFolder,
    device: str = "cpu",
    tell: Tell = silent,
    *,
    known: Manners | None = None,
    wait: bool = True,
    aim: float | None = None,
) -> Outcome:
    """Do what `train_to_disk` does, with the place instead of the study's folder."""
    del folder  # it is not seen from here
    with tempfile.TemporaryDirectory(prefix="slsim-") as temporary:
        here = StudyFolder.of(Path(temporary))
        checkpoint = here.checkpoint(training.name)

        def tell_saved(event: Event) -> None:
            if isinstance(event, Saved):
                place.put(training.name + BEGUN, _contents(here.trainings, checkpoint.stem))
            tell(event)

        try:
            for name in (training.name + BEGUN, training.name + ENDED):
                _write(here.trainings, place.get(name))
            outcome = train_to_disk(training, here, device, tell_saved, known=known, wait=wait, aim=aim)
            if outcome.state in ("trained", "failed"):
                place.put(training.name + ENDED, _contents(here.trainings, training.name))
        except DiskError as error:
            return Outcome(training.name, "no disk", reason=str(error))
        return outcome


def fetch(place: Place, outcome: Outcome, folder: StudyFolder) -> Outcome:
    """Take into the study's folder what became of a training elsewhere. Raises `DiskError`;
    `RecordingError` where it has gone in the meantime."""
    name = outcome.name
    files, over = place.get(name + ENDED), [name + ENDED]
    if outcome.failure is not None:
        text = files.get(folder.error_file(name).name, b"").decode(errors="replace")
        outcome = replace(outcome, failure=replace(outcome.failure, file=folder.save_error(name, text)))
    else:
        recording = {path.partition("/")[2]: content for path, content in files.items()}
        if not recording:
            raise RecordingError(f"{place.url}/{name}{ENDED} has gone; run the same command again")
        with describing_disk_errors(folder.training(name)):
            atomic.write_folder(folder.training(name), recording)
        over.append(name + BEGUN)  # of one that failed the checkpoint is kept
    place.remove(*over)
    return outcome


def _contents(folder: Path, beginning: str) -> dict[str, bytes]:
    """By path below `folder`, of all files whose path begins so."""
    files = (path for entry in folder.glob(f"{beginning}*") for path in [entry, *entry.rglob("*")])
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.is_file()}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        if folder.resolve() not in path.resolve().parents:
            continue  # no archive of ours
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
