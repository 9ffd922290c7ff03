"""The answers to a question that a study does not ask any more: they are kept, never replaced."""

from __future__ import annotations

import datetime
import shutil
from contextlib import suppress
from pathlib import Path

from slsim import atomic, saved
from slsim.atomic import describing_disk_errors
from slsim.errors import SlsimError
from slsim.own_code import own_code
from slsim.results import APART, REPLAYS, SCENARIO, StudyFolder, digest
from slsim.scenario import Plan, load
from slsim.study.inputs import FOLDER, localised

TABLES = tuple(f"{name}.csv" for name in saved.COLUMNS if name not in APART)
PICTURES = ("*.png", "*.svg")


def asks(study: StudyFolder, asked: Plan) -> bool:
    """Whether the scenario of a study is the one that is asked."""
    try:
        with own_code("never"):
            there = load(study.scenario_file)
            return digest(localised(there.document())[0]) == digest(localised(asked.document())[0])
    except (SlsimError, OSError):
        return False


def keep_former(study: StudyFolder, asked: Plan) -> Path | None:
    """Where a study has answers to another question than the one that is asked, move them to where its
    re-timings lie, which can be shown, checked and replayed; where to. Raises `DiskError`."""
    if not study.has_answers or asks(study, asked):
        return None
    paths = [study.path / name for name in (SCENARIO, study.manifest_file.name, *TABLES)]
    paths += [path for pattern in PICTURES for path in study.figures.glob(pattern)]
    paths += (study.path / FOLDER).rglob("*")
    with describing_disk_errors(study.path):
        contents = {
            path.relative_to(study.path).as_posix(): path.read_bytes() for path in paths if path.is_file()
        }
        name = f"before-{_date(study)}-{digest(contents.get(SCENARIO, b'').decode(errors='replace'))}"
        former = study.path / REPLAYS / name
        atomic.write_folder(former, contents)
        for name in TABLES:
            (study.path / name).unlink(missing_ok=True)
    with suppress(OSError):
        shutil.rmtree(study.figures)
    return former


def _date(study: StudyFolder) -> str:
    """The day on which a study was made."""
    said = study.load_manifest().get("date")
    with suppress(ValueError, TypeError):
        return datetime.datetime.fromisoformat(said or "").date().isoformat()
    seconds = min((study.path / name).stat().st_mtime for name in TABLES if (study.path / name).is_file())
    return datetime.date.fromtimestamp(seconds).isoformat()
