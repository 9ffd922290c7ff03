"""One HTML file about a study: its tables, and the same trainings timed again over the values of one number.

A study whose recordings cannot be played is reported from its saved tables, without a slider.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import SlsimError, StudyError, UnitError
from slsim.report.page import Material, Slider, render
from slsim.report.swept import Swept
from slsim.results import StudyFolder
from slsim.scenario.axes import Axis
from slsim.scenario.keys import keys_of, value_at
from slsim.scenario.ranges import is_range, points
from slsim.scenario.settings import parse_values
from slsim.study.integrity import readable
from slsim.study.study import Study, open_study
from slsim.units import QUANTITIES, Quantity, nearest

FILE = "report.html"
OVER, RATES = "network.uplink", "1 Mbps .. 1 Gbps / 20"


@dataclass(frozen=True)
class Asked:
    """What the slider is asked to move through: the key of a scenario and its values, as --set writes them;
    None where nobody asked, for what is usual."""

    over: str | None = None
    rates: str | None = None

    @property
    def key(self) -> str:
        """The number's key in a scenario."""
        return self.over or OVER

    @property
    def values(self) -> list[Any]:
        """The values, as a scenario writes them. Raises `StudyError` where they are no list of values."""
        text = self.rates or RATES
        try:
            listed = points(text) if is_range(text) else parse_values(text)
        except ValueError as error:
            raise StudyError(f"--rates: {error}") from None
        return [one for value in listed for one in (value if isinstance(value, list) else [value])]


def report(
    path: Path, output: Path | None = None, asked: Asked | None = None, *, trust: bool = False
) -> tuple[Path, tuple[str, ...]]:
    """Write the report of the study in the folder `path`, by default into that folder. Gives where it is, and
    a line for each thing that is damaged or missing. Raises `StudyError` when there is no study, nothing in
    it can be read, or the slider that was asked for cannot be."""
    folder, asked = StudyFolder.open(path), asked or Asked()
    try:
        study = open_study(path, trust=trust)
    except SlsimError as error:
        found = _of_tables(folder, error)
    else:
        found = material_of(study, folder, asked)
    return write(found, output or folder.path / FILE), found.missing


def write(material: Material, path: Path) -> Path:
    """Write a page whole. Raises `DiskError`."""
    page = render(material)
    with describing_disk_errors(path):
        atomic.write(path, page)
    return path


def material_of(study: Study, folder: StudyFolder, asked: Asked) -> Material:
    """What the page of a study is made of. Raises `SlsimError` where the slider asked for cannot be."""
    slider, why = None, ""
    try:
        slider = _slider(study, asked)
    except SlsimError as error:
        if asked != Asked():
            raise
        why = str(error)
    failed = [f"{failure}" for failure in study.failures]
    alarms = [f"{label}: {alarm}" for label, alarm in study.alarms.items()]
    return Material(
        _called(folder),
        study.summary,
        study.curves,
        study.breakdown,
        study.crossovers,
        study.links,
        study.frontier,
        _scenario_text(folder),
        folder.load_manifest(),
        slider,
        why,
        study.notes,
        (*map(str, study.damaged), *failed, *alarms),
    )


def _of_tables(folder: StudyFolder, error: SlsimError) -> Material:
    """The page of a study whose recordings cannot be played, from the tables that it saved. Raises `error`
    where its summary cannot be read either."""
    tables, damaged = readable(folder)
    if "summary" not in tables:
        raise error
    notes = folder.load_manifest().get("notes", [])
    return Material(
        _called(folder),
        tables["summary"],
        tables.get("curves"),
        tables.get("breakdown"),
        tables.get("crossovers"),
        tables.get("links"),
        tables.get("frontier"),
        _scenario_text(folder),
        folder.load_manifest(),
        None,
        "the recordings cannot be played",
        tuple(map(str, notes)) if isinstance(notes, list) else (),
        (f"{error}; all is from the saved tables", *map(str, damaged.values())),
    )


def _called(folder: StudyFolder) -> str:
    """What a study is called in its scenario, and of a replay what changed."""
    name = folder.path.resolve().name
    with suppress(ValueError, KeyError):
        document = tomllib.loads(_scenario_text(folder))
        return f"{document['name']}, {name}" if folder.is_replay else str(document["name"])
    return name


def _scenario_text(folder: StudyFolder) -> str:
    with suppress(OSError, ValueError):
        return folder.scenario_file.read_text(encoding="utf-8-sig")
    return ""


def _slider(study: Study, asked: Asked) -> Slider:
    """The study over the values of a number: its own, where it sweeps that, or the usual ones. Raises
    `StudyError` where there is nothing to move through."""
    key = asked.key
    own = _own_values(study, key)
    swept = next((axis for axis in study.axes if axis.key == key), None)
    if swept is not None and asked.rates is None:
        if swept.is_learned or not _same_trainings(study, swept):
            raise StudyError(f"each {key} has trainings of its own, so no slider can move through them")
        middle = sorted(set(map(swept.value, study.cases)))[len(set(own)) // 2]
        return Slider(key, Swept(swept.column), middle, study.summary, study.curves, study.crossovers)
    values, start = _with_own(asked.values, own, key)
    timed = study.replay({key: values}, save=False)
    axis = next((axis for axis in timed.axes if axis.key == key), None)
    if axis is None:
        raise StudyError(f"{key} has a single value, so there is nothing to move through")
    numbers = sorted(set(map(axis.value, timed.cases)))
    first = start if start in numbers else numbers[len(numbers) // 2]
    return Slider(key, Swept(axis.column), first, timed.summary, timed.curves, timed.crossovers)


def _own_values(study: Study, key: str) -> list[Any]:
    """The values of the key that the study's settings have. Raises `StudyError` where one is no number."""
    found = []
    for case in study.cases:
        try:
            value = case.values.get(key, value_at(case.scenario.table(), key))
        except (KeyError, TypeError):
            hint = nearest(key, keys_of(case.scenario.table())).strip()
            raise StudyError(f"a scenario of this study has no {key}{'; ' if hint else ''}{hint}") from None
        if isinstance(value, (list, Mapping)):
            raise StudyError(
                f"{key} is no single number here: it follows a trace, differs between clients, or is a "
                "table; --over another number, such as network.downlink, gives a slider"
            )
        found.append(value)
    return list(dict.fromkeys(found))


def _same_trainings(study: Study, axis: Axis) -> bool:
    """Whether the settings that differ in that number alone have the same trainings."""
    series = study.summary.groupby(Swept(axis.column).series)["training"]
    return bool((series.nunique() == 1).all())


def _with_own(values: Sequence[Any], own: Sequence[Any], key: str) -> tuple[list[Any], float | None]:
    """The values with the study's own among them, in ascending order, and the study's own in base units,
    where it has one alone: there the slider starts, at the numbers of the summary."""
    quantity = _quantity([*values, *own])
    number = float if quantity is None else quantity.parse
    try:
        by_number = {number(value): value for value in [*values, *own]}
        start = number(own[0]) if len(own) == 1 else None
    except (ValueError, TypeError):
        raise StudyError(f"these are no values of one number, {key}: {[*values, *own]!r}"[:300]) from None
    return [by_number[value] for value in sorted(by_number)], start


def _quantity(values: Sequence[Any]) -> Quantity | None:
    """The quantity that all values are of; None of plain numbers."""
    for quantity in QUANTITIES:
        with suppress(UnitError, TypeError, AttributeError):
            for value in values:
                quantity.parse(value)
            return quantity
    return None
