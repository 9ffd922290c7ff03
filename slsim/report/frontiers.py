"""The frontier on the terminal: accuracy at equal bytes, and how many more bytes than another setting each
needs for the same accuracy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console

from slsim.analysis import CONFIDENCE
from slsim.report.swept import spread
from slsim.report.terminal import add_row, table
from slsim.units import SIZE

if TYPE_CHECKING:
    import pandas as pd

MOST_LINES = 30
NAMES, EACH = 38, 9  # characters beside the budgets' columns, and of one
BYTES = {"total": "bytes both ways", "uplink": "bytes up"}


def print_frontier(
    console: Console, frontier: pd.DataFrame, rates: pd.DataFrame, against: str, counted: str
) -> None:
    """A row a setting: its BD-rate over the setting `against` (see `analysis.bd_rates_over`), and the
    accuracy that it held within each budget of bytes (see `analysis.accuracy_at`), of many budgets some."""
    budgets = sorted(frontier["budget_bytes"].unique())
    room = max(2, (console.width - NAMES) // EACH)
    some = [budgets[place] for place in spread(len(budgets), room)]
    shown = table(f"Best test accuracy within so many {BYTES[counted]}, in %")
    shown.add_column("setting", overflow="fold")
    shown.add_column(f"BD-rate over\n{against}", justify="right")
    for budget in some:
        shown.add_column(SIZE.pretty(budget), justify="right", no_wrap=True)
    at = frontier.set_index(["setting", "budget_bytes"])
    places = spread(len(rates), MOST_LINES)
    for row in rates.iloc[places].to_dict("records"):
        cells = [_accuracy(at.loc[(row["setting"], budget)]) for budget in some]
        ends = interval(row["bd_rate_low"], row["bd_rate_high"]).strip(" ()")
        add_row(shown, str(row["setting"]), "\n".join(filter(None, [signed(row["bd_rate"]), ends])), *cells)
    console.print(shown)
    for line in _notes(len(places), len(rates), len(some), len(budgets), frontier, counted):
        console.print(line, markup=False)


def _notes(
    shown: int, settings: int, some: int, budgets: int, frontier: pd.DataFrame, counted: str
) -> list[str]:
    lines = [
        f"BD-rate: {BYTES[counted]} for the same accuracy, as the mean ratio over the accuracies that both "
        "held, less 1; −50 % is half of them."
    ]
    if (seeds := int(frontier["seeds"].max())) > 1:
        lines.append(
            f"Means over {seeds} seeds with {100 * CONFIDENCE:.0f} % intervals by Student's t; BD-rates are "
            "of geometric means, paired over seeds."
        )
    if shown < settings:
        lines.append(f"{shown} of {settings:,} settings shown.")
    if some < budgets:
        lines.append(f"{some} of {budgets} budgets shown: frontier.csv has all, of bytes both ways.")
    return lines


def _accuracy(row: pd.Series) -> str:
    """A mean in percent, and half its interval."""
    if math.isnan(row["accuracy"]):
        return "–"
    half = (row["accuracy_high"] - row["accuracy_low"]) / 2
    return f"{100 * row['accuracy']:.1f}" + ("" if math.isnan(half) else f"\n± {100 * half:.1f}")


def signed(share: float) -> str:
    """A difference in percent: "−45 %"; "–" where there is none."""
    return "–" if math.isnan(share) else f"{100 * share:+.0f} %".replace("-", "−")


def interval(low: float, high: float) -> str:
    """The ends of a difference's interval: " (−51 % … −39 %)"; empty where there is none."""
    return "" if math.isnan(low) or low == high else f" ({signed(low)} … {signed(high)})"
