"""Where a study's results go, so that no other settings take the place of a finished study's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slsim.results import SCENARIO, StudyFolder, digest, slug
from slsim.scenario import Plan, full_label
from slsim.study.former import asks

APART = "@"  # between a scenario's name, which cannot have it, and other settings of its
ORIGIN = "scenario"  # in the manifest: the scenario file


def folder_for(asked: Plan, results: Path) -> StudyFolder:
    """`results/<name>`, or `results/<name>@<settings>` where the study of another question is there, finished
    or begun: one of another scenario file, or whose overrides were others, and whose scenario is another. A
    scenario file that was edited renews its study, and so does a study's own scenario.toml."""
    if not _set(asked) and asked.path is not None and _is_study_in(asked.path.parent, results):
        return StudyFolder.of(results / asked.path.resolve().parent.name)
    home = StudyFolder.of(results / asked.name)
    file = origin(asked, home.path)
    apart = [described(_set(asked), [_set(asked), file], _called(asked))]
    if home.load_manifest().get(ORIGIN, file) == file:
        apart.insert(0, described(_set(asked)))
    for folder in (home, *(StudyFolder.of(results / f"{asked.name}{APART}{name}") for name in apart)):
        if not folder.has_begun or _is_of(folder, asked):
            return folder
    return folder  # called by a hash of all that it is told by


def sharing(folder: StudyFolder, asked: Plan) -> Iterator[StudyFolder]:
    """Where studies that may share trainings lie: beside `folder`, the one of the scenario as it stands
    first, and where the scenario lies, if that is in a study."""
    beside = folder.path.parent
    home = beside / folder.path.name.partition(APART)[0]
    others = sorted(beside.iterdir()) if beside.is_dir() else []
    for path in dict.fromkeys([home, *others, *([asked.path.resolve().parent] if asked.path else [])]):
        if path.resolve() != folder.path.resolve():
            yield StudyFolder.of(path)


def origin(asked: Plan, study: Path) -> str | None:
    """The scenario file that a study is made of, relative to the study's folder, so that both can be moved
    together; of a study that is made of its own scenario.toml, the file that it was made of before. None
    where there is no file."""
    if asked.path is None:
        return None
    file = Path(os.path.realpath(asked.path))
    if file == Path(os.path.realpath(study / SCENARIO)):
        before = StudyFolder.of(study).load_manifest().get(ORIGIN)
        return before if isinstance(before, str) else SCENARIO
    try:
        return Path(os.path.relpath(file, study.resolve())).as_posix()
    except ValueError:  # on another drive
        return file.as_posix()


def _set(asked: Plan) -> dict[str, Any]:
    """What was set beside the file, and tells questions apart: the study's name is the folder's."""
    set_: dict[str, Any] = json.loads(json.dumps(asked.overrides, default=str))
    return {key: value for key, value in set_.items() if key != "name"}


def _called(asked: Plan) -> str:
    """A word for a scenario file among those whose studies have one name."""
    if asked.path is None:
        return ""
    return asked.path.stem if asked.path.stem != asked.name else asked.path.resolve().parent.name


def _is_study_in(path: Path, results: Path) -> bool:
    is_study = StudyFolder.of(path).manifest_file.is_file()
    return is_study and path.resolve().parent == results.resolve()


def described(overrides: Mapping[str, Any], content: Any = None, called: str = "") -> str:
    """What was set, as a folder's name: readable at its beginning, and unique by `content` at its end, by the
    overrides themselves where it is left out. `called` stands in front."""
    parts = [called, *(f"{key}={full_label(value)}" for key, value in overrides.items())]
    text = slug("_".join(filter(None, parts))) or "as-written"
    return f"{text}-{digest(overrides if content is None else content)}"


def _is_of(study: StudyFolder, asked: Plan) -> bool:
    """Whether a study is one of the question that is asked."""
    if not (study.manifest_file.exists() or study.scenario_file.exists()):
        return True  # it says of no question that it is its own
    manifest = study.load_manifest()
    if manifest and isinstance(manifest.get("set", {}), dict) and asked.path is not None:
        said = manifest.get("set", {})
        before = {key: value for key, value in said.items() if key != "name"} if said else {}
        # Up to version 0.1 manifests did not say which file.
        of_file = manifest.get(ORIGIN, origin(asked, study.path)) == origin(asked, study.path)
        if of_file and before == _set(asked):
            return True
    return asks(study, asked)
