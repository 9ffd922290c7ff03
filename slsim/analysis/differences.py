"""What the studies of a table differ in, beside what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slsim.analysis.comparison import Compared
from slsim.scenario import full_label
from slsim.scenario.normal_form import text
from slsim.scenario.schemes import is_of_scheme
from slsim.scenario.tables import DataTable, ModelTable

GROUPS = {  # beginnings of a scenario's keys, and what they are about; the first that fits counts
    "training.target_": "targets",
    "network": "links",
    "clients": "clients",
    "server": "servers",
    "training": "trainings",
    "codec": "codecs of other messages",
    "data": "data",
    "model": "models",
    "seed": "seeds",
}
OWN = {"data": DataTable.own_keys(), "model": ModelTable.own_keys()}  # which no component has
NONE = {"": "none"}  # in place of the values of a key that a study does not have


@dataclass(frozen=True)
class Difference:
    """A key of the scenario that has other values in one study than in another: what it is about, and for
    each study its values as text, all that are swept."""

    about: str
    key: str
    values: Mapping[str, tuple[str, ...]]


def differences(studies: Sequence[Compared], told: Sequence[str] = ()) -> list[Difference]:
    """Return what the scenarios of studies differ in: targets first, then links, clients, and so on. The
    uplink's codec and the adapter are left out, and what is `told` already. Where the data sets or the models
    differ, their parameters are not compared."""
    values = {study.name: _values(study) for study in studies}
    keys = dict.fromkeys(key for one in values.values() for key in one)
    differing = [key for key in keys if len({tuple(one.get(key, ())) for one in values.values()}) > 1]
    names = [key.removesuffix(".name") for key in differing if key.endswith(".name")]
    found = []
    for about in GROUPS.values():
        for key in differing:
            if _about(key) == about and key not in told and not _follows(key, names):
                shown = {name: tuple(one.get(key, NONE).values()) for name, one in values.items()}
                found.append(Difference(about, key, shown))
    return found


def _values(study: Compared) -> dict[str, dict[str, str]]:
    """By dotted key the values that a study's cases have: each as text that tells it apart, and its label."""
    found: dict[str, dict[str, str]] = {}
    for case in study.cases:
        for key, value in _leaves("", case.scenario.table()):
            found.setdefault(key, {})[text(value)] = full_label(value)
    return {key: values for key, values in found.items() if _about(key) and not is_of_scheme(key)}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, item)
    else:
        yield path, value


def _about(key: str) -> str:
    """What a key is about; empty for a study's name."""
    return next((about for prefix, about in GROUPS.items() if key.startswith(prefix)), "")


def _follows(key: str, names: Sequence[str]) -> bool:
    """Whether a key is a parameter of a component that differs itself."""
    return any(
        key.startswith(f"{name}.") and key != f"{name}.name" and key.split(".")[1] not in OWN.get(name, ())
        for name in names
    )
