"""Draw a study's figures as files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeAlias

from slsim.errors import SlsimError, StudyError
from slsim.report.figures import files
from slsim.report.figures.catalogue import KINDS, Draw, Kind, Tables, figures_of
from slsim.report.figures.page import PAGE_IN
from slsim.results import APART, StudyFolder

Damaged: TypeAlias = Callable[[StudyError], object]
DUE = ("summary", "curves")  # the tables that a study has, unless it has those of `APART` alone
# A replay draws what it was made for: it takes little longer than its figures do.
AFTER_REPLAYS = ("accuracy_over_time", "time_to_target", "average_round")
AFTER_RUNS = (
    *(*AFTER_REPLAYS, "accuracy_over_all_bytes", "frontier"),
    *("learning_curves", "gantt", "measurements", "theory"),
)


def draw(
    folder: StudyFolder,
    damaged: Damaged | None = None,
    *,
    only: Collection[str] = (),
    width_in: float = PAGE_IN,
    formats: Sequence[str] = files.USUAL,
    output: Path | None = None,
) -> list[str]:
    """Draw every figure that the tables of `folder` allow, or `only` those of some names, as files of these
    formats in `output`, or in the folder's figures; gives the names of the files. `damaged` is told of each
    table that cannot be read, and figures that do not need it are drawn; left out, the first is raised.
    Raises `StudyError` when there is no table, and for a name that no figure has."""
    tables, place = Tables(folder), folder.figures if output is None else output
    if only:
        found = {name: each for asked in only for name, each in figures_of(tables, asked).items()}
        return [file for name, each in found.items() for file in _saved(place, name, each, width_in, formats)]
    names: list[str] = []
    for kind in KINDS:
        if _is_possible(kind, folder):
            try:
                for name, each in kind.figures(tables).items():
                    names += _saved(place, name, each, width_in, formats)
            except StudyError as error:
                if damaged is None:
                    raise
                damaged(error)
    return names


def draw_runs(folder: StudyFolder) -> list[str]:
    """Draw what every run and every replay leaves; gives the names of the files. `draw` draws the others."""
    tables, names = Tables(folder), AFTER_REPLAYS if folder.is_replay else AFTER_RUNS
    return [
        file
        for kind in KINDS
        if kind.name in names and _is_possible(kind, folder)
        for name, each in kind.figures(tables).items()
        for file in _saved(folder.figures, name, each, PAGE_IN, files.USUAL)
    ]


def _is_possible(kind: Kind, folder: StudyFolder) -> bool:
    """Whether the folder has the tables of a figure, or should have them."""
    is_study = folder.has_table("summary") or not any(folder.has_table(name) for name in APART)
    return all(folder.has_table(name) or (is_study and name in DUE) for name in kind.needs)


def _saved(place: Path, name: str, each: Draw, width_in: float, formats: Sequence[str]) -> list[str]:
    """Draw one figure and write its files."""
    try:
        figure = each(width_in)
    except SlsimError:
        raise
    except Exception as error:  # of numbers that no figure can show
        raise StudyError(f"{name} cannot be drawn from the tables of {place.parent}: {error!r}") from error
    return files.save(place, name, figure, formats)
