"""What a study measured, beside what a paper prints of the same codecs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slsim.claims.figures import figure
from slsim.claims.formula import figures
from slsim.claims.tables import INF, Claim, Column, Row, printed_value

WHERE = ("data", "model", "cut")  # keys of a row's setting that tell whether a study is of that row


@dataclass(frozen=True)
class Measured:
    """A setting of a study: its uplink's codec as a table, its data, model and cut, and its traffic
    multiplier over the same study uncompressed: a mean over the seeds that reached the target, with a 95 %
    interval. NaN where there is none."""

    setting: str
    codec: Mapping[str, Any]
    where: Mapping[str, str]
    seeds: int
    reached: int
    multiplier: float
    low: float
    high: float


@dataclass(frozen=True)
class Beside:
    """A measured setting beside the column of its codec: what is printed in it, of the rows of the same data,
    model and cut where there are such (`alike`), else of all, and what the format saves at most."""

    measured: Measured
    column: str
    printed: str
    at_most: str
    alike: bool


def beside(claim: Claim, measured: Sequence[Measured]) -> list[Beside]:
    """The settings that are of a codec of the claim, each beside the column of the same codec with the same
    parameters."""
    return [
        _beside(claim, one, name)
        for one in measured
        for name, column in comparable(claim).items()
        if column.codec and column.codec.table() == one.codec
    ]


def comparable(claim: Claim) -> dict[str, Column]:
    """The columns that a study can be put beside: multipliers of codecs."""
    columns = claim.file.columns.items()
    return {name: one for name, one in columns if one.codec and one.quantity == "multiplier"}


def _beside(claim: Claim, measured: Measured, name: str) -> Beside:
    rows = [row for row in claim.file.rows if name in row.printed]
    alike = [row for row in rows if _is_of(row, measured)]
    shown = alike or rows
    ceilings = [figure(claim.file, row, claim.file.columns[name]).value for row in shown]
    texts = [row.printed[name] for row in shown]
    at_most = dict.fromkeys(figures(end(ceilings)) for end in (min, max))
    return Beside(measured, name, in_short(texts), " to ".join(at_most), bool(alike))


def _is_of(row: Row, measured: Measured) -> bool:
    """Whether a row is of the study's data, model and cut, as far as it names them."""
    named = {key: row.setting[key].lower() for key in WHERE if key in row.setting}
    return bool(named) and all(measured.where.get(key, "").lower() == value for key, value in named.items())


def in_short(texts: Sequence[str]) -> str:
    """Figures of several rows: "12.29 to 13.63, INF in 1 of 9"."""
    finite = sorted((text for text in texts if text != INF), key=printed_value)
    ends = " to ".join(dict.fromkeys([finite[0], finite[-1]])) if finite else ""
    never = len(texts) - len(finite)
    told = f"{INF} in {never} of {len(texts)}" if never and len(texts) > 1 else INF if never else ""
    return ", ".join(filter(None, [ends, told]))


def unmatched(claim: Claim, measured: Sequence[Measured]) -> Iterator[str]:
    """What is in one and not in the other, in words."""
    found = beside(claim, measured)
    settings, columns = {one.measured.setting for one in found}, {one.column for one in found}
    if others := [one.setting for one in measured if one.setting not in settings]:
        yield f"not in the claim: {', '.join(others)}"
    known = comparable(claim)
    if others := [name for name in known if name not in columns]:
        yield f"not in the study, with these parameters: {', '.join(others)}"
    if not known:
        yield "the claim prints no multipliers of codecs that slsim has, so there is nothing to compare"
