"""Which code made a result: a hash that changes with the code and not with its comments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent

_TRIPLE = r'[rRbBfFuU]*"""(?:\\.|[^\\])*?"""'
_STRING = rf"""{_TRIPLE}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*\""""
_DOCSTRING = rf"^[ \t]*{_TRIPLE}(?=[ \t]*(?:#[^\n]*)?$)"
_PARTS = re.compile(rf"{_DOCSTRING}|({_STRING})|#[^\n]*", re.DOTALL | re.MULTILINE)


@cache
def code_hash(*rooms: str) -> str:
    """Eight hexadecimal digits of a SHA-256 over the Python files of `rooms`, each a package or a module of
    slsim's own, such as "codecs"; the same on every machine and for every version of Python. Comments,
    docstrings and blank lines do not count. Read once."""
    digest = hashlib.sha256()
    for file in sorted(_files(rooms), key=Path.as_posix):
        text = code_of(file.read_text(encoding="utf-8"))
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0{text}\0".encode())
    return digest.hexdigest()[:8]


def _files(rooms: Sequence[str]) -> set[Path]:
    packages = {file for room in rooms for file in (ROOT / room).rglob("*.py")}
    return packages | {file for room in rooms if (file := ROOT / f"{room}.py").is_file()}


def code_of(source: str) -> str:
    """The lines of a Python source without comments, docstrings, blank lines and spaces at the end. A
    docstring here is a text in triple double quotation marks that has its lines for itself."""
    bare = _PARTS.sub(lambda match: match[1] or "", source)
    return "\n".join(line.rstrip() for line in bare.splitlines() if line.strip())
