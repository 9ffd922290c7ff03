"""Compile numerical loops with numba, and keep the machine code on disk.

Machine code contains the code of the kernels that a kernel calls, and the constants that its module imports.
numba compares only the file of the kernel itself with what it kept. `compiled` adds the texts of all modules
that this file imports from its own package, directly or not, so that an edit in any of them is noticed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def compiled(
    *, fastmath: bool | Collection[str] = False, bare: bool = False
) -> Callable[[AnyFunction], AnyFunction]:
    """Return a decorator that compiles a function at its first call, or loads it from disk.

    The function runs without the GIL, on one thread, without checks of bounds; a division by 0 gives what
    IEEE 754 says. `fastmath` has the LLVM flags that permit inexact arithmetic, such as `{"contract"}`.
    A `bare` function is compiled into its callers and counts no references to the arrays that it is given, so
    it must make none, and all that it calls must be bare: for small functions that take arrays and are called
    for each element, of which counting would be most of the work.
    """

    def decorate(function: AnyFunction) -> AnyFunction:
        flags = fastmath if isinstance(fastmath, bool) else set(fastmath)
        options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": flags}
        if (
            bare
        ):  # numba has no public way to say that references need no counting; an unknown word it refuses
            options |= {"forceinline": True, "_nrt": False}
        kernel: Any = numba.njit(**options)(function)
        if kernel is not function:  # as it is where NUMBA_DISABLE_JIT is set
            # numba has no public way to say what else a kernel is made of; a test notices if this one ends.
            kept = kernel._cache._cache_file
            kept._source_stamp = (kept._source_stamp, _digest(function.__module__))
        return cast(AnyFunction, kernel)

    return decorate


def _digest(module: str) -> str:
    """Return a digest of the texts of `module` and of what it imports from its package, directly or not."""
    package = module.partition(".")[0]
    texts: dict[str, bytes] = {}
    names = [module]
    while names:
        name = names.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and name not in texts:
            texts[name] = Path(file).read_bytes()
            names += [one for one in _imports(texts[name]) if one.partition(".")[0] == package]
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()


@functools.cache
def _imports(text: bytes) -> frozenset[str]:
    """Return the names after `import`, and those after `from` with and without what is imported from them."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)
