"""Studies that are compared: opened from their saved tables and scenarios alone, and called so that they are
told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim import atomic
from slsim.analysis.comparison import NUMBERS, VALUES, Compared
from slsim.atomic import describing_disk_errors
from slsim.errors import SlsimError, StudyError
from slsim.own_code import own_code
from slsim.report.comparisons import LAYOUTS, compared
from slsim.report.formats import FORMATS, SUFFIXES, Sheet
from slsim.results import StudyFolder
from slsim.scenario import Case, Plan, full_label, load, setting_labels
from slsim.units import nearest

if TYPE_CHECKING:
    import pandas as pd

    from slsim.study.study import Study


def compare(
    studies: Sequence[str | Path | Study],
    layout: str = "settings",
    value: str = "traffic",
    output: str | Path | None = None,
) -> pd.DataFrame:
    """Return several studies, or folders of them, in one table of their numbers; written to `output` as its
    ending says (.md, .tex, .csv, .html), where that is given. Only saved tables and scenarios are read.

    `layout` is "settings", a row a study and setting, or "table1", a row a data set, model and cut, and a
    column a codec. That one shows a `value`: "traffic", "uplink", "total", "time" or "accuracy". Raises
    `StudyError` where a study cannot be read.

    Example:
        >>> import slsim
        >>> table = slsim.compare(["results/quickstart"], output="table.tex")
        >>> table["setting"].tolist()[:2]
        ['identity', 'QU (3 bits)']
    """
    paths = [Path(one if isinstance(one, str | Path) else one.path) for one in studies]
    sheet = comparison(paths, layout, value)
    if output is not None:
        write(Path(output), sheet, format_of(Path(output)))
    return sheet.data


def comparison(
    paths: Sequence[Path],
    layout: str = "settings",
    value: str = "traffic",
    damaged: Callable[[SlsimError], object] | None = None,
) -> Sheet:
    """The table of the studies at `paths`, and what has to be known of it. `damaged` is told of each study
    that cannot be read, and the others are compared. Raises `StudyError` of each, a line each, where there is
    no `damaged` or no other study."""
    _known("layout", layout, LAYOUTS)
    _known("value", value, VALUES)
    if not paths:
        raise StudyError("there is nothing to compare: give a study, or several")
    distinct = {path.resolve(): path for path in reversed(paths)}
    given = Counter(path.resolve() for path in paths)
    studies, errors = _opened([distinct[place] for place in given])
    if errors and (damaged is None or not studies):
        raise StudyError("\n".join(map(str, errors)))
    if damaged is not None:
        for error in errors:
            damaged(error)
    sheet = compared(_told_apart(studies), layout, value)
    again = [
        f"{distinct[place]} was given {count} times, and is there once."
        for place, count in given.items()
        if count > 1
    ]
    return replace(sheet, notes=(*sheet.notes, *again))


def write(path: Path, sheet: Sheet, format: str) -> None:
    """Write a table in one of the `FORMATS`. Raises `DiskError`."""
    with describing_disk_errors(path):
        atomic.write(path, FORMATS[format](sheet))


def format_of(path: Path) -> str:
    """The format that the ending of a file's name says. Raises `StudyError`."""
    if path.suffix.lower() not in SUFFIXES:
        endings = ", ".join(f"{suffix} ({name})" for suffix, name in SUFFIXES.items())
        raise StudyError(f"{path}: which format that is its ending does not say; end it in one of {endings}")
    return SUFFIXES[path.suffix.lower()]


def _known(what: str, name: str, allowed: Iterable[str]) -> None:
    if name not in allowed:
        names = ", ".join(allowed)
        raise StudyError(f'there is no {what} "{name}"; {nearest(name, allowed)}there are: {names}')


@dataclass(frozen=True)
class _Opened:
    """A study, with where it is and what was set beside its scenario."""

    study: Compared
    path: Path
    overrides: Mapping[str, Any]


def _opened(paths: Sequence[Path]) -> tuple[list[_Opened], list[SlsimError]]:
    """The studies that can be read, and the errors of the others."""
    found: list[_Opened] = []
    errors: list[SlsimError] = []
    for path in paths:
        try:
            found.append(_open(path))
        except SlsimError as error:
            errors.append(error)
    return found, errors


def _open(path: Path) -> _Opened:
    """A study, from its summary, its runs and its scenario. Raises `SlsimError`."""
    folder = StudyFolder.open(path)
    with own_code("never"):
        plan = load(folder.scenario_file)
    summary, runs = (_table(folder, name) for name in ("summary", "runs"))
    rows = _cases_of(summary, plan)
    given = folder.load_manifest().get("set", {})
    study = Compared(plan.name, summary, runs, rows, plan.cases)
    return _Opened(study, path, given if isinstance(given, Mapping) else {})


def _table(folder: StudyFolder, name: str) -> pd.DataFrame:
    """A saved table, in which numbers are numbers. Raises `StudyError`."""
    table = folder.load_table(name)
    wrong = [column for column in NUMBERS if column in table and table[column].dtype.kind not in "iuf"]
    if wrong:
        file = folder.path / f"{name}.csv"
        raise StudyError(f"{file} cannot be read (the column {wrong[0]} has no numbers); {folder.remedy}")
    return table


def _cases_of(summary: pd.DataFrame, plan: Plan) -> list[Case | None]:
    """The case of each setting of a summary: in the plan's order, or, where some are missing, by what they
    are called."""
    cases = [cases[0] for cases in plan.settings]
    if len(summary) == len(cases):
        return list(cases)
    known: dict[str, Case] = dict(zip(setting_labels(cases), cases, strict=True))
    return [known.get(str(setting)) for setting in summary["setting"]]


def _told_apart(found: Sequence[_Opened]) -> list[Compared]:
    """The studies by their names; where several have one, with what was set, or else with where they are."""

    def set_beside(one: _Opened) -> str:
        return ", ".join(f"{key} = {full_label(value)}" for key, value in one.overrides.items())

    names = [one.study.name for one in found]
    longer = [" with ".join(filter(None, (one.study.name, set_beside(one)))) for one in found]
    names = _where_alike(names, longer)
    names = _where_alike(names, [f"{name} ({one.path})" for name, one in zip(names, found, strict=True)])
    return [replace(one.study, name=name) for one, name in zip(found, names, strict=True)]


def _where_alike(names: Sequence[str], others: Sequence[str]) -> list[str]:
    counts = Counter(names)
    return [other if counts[name] > 1 else name for name, other in zip(names, others, strict=True)]
