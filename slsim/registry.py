"""Names to components: the one mechanism by which codecs, models, data sets, devices, protocols
and transports are found, listed, checked and extended.

A component is a frozen pydantic model: its fields are the parameters that a scenario may set, its
docstring's first line is what `slsim list` prints. A third party adds one by decorator
(`@slsim.codecs.register("mine")`), by an entry point of the group `slsim.codec` (`.model`, `.data`,
`.device`, `.protocol`, `.transport`), or by writing `"path/to/file.py:Name"` where a scenario wants a name.

Rooms are found by name at the first look-up, never imported here, so this file stays on floor 0.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeGuard, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from slsim import boundary, own_files
from slsim.errors import ComponentError, Fault, FaultsError, UnknownNameError
from slsim.own_code import ask, is_own_code
from slsim.units import nearest

HOMES: Mapping[str, str] = {
    "codec": "slsim.codecs.base",
    "model": "slsim.learning.models",
    "data": "slsim.learning.data",
    "device": "slsim.devices",
    "protocol": "slsim.protocols.base",
    "transport": "slsim.network.transport",
}


class Component(BaseModel):
    """Something that a scenario chooses by name and configures by parameters: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def reads(self) -> Sequence[Path]:
        """The files and folders that what it does depends on: a training is done again when one changes.
        Unless a component says otherwise, those that its parameters name, each a `Path`."""
        return [value for _, value in self if isinstance(value, Path)]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if boundary.is_outside(cls):
            boundary.guard(cls, kind_of(cls))


C = TypeVar("C", bound=Component)
S = TypeVar("S", bound=Component)


@dataclass(frozen=True)
class Entry(Generic[C]):
    """A registered component: its class, the parameters that its name fixes, and one line about it."""

    name: str
    cls: type[C]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    source_file: Path | None = None  # only of components named by file path

    def parameters(self) -> dict[str, str]:
        """Parameter names with their defaults, and other allowed values, as text, for `slsim list`."""
        fields = self.cls.model_fields
        return {
            name: _shown(self.defaults.get(name, _default_of(fields[name])), fields[name])
            for name in self.order()
        }

    def order(self) -> list[str]:
        """The parameters' names: those of the component first, then those that all of its kind have."""
        kind: type[Component] = next(filter(_is_kind, reversed(self.cls.__mro__)), Component)
        common = kind.model_fields
        return sorted(self.cls.model_fields, key=lambda name: name in common)

    def paths(self) -> set[str]:
        """The names of the parameters that are files or folders."""
        fields = self.cls.model_fields.items()
        return {name for name, info in fields if Path in (info.annotation, *get_args(info.annotation))}

    def resolve(self, params: Mapping[str, Any], other_keys: tuple[str, ...] = ()) -> C:
        """The component with `params` over its defaults; raises `FaultsError` naming each bad one.
        `other_keys` are allowed in the same table, beside the parameters. Raises `ComponentError` when a
        third party's class fails while it is made."""
        with boundary.around(full_name(self.cls), "its constructor"):
            try:
                return self.cls.model_validate({**self.defaults, **params})
            except ValidationError as error:
                raise FaultsError(faults_of(error, self.cls, ("name", *other_keys))) from None


def _is_kind(cls: type) -> TypeGuard[type[Component]]:
    """Whether `cls` is the base of a kind: an abstract component."""
    return issubclass(cls, Component) and cls is not Component and inspect.isabstract(cls)


def _shown(default: Any, info: FieldInfo) -> str:
    """A default with what else is allowed where that is a short list: "floor (nearest, centroid)"."""
    names = [value for value in _literals(info.annotation) if value != default]
    text = "none" if default is None else str(default)
    return f"{text} ({', '.join(map(str, names))})" if names else text


def _literals(annotation: Any) -> list[Any]:
    """The values of a Literal, alone or in a union."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return list(arguments)
    return [value for argument in arguments for value in _literals(argument)]


def _default_of(info: FieldInfo) -> Any:
    return "required" if info.is_required() else info.get_default(call_default_factory=True)


class Registry(Generic[C]):
    """The components of one kind, by name."""

    def __init__(self, kind: str, base: type[C]) -> None:
        self.kind = kind
        self._base = base
        self._entries: dict[str, Entry[C]] = {}
        self._plugins_loaded = False
        self._file_type: tuple[str, type[C], Callable[[Path], dict[str, Any]]] | None = None
        self._adapter: tuple[Callable[[object], type[C] | None], str] | None = None

    def register(self, name: str, **defaults: Any) -> Callable[[type[S]], type[S]]:
        """Class decorator: make the class known as `name`."""

        def add(cls: type[S]) -> type[S]:
            self.add(name, cast("type[C]", cls), **defaults)
            return cls

        return add

    def add(self, name: str, cls: type[C], summary: str = "", **defaults: Any) -> None:
        """Make `cls` known as `name`, with `defaults` for some of its parameters."""
        if not issubclass(cls, self._base) or inspect.isabstract(cls):
            raise TypeError(
                f"{cls.__name__} must be a subclass of {self._base.__name__} without abstract methods"
            )
        entry = Entry(name, cls, defaults, summary or first_line(cls))
        if self._entries.setdefault(name, entry) != entry:
            raise ValueError(
                f"the {self.kind} {name!r} is already registered as {self._entries[name].cls.__name__}"
            )

    def add_file_type(self, suffix: str, cls: type[C], read: Callable[[Path], dict[str, Any]]) -> None:
        """From now on a name that ends in `suffix` is a file with the parameters of `cls`, among them its
        `format`; `read` gives them, checked."""
        self._file_type = (suffix, cls, read)

    def add_adapter(self, adapt: Callable[[object], type[C] | None], what: str) -> None:
        """From now on `"path/to/file.py:name"` may also name what is no component: `adapt` makes a class of
        it. It gives None for what it does not know, and raises `ValueError` to say why something will not
        do; `what` is what it takes, in words."""
        self._adapter = (adapt, what)

    def is_file(self, name: str) -> bool:
        """Whether `name` is that of a file with parameters."""
        return self._file_type is not None and name.endswith(self._file_type[0])

    def read_file(self, path: Path) -> dict[str, Any]:
        """The parameters in the file at `path`. Raises `FaultsError` with every fault of the file."""
        assert self._file_type is not None
        return self._file_type[2](path)

    def names(self) -> list[str]:
        """All names, sorted, third-party ones included."""
        if not self._plugins_loaded:
            for point in importlib.metadata.entry_points(group=f"slsim.{self.kind}"):
                try:
                    with boundary.around(f"the plug-in {point.name}"):
                        self.add(point.name, point.load())
                except ComponentError as error:
                    raise UnknownNameError(
                        f"the plug-in {point.value!r} cannot be loaded: {error.__cause__!r}"
                    ) from error
            self._plugins_loaded = True
        return sorted(self._entries)

    def entry(self, name: str) -> Entry[C]:
        """The entry of `name`, or of `"path/to/file.py:Name"`. Raises `UnknownNameError`."""
        if name in self._entries:
            return self._entries[name]
        if is_own_code(name):
            ask(self.kind, name)
            return self._from_file(name)
        if self._file_type is not None and self.is_file(name):
            return Entry(name, self._file_type[1], {}, first_line(self._file_type[1]))
        names = self.names()
        if name not in self._entries:
            raise UnknownNameError(
                f'there is no {self.kind} "{name}"; {nearest(name, names)}there are: {", ".join(names)}'
            )
        return self._entries[name]

    def create(self, name: str, **params: Any) -> C:
        """The component called `name`. Raises `UnknownNameError`, or `FaultsError` for bad parameters."""
        return self.entry(name).resolve(params)

    def _from_file(self, name: str) -> Entry[C]:
        file_name, _, attribute = name.rpartition(":")
        path = Path(file_name).resolve()
        if not path.is_file():
            raise UnknownNameError(f'"{name}": there is no file {path}')
        found = getattr(_load_file(path), attribute, None)
        cls = found if self._is_component(found) else self._adapted(name, found)
        if cls is None:
            what = f" or {self._adapter[1]}" if self._adapter else ""
            raise UnknownNameError(f'"{name}": {path} has no {self._base.__name__}{what} called {attribute}')
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise UnknownNameError(f'"{name}": {attribute} lacks methods: {missing}')
        return Entry(name, cls, {}, first_line(cls), source_file=path)

    def _is_component(self, found: object) -> TypeGuard[type[C]]:
        return inspect.isclass(found) and issubclass(found, self._base)

    def _adapted(self, name: str, found: object) -> type[C] | None:
        try:
            return self._adapter[0](found) if self._adapter else None
        except ValueError as error:
            raise UnknownNameError(f'"{name}" {error}') from None


def _load_file(path: Path) -> types.ModuleType:
    try:
        with boundary.around(str(path)):
            return own_files.load(path)
    except ComponentError as error:
        cause = own_files.plain(boundary.told(error.__cause__ or error))
        raise UnknownNameError(f"{path} cannot be imported: {cause}") from error


def kind_of(cls: type[Component]) -> str:
    """The kind of a component's class, such as "codec"."""
    homes = [(kind, home) for kind, home in HOMES.items() for one in cls.__mro__ if _is_in(one, home)]
    return homes[0][0] if homes else "component"


def _is_in(cls: type, home: str) -> bool:
    return cls.__module__ in (home, f"{home}.base")


def full_name(cls: type[Component]) -> str:
    """What a component is called in errors: "codec own.py:Mine"."""
    return boundary.name_of(cls, kind_of(cls))


def check_reads(component: Component) -> None:
    """Raises `ComponentError` where a third party's `reads` gives no paths."""
    if boundary.is_outside(type(component)):
        given: object = component.reads()
        if not isinstance(given, Sequence) or not all(isinstance(one, Path) for one in given):
            what = f"gave {boundary.shown(given)}; paths (Path) are due"
            raise ComponentError(f"{full_name(type(component))}, in reads: {what}")


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind (a key of `HOMES`), its room imported on first use."""
    home = importlib.import_module(HOMES[kind])
    importlib.import_module(HOMES[kind].removesuffix(".base"))
    return cast("Registry[Any]", home.registry)


def first_line(cls: type) -> str:
    """The first line of a class's docstring."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def faults_of(
    error: ValidationError, model: type[BaseModel], other_keys: tuple[str, ...] = ()
) -> list[Fault]:
    """A pydantic error as faults, one a problem, each with its dotted path and the nearest name."""
    return [fault for details in error.errors() for fault in _faults(details, model, other_keys)]


HIDDEN = "component"  # a field that holds what the file has in the table around it


def _faults(details: ErrorDetails, model: type[BaseModel], other_keys: tuple[str, ...]) -> list[Fault]:
    location = details["loc"]
    path = dotted(location)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, FaultsError):
        return [fault.under(path) if path else fault for fault in cause.faults]
    if cause is not None:
        return [Fault(path, str(cause))]
    if details["type"] == "extra_forbidden":
        allowed = [*other_keys, *_keys_at(model, location[:-1])]
        hint = nearest(str(location[-1]), allowed)
        return [Fault(path, f"unknown key; {hint}allowed: {', '.join(allowed)}")]
    if details["type"] == "missing":
        return [Fault(path, "missing; this key is required")]
    if details["type"] == "model_type":
        return [Fault(path, f"must be a table, found {details['input']!r}")]
    message = details["msg"][0].lower() + details["msg"][1:]
    return [Fault(path, f"{message}, found {details['input']!r}")]


def dotted(location: tuple[int | str, ...]) -> str:
    """`("clients", "device", 0, "share")` as `clients.device[0].share`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != HIDDEN:
            path += f".{part}" if path else part
    return path


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys allowed in the table at `location` of `model`."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            candidates = [fields[part].annotation, *getattr(fields[part].annotation, "__args__", ())]
            tables = [c for c in candidates if inspect.isclass(c) and issubclass(c, BaseModel)]
            current = tables[0] if tables else None
        elif inspect.isclass(current) and part == current.__name__:
            continue
    return [name for name in getattr(current, "model_fields", {}) if name != HIDDEN]
