"""A scenario file, read and checked whole, with its overrides and its sweep expanded into cases."""

from __future__ import annotations

import copy
import itertools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slsim.errors import Fault, FaultsError, ScenarioError
from slsim.registry import faults_of
from slsim.scenario.tables import Scenario


@dataclass(frozen=True)
class Case:
    """One combination of a sweep: the swept values, as the file would write them, and the setting."""

    values: Mapping[str, Any]
    scenario: Scenario


@dataclass(frozen=True)
class Plan:
    """A scenario file, read and checked: every case of its sweep, in the file's order; and what was set
    beside the file (dotted key → value)."""

    name: str
    cases: tuple[Case, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The resolved scenario file, every default and every swept value written out."""
        document = self.cases[0].scenario.table()
        sweep: dict[str, list[Any]] = {key: [] for key in self.cases[0].values}
        for case in self.cases:
            for key, value in case.values.items():
                if value not in sweep[key]:
                    sweep[key].append(value)
        return {**document, "sweep": sweep} if sweep else document


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """The plan of the scenario file at `path`, with `overrides` (dotted key → value, or a list of values
    to sweep over). Raises `ScenarioError` with every fault of the file."""
    changed = plan(override(read(path), overrides or {}), str(path), Path(path).parent)
    return replace(changed, overrides=dict(overrides or {}))


def read(path: str | Path) -> dict[str, Any]:
    """The TOML document at `path`, unchecked. Raises `ScenarioError` when it cannot be read or parsed."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError([Fault("", f"cannot be read: {error.strerror}")], str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError([Fault("", f"is not TOML: {error}")], str(path)) from None


def override(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with dotted keys set; a list of values becomes a sweep over them. A table that is set
    replaces the whole table, and what was swept in it. Raises `ScenarioError` for a key of a table that is
    swept itself, whose values are whole tables."""
    changed = copy.deepcopy(dict(document))
    sweep = changed.setdefault("sweep", {})
    if not isinstance(sweep, dict):
        return changed  # a fault that `plan` reports
    for key, value in overrides.items():
        if around := _swept_around(key, sweep):
            hint = f"set {around} itself, to one value or to a list of those to sweep over"
            raise ScenarioError([Fault(key, f"{around} is swept, so nothing in it can be set; {hint}")])
        for swept in [one for one in sweep if one == key or one.startswith(f"{key}.")]:
            del sweep[swept]
        if isinstance(value, list):
            sweep[key] = value
        else:
            _set(changed, key, value)
    return changed


def _swept_around(key: str, sweep: Mapping[str, Any]) -> str | None:
    """The swept table that `key` is in, if there is one."""
    return next((one for one in sweep if key.startswith(f"{one}.")), None)


def plan(document: Mapping[str, Any], source: str, folder: Path) -> Plan:
    """Checks `document` and expands its sweep. Raises `ScenarioError` with every fault, each once."""
    base = {key: value for key, value in document.items() if key != "sweep"}
    sweep = document.get("sweep", {})
    faults: dict[Fault, None] = dict.fromkeys(_sweep_faults(sweep))
    cases = []
    for combination in _combinations({} if faults else sweep):
        try:
            case = _case(base, sweep, combination, folder)
        except FaultsError as error:
            faults.update(dict.fromkeys(_in_sweep(fault, combination) for fault in error.faults))
        else:
            cases.append(case)
    if faults:
        raise ScenarioError(faults, source)
    return Plan(cases[0].scenario.name, tuple(cases))


def _sweep_faults(sweep: object) -> list[Fault]:
    if not isinstance(sweep, dict):
        return [Fault("sweep", f"must be a table of dotted keys with lists of values, found {sweep!r}")]
    if "name" in sweep:
        return [Fault('sweep."name"', "a study has one name; sweep over something else")]
    faults = []
    for key, values in sweep.items():
        if not isinstance(values, list) or not values:
            faults.append(Fault(f'sweep."{key}"', f"must be a list of one value or more, found {values!r}"))
        elif around := _swept_around(key, sweep):
            hint = f"write {key.removeprefix(around)[1:]} into the values of {around}"
            faults.append(
                Fault(f'sweep."{key}"', f"{around} is swept too; {hint}, or sweep over its keys instead")
            )
    return faults


def _combinations(sweep: Mapping[str, list[Any]]) -> list[dict[str, int]]:
    """Every combination of the swept values, as the values' positions."""
    ranges = [range(len(values)) for values in sweep.values()]
    return [dict(zip(sweep, choice, strict=True)) for choice in itertools.product(*ranges)]


def _case(
    base: Mapping[str, Any], sweep: Mapping[str, list[Any]], combination: Mapping[str, int], folder: Path
) -> Case:
    table = copy.deepcopy(dict(base))
    for key, index in combination.items():
        _set(table, key, copy.deepcopy(sweep[key][index]))
    try:
        scenario = Scenario.model_validate(table, context={"folder": folder})
    except ValidationError as error:
        raise FaultsError(faults_of(error, Scenario)) from None
    resolved = scenario.table()
    return Case({key: _get(resolved, key) for key in combination}, scenario)


def _in_sweep(fault: Fault, combination: Mapping[str, int]) -> Fault:
    """A fault of a swept value, told where the file has it."""
    for key, index in combination.items():
        if fault.path == key or fault.path.startswith((key + ".", key + "[")):
            return Fault(f'sweep."{key}"[{index}]{fault.path[len(key) :]}', fault.message)
    return fault


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    table = document
    for parent in parents:
        below = table.setdefault(parent, {})
        if isinstance(below, str):  # a component in short form
            below = table[parent] = {"name": below}
        if not isinstance(below, dict):
            raise ScenarioError([Fault(key, f"{parent} is not a table, so nothing in it can be set")])
        table = below
    table[last] = value


def _get(document: Mapping[str, Any], key: str) -> Any:
    value: Any = document
    for part in key.split("."):
        value = value[part]
    return value
