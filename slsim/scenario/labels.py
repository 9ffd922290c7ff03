"""What runs are called in tables, figures and folders: short where that tells them apart."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from slsim.scenario.plan import Case
from slsim.scenario.sweep import text


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
    """A label for each case, no two alike: its uplink codec, then everything else that varies; each as short
    as still tells its values apart."""
    others = [
        key
        for key, value in cases[0].values.items()
        if not key.startswith("codec.uplink") and any(case.values[key] != value for case in cases)
    ]
    codecs = [case.scenario.codec.uplink for case in cases]
    columns = [_distinct([codec.table() for codec in codecs], [codec.label for codec in codecs])]
    for key in others:
        values = [case.values[key] for case in cases]
        columns.append(_distinct(values, list(map(full_label, values))))
    joined = [", ".join(parts) for parts in zip(*columns, strict=True)]
    return _distinct([case.scenario.table() for case in cases], joined, joined)


def _distinct(values: Sequence[object], full: Sequence[str], short: Sequence[str] = ()) -> list[str]:
    """A label for each value, alike only where values are: its short one, its full one where another value
    has the same short one, the explicit one where that does not suffice, or a number beside it."""
    keys = [text(value) for value in values]
    spellings = [short or list(map(short_label, values)), full]
    if not short:
        spellings.append(list(map(explicit_label, values)))
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
