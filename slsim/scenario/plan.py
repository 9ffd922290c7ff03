"""A scenario file, read and checked whole, with its overrides and its sweep expanded into cases."""

from __future__ import annotations

import copy
import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slsim.errors import Fault, FaultsError, ScenarioError
from slsim.registry import faults_of
from slsim.scenario.bounds import bound_faults
from slsim.scenario.choice import NO_ADAPTER, Table
from slsim.scenario.keys import with_key
from slsim.scenario.normal_form import normal_form, text, written
from slsim.scenario.seed_keys import set_seeds, split_seeds
from slsim.scenario.sweep import (
    Combination,
    combinations,
    grids,
    stands_for_several,
    swept_around,
    with_targets_swept,
)
from slsim.scenario.tables import Scenario


@dataclass(frozen=True)
class Case:
    """One setting of a sweep with one of its seeds (`scenario.seed`), and the swept values in it, as
    `Plan.document` writes them. The cases of one setting have the same `values`; a seed is none of them."""

    values: Mapping[str, Any]
    scenario: Scenario


@dataclass(frozen=True)
class Plan:
    """A scenario file, read and checked: every case of its sweep, setting by setting in the file's order and
    each with every seed; what was set beside the file (dotted key → value), and where the file is, if there
    is one."""

    name: str
    cases: tuple[Case, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that each setting is run with."""
        return tuple(dict.fromkeys(case.scenario.seed for case in self.cases))

    @property
    def settings(self) -> tuple[tuple[Case, ...], ...]:
        """The settings, each as its cases, one a seed."""
        count = len(self.seeds)
        return tuple(self.cases[first : first + count] for first in range(0, len(self.cases), count))

    def document(self) -> dict[str, Any]:
        """The resolved scenario file, every default, every seed and every swept value written out."""
        document = self.cases[0].scenario.table()
        if len(self.seeds) > 1:
            document["seed"] = list(self.seeds)
        if not self.cases[0].values:
            return document
        return {**document, "sweep": written([cases[0].values for cases in self.settings])}


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of the scenario file at `path`, with `overrides` (dotted key → value, or a list of values
    to sweep over). Raises `ScenarioError` with every fault of the file.

    Example:
        >>> from slsim.scenario import load
        >>> asked = load("scenarios/quickstart.toml", {"network.uplink": ["1 Mbps", "20 Mbps"]})
        >>> len(asked.settings), len(asked.cases)
        (10, 30)
    """
    changed = plan(override(read(path), overrides or {}), str(path), Path(path).parent)
    return replace(changed, overrides=dict(overrides or {}), path=Path(path))


def read(path: str | Path) -> dict[str, Any]:
    """The TOML document at `path`, unchecked. Raises `ScenarioError` when it cannot be read or parsed."""
    try:
        document = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = f"is not TOML: {error}"
    except ValueError as error:  # a path that no file can have; a number of thousands of digits
        reason = f"cannot be read: {error}"
    except (RecursionError, MemoryError) as error:
        reason = f"cannot be read: it is too large, or nested too deep ({type(error).__name__})"
    else:
        if faults := list(bound_faults(document)):
            raise ScenarioError(faults, str(path))
        return document
    raise ScenarioError([Fault("", reason)], str(path))


def override(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with dotted keys set; a list of values or a range becomes a sweep over them, unless the
    key's value is such a list (see `sweep.is_value`). A table that is set replaces the whole table, and what
    was swept in it. Raises `ScenarioError` for a key of a table that is swept itself, whose values are whole
    tables, and for the sweep as a whole.

    Example:
        >>> override({"network": {"latency": "1 ms"}}, {"network.latency": "5 ms"})["network"]
        {'latency': '5 ms'}
    """
    changed = copy.deepcopy(dict(document))
    sweep = changed.setdefault("sweep", {})
    tables = sweep if isinstance(sweep, list) and sweep else [sweep]
    if not all(isinstance(table, dict) for table in tables):
        return changed  # a fault that `plan` reports
    for key, given in overrides.items():
        value = list(given) if isinstance(given, tuple) else given
        if key in ("seed", "seeds"):
            set_seeds(changed, key, value)
            continue
        if key.partition(".")[0] == "sweep":
            hint = "set the key that is to be swept, to a list of values or a range"
            raise ScenarioError([Fault(key, f"a sweep is not set as such; {hint}: network.uplink=A,B,C")])
        if around := swept_around(key, tables[0]):
            hint = f"set {around} itself, to one value or to a list of those to sweep over"
            raise ScenarioError([Fault(key, f"{around} is swept, so nothing in it can be set; {hint}")])
        for table in tables:
            for swept in [one for one in table if one == key or one.startswith(f"{key}.")]:
                del table[swept]
        if stands_for_several(key, value):
            for table in tables:
                table[key] = value
        else:
            changed = with_key(changed, key, value, _short_defaults())
    if not any(tables):
        changed["sweep"] = {}
    return changed


def plan(document: Mapping[str, Any], source: str, folder: Path) -> Plan:
    """Checks `document` and expands its sweep into cases that differ. Raises `ScenarioError` with every
    fault, each once.

    Example:
        >>> document = {"name": "mine", "data": "fashion-mini", "model": {"name": "cnn", "cut": "medium"}}
        >>> asked = plan({**document, "sweep": {"codec.uplink": ["identity", "ms"]}}, "mine", Path())
        >>> [case.scenario.codec.uplink.title for case in asked.cases]
        ['identity', 'MS (99 %, 2 bits)']
    """
    if bad := list(bound_faults(document)):
        raise ScenarioError(bad, source)
    base, seeds, bad = split_seeds(document)
    base, clash = with_targets_swept(base)
    faults = dict.fromkeys([*bad, *clash])
    sweep = base.pop("sweep", {})
    try:
        swept = grids(sweep, len(seeds) or 1)
    except FaultsError as error:
        faults |= dict.fromkeys(error.faults)
        swept = [{}]
    reader = Reader(base, folder)
    scenarios: dict[str, tuple[Scenario, dict[str, Any]]] = {}
    for combination in itertools.chain.from_iterable(map(combinations, swept)):
        try:
            scenario = reader.read(combination)
        except FaultsError as error:
            faults |= dict.fromkeys(_in_sweep(fault, combination) for fault in error.faults)
        else:
            table = scenario.table()
            scenarios.setdefault(text(table), (scenario, table))
    if faults:
        raise ScenarioError(faults, source)
    is_swept = any("model.adapter" in grid for grid in swept)
    tables = _with_adapters_said([table for _, table in scenarios.values()], is_swept)
    found = normal_form(tables, list(swept[0]), are_points=isinstance(sweep, list))
    distinct = [scenario for scenario, _ in scenarios.values()]
    cases = tuple(
        Case(values, scenario)
        for number, values in zip(*found, strict=True)
        for scenario in _with_seeds(distinct[number], seeds)
    )
    return Plan(cases[0].scenario.name, cases)


def _with_adapters_said(tables: list[dict[str, Any]], is_swept: bool) -> list[dict[str, Any]]:
    """The cases' tables, where some have an adapter or it is swept those without one saying so."""
    if not is_swept and not any("adapter" in table["model"] for table in tables):
        return tables
    return [{**table, "model": {"adapter": NO_ADAPTER, **table["model"]}} for table in tables]


def _with_seeds(scenario: Scenario, seeds: Sequence[int]) -> list[Scenario]:
    return [scenario.model_copy(update={"seed": seed}) for seed in seeds] or [scenario]


class Reader:
    """Checks the combinations of a sweep over `base`; a section that several have alike is checked once."""

    def __init__(self, base: Mapping[str, Any], folder: Path) -> None:
        self._base, self._context = base, {"folder": folder}
        self._sections: dict[tuple[Any, ...], object] = {}

    def read(self, combination: Combination) -> Scenario:
        """The scenario of a combination. Raises `FaultsError`."""
        table: Mapping[str, Any] = self._base
        for key, swept in combination.items():
            table = with_key(table, key, swept.value, _short_defaults())
        sections = {name: self._section(name, table[name], combination) for name in table}
        try:
            return Scenario.model_validate(sections, context=self._context)
        except ValidationError as error:
            raise FaultsError(faults_of(error, Scenario)) from None

    def _section(self, name: str, value: Any, combination: Combination) -> object:
        """The section, checked; or as it is where it has faults, which the whole scenario then has too."""
        info = Scenario.model_fields.get(name)
        if info is None or not isinstance(info.annotation, type) or not issubclass(info.annotation, Table):
            return value
        inner = [swept for key, swept in combination.items() if key.partition(".")[0] == name]
        known = (name, *map(id, inner))  # nothing but these tells it from the base's
        if known not in self._sections:
            try:
                self._sections[known] = info.annotation.model_validate(value, context=self._context)
            except ValidationError:
                self._sections[known] = value
        return self._sections[known]


@cache
def _short_defaults() -> dict[str, str]:
    """The defaults that are written in short form, by dotted key: "clients.device" and its like."""
    return {
        f"{section}.{name}": info.default
        for section, table in Scenario.model_fields.items()
        for name, info in getattr(table.annotation, "model_fields", {}).items()
        if isinstance(info.default, str)
    }


def _in_sweep(fault: Fault, combination: Combination) -> Fault:
    """A fault of a swept value, told where the file has it."""
    for key, swept in combination.items():
        if fault.path == key or fault.path.startswith((key + ".", key + "[")):
            return Fault(f"{swept.path}{fault.path[len(key) :]}", fault.message)
    return fault
