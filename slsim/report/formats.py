"""A table for readers in the format that they read: Markdown, LaTeX, CSV, HTML, or the terminal's.

What stands in a table may be a user's: it is escaped, and shown as it is.
"""

from __future__ import annotations

import html as markup
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slsim.report import latex as tex
from slsim.report import terminal

if TYPE_CHECKING:
    import pandas as pd

NARROWEST = 8  # characters of a text on the terminal
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")
_STYLE = (
    "table{border-collapse:collapse;font:14px sans-serif}"
    "caption,p{text-align:left;margin:.5em 0;font:14px sans-serif}"
    "th,td{padding:.3em .8em;text-align:right;vertical-align:top}"
    "th.text,td.text{text-align:left}"
    "thead th{border-top:2px solid;border-bottom:1px solid}"
    "tbody tr:last-child td{border-bottom:2px solid}"
    "small{display:block;opacity:.7}"
)


@dataclass(frozen=True)
class Cell:
    """What stands in one place: a text and, smaller, a detail such as an interval, of a line or several."""

    text: str
    detail: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table for readers: its title, a heading for each column (of several lines, where it is long), its
    rows, and notes that belong under it. The first `texts` columns are texts, on the left, the others
    numbers. `data` has the same as plain columns of numbers, named with their units."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str]
    data: pd.DataFrame
    texts: int = 1


def markdown(sheet: Sheet) -> str:
    """A table as GitHub reads it, its title above and its notes below."""
    widths = ["---"] * sheet.texts + ["---:"] * (len(sheet.headings) - sheet.texts)
    rows = [list(map(_in_markdown, sheet.headings)), widths]
    rows += [list(map(_markdown_cell, row)) for row in sheet.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = [part for note in sheet.notes for part in ("", _in_markdown(note))]
    return "\n".join([_in_markdown(sheet.title), "", *lines, *notes, ""])


def _markdown_cell(cell: Cell) -> str:
    text = _in_markdown(cell.text)
    text = f"**{text}**" if cell.bold else text
    details = "; ".join(map(_in_markdown, cell.detail.splitlines()))
    return f"{text} ({details})" if details else text


def _in_markdown(text: str) -> str:
    """On one line, with nothing in it that Markdown or HTML would read."""
    return _MARKDOWN.sub(r"\\\1", markup.escape(" ".join(text.split()), quote=False))


def html(sheet: Sheet) -> str:
    """A page with the table, which needs nothing else."""
    named = [markup.escape(heading).replace("\n", "<br>") for heading in sheet.headings]
    heads = _html_row("th", named, sheet.texts)
    rows = [_html_row("td", list(map(_inner, row)), sheet.texts) for row in sheet.rows]
    title = markup.escape(sheet.title)
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<table><caption>{title}</caption>",
            f"<thead>{heads}</thead>",
            "<tbody>",
            *rows,
            "</tbody></table>",
            *(f"<p>{markup.escape(note)}</p>" for note in sheet.notes),
            "</body></html>",
            "",
        ]
    )


def _html_row(tag: str, cells: Sequence[str], texts: int) -> str:
    classes = [' class="text"' if place < texts else "" for place in range(len(cells))]
    found = (f"<{tag}{own}>{cell}</{tag}>" for own, cell in zip(classes, cells, strict=True))
    return f"<tr>{''.join(found)}</tr>"


def _inner(cell: Cell) -> str:
    text = markup.escape(cell.text)
    text = f"<b>{text}</b>" if cell.bold else text
    return text + "".join(f"<small>{markup.escape(line)}</small>" for line in cell.detail.splitlines())


def csv(sheet: Sheet) -> str:
    """The numbers as they are, a column each; without title and notes, which no reader of CSV skips."""
    return str(sheet.data.to_csv(index=False))


def latex(sheet: Sheet) -> str:
    """A table environment that booktabs and pdflatex take."""
    aligns = ["l" if place < sheet.texts else "r" for place in range(len(sheet.headings))]
    rows = [
        [
            tex.cell(cell.text, cell.detail, bold=cell.bold, align=align)
            for cell, align in zip(row, aligns, strict=True)
        ]
        for row in sheet.rows
    ]
    return tex.table(sheet.title, sheet.headings, rows, sheet.notes, texts=sheet.texts)


def on_terminal(sheet: Sheet) -> Table:
    """The table as rich prints it; its notes are not in it."""
    shown = terminal.table(sheet.title)
    for place, heading in enumerate(sheet.headings):
        if place < sheet.texts:
            shown.add_column(Text(heading), overflow="fold", min_width=min(len(heading), NARROWEST))
        else:
            shown.add_column(Text(heading), justify="right")
    for row in sheet.rows:
        shown.add_row(*map(_terminal_cell, row))
    return shown


def _terminal_cell(cell: Cell) -> Text:
    text = Text(cell.text, style="bold" if cell.bold else "")
    return text.append(f"\n{cell.detail}", style="not bold") if cell.detail else text


def print_sheet(console: Console, sheet: Sheet) -> None:
    """Print a table and its notes on the terminal."""
    console.print(on_terminal(sheet))
    for note in sheet.notes:
        console.print(Text(note))


FORMATS: Mapping[str, Callable[[Sheet], str]] = {
    "markdown": markdown,
    "latex": latex,
    "csv": csv,
    "html": html,
}
SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html"}
