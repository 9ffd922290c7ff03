"""A claim file as typed, frozen tables: what a paper prints, and what it must follow from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo, field_validator, model_validator

from slsim.claims.accounting import (
    FLAGS,
    Accounting,
    Name,
    Parameters,
    Part,
    Quantity,
    Recount,
    Text,
    written,
)
from slsim.claims.formula import Formula
from slsim.codecs import Codec
from slsim.errors import Fault, FaultsError
from slsim.own_code import is_own_code
from slsim.scenario.choice import MOST, CodecChoice, component_table

INF = "INF"  # printed of a target that was never reached
YES, NO = "yes", "no"  # printed of a comparison
_PRINTED = re.compile(r"[0-9]{1,3}(,[0-9]{3}){1,4}(\.[0-9]{1,15})?|[0-9]{1,15}(\.[0-9]{1,15})?")
RESERVED = {"baseline_bits", *FLAGS}  # names that are no parameter's
MOST_ELEMENTS = 10**15

FormulaField = Annotated[Formula, PlainValidator(Formula.parse)]


class Column(Part):
    """[columns.NAME]: what the figures of one column of the table follow from.

    `kind` "exact": each follows from the codec's format, or the formula, to its last digit. "ceiling": each
    is the traffic saved on the way to some accuracy, so it is at most what the format saves in one step,
    unless fewer steps were needed. "comparison": each says whether the formula's value is less than that of
    `than`. A formula of percent, saved or not, gives what is sent ÷ raw.
    """

    kind: Literal["exact", "ceiling", "comparison"] = "exact"
    quantity: Quantity = "multiplier"
    codec: CodecChoice | None = Field(None, description="a codec of slsim, whose format it is")
    downlink: CodecChoice | None = Field(
        None, description="of the gradients, where both directions count; left out: none"
    )
    formula: FormulaField | None = Field(None, description="of the parameters and of what is counted")
    than: FormulaField | None = Field(None, description="what a comparison compares the formula with")
    ceiling: Text | None = Field(None, description="what the format saves, as it is printed")
    first_epoch_in_full: bool = Field(
        False, strict=True, description="whether the scheme sends all of the first epoch"
    )
    unread: Text | None = Field(None, description="why the figures are computed from what nobody has read")

    @field_validator("codec", "downlink", mode="before")
    @classmethod
    def _runs_no_code(cls, value: object, info: ValidationInfo) -> object:
        name = component_table(value).get("name")
        if isinstance(name, str) and is_own_code(name) and not (info.context or {}).get("trust"):
            raise ValueError(
                f'"{name}" is code in a file, which reading a claim does not run; if you trust it, say '
                "--trust (in Python: trust=True)"
            )
        return value

    @field_validator("ceiling")
    @classmethod
    def _is_printed(cls, text: str | None) -> str | None:
        return text and checked_print(text)

    @model_validator(mode="after")
    def _is_whole(self) -> Column:
        if self.kind == "comparison":
            if self.formula is None or self.than is None or self.codec:
                raise ValueError("a comparison has a formula, than, which it may be less than, and no codec")
        elif self.than is not None:
            raise ValueError('than is for a column of kind = "comparison"')
        elif (self.codec is None) == (self.formula is None):
            raise ValueError("has either a codec or a formula")
        if any(one and one.params.get("lossless") for one in (self.codec, self.downlink)):
            raise ValueError("a codec with a lossless stage has no size that a shape tells: leave it out")
        if self.downlink and not self.codec:
            raise ValueError("downlink stands beside a codec; a formula says all by itself")
        if self.kind == "ceiling" and self.quantity != "multiplier":
            raise ValueError('the quantity of kind = "ceiling" is "multiplier"')
        if self.ceiling is not None and self.kind != "ceiling":
            raise ValueError('ceiling is for a column of kind = "ceiling"')
        return self

    @cached_property
    def created(self) -> tuple[Codec | None, Codec | None]:
        """The codec, and that of the downlink, where it has them."""
        up, down = (one.create() if one else None for one in (self.codec, self.downlink))
        return up, down


def _said(value: object) -> object:
    """A text, or a number as text."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class Row(Part):
    """[[rows]]: a row of the table: its setting, and what is printed in each column."""

    setting: dict[Name, Annotated[Text, BeforeValidator(_said)]] = Field(
        default_factory=dict, description="as the paper names it"
    )
    shape: tuple[Annotated[int, Field(strict=True, ge=1, le=MOST)], ...] = Field(
        (), max_length=8, description="of the activations of a mini-batch, for codecs"
    )
    parameters: Parameters = Field(default_factory=dict, description="of this row's formulas")
    printed: dict[Text, Text] = Field(min_length=1, description="as text, by column: its digits count")
    bold: tuple[Text, ...] = Field((), description="the columns that are printed bold")
    fewer_steps: tuple[Text, ...] = Field((), description="the columns said to need fewer steps")
    unread: Text | None = Field(None, description="why the figures are computed from what nobody has read")

    @field_validator("shape")
    @classmethod
    def _is_no_giant(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if math.prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"has more than {MOST_ELEMENTS:.0e} elements")
        return shape

    @field_validator("printed", mode="before")
    @classmethod
    def _is_text(cls, printed: object) -> object:
        if isinstance(printed, Mapping):
            wrong = [
                Fault(str(key), f'must be a text as it is printed, such as "13.50", found {value!r}')
                for key, value in printed.items()
                if not isinstance(value, str)
            ]
            if wrong:
                raise FaultsError(wrong)
        return printed

    @property
    def label(self) -> str:
        """What the row is called: its setting, or else its parameters."""
        if self.setting:
            return " ".join(self.setting.values())
        return ", ".join(f"{name} = {written(value)}" for name, value in self.parameters.items())


class ClaimTable(Part):
    """A claim file: figures of one table of a paper, what they follow from, and what they count."""

    paper: Text
    venue: Text | None = None
    arxiv: str | None = Field(None, pattern=r"^[0-9]{4}\.[0-9]{4,5}$")
    table: Text = Field(description="which table or sentence of the paper has the figures")
    read: tuple[Text, ...] = Field(min_length=1, description="what of the claim was read where")
    not_read: tuple[Text, ...] = Field((), description="what was not, or could not be read")
    accounting: Accounting
    parameters: Parameters = Field(default_factory=dict, description="of all formulas")
    columns: dict[Text, Column] = Field(min_length=1, max_length=100)
    rows: tuple[Row, ...] = Field(min_length=1, max_length=1000)
    recount: tuple[Recount, ...] = Field((), max_length=20)

    @model_validator(mode="after")
    def _fits_together(self) -> ClaimTable:
        if faults := list(dict.fromkeys(self._faults())):
            raise FaultsError(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        known = ", ".join(self.columns)
        yield from _reserved(self.parameters, "parameters", RESERVED)
        for name, column in self.columns.items():
            if not any(name in row.printed for row in self.rows):
                yield Fault(f"columns.{name}", "no row prints anything in it")
            if column.downlink and self.accounting.directions != "both":
                yield Fault(f"columns.{name}.downlink", 'counts only with accounting.directions = "both"')
        for at, row in enumerate(self.rows):
            elements = {"d"} if row.shape else set()
            yield from _reserved(row.parameters, f"rows[{at}].parameters", RESERVED | elements)
            yield from _reserved(self.parameters, "parameters", elements)
            for key in sorted(row.printed.keys() - self.columns.keys()):
                yield Fault(f"rows[{at}].printed.{key}", f"is no column; there are: {known}")
            for key in sorted({*row.bold, *row.fewer_steps} - row.printed.keys()):
                yield Fault(f"rows[{at}]", f'nothing is printed in "{key}", which is bold or has fewer steps')
            for key, text in row.printed.items():
                if key in self.columns and (why := _print_fault(self.columns[key], row, text)):
                    yield Fault(f"rows[{at}].printed.{key}", why)
        for at, again in enumerate(self.recount):
            yield from _reserved(again.parameters, f"recount[{at}].parameters", RESERVED)
            if again.epochs and self.accounting.counts("first_epoch"):
                yield Fault(f"recount[{at}].epochs", "the first epoch is counted already")
            if again.epochs and not any(one.first_epoch_in_full for one in self.columns.values()):
                yield Fault(f"recount[{at}].epochs", "no column has first_epoch_in_full = true")


def _reserved(parameters: Mapping[str, Any], path: str, taken: Set[str]) -> Iterator[Fault]:
    for name in sorted(parameters.keys() & taken):
        yield Fault(f"{path}.{name}", "is no parameter: it has its value from the shape or the accounting")


def _print_fault(column: Column, row: Row, text: str) -> str:
    """What is wrong with a printed figure, whatever its value."""
    if column.codec and not row.shape:
        return "its column has a codec, so the row needs a shape, such as [256, 64, 16, 16]"
    if column.kind == "comparison":
        return "" if text in (YES, NO) else f'of a comparison "{YES}" or "{NO}" is printed, found {text!r}'
    if text == INF and column.kind == "ceiling":
        return ""
    try:
        checked_print(text)
    except ValueError as error:
        return str(error)
    return ""


def checked_print(text: str) -> str:
    """A printed number. Raises `ValueError` for a text that is none."""
    if not _PRINTED.fullmatch(text):
        raise ValueError(
            f'{text!r} is no printed number; write its digits alone, such as "13.50"; or "{INF}"'
        )
    return text


def printed_value(text: str) -> Fraction:
    """The number that is printed."""
    return Fraction(text.replace(",", ""))


def decimals(text: str) -> int:
    """How many of its digits stand behind the point."""
    return len(text.partition(".")[2])


@dataclass(frozen=True)
class Claim:
    """What a paper claims: its file, what it is called, and where it was loaded from."""

    name: str
    source: str
    file: ClaimTable
