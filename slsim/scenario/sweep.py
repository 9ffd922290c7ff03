"""Sweeps as a document has them: `[sweep]`, a grid of dotted keys with their values, or `[[sweep]]`, several
small grids whose cases are joined in their order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slsim.errors import Fault, FaultsError
from slsim.scenario.bounds import MOST_CASES
from slsim.scenario.ranges import is_range, points

CLASS_KEYS = {"share", "device"}  # by which a table is a class of clients
TARGET = "target_accuracy"  # of [training]: a list of targets is a sweep over them
_LISTS = ("network.access_points", "training.schedule.milestones", "training.hooks")  # their values are lists


@dataclass(frozen=True)
class Swept:
    """A value of a sweep, and where the document has it."""

    value: Any
    path: str


Grid = Mapping[str, Sequence[Swept]]
Combination = Mapping[str, Swept]


def is_value(key: str, values: Sequence[Any]) -> bool:
    """Whether a list that is set stands for one value of `key`, as in the file, and not for a sweep: classes
    of clients (tables with a share, or that name a device by that key), the levels of a tree, milestones."""
    if key in _LISTS:
        return not any(isinstance(one, list) for one in values)
    return bool(values) and all(isinstance(one, Mapping) and one.keys() & CLASS_KEYS for one in values)


def stands_for_several(key: str, value: object) -> bool:
    """Whether a value that is set for `key` is a sweep: a list of values, or a range."""
    return is_range(value) or (isinstance(value, list) and not is_value(key, value))


def with_targets_swept(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """`document` with a list of targets in [training] as a sweep over them; and what is wrong with that."""
    training, sweep = document.get("training"), document.get("sweep") or {}
    given = training.get(TARGET) if isinstance(training, Mapping) else None
    if not isinstance(training, Mapping) or not isinstance(given, list):
        return dict(document), []
    tables = sweep if isinstance(sweep, list) else [sweep]
    if not given or not all(isinstance(table, Mapping) for table in tables):
        return dict(document), []  # the fault is told where the value is checked
    key = f"training.{TARGET}"
    rest = {**document, "training": {name: value for name, value in training.items() if name != TARGET}}
    if any(one in (key, "training") for table in tables for one in table):
        return rest, [Fault(key, "is a list, and swept too; say the targets once")]
    with_targets = [{**table, key: given} for table in tables]
    return {**rest, "sweep": with_targets if isinstance(sweep, list) else with_targets[0]}, []


def grids(sweep: object, seeds: int) -> list[Grid]:
    """The grids of a sweep, ranges unfolded. Raises `FaultsError` for what is no sweep, and for one with too
    many cases to be made, each with so many seeds."""
    are_points = isinstance(sweep, list)
    tables: list[Any] = sweep if isinstance(sweep, list) and sweep else [sweep]
    if not all(isinstance(table, Mapping) for table in tables):
        what = f"must be a table of dotted keys with lists of values, or several such tables, found {sweep!r}"
        raise FaultsError([Fault("sweep", what)])
    faults: dict[Fault, None] = {}
    found = []
    for number, table in enumerate(tables):
        name = f"sweep[{number}]" if are_points else "sweep"
        wrong = list(_faults(table, name, are_points)) or list(_differences(table, tables[0], name))
        try:
            found.append({} if wrong else _grid(table, name, are_points))
        except FaultsError as error:
            wrong += error.faults
        faults |= dict.fromkeys(wrong)
    if faults := faults or dict.fromkeys(_too_many(found, seeds)):
        raise FaultsError(faults)
    return found


def combinations(grid: Grid) -> Iterator[Combination]:
    """Every combination of a grid's values, in its order."""
    return (dict(zip(grid, choice, strict=True)) for choice in itertools.product(*grid.values()))


def unfolded(values: object, path: str) -> list[Swept]:
    """The values of a list or a range, ranges in the list among them. Raises `FaultsError` for a faulty
    range."""
    if is_range(values):
        assert isinstance(values, str)
        try:
            return [Swept(value, path) for value in points(values)]
        except ValueError as error:
            raise FaultsError([Fault(path, str(error))]) from None
    assert isinstance(values, list)
    found = []
    for index, value in enumerate(values):
        place = f"{path}[{index}]"
        found += unfolded(value, place) if is_range(value) else [Swept(value, place)]
    return found


def swept_around(key: str, sweep: Mapping[str, Any]) -> str | None:
    """The swept table that `key` is in, if there is one."""
    return next((one for one in sweep if key.startswith(f"{one}.")), None)


def _grid(table: Mapping[str, Any], name: str, are_points: bool) -> Grid:
    found: dict[str, list[Swept]] = {}
    faults: list[Fault] = []
    for key, value in table.items():
        path = f'{name}."{key}"'
        try:
            alone = are_points and not stands_for_several(key, value)
            found[key] = [Swept(value, path)] if alone else unfolded(value, path)
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(faults)
    return found


def _faults(table: Mapping[str, Any], name: str, are_points: bool) -> Iterator[Fault]:
    if "name" in table:
        yield Fault(f'{name}."name"', "a study has one name; sweep over something else")
    for key in ("seed", "seeds"):
        if key in table:
            what = "every setting is run with the same seeds; write them at the top of the file"
            yield Fault(f'{name}."{key}"', what)
    if are_points and not table:
        yield Fault(name, "sweeps nothing; give each [[sweep]] a value for every key that is swept")
    for key, value in table.items():
        path = f'{name}."{key}"'
        if around := swept_around(key, table):
            hint = f"write {key.removeprefix(around)[1:]} into the values of {around}"
            yield Fault(path, f"{around} is swept too; {hint}, or sweep over its keys instead")
        elif are_points and isinstance(value, Mapping) and "." not in key:
            hint = "write a dotted key in quotes, and a table as the one value of a list"
            yield Fault(path, f"a table alone may be a dotted key without quotes; {hint}")
        elif not _has_values(key, value, are_points):
            ways = ', or a range such as "1 Mbps .. 1 Gbps / 20"'
            yield Fault(path, f"must be a list of one value or more{ways}, found {value!r}")


def _has_values(key: str, value: object, are_points: bool) -> bool:
    if isinstance(value, list):
        return bool(value) or (are_points and is_value(key, value))
    return are_points or is_range(value)


def _differences(table: Mapping[str, Any], first: Mapping[str, Any], name: str) -> Iterator[Fault]:
    """What a table of points lacks, or has more than the first."""
    if lacking := [key for key in first if key not in table]:
        yield Fault(name, f"lacks {', '.join(lacking)}; each [[sweep]] gives a value to the same keys")
    if more := [key for key in table if key not in first]:
        yield Fault(name, f"has {', '.join(more)}, which sweep[0] lacks; each [[sweep]] sweeps the same keys")


def _too_many(found: Sequence[Grid], seeds: int) -> Iterator[Fault]:
    sizes = [[len(values) for values in grid.values()] for grid in found]
    settings = sum(map(math.prod, sizes))
    least = f"; at most {MOST_CASES:,} are allowed"
    if settings > MOST_CASES:
        shown = " × ".join(map(str, sizes[0])) if len(sizes) == 1 else f"{len(sizes):,} tables"
        yield Fault("sweep", f"has {shown} = {settings:,} cases{least}")
    elif settings * seeds > MOST_CASES:
        total = f"has {settings:,} settings × {seeds:,} seeds = {settings * seeds:,} cases"
        yield Fault("sweep", f"{total}{least}")
