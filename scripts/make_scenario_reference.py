"""Write docs/reference/scenario.md: every table, key, unit and default of a scenario file, and every
component with its parameters, from the models that check scenarios. A test holds the page to what this gives.

    python scripts/make_scenario_reference.py
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from slsim.registry import HIDDEN, Entry, as_toml, registry_of
from slsim.scenario.choice import ALTERNATIVE_MARK, COMPONENT_MARK, MOST, Augmentation
from slsim.scenario.codec_table import CodecTable
from slsim.scenario.network import FramingTable, JitterTable, NetworkTable, TreeLevel
from slsim.scenario.rates import LinkClass, RateTable
from slsim.scenario.schema import json_schema
from slsim.scenario.tables import (
    ClientsTable,
    DataTable,
    DeviceShare,
    ModelTable,
    Scenario,
    ServerTable,
)
from slsim.scenario.training_table import StopTable, TrainingTable
from slsim.units import QUANTITIES

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "scenario.md"
Schema = Mapping[str, Any]

INTRODUCTION = """# Every key of a scenario

What each key may hold, and what it is where it is left out. `python scripts/make_scenario_reference.py` \
writes this page from the models that check scenario files, and a test holds it to them. [Scenario \
files](../scenarios.md) says how keys go together, and how they are swept; `slsim schema` prints the same as \
a JSON Schema for editors.

A quantity is text with its unit, such as "100 Mbps", "2 ms" or "4 kB". A *component* is a name, or a table \
of its name and its parameters: `"ms"` or `{ name = "ms", bits = 4 }`.
"""
# The heading of each table, and its model; tables within tables stand behind those that hold them.
TABLES: Mapping[str, type[BaseModel]] = {
    "At the top": Scenario,
    "`[data]`": DataTable,
    "`data.augment`": Augmentation,
    "`[model]`": ModelTable,
    "`[clients]`": ClientsTable,
    "`clients.device`, as a list": DeviceShare,
    "`[server]`": ServerTable,
    "`[network]`": NetworkTable,
    "`network.uplink` and `network.downlink`, as a table or a list": LinkClass,
    "`network.access_points`": TreeLevel,
    "Any other rate, as a table": RateTable,
    "`network.framing`": FramingTable,
    "`network.jitter`": JitterTable,
    "`[codec]`": CodecTable,
    "`[training]`": TrainingTable,
    "`training.stop`": StopTable,
}
KINDS = {
    "data": "Data sets",
    "model": "Models",
    "adapter": "Adapters",
    "codec": "Codecs",
    "device": "Devices",
    "transport": "Transports",
    "protocol": "Protocols",
    "hook": "Hooks",
}


def reference() -> str:
    """The whole page."""
    tables = [_table(heading, model) for heading, model in TABLES.items()]
    components = [_components(kind, heading) for kind, heading in KINDS.items()]
    return "\n".join([INTRODUCTION, *tables, *components])


def _table(heading: str, model: type[BaseModel]) -> str:
    """A table of the file: what it is, and its keys."""
    schema = model.model_json_schema()
    keys, needed = dict(schema["properties"]), schema.get("required", ())
    first = [_component_row(keys.pop(HIDDEN)[COMPONENT_MARK])] if HIDDEN in keys else []
    if model is Scenario:  # its tables have sections of their own
        keys = {key: value for key, value in keys.items() if "$ref" not in value}
    rows = [(key, value, _default(model, key, key in needed)) for key, value in keys.items()]
    if model is Scenario:  # two keys that stand for several scenarios
        written = json_schema()["properties"]
        rows += [(key, written[key], "none") for key in ("seeds", "sweep")]
    head, line, *others = _rows(rows).splitlines()
    return "\n".join([f"## {heading}\n", _sentence(model), "", head, line, *first, *others, ""])


def _component_row(kind: str) -> str:
    one_of = f"one of [these](#{_anchor(kind)}), with its parameters beside it"
    return f"| `name` | a {_singular(kind)} | needed | {one_of} |"


def _default(model: type[BaseModel], key: str, needed: bool) -> str | None:
    """The default of a key as a scenario file would write it."""
    if needed:
        return "needed"
    default = model.model_fields[key].get_default(call_default_factory=True)
    table = getattr(default, "table", None)
    return _written(table() if table else default)


def _written(value: object) -> str:
    """A value as TOML has it; what there is none of in words."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict) and value:
        return f"`{as_toml(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else "its keys' defaults" if value == {} else f"`{value}`"


def _rows(keys: Iterable[tuple[str, Schema, str | None]]) -> str:
    """Rows of key, what it holds, default, and meaning; the default is the schema's where none is given."""
    lines = ["| key | holds | default | meaning |", "|---|---|---|---|"]
    for key, schema, default in keys:
        told = default or (_written(schema["default"]) if "default" in schema else "none")
        cells = (f"`{key}`", " or ".join(dict.fromkeys(_holds(schema))), told, schema.get("description", ""))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _holds(schema: Schema) -> Iterator[str]:
    """What may stand at a key, in words, one text an alternative."""
    for mark in (COMPONENT_MARK, ALTERNATIVE_MARK):
        if mark in schema:
            yield f"[{_article(schema[mark])} {_singular(schema[mark])}](#{_anchor(schema[mark])})"
    if "anyOf" in schema:
        for other in schema["anyOf"]:
            yield from _holds(other)
    elif "enum" in schema or "const" in schema:
        yield " or ".join(f'`"{value}"`' for value in schema.get("enum", [schema.get("const")]))
    elif "$ref" in schema:
        yield "a table"
    elif quantity := next((one for one in QUANTITIES if one.spelling in schema.get("pattern", "")), None):
        yield f"a {quantity.what}"
    else:
        yield from _plain(schema)


def _plain(schema: Schema) -> Iterator[str]:
    """Of a type without alternatives."""
    kind = schema.get("type")
    if kind in ("integer", "number"):
        yield f"{'a whole number' if kind == 'integer' else 'a number'}{_bounds(schema)}"
    elif kind == "array":
        item = " or ".join(dict.fromkeys(_holds(schema.get("items", {}))))
        yield "a list of tables" if item == "a table" else f"a list of {item}" if item else "a list"
    elif kind == "object":
        names = list(schema.get("properties", {}))
        yield f"`{{ {names[0]} = … }}`" if len(names) == 1 else "a table"
    elif kind == "string":
        yield "a path" if schema.get("format") == "path" else "text"
    elif kind == "boolean":
        yield "`true` or `false`"


def _bounds(schema: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    told = [f"{word} {schema[key]:,.15g}" for key, word in words.items() if abs(schema.get(key, MOST)) < MOST]
    return f" {', '.join(told)}" if told else ""


def _sentence(model: type[BaseModel]) -> str:
    """The first paragraph of a docstring, without the name of the table that is above it."""
    text = " ".join((model.__doc__ or "").partition("\n\n")[0].split())
    text = re.sub(r"^\[\w+\]: ", "", text)
    return text[:1].upper() + text[1:]


def _singular(kind: str) -> str:
    return "data set" if kind == "data" else kind


def _article(kind: str) -> str:
    return "an" if _singular(kind)[0] in "aeiou" else "a"


def _anchor(kind: str) -> str:
    return KINDS[kind].lower().replace(" ", "-")


def _components(kind: str, heading: str) -> str:
    """Every component of a kind: those parameters that all have once, the others with each."""
    registry = registry_of(kind)
    entries = [registry.entry(name) for name in registry.names()]
    shared = _shared(entries)
    text = [f"## {heading}\n"]
    if shared:
        text += [
            f"Every {_singular(kind)} has these parameters:\n",
            _rows(shared),
        ]
    for entry in entries:
        text += [f"### `{entry.name}`\n", f"{_plain_text(entry.summary)}\n"]
        if own := list(_parameters(entry, {key for key, *_ in shared})):
            text.append(_rows(own))
    return "\n".join(text)


def _plain_text(text: str) -> str:
    """A summary as Markdown shows it: angle brackets are no markup."""
    return text.replace("<", "&lt;").rstrip(".") + "."


def _shared(entries: Iterable[Entry[Any]]) -> list[tuple[str, Schema, str | None]]:
    """The parameters that every component of a kind has, as the kind's own class declares them."""
    base = next(cls for cls in next(iter(entries)).cls.__mro__ if inspect.isabstract(cls))
    schema = base.model_json_schema()["properties"] if issubclass(base, BaseModel) else {}
    return [(key, value, None) for key, value in schema.items()]


def _parameters(entry: Entry[Any], shared: Collection[str]) -> Iterator[tuple[str, Schema, str | None]]:
    """The parameters of a component of its own, and those shared ones whose default is another."""
    schema = entry.cls.model_json_schema()
    for key in entry.order():
        value = {**schema["properties"][key]}
        if key in entry.defaults:
            value["default"] = entry.defaults[key]
        elif key in shared:
            continue
        yield key, value, None if "default" in value else "needed"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
