"""What runs are called in tables, figures and folders: short where that tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slsim.scenario.plan import Case


def short_label(value: object) -> str:
    """A value of a scenario by its component's name alone, or as it is: "ms", "10 Mbps"."""
    if isinstance(value, Mapping):
        return (
            short_label(value["name"]).rpartition(":")[2]
            if "name" in value
            else short_label(next(iter(value.values())))
        )
    return " + ".join(map(short_label, value)) if isinstance(value, (list, tuple)) else _shown(value)


def full_label(value: object) -> str:
    """A value of a scenario with every parameter: "ms 0.99 2"."""
    if isinstance(value, Mapping):
        value = value["name"] if "format" in value else list(value.values())  # a file is called by its name
    return " ".join(map(full_label, value)) if isinstance(value, (list, tuple)) else _shown(value)


def _shown(value: object) -> str:
    """A value as text; a file by its name alone: where it lies is another place once the study was moved."""
    is_path = isinstance(value, str) and Path(value).is_absolute()
    return (Path(str(value)).name if is_path else "") or str(value)


def run_labels(cases: Sequence[Case]) -> list[str]:
    """A label for each case: its uplink codec, then everything else that varies; each as short as still
    tells its values apart."""
    others = [
        key
        for key, value in cases[0].values.items()
        if not key.startswith("codec.uplink") and any(case.values[key] != value for case in cases)
    ]
    codecs = [case.scenario.codec.uplink for case in cases]
    columns = [_shortest([short_label(codec.table()) for codec in codecs], [codec.label for codec in codecs])]
    for key in others:
        values = [case.values[key] for case in cases]
        columns.append(_shortest(list(map(short_label, values)), list(map(full_label, values))))
    return [", ".join(parts) for parts in zip(*columns, strict=True)]


def _shortest(short: Sequence[str], full: Sequence[str]) -> list[str]:
    """For each value its short label, or its full one where another value has the same short one."""
    names = list(dict(zip(full, short, strict=True)).values())
    return [one if names.count(one) == 1 else other for one, other in zip(short, full, strict=True)]
