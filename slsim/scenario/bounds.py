"""What no value of a document may be, whatever its key: numbers that no counter holds, text that no file name
or output can have, tables nested without end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slsim.errors import Fault

DEEPEST = 32  # tables and lists within one another
MOST_CASES = 100_000  # of a scenario
LARGEST = 2**63 - 1


def bound_faults(value: object, path: str = "", depth: int = 0) -> Iterator[Fault]:
    """A fault for each value in a document that is out of all bounds."""
    if depth > DEEPEST:
        yield Fault(path[:100], f"is nested more than {DEEPEST} deep")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            shown = f'"{key}"' if "." in str(key) else key
            yield from _text_faults(str(key), path)
            yield from bound_faults(item, f"{path}.{shown}" if path else str(shown), depth + 1)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from bound_faults(item, f"{path}[{number}]", depth + 1)
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield Fault(path, "is too large a number: at most 2⁶³ - 1")
    elif isinstance(value, str):
        yield from _text_faults(value, path)


def _text_faults(text: str, path: str) -> Iterator[Fault]:
    if "\0" in text:
        yield Fault(path, "holds a NUL character, which no name or path can have")
    try:
        text.encode()
    except UnicodeEncodeError:
        yield Fault(path, f"{text!r} is not UTF-8, so it cannot be written into a scenario file")
