"""Dotted keys in a document: the value of one, and the document with another value for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slsim.errors import Fault, ScenarioError

# What a value in short form is short for; any other text is a component's name.
_SHORT_FOR = {"network.uplink": "rate", "network.downlink": "rate"}
_WITHOUT_KEYS = ("data.partition", "training.schedule", "network.framing")  # their text has no table to keep
_LISTS_OF_ONE = ("network.access_points",)  # one level of a tree may stand without its list


def value_at(document: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key. Raises `KeyError` where there is none, `TypeError` where something on the
    way is no table."""
    value: Any = document
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents, start=1):
        value = _table(value, key)[parent]
        if isinstance(value, list) and len(value) == 1 and ".".join(parents[:depth]) in _LISTS_OF_ONE:
            value = value[0]
    return _table(value, key)[last]


def keys_of(document: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted keys of a document, of tables and of what is in them."""
    for name, value in document.items():
        yield f"{above}{name}"
        if isinstance(value, Mapping):
            yield from keys_of(value, f"{above}{name}.")


def _table(value: object, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(key)
    return value


def with_key(
    document: Mapping[str, Any], key: str, value: Any, defaults: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return `document` with a dotted key set; what is not around that key is shared with `document`. A value
    in short form on the way, or its default, becomes its table. Raises `ScenarioError` where something on the
    way is no table."""
    *parents, last = key.split(".")
    changed = table = dict(document)
    for depth, parent in enumerate(parents, start=1):
        path = ".".join(parents[:depth])
        below = table.get(parent, (defaults or {}).get(path, {}))
        if isinstance(below, str):
            below = {} if path in _WITHOUT_KEYS else {_SHORT_FOR.get(path, "name"): below}
        is_one = isinstance(below, list) and len(below) == 1 and path in _LISTS_OF_ONE
        below = below[0] if is_one else below
        if not isinstance(below, Mapping):
            hint = " (it is a list)" if isinstance(below, list) else ""
            raise ScenarioError([Fault(key, f"{path} is not a table{hint}, so nothing in it can be set")])
        inner = dict(below)
        table[parent] = [inner] if is_one else inner
        table = inner
    table[last] = value
    return changed
