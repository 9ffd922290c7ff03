"""The JSON Schema of a scenario file, for editors: every table, key, unit, default and component."""

from __future__ import annotations

from typing import Any

from slsim.registry import HIDDEN, registry_of
from slsim.scenario.bounds import MOST_CASES
from slsim.scenario.choice import ALTERNATIVE_MARK, COMPONENT_MARK, LABEL, LONGEST_LABEL
from slsim.scenario.tables import Scenario

_RANGE = {"type": "string", "pattern": r"\.\..*/\s*[0-9]+(\s+(log|linear))?\s*$"}
_VALUES = {"anyOf": [{"type": "array", "minItems": 1}, _RANGE]}
_LABEL = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_LABEL,
    "description": "What tables and figures call this codec, instead of what it is.",
}
_POINT = {
    "type": "object",
    "properties": {"seed": False, "seeds": False, "name": False},
    "minProperties": 1,
}
_SWEEP = {
    "description": "Dotted keys, each with the values to run, or with a range of them. Several such tables "
    "may stand, whose cases are joined.",
    "anyOf": [
        {
            "type": "object",
            "additionalProperties": _VALUES,
            "properties": {"seeds": False, "name": False},
        },
        {"type": "array", "items": _POINT, "minItems": 1},
    ],
}


def json_schema() -> dict[str, Any]:
    """The schema, with the parameters of every component that is registered now."""
    schema = Scenario.model_json_schema(mode="validation")
    for definition in schema["$defs"].values():
        properties = definition.get("properties", {})
        if HIDDEN in properties:
            _unnest(definition)
        for key, value in properties.items():
            if COMPONENT_MARK in value:
                properties[key] = _choice(value.pop(COMPONENT_MARK), value)
            if ALTERNATIVE_MARK in value:
                properties[key] = {"anyOf": [_choice(value.pop(ALTERNATIVE_MARK), {}), value]}
            if COMPONENT_MARK in value.get("items", {}):
                properties[key] = _one_or_list(value["items"].pop(COMPONENT_MARK), value)
            for other in value.get("anyOf", ()):
                if COMPONENT_MARK in other:
                    other |= _choice(other.pop(COMPONENT_MARK), {})
        if "hooks" in properties:
            properties["probes"] = _probes()
    _seeds(schema["properties"])
    schema["properties"]["sweep"] = _SWEEP
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "slsim scenario"
    return schema


def _seeds(properties: dict[str, Any]) -> None:
    """One seed or a list of them; and how many."""
    seed = properties["seed"]
    several = {"type": "array", "items": _bare(seed), "minItems": 1, "uniqueItems": True}
    kept = {key: seed[key] for key in ("default", "description", "title") if key in seed}
    properties["seed"] = {**kept, "anyOf": [_bare(seed), several]}
    count = {"type": "integer", "minimum": 1, "maximum": MOST_CASES}
    what = "Each setting is run with so many seeds, from seed on. A list as seed says the same."
    properties["seeds"] = {**count, "description": what}


def _bare(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in ("default", "description", "title")}


def _unnest(definition: dict[str, Any]) -> None:
    """A table that names a component and has keys of its own: one alternative a component."""
    own = dict(definition.pop("properties"))
    kind = own.pop(HIDDEN)[COMPONENT_MARK]
    required = [key for key in definition.pop("required", []) if key != HIDDEN]
    definition.pop("additionalProperties", None)
    short = [] if required else _short(kind)
    tables = [_component(kind, name, own, required) for name in registry_of(kind).names()]
    definition["anyOf"] = [*short, *tables, _own(kind, own, required)]
    definition.pop("type", None)


def _choice(kind: str, rest: dict[str, Any]) -> dict[str, Any]:
    """A component by name, or as a table of its name and parameters; a codec may have a label there."""
    own = {LABEL: _LABEL} if kind == "codec" else {}
    tables = [_component(kind, name, own, []) for name in registry_of(kind).names()]
    return {**rest, "anyOf": [*_short(kind), *tables, _own(kind, own, [])]}


def _one_or_list(kind: str, rest: dict[str, Any]) -> dict[str, Any]:
    """Components in a list, without which one may stand."""
    one = _choice(kind, {})
    kept = {key: value for key, value in rest.items() if key not in ("type", "items")}
    return {**kept, "anyOf": [*one["anyOf"], {"type": "array", "items": one}]}


def _probes() -> dict[str, Any]:
    """What the hook "theory" was called up to version 0.1."""
    table = _component("hook", "theory", {}, [])
    properties = {key: value for key, value in table["properties"].items() if key != "name"}
    return {**table, "properties": properties, "required": [], "deprecated": True}


def _short(kind: str) -> list[dict[str, Any]]:
    """A component by its name alone, registered or in a file."""
    return [{"enum": registry_of(kind).names()}, _by_file(kind)]


def _by_file(kind: str) -> dict[str, Any]:
    return {"type": "string", "pattern": r"\.py:|\.toml$" if kind == "device" else r"\.py:"}


def _own(kind: str, own: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """A component in a file, whose parameters nobody knows here."""
    properties = {"name": _by_file(kind), **own}
    return {"type": "object", "properties": properties, "required": ["name", *required]}


def _component(kind: str, name: str, own: dict[str, Any], required: list[str]) -> dict[str, Any]:
    entry = registry_of(kind).entry(name)
    schema = entry.cls.model_json_schema()
    for key, default in entry.defaults.items():
        schema["properties"][key]["default"] = default
    needed = [key for key in schema.get("required", []) if key not in entry.defaults]
    return {
        "type": "object",
        "description": entry.summary,
        "properties": {"name": {"const": name}, **schema.get("properties", {}), **own},
        "required": ["name", *needed, *required],
        "additionalProperties": False,
    }
