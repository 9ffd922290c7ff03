"""Which files of a study are damaged: each is named, with what to do, and the others are used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from slsim.errors import StudyError
from slsim.results import StudyFolder
from slsim.saved import COLUMNS
from slsim.study.inputs import altered

if TYPE_CHECKING:
    import pandas as pd

ALWAYS = ("runs", "summary", "crossovers", "curves", "breakdown")  # tables that every study has


def readable(folder: StudyFolder) -> tuple[dict[str, pd.DataFrame], dict[str, StudyError]]:
    """The study's tables by name, and of those that cannot be read, the errors. Tables that every study has
    are missed, unless there is none but those that are made apart from a study."""
    tables: dict[str, pd.DataFrame] = {}
    damaged: dict[str, StudyError] = {}
    due = ALWAYS if folder.has_begun else ()
    for name in COLUMNS:
        if not (folder.has_table(name) or name in due):
            continue
        try:
            tables[name] = folder.load_table(name)
        except StudyError as error:
            damaged[name] = error
    return tables, damaged


def faults(folder: StudyFolder) -> dict[str, str]:
    """Of each file that is damaged or missing, beside the recordings, by its path in the folder: what is
    wrong, and what to do."""
    found = {f"{name}.csv": str(error) for name, error in readable(folder)[1].items()}
    if why := _manifest_fault(folder):
        found["manifest.json"] = f"{folder.manifest_file} {why}; {folder.remedy}"
    for place in altered(folder.path):
        what = "is not what was copied there, so a replay may not tell what was run"
        found[place] = f"{folder.path / place} {what}; put it back, or run the scenario again"
    return found


def _manifest_fault(folder: StudyFolder) -> str:
    try:
        manifest = json.loads(folder.manifest_file.read_text(encoding="utf-8"))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({error})"
    return "" if isinstance(manifest, Mapping) else "holds no table"
