"""Sweeps: dotted keys in a document, every combination of their values, and the form in which a sweep is
written down so that it reads back as the same cases."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slsim.errors import Fault, ScenarioError

MOST_CASES = 100_000

# What a value in short form is short for; any other text is a component's name.
_SHORT_FOR = {"network.uplink": "rate", "network.downlink": "rate"}
_WITHOUT_KEYS = ("data.partition", "training.schedule", "network.framing")  # their text has no table to keep
CLASS_KEYS = {"share", "device"}  # by which a table is a class of clients
_LISTS = ("network.access_points", "training.schedule.milestones", "training.hooks")  # their values are lists


def is_value(key: str, values: Sequence[Any]) -> bool:
    """Whether a list that is set stands for one value of `key`, as in the file, and not for a sweep: classes
    of clients (tables with a share, or that name a device by that key), the levels of a tree, milestones."""
    if key in _LISTS:
        return not any(isinstance(one, list) for one in values)
    return bool(values) and all(isinstance(one, Mapping) and one.keys() & CLASS_KEYS for one in values)


def count_faults(sweep: Mapping[str, Sequence[Any]], seeds: int) -> list[Fault]:
    """A fault where a sweep has too many cases to be made."""
    count = math.prod(len(values) for values in sweep.values())
    if count > MOST_CASES:
        sizes = " × ".join(str(len(values)) for values in sweep.values())
        return [Fault("sweep", f"has {sizes} = {count:,} cases; at most {MOST_CASES:,} are allowed")]
    if count * seeds > MOST_CASES:
        total = f"has {count:,} settings × {seeds:,} seeds = {count * seeds:,} cases"
        return [Fault("sweep", f"{total}; at most {MOST_CASES:,} are allowed")]
    return []


def combinations(sweep: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, int]]:
    """Every combination of the swept values, as the values' positions."""
    ranges = [range(len(values)) for values in sweep.values()]
    return (dict(zip(sweep, choice, strict=True)) for choice in itertools.product(*ranges))


def set_key(
    document: dict[str, Any], key: str, value: Any, defaults: Mapping[str, str] | None = None
) -> None:
    """Sets a dotted key; a value in short form on the way, or its default, becomes its table. Raises
    `ScenarioError` where something on the way is no table."""
    *parents, last = key.split(".")
    table = document
    for depth, parent in enumerate(parents, start=1):
        path = ".".join(parents[:depth])
        below = table.setdefault(parent, (defaults or {}).get(path, {}))
        if isinstance(below, str):
            short = {} if path in _WITHOUT_KEYS else {_SHORT_FOR.get(path, "name"): below}
            below = table[parent] = short
        if not isinstance(below, dict):
            hint = " (it is a list)" if isinstance(below, list) else ""
            raise ScenarioError([Fault(key, f"{path} is not a table{hint}, so nothing in it can be set")])
        table = below
    table[last] = value


def normal_form(
    tables: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> tuple[list[int], list[dict[str, Any]]] | None:
    """The sweep of which `tables`, resolved documents that differ, are the cases: their order in it, and the
    swept values of each. The keys are `keys`, or tables around them where those do not suffice: a swept name
    of a component, say, becomes a sweep over the component with its parameters. None where nothing does."""
    for form in _forms(keys):
        found = _in_form(tables, form)
        if found is not None:
            return found
    return None


def _forms(keys: Sequence[str]) -> Iterator[list[str]]:
    """The swept keys as given, then ever larger tables around them."""
    yield list(keys)
    named = [key.removesuffix(".name") for key in keys]
    yield _outermost(named)
    yield _outermost([key.rpartition(".")[0] if key.count(".") > 1 else key for key in named])
    yield _outermost([key.partition(".")[0] for key in keys])


def _outermost(keys: Sequence[str]) -> list[str]:
    """The keys without those inside another, each once."""
    distinct = dict.fromkeys(keys)
    return [key for key in distinct if not any(key.startswith(f"{other}.") for other in distinct)]


def _in_form(
    tables: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> tuple[list[int], list[dict[str, Any]]] | None:
    try:
        values = [{key: value_at(table, key) for key in keys} for table in tables]
    except (KeyError, TypeError):
        return None
    distinct = {key: list({text(one[key]): one[key] for one in values}.values()) for key in keys}
    if math.prod(map(len, distinct.values())) != len(tables):
        return None
    place = {text(one): number for number, one in enumerate(values)}
    combined = [dict(zip(keys, choice, strict=True)) for choice in itertools.product(*distinct.values())]
    order = [place.get(text(one)) for one in combined]
    if any(number is None for number in order):
        return None
    numbers = [number for number in order if number is not None]
    base = tables[numbers[0]]
    for number in numbers[1:]:
        changed: dict[str, Any] = copy.deepcopy(dict(base))
        for key in keys:
            set_key(changed, key, values[number][key])
        if changed != tables[number]:
            return None
    return numbers, [values[number] for number in numbers]


def text(value: object) -> str:
    """A value of a document as text: equal for equal values."""
    return json.dumps(value, sort_keys=True)


def value_at(document: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key. Raises `KeyError` where there is none, `TypeError` where something on the
    way is no table."""
    value: Any = document
    for part in key.split("."):
        if not isinstance(value, Mapping):
            raise TypeError(key)
        value = value[part]
    return value
