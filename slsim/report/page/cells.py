"""Tables of a page: headings with explanations, and cells that know how they are sorted."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from slsim.report.swept import chosen, spread


@dataclass(frozen=True)
class Heading:
    """What stands above a column: its name, the unit of its numbers, and what it means."""

    name: str
    unit: str = ""
    about: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class Cell:
    """What stands in a table: `text`, below it an interval or a range, and what it is sorted by; NaN and ""
    stand last, however the table is sorted."""

    text: str
    order: float | str = ""
    below: str = ""
    is_bold: bool = False

    @property
    def key(self) -> str:
        """`order` as a page's script reads it."""
        if isinstance(self.order, str):
            return self.order
        return "" if math.isnan(self.order) else f"{self.order:.9g}".replace("inf", "Infinity")


@dataclass(frozen=True)
class Table:
    """A table that a reader can sort; `note` says what is not shown."""

    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


MOST_ROWS = 200  # of a table of a page


def some(groups: Sequence[Hashable], most: int) -> list[int]:
    """At most so many places of `groups`, of each group some, as far as there are not more groups."""
    places = chosen(groups, most)
    return [places[place] for place in spread(len(places), most)]


def some_of(shown: int, count: int, what: str, file: str) -> str:
    """How many rows there are, where not all are shown."""
    return "" if shown == count else f"{shown} of {count:,} {what} shown: {file} has all."


def word(text: object) -> Cell:
    """A cell of text."""
    return Cell(str(text), str(text))


def number(value: float, text: str, below: str = "", *, is_bold: bool = False) -> Cell:
    """A cell of a number as `text`."""
    return Cell(text, float(value), below, is_bold)


def share(value: float, low: float = math.nan, high: float = math.nan) -> Cell:
    """A share in percent, and half of its interval: "85.3" above "± 0.4"."""
    half = (high - low) / 2
    text = "–" if math.isnan(value) else f"{100 * value:.1f}"
    return number(value, text, "" if math.isnan(half) else f"± {100 * half:.1f}")
