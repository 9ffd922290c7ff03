"""Claims on the terminal: a heading a paper, and each figure with its arithmetic."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from slsim.report.terminal import add_row, between, say, table, three_figures
from slsim.report.verdicts import summary, verdict

if TYPE_CHECKING:
    from slsim.claims import Claim, Measured
    from slsim.verdict import Check

MARGIN = " " * 5  # as wide as a verdict and a space
WIDEST = 40  # of a figure's name


def print_claims(console: Console, checked: Sequence[tuple[Claim, Sequence[Check]]]) -> None:
    """Each claim: what it counts, what of it was read where, and a line a figure; at last their sum."""
    for claim, checks in checked:
        _wrapped(console, heading(claim), "", "bold")
        for line in about(claim):
            _wrapped(console, line, MARGIN)
        width = min(WIDEST, max(len(check.subject) for check in checks))
        for check in checks:
            _print_check(console, check, width)
        say(console, "")
    say(console, summary([check for _, checks in checked for check in checks]))


def heading(claim: Claim) -> str:
    """ "FedLite: … (2022, arXiv 2201.11865), abstract"."""
    file = claim.file
    where = [file.venue, f"arXiv {file.arxiv}" if file.arxiv else None]
    told = ", ".join(filter(None, where))
    return f"{file.paper}{f' ({told})' if told else ''}, {file.table}"


def about(claim: Claim) -> Iterator[str]:
    """What the figures count, and what of them was read where."""
    yield "; ".join(claim.file.accounting.told())
    yield f"read: {'; '.join(claim.file.read)}"
    if claim.file.not_read:
        yield f"not read: {'; '.join(claim.file.not_read)}"
    if any(again.epochs for again in claim.file.recount):
        yield "epochs 1 to n, the first in full: x sent ÷ raw becomes (1 + (n - 1)·x) / n"


def print_beside(console: Console, claim: Claim, measured: Sequence[Measured]) -> None:
    """What a study measured beside what a claim prints of the same codecs. That they agree, or not, is
    information: models, data and epochs differ."""
    from slsim.claims.alongside import beside, unmatched

    say(console, "")
    _wrapped(console, heading(claim), "", "bold")
    found = beside(claim, measured)
    if found:
        shown = table()
        for name in ("setting", "measured (95 %)", "reached", "printed", "at most"):
            shown.add_column(name, overflow="fold")
        for one in found:
            reached = f"{one.measured.reached} of {one.measured.seeds}"
            add_row(shown, one.measured.setting, _multiplier(one.measured), reached, one.printed, one.at_most)
        console.print(shown)
        _wrapped(console, "Measured to the study's own target. Whether both agree is no check.", "")
    others = dict.fromkeys(" ".join(one.measured.where.values()) for one in found if not one.alike)
    for where in others:
        _wrapped(console, f"No row is of {where}: what is printed is of all rows.", "")
    for line in unmatched(claim, measured):
        _wrapped(console, f"{line[0].upper()}{line[1:]}.", "")


def _multiplier(one: Measured) -> str:
    """ "9.59, 6.15 … 15.0"; INF where no seed reached the target."""
    if math.isnan(one.multiplier):
        return "–" if one.reached else "INF"
    ends = "" if math.isnan(one.low) else f", {between(one.low, one.high, three_figures)}"
    return f"{one.multiplier:.2f}{ends}"


def _print_check(console: Console, check: Check, width: int) -> None:
    first, *more = check.arithmetic.splitlines()
    word = verdict(check.verdict) + " "
    own, *others = _lines(f"{check.subject:<{width}}  {first}", console.width - len(word))
    console.print(word + Text(own), soft_wrap=True)
    for line in [*others, *more]:
        _wrapped(console, line, MARGIN)
    for line in check.note.splitlines():
        _wrapped(console, line, MARGIN, "yellow" if check.passed else "red")


def _wrapped(console: Console, line: str, indent: str, style: str = "") -> None:
    for one in _lines(line, console.width - len(indent)):
        console.print(Text(indent + one, style=style), soft_wrap=True)


def _lines(text: str, width: int) -> list[str]:
    """A text in lines; a number stays with its percent sign."""
    lines = textwrap.wrap(
        text.replace(" %", "\0%"), max(width, 20), break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines] or [""]
