"""Python files of a user's own, which a scenario names by path: loaded together with their neighbours.

A file may import modules and packages that lie beside it, as a script may, at its top or inside a function.
Each folder's modules live below a package of their own, `slsim_own_<number>`, so that two folders with a
`layers.py` each do not meet, and `sys.path` stays as it is. A file that has changed, or whose neighbours
have, is loaded again.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "slsim_own_"
_PREFIXED = re.compile(rf"{PREFIX}\d+\.")
LIBRARIES = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")})


def load(path: Path) -> ModuleType:
    """The module in the file at `path` (absolute), loaded once until it or a module that it imports changes.
    Whatever the file raises is raised."""
    digest = digest_of(path)
    known = _loaded.get(path)
    if known is None or known.digest != digest:
        known = _loaded[path] = _Loaded(digest, _execute(path, _package_for(path)))
    return known.module


def digest_of(path: Path, *, beside: bool = False) -> str:
    """A SHA-256 in hexadecimal over a file and every module of the user's own that it imports, directly or
    not, at its top or inside functions: the same wherever they lie. With `beside` only those count that lie
    beside the file, none elsewhere on `sys.path`. Raises `OSError` when the file cannot be read."""
    known = _digests.get((path, beside))
    if known is None or known.sys_path != sys.path or known.stamps != _stamps(known.stamps):
        sources = sources_of(path, beside=beside)
        parts = {place: hashlib.sha256(one.content).hexdigest() for place, one in sources.items()}
        lines = "".join(f"{place} {parts[place]}\n" for place in sorted(parts))
        digest = parts[path.name] if len(parts) == 1 else hashlib.sha256(lines.encode()).hexdigest()
        stamps = _stamps([one.path for one in sources.values()])
        known = _digests[path, beside] = _Digest(digest, stamps, list(sys.path))
    return known.digest


def is_own(file: str) -> bool:
    """Whether a file was run as a user's own."""
    return any(Path(file) in files for files in _executed.values())


def plain(text: str) -> str:
    """`text` with the modules' names as their files have them."""
    return _PREFIXED.sub("", text)


@dataclass(frozen=True)
class _Loaded:
    digest: str
    module: ModuleType


@dataclass(frozen=True)
class _Digest:
    digest: str
    stamps: dict[Path, tuple[int, int, int]]
    sys_path: list[str]


_loaded: dict[Path, _Loaded] = {}
_digests: dict[tuple[Path, bool], _Digest] = {}
_packages: dict[Path, str] = {}  # the package of each folder's modules, as they are now
_executed: dict[str, dict[Path, str]] = {}  # of each package: the files that were run, and their digests


def _stamps(paths: Iterable[Path]) -> dict[Path, tuple[int, int, int]]:
    """What tells without reading whether files are as before; a file that is gone has another stamp."""
    found = {}
    for path in paths:
        try:
            status = path.stat()
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            found[path] = (-1, -1, -1)
    return found


# What a file imports, by its text.


@dataclass(frozen=True)
class Source:
    """A file of the user's own, and its content."""

    path: Path
    content: bytes


def sources_of(path: Path, *, beside: bool = False) -> dict[str, Source]:
    """The file at `path`, and all modules of the user's own that it leads to, with `beside` only those that
    lie beside it; by where each lies below the folder that it is imported from: a folder with these files at
    these places is all that `path` needs. Raises `OSError` when one cannot be read."""
    roots = [path.parent] if beside else [path.parent, *_own_roots()]
    found = {path.name: Source(path, path.read_bytes())}
    pending = [(path.parent, path.name)]
    while pending:
        root, place = pending.pop()
        here = root / place
        for name, level in _imported_names(found[place].content):
            if not level:
                base = next((one for one in roots if _has(one, name.partition(".")[0])), None)
                start = base
            else:
                base, start = root, here.parents[level - 1] if level <= len(here.parents) else None
            if base is None or start is None or not start.is_relative_to(base):
                continue
            for file in _files_of(name, start):
                neighbour = file.relative_to(base).as_posix()
                if neighbour not in found:
                    found[neighbour] = Source(file, file.read_bytes())
                    pending.append((base, neighbour))
    return found


def _imported_names(source: bytes) -> Iterator[tuple[str, int]]:
    """Every dotted name that a source may import as a module, and how many levels it goes up."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            before = f"{node.module}." if node.module else ""
            yield from ((f"{before}{alias.name}", node.level) for alias in node.names)


def _files_of(name: str, base: Path) -> Iterator[Path]:
    """The files that importing `name` from the folder `base` runs."""
    here = base
    for part in name.split("."):
        file, package = here / f"{part}.py", here / part
        if (package / "__init__.py").is_file():
            yield package / "__init__.py"
        elif file.is_file():
            yield file
        elif not package.is_dir():
            return
        here = package


def _own_roots() -> list[Path]:
    """The folders of `sys.path` that are no library's."""
    folders = [Path(one).resolve() for one in sys.path]
    return [one for one in folders if one.is_dir() and not any(one.is_relative_to(lib) for lib in LIBRARIES)]


def _has(folder: Path, top: str) -> bool:
    """Whether a module or package of that name lies in `folder`. What Python itself or slsim has counts as
    theirs."""
    if top in ("slsim", "") or top in sys.builtin_module_names:
        return False
    package = folder / top
    return (folder / f"{top}.py").is_file() or (
        package.is_dir() and any(any(package.glob(files)) for files in ("*.py", "*/*.py"))
    )


# Loading it.


def _package_for(path: Path) -> str:
    """The package of the folder of `path`; a new one when a module in it is not as it was loaded."""
    folder = path.parent
    package = _packages.get(folder)
    current = {one.path: hashlib.sha256(one.content).hexdigest() for one in sources_of(path).values()}
    if package is not None:
        before = _executed[package]
        if path not in before and all(before.get(one, taken) == taken for one, taken in current.items()):
            return package
    name = f"{PREFIX}{len(_executed)}"
    module = ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module
    _packages[folder] = name
    _executed[name] = {}
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    return name


def _execute(path: Path, package: str) -> ModuleType:
    importlib.invalidate_caches()
    before = set(sys.modules)
    name = f"{package}.{path.stem.replace('.', '_')}"
    if name in sys.modules:  # a neighbour has imported it
        return sys.modules[name]
    spec = spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for one in set(sys.modules) - before:
            if one.startswith(package):
                del sys.modules[one]
        raise
    return module


class _Loader(SourceFileLoader):
    """Runs a module with an `import` that looks beside the file first. Never from compiled files: those tell
    a source that was changed within a second from the old one only by its size."""

    def get_code(self, fullname: str) -> Any:
        source = self.get_data(self.path)
        package = fullname.partition(".")[0]
        _executed[package][Path(self.path)] = hashlib.sha256(source).hexdigest()
        return self.source_to_code(source, self.path)

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        own = {**vars(builtins), "__import__": partial(_import, package)}
        module.__dict__["__builtins__"] = own
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Finds the modules below the packages of users' folders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


_FINDER = _Finder()


def _import(
    package: str,
    name: str,
    namespace: Mapping[str, object] | None = None,
    local: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """`__import__` of a user's module: neighbours first, below their package."""
    top = name.partition(".")[0]
    if level or not _has(Path(sys.modules[package].__path__[0]), top):
        return builtins.__import__(name, namespace, local, fromlist or (), level)
    found = builtins.__import__(f"{package}.{name}", namespace, local, fromlist or (), 0)
    return found if fromlist else sys.modules[f"{package}.{top}"]
