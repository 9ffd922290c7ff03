"""The checks of a claim: does every figure that is printed follow from its format, or stay below it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from slsim.claims.accounting import in_print, shown, unit
from slsim.claims.figures import Figure, bytes_of, figure, recounted, recounts
from slsim.claims.formula import figures
from slsim.claims.tables import INF, NO, YES, Claim, Column, Row, decimals, printed_value
from slsim.verdict import Check

Found = tuple[bool, str]  # whether it holds, and the arithmetic


def check(claim: Claim) -> list[Check]:
    """Whether each figure follows from its format to the last printed digit, or is at most what its format
    can save; each with its arithmetic. A figure that is printed bold and is not the best of its row is noted.

    >>> from slsim.claims import load
    >>> checks = check(load("mask-encoded-sparsification"))
    >>> all(one.passed for one in checks)
    True
    """
    ceilings = [_ceiling(claim, name) for name, column in claim.file.columns.items() if column.ceiling]
    places = [(at, name) for at, row in enumerate(claim.file.rows) for name in row.printed]
    return [*ceilings, *(_check(Entry(claim, *place)) for place in places)]


@dataclass(frozen=True)
class Entry:
    """A figure that is printed: the claim, the number of its row, and its column's name."""

    claim: Claim
    at: int
    name: str

    @property
    def row(self) -> Row:
        return self.claim.file.rows[self.at]

    @property
    def column(self) -> Column:
        return self.claim.file.columns[self.name]

    @property
    def text(self) -> str:
        """As it is printed."""
        return self.row.printed[self.name]

    @cached_property
    def found(self) -> Figure:
        """What it must be, or be held to."""
        return figure(self.claim.file, self.row, self.column)

    @property
    def unread(self) -> str:
        """Why it is computed from what nobody has read; empty where it is not."""
        return self.column.unread or self.row.unread or ""

    @property
    def place(self) -> str:
        """Where the file has it."""
        return f"{self.claim.source}: rows[{self.at}].printed.{self.name}"


def _ceiling(claim: Claim, name: str) -> Check:
    """Whether every row's format gives the ceiling that is printed of a column; and what remains of it where
    both directions count."""
    column = claim.file.columns[name]
    assert column.ceiling is not None
    rows = [row for row in claim.file.rows if name in row.printed]
    found = [figure(claim.file, row, column) for row in rows]
    wrong = [one for one in found if not follows(one.value, column, column.ceiling)]
    first = (wrong or found)[0]
    says = f"{column.ceiling}{' is printed, but' if wrong else ':'}"
    lines = [f"{says} {first.arithmetic} = {figures(first.value)}"]
    lines += [f"bytes: {bytes_of(column, rows[0])}"] if column.codec else []
    if claim.file.accounting.directions != "both":
        bound = f"2 / (1 + 1 / {figures(first.value)}) = {figures(2 / (1 + 1 / first.value))}"
        lines += [f"both directions counted: at most {bound}"]
    note, unread = "", bool(column.unread)
    if column.unread:
        note = f"unread: {column.unread}"
    elif wrong:
        note = f"{claim.source}: columns.{name}.ceiling"
    return Check(f"ceiling of {name}", unread or not wrong, "\n".join(lines), note, claim.name, unread)


def _check(entry: Entry) -> Check:
    """The check of a figure that is printed."""
    holds, arithmetic = _KINDS[entry.column.kind](entry)
    passed = holds or bool(entry.unread)
    notes = [f"unread: {entry.unread}"] if entry.unread else []
    notes += [] if passed else [entry.place]
    notes += [_not_best(entry)] if entry.name in entry.row.bold else []
    return Check(
        f"{entry.row.label} {entry.name}".strip(),
        passed,
        arithmetic,
        "\n".join(filter(None, notes)),
        entry.claim.name,
        bool(entry.unread),
    )


def _exact(entry: Entry) -> Found:
    """Whether a figure is what its format gives, to the last printed digit; and by other accountings."""
    file, quantity, digits = entry.claim.file, entry.column.quantity, decimals(entry.text)
    holds = follows(entry.found.value, entry.column, entry.text)
    says = f"{entry.text}{unit(quantity)}{':' if holds else ' is printed, but'}"
    arithmetic = entry.found.arithmetic
    arithmetic = f"1 - ({arithmetic})" if quantity == "percent saved" else arithmetic
    line = f"{says} {arithmetic} = {shown(entry.found.value, quantity, digits)}"
    others = [
        f"{again.told()}: {shown(recounted(file, entry.row, entry.column, again), quantity, digits)}"
        for again in recounts(file, entry.column)
    ]
    return holds, "\n".join(filter(None, [line, "; ".join(others)]))


def _ceiled(entry: Entry) -> Found:
    """Whether a figure is at most what its format saves, unless fewer steps are claimed; what it says of the
    steps, and what remains of it where both directions count."""
    text, most = entry.text, entry.found.value
    limit = figures(most)
    if text == INF:
        return True, f"{INF}: never reached; at most {limit}"
    value, half = printed_value(text), half_a_digit(text)
    if value == 0:
        return False, f"{text} is printed: infinitely many steps, which is {INF}"
    fewer = entry.name in entry.row.fewer_steps
    extra = 100 * (float(most / value) - 1)
    steps = f"{limit} / {text}, {abs(extra):.1f} % {'more' if extra >= 0 else 'fewer'} steps"
    if fewer and value + half < most:
        return False, f"{text} is below {limit}, and fewer steps are claimed: {steps}"
    if not fewer and value - half > most:
        limit_of = f"{limit} = {entry.found.arithmetic}"
        return (
            False,
            f"{text} is above {limit_of}, what the format saves, without a word on fewer steps: {steps}",
        )
    if entry.claim.file.accounting.directions == "both":
        return True, f"{text}: {steps}"
    both = figures(2 * value / (1 + most))
    return True, f"{text}: {steps}\nboth directions counted: 2·{text} / (1 + {limit}) = {both}"


def _compared(entry: Entry) -> Found:
    """Whether one value is less than another, as it is said."""
    left, right = entry.found, entry.found.than
    assert right is not None
    is_less = left.value < right.value
    sides = (f"{one.arithmetic} = {figures(one.value)}" for one in (left, right))
    holds = entry.text == (YES if is_less else NO)
    says = f"{entry.text}{':' if holds else ' is printed, but'}"
    return holds, f"{says} {(' < ' if is_less else ' ≥ ').join(sides)}"


_KINDS: dict[str, Callable[[Entry], Found]] = {"exact": _exact, "ceiling": _ceiled, "comparison": _compared}


def follows(value: Fraction, column: Column, text: str) -> bool:
    """Whether a value rounds to what is printed; a half may be rounded either way."""
    return abs(in_print(value, column.quantity) - printed_value(text)) <= half_a_digit(text)


def half_a_digit(text: str) -> Fraction:
    """Half of the last digit that is printed."""
    return Fraction(1, 2 * 10 ** decimals(text))


def _not_best(entry: Entry) -> str:
    """What is better in the row than a figure that is printed bold; empty where nothing is."""
    columns, quantity = entry.claim.file.columns, entry.column.quantity
    sign = 1 if quantity in ("multiplier", "percent saved") else -1
    alike = {
        name: sign * printed_value(text)
        for name, text in entry.row.printed.items()
        if columns[name].quantity == quantity and text not in (INF, YES, NO)
    }
    best = max(alike, key=lambda name: alike[name], default=entry.name)
    if alike.get(entry.name) == alike.get(best):
        return ""
    return f"printed bold, but {best}'s {entry.row.printed[best]} is better than {entry.text}"
