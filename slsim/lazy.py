"""Names that a package imports from its modules when they are first asked for, so that importing the package
costs little."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def attributes(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of `package`. `homes` has the names that each of its modules defines, by module; a
    module that is a name itself stands for the module."""
    home_of = {name: home for home, names in homes.items() for name in names}

    def attribute(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = home_of[name]
        module = importlib.import_module(f"{package}.{home}")
        return module if name == home else getattr(module, name)

    return attribute
