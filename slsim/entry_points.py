"""The entry points by which installed distributions, slsim's own among them, offer components by name.

A distribution claims a name in the group `slsim.<kind>`, such as `slsim.codec`. The value names a class,
`"package.module:Class"`, or a module that registers the name when it is imported, `"package.module"`. The
group `slsim.kind` has the kinds: each value names a registry. Reading the claims imports none of all these.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from slsim import boundary
from slsim.errors import ComponentError, InstallationError, UnknownNameError

KINDS = "slsim.kind"


@cache
def _installed() -> Any:
    """All entry points of all installed distributions, read once; every version of Python has `select` on
    them. Raises `InstallationError` where slsim's own are not among them."""
    found = importlib.metadata.entry_points()
    if not found.select(group=KINDS):
        folder = Path(__file__).parents[1]
        raise InstallationError(
            "slsim is not installed, or an older version of it is, so its components cannot be found by "
            f"name; run `pip install -e .` in {folder}"
        )
    return found


@cache
def claims(group: str) -> dict[str, list[EntryPoint]]:
    """The entry points of `group` by name: one, or several where several distributions claim the name.
    Raises `InstallationError` where slsim is not installed."""
    found: dict[str, list[EntryPoint]] = {}
    for point in _installed().select(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def only(kind: str, points: list[EntryPoint]) -> EntryPoint:
    """The one entry point of a name. Raises `UnknownNameError` where several distributions claim the name."""
    if len(points) == 1:
        return points[0]
    owners = " and by ".join(f"{_owner(point)} ({point.value})" for point in points)
    raise UnknownNameError(
        f'the {kind} "{points[0].name}" is claimed by {owners}; uninstall all of them but one'
    )


def is_own(point: EntryPoint) -> bool:
    """Whether an entry point names code of slsim's own."""
    return point.module.partition(".")[0] == "slsim"


@contextmanager
def loading(point: EntryPoint) -> Iterator[None]:
    """Within this context the code of a plug-in is run: whatever it raises becomes an `UnknownNameError` that
    names the plug-in."""
    if is_own(point):
        yield
        return
    try:
        with boundary.around(f"the plug-in {point.name}"):
            yield
    except ComponentError as error:
        cause = error.__cause__
        raise UnknownNameError(f"the plug-in {point.value!r} cannot be loaded: {cause!r}") from error


def _owner(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
