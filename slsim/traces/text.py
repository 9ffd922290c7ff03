"""Files of text with a time and a rate on each line, as editors, instruments and spreadsheets write them."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slsim.errors import SlsimError

MAX_BYTES = 64 * 2**20  # of a trace: some five million lines
_NO_TRACES = {".md", ".rst", ".pdf", ".html"}  # what may lie beside traces in a folder
_NO_TRACE_NAMES = {"readme", "license", "licence", "readme.txt", "license.txt", "licence.txt"}
_COMMENTS = ("#", "sep=")  # the second is Excel's
_STAMP = re.compile(r"^(\d{4}[-./]\d\d?[-./]\d\d?) +(?=\d)")  # a date, then a time, with a space between
_VALUE = re.compile(r"[+-]?(\d|[.,]\d)[\d.,]*([eE][+-]?\d+)?(\s*[A-Za-z/]+)?|\d{1,4}[-./:]\d.*")


class TraceError(SlsimError, ValueError):
    """A trace file that cannot be read: which file, which line, what is wrong with it."""


@dataclass(frozen=True)
class Table:
    """The lines of a file that say something, without their line ends: comments (#) and blanks are left out.

    `numbers` are their places in the file, from 1 on; `separator` stands between cells, None for any white
    space.
    """

    path: Path
    numbers: tuple[int, ...]
    lines: tuple[str, ...]
    separator: str | None

    @classmethod
    def read(cls, path: Path) -> Table:
        """The table in `path`. Raises `TraceError` where there is none."""
        stripped = map(str.strip, _text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        kept = [
            (n, line) for n, line in enumerate(stripped, start=1) if line and not line.startswith(_COMMENTS)
        ]
        if not kept:
            raise TraceError(f"the trace {path} is empty")
        numbers, lines = zip(*kept, strict=True)
        separator = next((one for one in ";\t," if all(one in line for line in lines[:2])), None)
        return cls(path, numbers, lines, separator)

    def cells(self, place: int, most: int = 0) -> list[str]:
        """The cells of the line at `place`; where white space separates them, at most `most` (0: any)."""
        line = self.lines[place]
        if self.separator is None:
            return _STAMP.sub(r"\1T", line).split(None, most - 1 if most else -1)
        if '"' not in line:
            return [cell.strip() for cell in line.split(self.separator)]
        try:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=self.separator))]
        except csv.Error as error:
            raise self.wrong(place, str(error)) from None

    def number(self, cell: str) -> float | None:
        """The cell as a number, None if it is none or not finite. Between semicolons a comma is a point."""
        if self.separator == ";" and cell.count(",") == 1 and "." not in cell:
            cell = cell.replace(",", ".")
        try:
            value = float(cell)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def wrong(self, place: int, message: str) -> TraceError:
        """The error that says where in the file something is wrong."""
        return TraceError(f"the trace {self.path}, line {self.numbers[place]}: {message}")


def is_value(cell: str) -> bool:
    """Whether a cell is a number, a number with a unit, or a time, and so no name of a column."""
    return _VALUE.fullmatch(cell) is not None


def short(found: str) -> str:
    """What was found, as an error shows it."""
    return repr(found) if len(found) <= 60 else f"{found[:40]!r}… ({len(found):,} characters)"


def files_at(path: Path) -> list[Path]:
    """The traces that `path` names, sorted by name: itself, or the files of a folder but for hidden ones and
    documents. Raises `TraceError` for a folder without any."""
    _check_path(path)
    try:
        if not path.is_dir():
            return [path]
        files = [file for file in sorted(path.iterdir()) if file.is_file() and _may_be_trace(file)]
    except OSError as error:
        raise TraceError(f"the trace {path} cannot be read: {error.strerror}") from None
    if not files:
        raise TraceError(f"the folder {path} has no traces in it")
    return files


def _may_be_trace(file: Path) -> bool:
    is_document = file.suffix.lower() in _NO_TRACES or file.name.lower() in _NO_TRACE_NAMES
    return not is_document and not file.name.startswith(".")


def _check_path(path: Path) -> None:
    if "\0" in str(path):
        raise TraceError(f"{str(path)!r} is not the path of a trace: there is a NUL character in it")


def _text(path: Path) -> str:
    """The file as text: UTF-8, with or without a byte order mark, UTF-16 with one, or else Latin-1."""
    data = _bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: Sequence[str] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "latin-1")
        if b"\0" in data:
            line = data[: data.index(b"\0")].count(b"\n") + 1
            raise TraceError(f"the trace {path}, line {line}: there is a NUL character: the file is not text")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise TraceError(f"the trace {path} cannot be read: it is not text")


def _bytes(path: Path) -> bytes:
    _check_path(path)
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise TraceError(f"the trace {path} cannot be read: it is not a file")
        if size > MAX_BYTES:
            raise TraceError(
                f"the trace {path} has {size / 2**20:,.0f} MiB; at most {MAX_BYTES // 2**20} MiB are read: "
                "cut out what is needed"
            )
        return path.read_bytes()
    except OSError as error:
        raise TraceError(f"the trace {path} cannot be read: {error.strerror}") from None
