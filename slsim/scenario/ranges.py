"""Ranges of a sweep: "1 Mbps .. 1 Gbps / 20" stands for 20 values from 1 Mbps to 1 Gbps.

Quantities above 0 are spaced logarithmically, and so are their ends unless one is 0; plain numbers are spaced
linearly. A last word, "log" or "linear", says it outright. The ends are kept as they are written; what is
between is rounded to 4 significant digits, or to whole numbers where both ends are whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from slsim.errors import UnitError
from slsim.scenario.bounds import MOST_CASES
from slsim.units import QUANTITIES, Quantity, number_and_unit

DIGITS, MOST_DIGITS = 4, 15
LARGEST_PLAIN = 2**53  # of whole numbers that floats have exactly
_TAIL = re.compile(r"(?P<count>\S+)(?:\s+(?P<spacing>\S+))?")
_WHOLE = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*")


@dataclass(frozen=True)
class _Range:
    """A range as it is written; `count` and `spacing` are empty where they are missing."""

    first: str
    last: str
    count: str
    spacing: str

    @property
    def units(self) -> tuple[str | None, str | None]:
        return _unit(self.first), _unit(self.last)


def is_range(value: object) -> bool:
    """Return whether `value` is text that is meant as a range, be it a faulty one."""
    return isinstance(value, str) and _split(value) is not None


def points(text: str) -> list[str] | list[int] | list[float]:
    """Return the values of a range in its order, quantities as text. Raises `ValueError` for a range that
    cannot be."""
    asked = _split(text)
    assert asked is not None
    count = _count(asked)
    if asked.spacing not in ("", "log", "linear"):
        raise ValueError(f'{asked.spacing!r} is no spacing; a range may end in "log" or "linear"')
    if any(asked.units):
        return _quantities(asked, count)
    if not all(abs(float(end)) <= LARGEST_PLAIN for end in (asked.first, asked.last)):
        raise ValueError("the plain ends of a range must be at most 2⁵³")
    numbers = _spaced(float(asked.first), float(asked.last), count, is_log=asked.spacing == "log")
    if _WHOLE.fullmatch(asked.first) and _WHOLE.fullmatch(asked.last):
        return list(dict.fromkeys(map(round, numbers)))
    return _rounded(numbers)


def _split(text: str) -> _Range | None:
    """The parts of a range; None where `text` is none: an end is no number, or neither unit is known."""
    first, dots, rest = text.partition("..")
    if not dots:
        return None
    last, _, tail = rest.rpartition("/")
    match = _TAIL.fullmatch(tail.strip())
    if match is None or not _is_number(last) or _known(_unit(rest) or ""):  # the slash of "1 GB/s"
        found = _Range(first.strip(), rest.strip(), "", "")
    else:
        found = _Range(first.strip(), last.strip(), match["count"], match["spacing"] or "")
    if not (_is_number(found.first) and _is_number(found.last)):
        return None
    units = [unit for unit in found.units if unit is not None]
    return found if not units or any(map(_known, units)) else None


def _is_number(text: str) -> bool:
    return number_and_unit(text) is not None


def _unit(text: str) -> str | None:
    found = number_and_unit(text)
    return found[1] if found else None


def _known(unit: str) -> list[Quantity]:
    """The quantities that have that unit, those first that write it so."""
    found = []
    for quantity in QUANTITIES:
        try:
            quantity.unit_value(unit)
        except UnitError:
            continue
        found.append(quantity)
    return sorted(found, key=lambda quantity: unit not in quantity.units)


def _count(asked: _Range) -> int:
    example = f'"{asked.first} .. {asked.last} / 20"'
    if not asked.count:
        raise ValueError(f"a range needs its number of points: {example}")
    if not asked.count.isdecimal() or not 2 <= int(asked.count[:20]) <= MOST_CASES:
        raise ValueError(
            f"a range has from 2 to {MOST_CASES:,} points, found {asked.count[:20]!r}; write {example}"
        )
    return int(asked.count)


def _quantities(asked: _Range, count: int) -> list[str]:
    if None in asked.units:
        bare = asked.first if asked.units[0] is None else asked.last
        raise ValueError(f"{bare!r} has no unit; both ends of a range need one")
    quantity = _known(next(unit for unit in asked.units if unit and _known(unit)))[0]
    ends = quantity.parse(asked.first), quantity.parse(asked.last)
    is_log = asked.spacing == "log" or (not asked.spacing and min(ends) > 0)
    inner = _rounded(_spaced(*ends, count, is_log=is_log))[1:-1]
    return [asked.first, *map(quantity.format, inner), asked.last]


def _spaced(first: float, last: float, count: int, *, is_log: bool) -> list[float]:
    if first == last:
        raise ValueError("both ends of a range are the same; write one value")
    shares = [step / (count - 1) for step in range(1, count - 1)]
    if not is_log:
        return [first, *(first * (1 - share) + last * share for share in shares), last]
    if min(first, last) <= 0:
        raise ValueError('a logarithm has no 0 and nothing below; let the range end in "linear"')
    low, high = math.log(first), math.log(last)
    return [first, *(math.exp(low * (1 - share) + high * share) for share in shares), last]


def _rounded(values: Sequence[float]) -> list[float]:
    """What is between the ends, to 4 significant digits, or to as many as keep the values apart."""
    rises = values[0] < values[-1]
    for digits in range(DIGITS, MOST_DIGITS):
        found = [values[0], *(float(f"{value:.{digits}g}") for value in values[1:-1]), values[-1]]
        if all(before != after and (before < after) is rises for before, after in pairwise(found)):
            return found
    return list(values)
