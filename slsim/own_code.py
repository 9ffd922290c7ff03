"""Whether code that a scenario names by file, `"path/to/file.py:Name"`, may be imported.

A scenario that its author runs names code to be run. A scenario in somebody's results folder is data:
opening, checking and replaying it keeps such names as text, and runs none of that code unless it is asked to,
and then only what the clock cannot do without.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from slsim.errors import OwnCodeError

Policy = Literal["always", "where needed", "never"]
_policy: ContextVar[Policy] = ContextVar("policy", default="always")
_trusted: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())


@contextmanager
def own_code(policy: Policy, trusted: Collection[str] = ()) -> Iterator[None]:
    """Within this context such code is imported when it is named ("always", as everywhere else), when a
    component made of it is created ("where needed"), or "never"; that of the names `trusted` always."""
    before = _policy.set(policy), _trusted.set(frozenset(trusted))
    try:
        yield
    finally:
        _policy.reset(before[0])
        _trusted.reset(before[1])


def is_own_code(name: str) -> bool:
    """Whether a component of that name is code in a file."""
    return ".py:" in name


def without_folder(name: str) -> str:
    """The name of code in a file without the file's folder: "own.py:Half" of "/home/me/own.py:Half", and of
    "own.py:Half@1a2b3c4d", as a recording calls it. Other names are as they are."""
    if not is_own_code(name):
        return name
    file, _, attribute = name.rpartition(":")
    return f"{Path(file).name}:{attribute.partition('@')[0]}"


def kept_as_text(name: str) -> bool:
    """Whether a component of that name is taken as the scenario has it, its code not imported to check it."""
    return is_own_code(name) and is_data() and name not in _trusted.get()


def is_data() -> bool:
    """Whether what is read is somebody's results, and no scenario that is to be run."""
    return _policy.get() != "always"


def ask(kind: str, name: str) -> None:
    """Raises `OwnCodeError` where the code of the component `name` must not be imported."""
    if _policy.get() == "never" and name not in _trusted.get():
        raise OwnCodeError(
            f'the {kind} "{name}" is code that the study names, and opening a study runs none; if you trust '
            f"it, say --trust (in Python: trust=True); or replay with a {kind} of slsim's own"
        )


def with_absolute_code(values: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """`values`, which a user gave, with the path of every file of code made absolute, from the working
    directory: a study's folder may have a file of that name. And the names of that code."""
    names: set[str] = set()

    def of(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: of(item) for key, item in value.items()}
        if isinstance(value, list):
            return [of(item) for item in value]
        if not isinstance(value, str) or not is_own_code(value):
            return value
        file, _, attribute = value.rpartition(":")
        names.add(f"{Path(file).resolve()}:{attribute}")
        return f"{Path(file).resolve()}:{attribute}"

    return of(values), names
