"""Find what somebody means by a part of a name: of runs, of settings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slsim.errors import StudyError
from slsim.units import nearest

_IN_BRACKETS = re.compile(r"\([^()]*\)")
MOST = 20  # names that an error lists


def chosen(asked: str, names: Sequence[str], what: str) -> str:
    """The one of `names` that is `asked`, or the only one that has it, or each of its parts between commas,
    as whole words or else as parts of words, in whatever case. Of one name alone it may be empty.

    Raises:
        StudyError: If none or several are meant; `what` says what has these names, such as "run".

    Example:
        >>> chosen("ms", ["identity", "MS (99 %, 2 bits)"], "setting")
        'MS (99 %, 2 bits)'
    """
    names = list(dict.fromkeys(names))
    every = f"there are: {_some(names)}"
    if asked in names:
        return asked
    if not asked and len(names) > 1:
        raise StudyError(f"there are {len(names)} {what}s; name one: {_some(names)}")
    parts = [re.escape(part.strip()) for part in asked.casefold().split(",")]
    found: list[str] = []
    for pattern in (r"(?<![\w.]){}(?![\w.])", "{}"):  # whole words before parts of words
        there = [re.compile(pattern.format(part)) for part in parts]
        found = found or [name for name in names if all(one.search(name.casefold()) for one in there)]
    if len(found) > 1:
        raise StudyError(f'{len(found)} {what}s have "{asked}" in their names: {_some(found)}')
    if not found:
        raise StudyError(f'there is no {what} "{asked}"; {nearest(asked, names)}{every}')
    return found[0]


def quoted(name: str) -> str:
    """A name as it stands in a list: in quotes where it has a comma of its own, outside brackets."""
    return f'"{name}"' if "," in _IN_BRACKETS.sub("", name) else name


def _some(names: Sequence[str]) -> str:
    shown = list(map(quoted, names[:MOST]))
    more = [f"and {len(names) - MOST} more"] if len(names) > MOST else []
    return ", ".join([*shown, *more])
