"""A scenario file, read and checked whole, with its overrides and its sweep expanded into cases."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slsim.errors import Fault, FaultsError, ScenarioError
from slsim.registry import faults_of
from slsim.scenario.bounds import bound_faults
from slsim.scenario.sweep import combinations, count_faults, is_value, normal_form, set_key, text
from slsim.scenario.tables import Scenario


@dataclass(frozen=True)
class Case:
    """One setting of a sweep, and the swept values in it, as `Plan.document` writes them."""

    values: Mapping[str, Any]
    scenario: Scenario


@dataclass(frozen=True)
class Plan:
    """A scenario file, read and checked: every case of its sweep, in the file's order; what was set beside
    the file (dotted key → value), and where the file is, if there is one."""

    name: str
    cases: tuple[Case, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

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
    """`document` with dotted keys set; a list of values becomes a sweep over them, unless the key's value is
    such a list (see `sweep.is_value`). A table that is set replaces the whole table, and what was swept in
    it. Raises `ScenarioError` for a key of a table that is
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
        if isinstance(value, list) and not is_value(key, value):
            sweep[key] = value
        else:
            set_key(changed, key, value, _short_defaults())
    return changed


def _swept_around(key: str, sweep: Mapping[str, Any]) -> str | None:
    """The swept table that `key` is in, if there is one."""
    return next((one for one in sweep if key.startswith(f"{one}.")), None)


def plan(document: Mapping[str, Any], source: str, folder: Path) -> Plan:
    """Checks `document` and expands its sweep into cases that differ. Raises `ScenarioError` with every
    fault, each once."""
    base = {key: value for key, value in document.items() if key != "sweep"}
    sweep = document.get("sweep", {})
    if bad := list(bound_faults(document)):
        raise ScenarioError(bad, source)
    faults: dict[Fault, None] = dict.fromkeys(_sweep_faults(sweep))
    scenarios: dict[str, tuple[Scenario, dict[str, Any]]] = {}
    for combination in combinations({} if faults else sweep):
        try:
            scenario = _scenario(base, sweep, combination, folder)
        except FaultsError as error:
            faults.update(dict.fromkeys(_in_sweep(fault, combination) for fault in error.faults))
        else:
            table = scenario.table()
            scenarios.setdefault(text(table), (scenario, table))
    if faults:
        raise ScenarioError(faults, source)
    found = normal_form([table for _, table in scenarios.values()], list(sweep))
    if found is None:
        what = "these keys depend on one another; sweep over one table that holds them all"
        raise ScenarioError([Fault("sweep", what)], source)
    distinct = [scenario for scenario, _ in scenarios.values()]
    cases = tuple(Case(values, distinct[number]) for number, values in zip(*found, strict=True))
    return Plan(cases[0].scenario.name, cases)


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
    return faults or count_faults(sweep)


def _scenario(
    base: Mapping[str, Any], sweep: Mapping[str, list[Any]], combination: Mapping[str, int], folder: Path
) -> Scenario:
    table = copy.deepcopy(dict(base))
    for key, index in combination.items():
        set_key(table, key, copy.deepcopy(sweep[key][index]), _short_defaults())
    try:
        return Scenario.model_validate(table, context={"folder": folder})
    except ValidationError as error:
        raise FaultsError(faults_of(error, Scenario)) from None


@cache
def _short_defaults() -> dict[str, str]:
    """The defaults that are written in short form, by dotted key: "clients.device" and its like."""
    return {
        f"{section}.{name}": info.default
        for section, table in Scenario.model_fields.items()
        for name, info in getattr(table.annotation, "model_fields", {}).items()
        if isinstance(info.default, str)
    }


def _in_sweep(fault: Fault, combination: Mapping[str, int]) -> Fault:
    """A fault of a swept value, told where the file has it."""
    for key, index in combination.items():
        if fault.path == key or fault.path.startswith((key + ".", key + "[")):
            return Fault(f'sweep."{key}"[{index}]{fault.path[len(key) :]}', fault.message)
    return fault
