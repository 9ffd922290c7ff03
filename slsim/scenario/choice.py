"""How a scenario chooses: components by name with their parameters, the data's partition, its augmentation.

Components (codecs, models, …) are checked through the registries and kept as plain data (`Choice`),
so a scenario can be printed, stored, hashed and compared without importing them.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from slsim import boundary
from slsim.errors import Fault, FaultsError
from slsim.own_code import is_data, is_own_code, kept_as_text
from slsim.registry import HIDDEN, Entry, check_reads, full_name, registry_of
from slsim.scenario.titles import UNTOLD, title

LEARNED_WITH = ("adapter", "codec", "data", "hook", "model", "protocol")  # kinds that no clock needs
LABEL, LONGEST_LABEL = (
    "label",
    60,
)  # the key of what a codec is called by, and how many characters it may have
NO_ADAPTER = "none"  # what a scenario writes where there is none
MOST = 10**9  # of clients, samples, epochs and rounds: beyond every study, and within every counter


class Table(BaseModel):
    """A table of the file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def table(self) -> dict[str, Any]:
        """As a scenario file would say it, every default written out."""
        table: dict[str, Any] = copied(self._written)
        return table

    @cached_property
    def _written(self) -> dict[str, Any]:
        """Written once: the cases of a sweep share the tables that it does not change."""
        return self.model_dump(mode="json", exclude_none=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which is written anew."""
        changed = super().model_copy(update=update, deep=deep)
        changed.__dict__.pop("_written", None)
        return changed


def copied(value: Any) -> Any:
    """A copy of plain data: of tables and lists; all else is frozen."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Choice:
    """A component of a kind by name, with every one of its parameters as JSON-safe values. `called` is what
    the scenario wants a codec to be called by (its key `label`); nothing depends on it."""

    kind: str
    name: str
    params: Mapping[str, Any]
    called: str = ""

    def table(self) -> dict[str, Any]:
        """What it is: `{ name = …, … }`."""
        return {"name": self.name, **self.params}

    def written(self) -> dict[str, Any]:
        """As the file writes it, with its label if it has one."""
        return {**self.table(), **({LABEL: self.called} if self.called else {})}

    def create(self) -> Any:
        """The component itself: a `Codec`, `Model`, `DataSource`, `Device` or `Protocol`, by kind."""
        return registry_of(self.kind).create(self.name, **self.params)

    @property
    def is_text(self) -> bool:
        """Whether it is taken as a study's scenario has it: code of the study's own, which is not run, or a
        component that was learned with and is not installed here."""
        return _is_text(self.kind, self.name)

    @property
    def label(self) -> str:
        """Short, for folders and messages: the name, its numbers, and what else is not as by default, such
        as "ms 0.99 2" or "qu 3 stochastic"."""
        told = [_inner(self.kind, value, lambda own: own.label) for value in self._told.values()]
        return " ".join([self.name.rpartition(":")[2], *map(str, told)])

    @property
    def title(self) -> str:
        """For tables and figures: what the scenario calls it, or else what it is, such as "MS (99 %, 2 bits)"
        or "QU (3 bits, stochastic)"."""
        if self.called:
            return self.called
        defaults = self._defaults
        told = {
            key: _inner(self.kind, value, lambda own: own.title)
            for key, value in self._told.items()
            if key not in UNTOLD or value != defaults.get(key)
        }
        return title(self.name, told)

    @property
    def _told(self) -> dict[str, Any]:
        """The parameters that a label tells: numbers, and what else is not as by default."""
        defaults = self._defaults
        return {
            key: value
            for key, value in self.params.items()
            if isinstance(value, (int, float)) or not _is_default(value, defaults.get(key))
        }

    @property
    def _defaults(self) -> Mapping[str, Any]:
        """What a label does not tell: of code in a file nothing, as that says itself what is default; of what
        is not installed here all but numbers, as most others are at their defaults."""
        if is_own_code(self.name):
            return {}
        if not registry_of(self.kind).knows(self.name):
            return self.params
        entry = registry_of(self.kind).entry(self.name)
        fields = entry.cls.model_fields
        return {key: info.default for key, info in fields.items()} | dict(entry.defaults)


def _is_default(value: Any, default: Any) -> bool:
    """Whether a parameter has its default's value; a component is written as its name alone or as a table."""
    return bool(value == default or (default is not None and value == {"name": default}))


def _inner(kind: str, value: Any, called: Callable[[Choice], str]) -> Any:
    """A parameter's value; a component as a parameter of another is what it is called."""
    if not isinstance(value, Mapping) or "name" not in value:
        return value
    return called(Choice(kind, value["name"], {key: item for key, item in value.items() if key != "name"}))


def _is_text(kind: str, name: str) -> bool:
    return kept_as_text(name) or (is_data() and kind in LEARNED_WITH and not registry_of(kind).knows(name))


def component_table(value: object) -> dict[str, Any]:
    """A component as a table, of which its name alone is the short form."""
    if isinstance(value, str):
        return {"name": value}
    if not isinstance(value, dict):
        raise ValueError(f"must be a name or a table with a name, found {value!r}")
    return value


def choose(kind: str, value: object, info: ValidationInfo, own_keys: tuple[str, ...] = ()) -> Choice:
    """`"name"` or `{ name = …, parameters }` as a checked `Choice` with its defaults filled in."""
    if isinstance(value, Choice):
        return value
    params = dict(component_table(value))
    name = params.pop("name", None)
    if not isinstance(name, str):
        raise FaultsError(
            [Fault("name", "missing; this key is required" if name is None else "must be a string")]
        )
    if _is_text(kind, name):
        if is_own_code(name) and info.context and not Path(name).is_absolute():  # a study's own copy
            name = _beside_scenario(name, info)
        return Choice(kind, name, {key: item for key, item in params.items() if key not in own_keys})
    if is_own_code(name):
        name = _beside_scenario(name, info)
    registry = registry_of(kind)
    if registry.is_file(name) and "format" not in params:  # a resolved scenario has the content already
        params = {**registry.read_file(beside_scenario(name, info)), **params}
        name = Path(name).name
    entry = registry.entry(name)
    component = entry.resolve(_paths_found(entry, params, info), own_keys)
    with boundary.around(full_name(entry.cls), "its parameters"):
        params = component.model_dump(mode="json", exclude_none=True)
    check_reads(component)
    return Choice(kind, name, {key: params[key] for key in entry.order() if key in params})


def _beside_scenario(name: str, info: ValidationInfo) -> str:
    """A component's file, sought beside the scenario file first, then in the working directory."""
    file_name, _, attribute = name.rpartition(":")
    return f"{beside_scenario(file_name, info)}:{attribute}"


def beside_scenario(file_name: str, info: ValidationInfo) -> Path:
    """A file or folder that a scenario names, sought beside the scenario file first, then in the working
    directory. Raises `ValueError` for what can be no path."""
    folder = (info.context or {}).get("folder")
    beside = Path(folder or "") / file_name
    if "\0" in file_name:
        raise ValueError(f"{file_name!r} is no path: it holds a NUL character")
    is_lost = is_data() and not _exists(Path(file_name))  # a study's own copy, or gone since
    return (beside if _exists(beside) or is_lost else Path(file_name)).resolve()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"{path} is no path: {error.strerror}") from None
        return False


def _paths_found(entry: Entry[Any], params: Mapping[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """The parameters, those that are files or folders beside the scenario with their whole path. What is in
    the working directory keeps its name: what was learned from it counts as before."""
    found = dict(params)
    for name in entry.paths() & params.keys():
        if not isinstance(params[name], (str, Path)):
            continue
        try:
            path = beside_scenario(str(params[name]), info)
        except ValueError as error:
            raise FaultsError([Fault(name, str(error))]) from None
        if path != Path(params[name]).resolve():
            found[name] = path
    return found


COMPONENT_MARK = "x-slsim-component"  # in a JSON schema: here belongs a component of this kind
ALTERNATIVE_MARK = "x-slsim-alternative"  # in a JSON schema: here one may stand instead


def _choose_field(kind: str, value: object, info: ValidationInfo) -> Choice:
    return choose(kind, value, info)


def _choose_codec(value: object, info: ValidationInfo) -> Choice:
    """A codec, which may have a label beside its parameters."""
    if not isinstance(value, Mapping) or LABEL not in value:
        return choose("codec", value, info)
    called = value[LABEL]
    if (
        not isinstance(called, str)
        or not called.strip()
        or len(called) > LONGEST_LABEL
        or not called.isprintable()
    ):
        what = f"must be a line of 1 to {LONGEST_LABEL} characters, found {called!r}"
        raise FaultsError([Fault(LABEL, what)])
    rest = {key: item for key, item in value.items() if key != LABEL}
    return replace(choose("codec", rest, info, (LABEL,)), called=called.strip())


def _field(kind: str) -> tuple[Any, ...]:
    """What makes a `Choice` a field: checked on the way in, a table on the way out, marked in the schema."""
    schema = WithJsonSchema({COMPONENT_MARK: kind})
    check = _choose_codec if kind == "codec" else partial(_choose_field, kind)
    return (BeforeValidator(check), PlainSerializer(Choice.written), schema)


CodecChoice = Annotated[Choice, *_field("codec")]
ProtocolChoice = Annotated[Choice, *_field("protocol")]
TransportChoice = Annotated[Choice, *_field("transport")]
HookChoice = Annotated[Choice, *_field("hook")]
DeviceChoice = Annotated[Choice, *_field("device")]


def _choose_adapter(value: object, info: ValidationInfo) -> Choice | None:
    """An adapter, or none, which is said by leaving it out or by "none"."""
    return None if value is None or value == NO_ADAPTER else choose("adapter", value, info)


AdapterChoice = Annotated[
    Choice | None,
    BeforeValidator(_choose_adapter),
    PlainSerializer(lambda choice: choice and choice.table()),
    WithJsonSchema({"anyOf": [{COMPONENT_MARK: "adapter"}, {"const": NO_ADAPTER}]}),
]
NestedChoice = Annotated[Choice, PlainSerializer(Choice.table)]


class ComponentTable(Table):
    """A table that names a component and holds its parameters beside keys of its own; or the name alone.

    Inside, the component is one field, `component`; in the file it is the table itself.
    """

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, value: object) -> object:
        if isinstance(value, cls):
            return value
        table = component_table(value)
        own = {key: item for key, item in table.items() if key in cls.own_keys()}
        return {HIDDEN: {key: item for key, item in table.items() if key not in own}, **own}

    @model_serializer(mode="wrap")
    def _flatten(self, handler: Any) -> dict[str, Any]:
        table = handler(self)
        return {**table.pop(HIDDEN), **table}

    @classmethod
    def own_keys(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.model_fields if name != HIDDEN)


@dataclass(frozen=True)
class Partition:
    """How samples are spread over clients: "iid", or one of the others with its parameter."""

    kind: Literal["iid", "dirichlet", "shards", "power_law", "by"]
    parameter: float | str = 0.0

    @classmethod
    def parse(cls, value: object) -> Partition:
        match value:
            case Partition():
                return value
            case "iid":
                return cls("iid")
            case {"dirichlet": alpha, **rest} if not rest and _positive(alpha):
                return cls("dirichlet", float(alpha))
            case {"shards": int() as count, **rest} if not rest and _positive(count) and count <= 10**9:
                return cls("shards", count)
            case {"power_law": exponent, **rest} if not rest and _positive(exponent):
                return cls("power_law", float(exponent))
            case {"by": str(name), **rest} if not rest and name:
                return cls("by", name)
        raise ValueError(
            f'{value!r} is no partition; write "iid", {{ dirichlet = 0.3 }} (above 0), '
            '{ shards = 2 } (1 or more), { power_law = 1.2 } (above 0) or { by = "writer" } (a grouping that '
            "the data has)"
        )

    def table(self) -> str | dict[str, Any]:
        return "iid" if self.kind == "iid" else {self.kind: self.parameter}


def _positive(value: object) -> bool:
    """Whether it is a number above 0, and a finite one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _partition_schema(kind: str, parameter: dict[str, Any]) -> dict[str, Any]:
    table = {"type": "object", "properties": {kind: parameter}, "required": [kind]}
    return {**table, "additionalProperties": False}


PARTITION_SCHEMA = {
    "anyOf": [
        {"const": "iid"},
        _partition_schema("dirichlet", {"type": "number", "exclusiveMinimum": 0}),
        _partition_schema("shards", {"type": "integer", "minimum": 1}),
        _partition_schema("power_law", {"type": "number", "exclusiveMinimum": 0}),
        _partition_schema("by", {"type": "string", "minLength": 1}),
    ]
}


class Augmentation(Table):
    """How training images are changed at random each time they are used; nothing is, as by default."""

    crop: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=10_000,
        description="Images get so many black pixels around, and are cropped at a random place "
        "to their former size.",
    )
    flip: bool = Field(
        False, strict=True, description="Every other image, on average, is flipped left to right."
    )
