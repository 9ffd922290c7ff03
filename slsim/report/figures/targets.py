"""Draw the time to the target over a swept number, with the places where a codec stops paying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slsim.analysis import AS_STATED
from slsim.report.figures import page
from slsim.report.figures.bars import unit_of
from slsim.report.figures.curves import BAND, MOST_LINES
from slsim.report.figures.looks import Look, codec_names, looks
from slsim.report.figures.page import Page, by_width, plain
from slsim.report.swept import Swept, chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELLED = 8  # crossovers with their number beside them
MOST_TICKS = 40  # marks of a line: with more, it has none


@dataclass(frozen=True)
class Mark:
    """A place where a setting stops paying, or begins to: the swept number, the time to the target there, and
    whether it is sure: of several seeds, significant. `interval` is that of the number, NaN where there is
    none."""

    at: float
    time_s: float
    look: Look
    is_sure: bool
    text: str
    interval: tuple[float, float]


def time_to_target(summary: pd.DataFrame, crossovers: pd.DataFrame, swept: Swept, width_in: float) -> Figure:
    """Simulated time to the target over a swept number, a line for settings that differ in nothing else:
    medians over seeds, with the range as a band. A cross marks where a setting stops paying, or begins to; a
    ring, where it seems to and the interval over seeds does not tell."""
    from matplotlib.lines import Line2D

    sheet = Page(width_in, by_width(width_in, 2.3, 3.2))
    axes, (scale, label) = sheet.axes, unit_of(swept)
    axes.set(xlabel=label, ylabel="time to target accuracy (s)")
    if not np.isfinite(summary["time_to_target_s"]).any():
        page.say_nothing_is_there(axes, "no run reached its target")
        return sheet.finish()
    groups = [
        (str(name), rows.sort_values(swept.column))
        for name, rows in summary.groupby(swept.series, sort=False)
    ]
    firsts = pd.DataFrame([rows.iloc[0] for _, rows in groups])
    places = chosen(firsts["codec"].to_list(), MOST_LINES)
    marks: list[Mark] = []
    for place, look in zip(places, looks(codec_names(firsts.iloc[places])), strict=True):
        name, rows = groups[place]
        shown = rows[np.isfinite(rows["time_to_target_s"])]
        _line(axes, shown, swept.column, scale, look)
        told = name if len(shown) else f"{name}: {rows['target_state'].iloc[0]}"
        sheet.add(Line2D([], [], **look.line), plain(told))
        marks += _marks(crossovers, swept, name, shown, look)
    _scales(axes, summary, swept.column, scale)
    _mark(sheet, marks, scale)
    selected = (
        f"{len(places)} of {len(groups):,} rows, of each codec the ends and between"
        if len(places) < len(groups)
        else ""
    )
    return sheet.finish([selected, "median and range over seeds" if (summary["seeds"] > 1).any() else ""])


def _line(axes: Axes, shown: pd.DataFrame, column: str, scale: float, look: Look) -> None:
    x, style = shown[column] / scale, look.line
    if len(shown) > MOST_TICKS:
        style["marker"] = None
    axes.plot(x, shown["time_to_target_s"], **style)
    if shown["time_to_target_s_least"].notna().any():
        least, most = shown["time_to_target_s_least"], shown["time_to_target_s_most"].replace(np.inf, np.nan)
        axes.fill_between(x, least, most, color=look.colour, alpha=BAND, linewidth=0)


def _scales(axes: Axes, summary: pd.DataFrame, column: str, scale: float) -> None:
    times = summary["time_to_target_s"][np.isfinite(summary["time_to_target_s"])]
    if (low := summary[column].min()) > 0:
        page.log_scale(axes, "x", low / scale, summary[column].max() / scale)
    if times.min() > 0:
        page.log_scale(axes, "y", times.min(), times.max())


def _marks(
    crossovers: pd.DataFrame, swept: Swept, series: str, shown: pd.DataFrame, look: Look
) -> list[Mark]:
    """Where a series stops or begins to pay, as far as that is known."""
    rows = crossovers[(crossovers["axis"] == swept.column) & (crossovers["assuming"] == AS_STATED)]
    rows = rows[(rows["series"] == series) & rows["value"].notna()]
    found = []
    for row in rows.to_dict("records"):
        at = float(row["value"])
        time_s = float(np.interp(at, shown[swept.column], shown["time_to_target_s"]))
        is_sure = bool(row["seeds"] == 1 or row["significant"])
        found.append(Mark(at, time_s, look, is_sure, swept.pretty(at), (row["low"], row["high"])))
    return found


def _mark(sheet: Page, marks: Sequence[Mark], scale: float) -> None:
    """A cross or a ring at each crossover, and a dotted line from there down to its number."""
    from matplotlib.lines import Line2D

    axes = sheet.axes
    cross: dict[str, Any] = {"marker": "x", "markersize": 7, "markeredgewidth": 1.8}
    ring: dict[str, Any] = {
        "marker": "o",
        "markersize": 7,
        "markeredgewidth": 1.2,
        "markerfacecolor": "none",
    }
    if few := 0 < len(marks) <= MOST_LABELLED:
        _make_room(axes, max(page.text_in(mark.text) for mark in marks) / sheet.height_in)
    for number, mark in enumerate(sorted(marks, key=lambda mark: mark.at)):
        x, style = mark.at / scale, cross if mark.is_sure else ring
        axes.plot([x], [mark.time_s], color=mark.look.colour, zorder=5, linestyle="", **style)
        low, high = (end / scale for end in mark.interval)
        axes.hlines(mark.time_s, low, high, color=mark.look.colour, linewidth=2.2, alpha=0.5)
        if few:
            bottom = axes.get_ylim()[0]
            axes.vlines(x, bottom, mark.time_s, color=mark.look.colour, linewidth=0.9, linestyle=":")
            _label(axes, x, mark.text, "right" if number % 2 == 0 else "left")
    grey: dict[str, Any] = {"color": "#555555", "linestyle": ""}
    if any(mark.is_sure for mark in marks):
        sheet.add(Line2D([], [], **grey, **cross), "stops paying, or begins to")
    if not all(mark.is_sure for mark in marks):
        sheet.add(Line2D([], [], **grey, **ring), "may stop paying: not significant")


def _make_room(axes: Axes, share: float) -> None:
    """Leave a share of the height below the lines for numbers that stand there."""
    low, high = axes.get_ylim()
    share = min(share + 0.06, 0.5)
    if axes.get_yscale() == "log":
        axes.set_ylim(low * (low / high) ** (share / (1 - share)), high)
    else:
        axes.set_ylim(low - (high - low) * share / (1 - share), high)


def _label(axes: Axes, x: float, text: str, side: str) -> None:
    axes.annotate(
        text,
        (x, 0.03),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-2 if side == "right" else 2, 0),
        textcoords="offset points",
        rotation=90,
        ha=side,
        va="bottom",
        fontsize=page.SMALL_PT,
        color="#333333",
    )
