"""What runs are called in tables, figures and folders: short where that tells them apart."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slsim.scenario.axes import quantity_of
from slsim.scenario.choice import Choice
from slsim.scenario.normal_form import text
from slsim.scenario.plan import Case
from slsim.scenario.schemes import Scheme, is_of_scheme
from slsim.scenario.tables import DataTable, ModelTable, Scenario

SHORT = {"target_accuracy": "target"}  # what labels call a key whose last part is long
ENDS = ("training.stop", "training.target_")  # the keys of what may end a training


def short_label(value: object) -> str:
    """A value of a scenario by its component's name alone, or as it is: "ms", "10 Mbps"."""
    if isinstance(value, Mapping):
        return (
            short_label(value["name"]).rpartition(":")[2]
            if "name" in value
            else short_label(next(iter(value.values())))
        )
    if isinstance(value, (list, tuple)):
        return " + ".join(map(short_label, value)) or "none"
    return _shown(value)


def full_label(value: object) -> str:
    """A value of a scenario with every parameter: "ms 0.99 2", "dirichlet 0.5"."""
    if isinstance(value, Mapping) and "name" in value:
        value = value["name"] if "format" in value else list(value.values())  # a file is called by its name
    elif isinstance(value, Mapping):
        value = [part for item in value.items() for part in item]
    if isinstance(value, (list, tuple)):
        return " ".join(map(full_label, value)) or "none"
    return _shown(value)


def _shown(value: object) -> str:
    """A value as text; a file by its name alone: where it lies is another place once the study was moved."""
    is_path = isinstance(value, str) and Path(value).is_absolute()
    return (Path(str(value)).name if is_path else "") or str(value)


def explicit_label(value: object) -> str:
    """A value of a scenario with the name of every parameter: "name=ms sparsity=0.99 bits=2"."""
    if isinstance(value, Mapping):
        return " ".join(f"{key}={explicit_label(item)}" for key, item in value.items())
    return " ".join(map(explicit_label, value)) if isinstance(value, (list, tuple)) else str(value)


def run_labels(cases: Sequence[Case]) -> list[str]:
    """Return a label for each case, no two alike: that of its setting, and its seed where the cases have
    several: "ms, 10 Mbps, seed 1"."""
    return _with_seeds(setting_labels(cases), [case.scenario for case in cases])


def setting_labels(cases: Sequence[Case]) -> list[str]:
    """Return a label for each case, alike only within one setting: its adapter and uplink codec by what they
    are, then everything else that varies, quantities as they are and other values beside their key: "MS (99
    %, 2 bits), 20 Mbps, cut deep"."""
    keys = [text([case.values, case.scenario.scheme.table()]) for case in cases]
    settings = dict(zip(keys, cases, strict=True))
    labels = dict(zip(settings, _of_settings(list(settings.values())), strict=True))
    return [labels[key] for key in keys]


def _of_settings(cases: Sequence[Case]) -> list[str]:
    """A label for each of `cases`, no two of one setting."""
    others = [
        key
        for key, value in cases[0].values.items()
        if not is_of_scheme(key) and any(case.values[key] != value for case in cases)
    ]
    columns = [codec_labels([case.scenario.scheme for case in cases])]
    codecs = [key for key in others if key.removeprefix("codec.") in cases[0].scenario.codec.choices()]
    rest = [key for key in others if key not in codecs]
    columns += _beside_keys(rest, [[case.values[key] for case in cases] for key in rest])
    for key in (key.removeprefix("codec.") for key in codecs):
        labels = codec_labels([case.scenario.codec.choices()[key] for case in cases])
        columns.append([f"{key.replace('_', ' ')} {label}" for label in labels])
    return _joined(columns)


def codec_labels(codecs: Sequence[Choice | Scheme]) -> list[str]:
    """What each codec, or each adapter with a codec, is called: its title, or every parameter by name where
    others have the same."""
    return _told_apart([codec.written() for codec in codecs], [codec.title for codec in codecs])


def training_labels(scenarios: Sequence[Scenario]) -> list[str]:
    """Return a label for each scenario, alike only where the same is learned: its adapter and uplink
    codec with their numbers, then whatever else of what is learned differs between them, called by its key,
    and its seed where there are several: "qu 3, cut deep, seed 1"."""
    tables = [one.learning_table() for one in scenarios]
    keys = [text(table) for table in tables]
    learned = dict(zip(keys, zip(scenarios, map(_parts, tables), strict=True), strict=True))
    different, parts = [one for one, _ in learned.values()], [part for _, part in learned.values()]
    columns = [codec_labels([one.scheme for one in different])]
    differing = [key for key in dict.fromkeys(itertools.chain(*parts)) if _varies(key, parts)]
    columns += _beside_keys(differing, [[part.get(key) for part in parts] for key in differing])
    labels = dict(zip(learned, _with_seeds(_joined(columns), different), strict=True))
    return [labels[key] for key in keys]


def _joined(columns: Sequence[Sequence[str]]) -> list[str]:
    """The columns' rows, each as one label. Rows are told apart by seeds that stand beside them, or else by a
    number, where commas in their parts make them alike."""
    rows = list(zip(*columns, strict=True))
    joined = [", ".join(row) for row in rows]
    return _distinct(rows, joined, joined)


def _beside_keys(keys: Sequence[str], columns: Sequence[Sequence[object]]) -> list[list[str]]:
    """Labels for the values of each key: beside its last part, "cut deep", or beside all of it where another
    ends alike. Quantities of which no other key has a unit of the kind stand alone: "20 Mbps"."""
    names = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    kinds = [quantity_of(values) for values in columns]
    labels = []
    for key, name, kind, values in zip(keys, names, kinds, columns, strict=True):
        called = key if names.count(name) > 1 else SHORT.get(name, name).replace("_", " ")
        alone = kind is not None and kinds.count(kind) == 1
        labels.append([label if alone else f"{called} {label}" for label in _beside_key(values)])
    return labels


def _beside_key(values: Sequence[object]) -> list[str]:
    """Labels that stand beside their key: a component's is its name, another table's is all of it."""
    given = ["none" if value is None else value for value in values]
    full = list(map(full_label, given))
    is_table = [isinstance(value, Mapping) and "name" not in value for value in given]
    short = [full[i] if is_table[i] else short_label(value) for i, value in enumerate(given)]
    return _distinct(values, full, short, full, list(map(explicit_label, given)))


def _told_apart(values: Sequence[object], labels: Sequence[str]) -> list[str]:
    """`labels`, where they are alike for different values the explicit ones."""
    return _distinct(values, labels, labels, list(map(explicit_label, values)))


def _parts(table: Mapping[str, Any]) -> dict[str, Any]:
    """What is learned from by dotted key, without the uplink's codec, the adapter and the seed. Components
    are one part each, called by their section."""
    parts: dict[str, Any] = {}
    for section, own in (("data", DataTable.own_keys()), ("model", ModelTable.own_keys())):
        parts[section] = {key: value for key, value in table[section].items() if key not in own}
        parts |= {f"{section}.{key}": table[section][key] for key in own if key in table[section]}
    for section in ("codec", "clients", "training", "network", "server"):  # the last where time ends it
        parts |= {f"{section}.{key}": value for key, value in table.get(section, {}).items()}
    return {key: value for key, value in parts.items() if not is_of_scheme(key)}


def _varies(key: str, parts: Sequence[Mapping[str, Any]]) -> bool:
    if key.startswith(ENDS):  # the uncompressed run is not stopped by its own target
        parts = [part for part in parts if key in part]
    return any(part.get(key) != parts[0].get(key) for part in parts)


def _with_seeds(labels: Sequence[str], scenarios: Sequence[Scenario]) -> list[str]:
    """`labels` with the seeds of their scenarios, where there are several."""
    seeds = [scenario.seed for scenario in scenarios]
    if len(set(seeds)) < 2:
        return list(labels)
    return [f"{label}, seed {seed}" for label, seed in zip(labels, seeds, strict=True)]


def _distinct(values: Sequence[object], full: Sequence[str], *spelled: Sequence[str]) -> list[str]:
    """A label for each value, alike only where values are: its short one, its full one where another value
    has the same short one, the explicit one where that does not suffice, or a number beside it. `spelled` are
    the spellings that are tried in turn instead."""
    keys = [text(value) for value in values]
    spellings = spelled or (list(map(short_label, values)), full, list(map(explicit_label, values)))
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for spelling in spellings:
        found = dict(zip(keys, spelling, strict=True))
        counts = Counter(found.values())
        new = {
            key: label
            for key, label in found.items()
            if key not in labels and counts[label] == 1 and label not in taken
        }
        labels |= new
        taken |= set(new.values())
    for key, label in zip(keys, full, strict=True):
        if key not in labels:
            labels[key] = next(one for one in _numbered(label) if one not in taken)
            taken.add(labels[key])
    return [labels[key] for key in keys]


def _numbered(label: str) -> Iterator[str]:
    return (f"{label} ({number})" for number in itertools.count(1))
