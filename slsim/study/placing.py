"""Where a study's results go, so that no other settings take the place of a finished study's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slsim.errors import SlsimError
from slsim.own_code import own_code
from slsim.results import ERROR, StudyFolder, digest, slug
from slsim.scenario import Plan, full_label, load
from slsim.study.inputs import localised

APART = "@"  # between a scenario's name, which cannot have it, and other settings of its


def folder_for(asked: Plan, results: Path) -> StudyFolder:
    """`results/<name>`, or `results/<name>@<settings>` where a study of other settings is there, finished or
    begun: one whose overrides were others, and whose scenario is another. A scenario file that was edited
    renews its study."""
    home = StudyFolder.of(results / asked.name)
    if not _has_begun(home) or _is_of(home, asked):
        return home
    return StudyFolder.of(results / f"{asked.name}{APART}{described(asked.overrides)}")


def _has_begun(home: StudyFolder) -> bool:
    """Whether a study has something that would be lost: tables, trainings, or a checkpoint of one."""
    kept = home.trainings.iterdir() if home.trainings.is_dir() else ()
    return home.has_table("summary") or any(not one.name.endswith(ERROR) for one in kept)


def home_of(folder: StudyFolder) -> StudyFolder:
    """The folder of the scenario as it stands, of a study of other settings or of its own."""
    return StudyFolder.of(folder.path.with_name(folder.path.name.partition(APART)[0]))


def described(overrides: Mapping[str, Any], content: Any = None) -> str:
    """What was set, as a folder's name: readable at its beginning, and unique by `content` at its end, by the
    overrides themselves where it is left out."""
    text = slug("_".join(f"{key}={full_label(value)}" for key, value in overrides.items())) or "as-written"
    return f"{text}-{digest(overrides if content is None else content)}"


def _is_of(home: StudyFolder, asked: Plan) -> bool:
    """Whether the study at `home` is one of the settings that are asked for."""
    if home.load_manifest().get("set", {}) == json.loads(json.dumps(asked.overrides, default=str)):
        return True
    try:
        with own_code("never"):
            there = load(home.scenario_file)
            return digest(localised(there.document())[0]) == digest(localised(asked.document())[0])
    except (SlsimError, OSError):
        return False
