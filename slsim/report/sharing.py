"""Who holds which training samples, on the terminal; printed from the saved table."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from slsim.learning.partition import unevenness

if TYPE_CHECKING:
    import pandas as pd

MOST_CLIENTS, MOST_CLASSES = 20, 20  # shown; the file has all


def print_partition(console: Console, table: pd.DataFrame) -> None:
    """The first clients' samples, class by class, or for many classes how many they have and the commonest;
    how large the parts are, and how uneven. `table` is that of `study.sharing`."""
    counts = table.filter(like="class_")
    console.print(_clients(table, counts, console.width))
    if len(table) > MOST_CLIENTS:
        console.print(
            f"The first {MOST_CLIENTS} of {len(table):,} clients; partition.csv has all", highlight=False
        )
    away = f"{100 * unevenness(counts.to_numpy()):.1f} %"
    lines = [
        *_sizes(table["samples"]),
        f"A client's class shares are {away} away from those of all samples on average "
        "(total variation; 0 %: the same)",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _clients(table: pd.DataFrame, counts: pd.DataFrame, width: int) -> Table:
    shown = Table(title="Training samples by client and class", title_justify="left", box=box.SIMPLE_HEAD)
    of_clients = [name for name in table if name not in counts]
    for name in of_clients:
        shown.add_column(str(name), justify="right")
    each = len(counts.columns) <= MOST_CLASSES and _width(table) <= width
    headings = [_heading(name) for name in counts] if each else ["classes", "commonest"]
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for position in range(min(len(table), MOST_CLIENTS)):
        held = counts.iloc[position]
        cells = [f"{count}" for count in held] if each else _summed_up(held)
        shown.add_row(*(f"{table[name].iloc[position]}" for name in of_clients), *cells)
    return shown


def _width(table: pd.DataFrame) -> int:
    """Of the terminal table with a column for each class, three blanks between columns, two at the edges."""
    widths = [max(len(_heading(name)), len(str(table[name].max()))) for name in table]
    return sum(widths) + 3 * len(widths) + 1


def _heading(column: Hashable) -> str:
    return str(column).removeprefix("class_")


def _summed_up(held: pd.Series) -> list[str]:
    """How many classes a client has, and which one most of: "12", "7 (31)"."""
    commonest = _heading(held.idxmax())
    return [f"{int((held > 0).sum())}", f"{commonest} ({held.max()})" if held.any() else "–"]


def _sizes(samples: pd.Series) -> list[str]:
    nothing = int((samples == 0).sum())
    line = (
        f"{samples.sum():,} samples over {len(samples):,} clients: smallest {samples.min():,}, "
        f"median {samples.median():,.0f}, largest {samples.max():,}"
    )
    return [line, f"Clients without any: {nothing:,}"] if nothing else [line]
