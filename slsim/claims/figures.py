"""The figures of a claim computed: what a codec's format, or a formula, gives for a row of the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from slsim.claims.accounting import Accounting, Recount, with_first_epoch
from slsim.claims.formula import Formula, figures
from slsim.claims.tables import ClaimTable, Column, Row
from slsim.codecs import Codec
from slsim.errors import Fault


@dataclass(frozen=True)
class Figure:
    """A figure that follows from a format: what is sent ÷ raw where percent are printed, raw ÷ sent of
    multipliers, bytes; and the arithmetic that gives it. Of a comparison `than` is the other side."""

    value: Fraction
    arithmetic: str
    than: Figure | None = None


class Known(Mapping[str, Fraction]):
    """The values of all that the formulas of a row may name; those that formulas give, when first asked."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._found: dict[str, Fraction] = {}
        self._open: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def __contains__(self, name: object) -> bool:
        return name in self._given

    def __getitem__(self, name: str) -> Fraction:
        given = self._given[name]
        if not isinstance(given, Formula):
            return Fraction(given)
        if name not in self._found:
            if name in self._open:
                raise ValueError(f"{name} depends on itself, by {' and '.join(self._open)}")
            self._open.append(name)
            self._found[name] = given.value(self)
            self._open.pop()
        return self._found[name]

    def of(self, formula: Formula) -> Figure:
        """A formula's value, and the formula with numbers; of a parameter's name alone, that parameter's."""
        value = formula.value(self)
        while isinstance(named := self._given.get(formula.text.strip()), Formula):
            formula = named
        return Figure(value, formula.shown({name: self[name] for name in formula.names}))


def figure(file: ClaimTable, row: Row, column: Column, again: Recount | None = None) -> Figure:
    """What a row's figure in a column must be, by the claim's accounting or by another. Raises `ValueError`
    where its formula has no value."""
    accounting = again.of(file.accounting) if again else file.accounting
    if column.codec is not None:
        return _of_format(row, column, accounting)
    assert column.formula is not None
    elements = {"d": Fraction(math.prod(row.shape))} if row.shape else {}
    given = {**accounting.values(), **elements, **file.parameters, **row.parameters}
    known = Known({**given, **(again.parameters if again else {})})
    try:
        found = known.of(column.formula)
        than = known.of(column.than) if column.than else None
    except RecursionError:
        raise ValueError("its formulas are nested too deep in one another") from None
    if found.value <= 0 and column.kind != "comparison":
        raise ValueError(f"{found.arithmetic} = {figures(found.value)}, which must be more than 0")
    return Figure(found.value, found.arithmetic, than)


def _of_format(row: Row, column: Column, accounting: Accounting) -> Figure:
    """What the format of a codec gives; where both directions count, of gradients as large as the activations
    too, which cross as they are unless the column has a codec for them."""
    up, down = column.created
    assert up is not None
    raw = Fraction(accounting.baseline_bits * math.prod(row.shape), 8)
    sizes = [Fraction(_sent(up, row, accounting))]
    if accounting.directions == "both":
        sizes.append(Fraction(_sent(down, row, accounting)) if down else raw)
    sent, count = sum(sizes, Fraction(0)), len(sizes)
    if not sent:
        raise ValueError(f"no byte is sent at shape {list(row.shape)}")
    shown_sent = " + ".join(map(figures, sizes))
    shown_raw = f"2·{figures(raw)}" if count > 1 else figures(raw)
    if column.quantity == "bytes":
        return Figure(sent, f"{bytes_of(column, row)} = {shown_sent}" if count > 1 else bytes_of(column, row))
    bracketed = f"({shown_sent})" if count > 1 else shown_sent
    if column.quantity == "multiplier":
        return Figure(count * raw / sent, f"{shown_raw} / {bracketed}")
    return Figure(sent / (count * raw), f"{bracketed} / {f'({shown_raw})' if count > 1 else shown_raw}")


def _sent(codec: Codec, row: Row, accounting: Accounting) -> int:
    """The bytes of a payload, as far as they count."""
    body, payload = codec.body_bytes(row.shape), codec.num_bytes(row.shape)
    side = codec.side_bytes if accounting.counts("side_information") else 0
    return body + side + (payload - body - codec.side_bytes if accounting.counts("headers") else 0)


def bytes_of(column: Column, row: Row) -> str:
    """How the formats of a column count their bytes: "ceil(3·d / 8), d = 4,194,304"."""
    formulas = (codec.size_formula(row.shape) for codec in column.created if codec)
    return f"{' and down '.join(formulas)}, d = {math.prod(row.shape):,}"


def recounts(file: ClaimTable, column: Column) -> list[Recount]:
    """The other accountings that say something of a column."""
    if column.kind != "exact":
        return []
    return [again for again in file.recount if column.first_epoch_in_full or not again.epochs]


def recounted(file: ClaimTable, row: Row, column: Column, again: Recount) -> Fraction:
    """A figure by another accounting. Raises `ValueError` where its formula has no value then."""
    return with_first_epoch(figure(file, row, column, again).value, column.quantity, again.epochs)


def value_faults(file: ClaimTable) -> Iterator[Fault]:
    """A fault for each figure that the format or formula does not give, by the claim's accounting or by
    another."""
    for at, row in enumerate(file.rows):
        for name in row.printed:
            column, place = file.columns[name], f"rows[{at}].printed.{name}"
            try:
                figure(file, row, column)
            except ValueError as error:
                yield Fault(place, f"cannot be computed: {error}")
                continue
            for again in recounts(file, column):
                try:
                    recounted(file, row, column, again)
                except ValueError as error:
                    yield Fault(place, f"cannot be computed with {again.told()}: {error}")
