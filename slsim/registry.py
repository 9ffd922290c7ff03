"""Names to components: the one mechanism by which codecs, models, data sets, devices, protocols
and transports are found, listed, checked and extended.

A component is a frozen pydantic model: its fields are the parameters that a scenario may set, its
docstring's first line is what `slsim list` prints. slsim's own are found by entry points (see
`entry_points.py`), which `pyproject.toml` states; each is imported when it is first named. A third party adds
one by an entry point too, by the decorator `register`, or by writing `"path/to/file.py:Name"` where a
scenario wants a name.

The registries of the kinds are found by entry points as well: no module above floor 0 is named here.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Generic, Literal, TypeAlias, TypeGuard, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from slsim import boundary, entry_points, own_files
from slsim.errors import ComponentError, Fault, FaultsError, UnknownNameError
from slsim.own_code import ask, is_own_code
from slsim.units import nearest


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

    def common(self) -> list[str]:
        """The names of the parameters that all components of its kind have."""
        kind: type[Component] = next(filter(_is_kind, reversed(self.cls.__mro__)), Component)
        return list(kind.model_fields)

    def order(self) -> list[str]:
        """The parameters' names: those of the component first, then those that all of its kind have."""
        common = self.common()
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
    text = "none" if default is None else as_toml(default)
    return f"{text} ({', '.join(map(str, names))})" if names else text


def as_toml(value: object) -> str:
    """A parameter's value as text; a component with its parameters as a scenario file writes it.

    Example:
        >>> as_toml({"name": "qu", "bits": 4})
        '{ name = "qu", bits = 4 }'
    """
    if not isinstance(value, Mapping):
        return str(value)
    items = (
        f'{key} = "{item}"' if isinstance(item, str) else f"{key} = {item}" for key, item in value.items()
    )
    return f"{{ {', '.join(items)} }}"


def _literals(annotation: Any) -> list[Any]:
    """The values of a Literal, alone or in a union."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return list(arguments)
    return [value for argument in arguments for value in _literals(argument)]


def _default_of(info: FieldInfo) -> Any:
    return "required" if info.is_required() else info.get_default(call_default_factory=True)


FileType: TypeAlias = "tuple[type[C], Callable[[Path], dict[str, Any]]]"
Adapter: TypeAlias = "tuple[Callable[[object], type[C] | None], str]"
_KINDS: dict[type[Component], str] = {}  # of each abstract component that has a registry


class Registry(Generic[C]):
    """The components of one kind, by name."""

    def __init__(self, kind: str, base: type[C]) -> None:
        self.kind = kind
        self._base = base
        self._entries: dict[str, Entry[C]] = {}
        self._loaded: set[str] = set()  # the names whose entry points are in `_entries`
        self._suffix: str | None = None
        self._load_file_type: Callable[[], FileType[C]] | None = None
        self._load_adapter: Callable[[], Adapter[C]] | None = None
        _KINDS[base] = kind

    @property
    def _claims(self) -> dict[str, list[EntryPoint]]:
        return entry_points.claims(f"slsim.{self.kind}")

    def register(self, name: str, **defaults: Any) -> Callable[[type[S]], type[S]]:
        """Class decorator: make the class known as `name`."""

        def add(cls: type[S]) -> type[S]:
            self.add(name, cast("type[C]", cls), **defaults)
            return cls

        return add

    def add(self, name: str, cls: type[C], summary: str = "", **defaults: Any) -> None:
        """Make `cls` known as `name`, with `defaults` for some of its parameters. Raises `UnknownNameError`
        where another component has that name."""
        if not issubclass(cls, self._base) or inspect.isabstract(cls):
            raise TypeError(
                f"{cls.__name__} must be a subclass of {self._base.__name__} without abstract methods"
            )
        if boundary.is_outside(cls) and any(map(entry_points.is_own, self._claims.get(name, ()))):
            taken = f"the {self.kind} {name!r} is slsim's own"
            raise UnknownNameError(f"{taken}; register {cls.__name__} under another name")
        entry = Entry(name, cls, defaults, summary or first_line(cls))
        if self._entries.setdefault(name, entry) != entry:
            raise UnknownNameError(
                f"the {self.kind} {name!r} is already registered as {self._entries[name].cls.__name__}"
            )

    def add_file_type(self, suffix: str, load: Callable[[], FileType[C]]) -> None:
        """From now on a name that ends in `suffix` is a file with the parameters of a class, among them its
        `format`. `load` is called when such a file is first named; it gives the class, and a function that
        reads and checks the parameters in a file."""
        self._suffix, self._load_file_type = suffix, cache(load)

    def add_adapter(self, load: Callable[[], Adapter[C]]) -> None:
        """From now on `"path/to/file.py:name"` may also name what is no component. `load` is called when such
        a name is first met; it gives a function that makes a class of what is named, and what that function
        takes, in words. The function gives None for what it does not know, and raises `ValueError` to say why
        something will not do."""
        self._load_adapter = cache(load)

    def is_file(self, name: str) -> bool:
        """Whether `name` is that of a file with parameters."""
        return self._suffix is not None and name.endswith(self._suffix)

    def read_file(self, path: Path) -> dict[str, Any]:
        """The parameters in the file at `path`. Raises `FaultsError` with every fault of the file."""
        assert self._load_file_type is not None
        return self._load_file_type()[1](path)

    def is_of_this_process(self, name: str) -> bool:
        """Whether the component of that name was registered by what this process ran, so that another process
        does not know it."""
        return name in self._entries and name not in self._claims

    def knows(self, name: str) -> bool:
        """Whether there is a component of that name here; of code in a file, whether it is named."""
        return name in self._entries or name in self._claims or is_own_code(name) or self.is_file(name)

    def names(self) -> list[str]:
        """All names, sorted, third-party ones included; nothing that they name is imported."""
        return sorted({*self._entries, *self._claims})

    def entry(self, name: str) -> Entry[C]:
        """The entry of `name`, imported if need be, or of `"path/to/file.py:Name"`. Raises
        `UnknownNameError` where there is none, and where a plug-in of that name cannot be loaded."""
        if name in self._claims and name not in self._loaded:
            self._load(name)
        if name in self._entries:
            return self._entries[name]
        if is_own_code(name):
            ask(self.kind, name)
            return self._from_file(name)
        if self._load_file_type is not None and self.is_file(name):
            cls, _ = self._load_file_type()
            return Entry(name, cls, {}, first_line(cls))
        names = self.names()
        raise UnknownNameError(
            f'there is no {self.kind} "{name}"; {nearest(name, names)}there are: {", ".join(names)}'
        )

    def _load(self, name: str) -> None:
        """Registers what the entry point of that name has."""
        point = entry_points.only(self.kind, self._claims[name])
        with entry_points.loading(point):
            found = point.load()
            if not isinstance(found, types.ModuleType):
                self.add(name, found)
            elif name not in self._entries:
                raise TypeError(f"importing it registers no {self.kind} {name!r}")
        self._loaded.add(name)

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
            what = f" or {self._load_adapter()[1]}" if self._load_adapter else ""
            raise UnknownNameError(f'"{name}": {path} has no {self._base.__name__}{what} called {attribute}')
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(cls.__abstractmethods__))
            raise UnknownNameError(f'"{name}": {attribute} lacks methods: {missing}')
        return Entry(name, cls, {}, first_line(cls), source_file=path)

    def _is_component(self, found: object) -> TypeGuard[type[C]]:
        return inspect.isclass(found) and issubclass(found, self._base)

    def _adapted(self, name: str, found: object) -> type[C] | None:
        try:
            return self._load_adapter()[0](found) if self._load_adapter else None
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
    return next((_KINDS[base] for base in cls.__mro__ if base in _KINDS), "component")


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


def kinds() -> list[str]:
    """The kinds of components, sorted."""
    return sorted(entry_points.claims(entry_points.KINDS))


@cache
def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind, such as "codec", its module imported on first use."""
    point = entry_points.only("kind", entry_points.claims(entry_points.KINDS)[kind])
    return cast("Registry[Any]", point.load())


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
