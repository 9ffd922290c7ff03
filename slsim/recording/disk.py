"""A recording as files: Parquet and a JSON header, for any tool to read.

recording.json         key, status, what was learned from, formats, provenance; a hash of each file
steps.parquet          one row a piece of work or a message, of the rounds that differ
rounds.parquet         for each round, the round that did the same steps first
evaluations.parquet    accuracies
measurements.parquet   what hooks measured; only where the scenario has hooks
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from slsim import atomic
from slsim.errors import RecordingError
from slsim.recording import columns, older
from slsim.recording.columns import EVALUATIONS_FILE, MEASUREMENTS_FILE, ROUNDS_FILE, STEPS_FILE
from slsim.recording.header import (
    FORMAT_VERSION,
    HEADER_FILE,
    AnyHeader,
    Header,
    OldHeader,
    parse_header,
    sha256,
    write_header,
)
from slsim.recording.recording import Recording
from slsim.recording.records import Evaluation, Measurement

FILES = (HEADER_FILE, STEPS_FILE, ROUNDS_FILE, EVALUATIONS_FILE, MEASUREMENTS_FILE)
Read = Callable[[str], bytes]


def save(recording: Recording, folder: Path) -> None:
    """Replace `folder` by one of this recording's files. Raises `OSError`."""
    atomic.write_folder(folder, files_of(recording))


def files_of(recording: Recording) -> dict[str, bytes]:
    """The recording's files, by name."""
    files = tables_of(recording)
    header = {
        "format": FORMAT_VERSION,
        "key": recording.key,
        "status": recording.status,
        "stopped_by": recording.stopped_by,
        "rounds": recording.num_rounds,
        "steps": len(recording.steps.rows),
        "measurements": len(recording.measurements),
        "phases": recording.phases,
        "learning": recording.learning,
        "test_set": asdict(recording.test_set) if recording.test_set else None,
        "formats": [asdict(one) for one in recording.formats],
        **({"cut_shape": asdict(recording.cut_shape)} if recording.cut_shape else {}),
        "measured_codecs": [asdict(one) for one in recording.measured_codecs],
        "kept": asdict(recording.kept),
        "provenance": recording.provenance,
        "files": {name: sha256(content) for name, content in files.items()},
    }
    return {**files, HEADER_FILE: write_header(header)}


def tables_of(recording: Recording) -> dict[str, bytes]:
    """The recording's Parquet files, by name."""
    files = {
        STEPS_FILE: columns.write_steps(recording.row_rounds(), recording.steps.rows, recording.words),
        ROUNDS_FILE: columns.write_rounds(recording.first_rounds()),
        EVALUATIONS_FILE: columns.write_records(recording.evaluations, Evaluation),
    }
    if recording.measurements:
        files[MEASUREMENTS_FILE] = columns.write_records(recording.measurements, Measurement)
    return files


def load(folder: Path) -> Recording:
    """Read the recording in `folder`, of this or an older format. Raises `RecordingError` that names the file
    and the field that are damaged, or the version."""
    return from_files(lambda name: (folder / name).read_bytes(), str(folder))


def read_header(folder: Path) -> AnyHeader:
    """The header of the recording in `folder`, without the rest. Raises `OSError` or `ValueError`."""
    return parse_header((folder / HEADER_FILE).read_bytes())


def from_files(read: Read, source: str) -> Recording:
    """The recording whose files `read` gives by name, from `source`. Raises `RecordingError`."""
    import pyarrow as pa

    try:
        content = read(HEADER_FILE)
        header = parse_header(content)
        provenance = json.loads(content)["provenance"]
        if isinstance(header, OldHeader):
            return older.converted(header, provenance, _hashed(header, read))
        return _assembled(header, provenance, _hashed(header, read))
    except OSError as error:
        why = f"{Path(error.filename or '').name}: {error.strerror or error}"
    except KeyError as error:
        why = f"{error.args[0]} is missing"
    except (ValueError, TypeError, RecursionError, OverflowError, pa.ArrowException) as error:
        why = str(error) or type(error).__name__
    raise RecordingError(
        f"the recording {source} cannot be read ({why}); run the scenario again: that training is done "
        "again, others are kept"
    )


def _hashed(header: AnyHeader, read: Read) -> Read:
    """`read`, which raises `ValueError` for a file that is not what was saved."""

    def checked(name: str) -> bytes:
        content = read(name)
        if header.files and header.files.get(name) != sha256(content):
            raise ValueError(f"{name}: its hash is not the one in {HEADER_FILE}: it is not what was saved")
        return content

    return checked


def _assembled(header: Header, provenance: Mapping[str, Any], read: Read) -> Recording:
    recording = Recording(
        key=header.key,
        learning=header.learning,
        status=header.status,
        stopped_by=header.stopped_by,
        kept=header.kept,
        test_set=header.test_set,
        formats=header.formats,
        cut_shape=header.cut_shape,
        measured_codecs=header.measured_codecs,
        provenance=dict(provenance),
        phases=dict(header.phases),
    )
    append(recording, read, header.clients, has_measurements=bool(header.measurements))
    due = (header.rounds, header.steps, header.measurements)
    found = (recording.num_rounds, len(recording.steps.rows), len(recording.measurements))
    if due != found:
        raise ValueError(
            f"of {due[0]} rounds, {due[1]} steps and {due[2]} measurements, "
            f"{found[0]}, {found[1]} and {found[2]} are there"
        )
    return recording


def append(recording: Recording, read: Read, clients: int, has_measurements: bool) -> None:
    """Add the rounds, evaluations and measurements in the files that `read` gives. Raises `ValueError`."""
    numbers, rows = columns.read_steps(read(STEPS_FILE), recording.words)
    columns.check_steps(numbers, rows, recording.words, clients)
    phases = {recording.words.texts["phase"][number] for number in np.unique(rows["phase"])}
    if unknown := phases - recording.phases.keys():
        raise ValueError(f"{STEPS_FILE}: phase: {min(unknown)!r} has no group in {HEADER_FILE}")
    firsts = columns.read_rounds(read(ROUNDS_FILE))
    recording.append(numbers, rows, firsts)
    columns.check_volume(recording.steps.rows, _times(recording))
    total = recording.num_rounds
    recording.evaluations += columns.read_records(
        read(EVALUATIONS_FILE), Evaluation, EVALUATIONS_FILE, total, clients
    )
    if has_measurements:
        recording.measurements += columns.read_records(
            read(MEASUREMENTS_FILE), Measurement, MEASUREMENTS_FILE, total, clients
        )


def _times(recording: Recording) -> Any:
    """How often each row of the steps was done."""
    steps = recording.steps
    return np.bincount(recording.rounds, minlength=len(steps))[steps.round_of]
