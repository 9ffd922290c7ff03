"""Text and numbers as the terminal shows them.

Labels, paths and messages may hold anything, square brackets included: they are printed as they are, never
read as markup.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slsim.named import quoted
from slsim.units import DURATION


def say(console: Console, line: str) -> None:
    """Print a line as it is: no markup, no emoji codes, not wrapped."""
    console.print(Text(line), soft_wrap=True)


def table(title: str = "") -> Table:
    """An empty table with its title on the left."""
    return Table(title=Text(title, style="table.title") if title else None, title_justify="left")


def add_row(shown: Table, *cells: str) -> None:
    """Add a row of cells as they are."""
    shown.add_row(*map(Text, cells))


def listed(words: Sequence[str], most: int = 10) -> str:
    """ "qu", "qu and ms", "sp, qu and ms"; of more than `most`, the first and how many more. Words with a
    comma of their own, outside brackets, are quoted."""
    words = list(map(quoted, words))
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def accuracy(value: float) -> str:
    """A share as percent: "86.1 %"."""
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def duration(value: float) -> str:
    """Simulated seconds: "4.43 s"; "INF" for what never ends."""
    return "–" if math.isnan(value) else "INF" if value == math.inf else DURATION.pretty(value)


def between(low: float, high: float, pretty: Callable[[float], str]) -> str:
    """A range: "4.8 … 5.6 s", each with its unit where these differ; the upper end may be infinite."""
    if high == math.inf:
        return f"{pretty(low)} … INF"
    (number, *unit), (other, *others) = pretty(low).split(" "), pretty(high).split(" ")
    if number == other and unit == others:
        return pretty(low)
    return f"{number} … {pretty(high)}" if unit == others else f"{pretty(low)} … {' '.join([other, *others])}"


def times(value: float) -> str:
    """A ratio: "10.63×"."""
    return "–" if math.isnan(value) else f"{value:.2f}×"


def milliseconds(value: float) -> str:
    """Seconds as milliseconds."""
    return three_figures(1000 * value)


def three_figures(value: float) -> str:
    """ "0.21", "12.6", "1,350"."""
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:,.{decimals}f}"
