"""Draw accuracy and loss over time, bytes and epochs: means over seeds, with bands of their intervals.

A dozen lines at most are told apart by a key. Of more, those that differ in one swept number have a panel for
each series and a colour bar over the number; of others some are drawn, and it is said how many.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slsim.report.figures import page
from slsim.report.figures.bars import Numbered, number_colours, one_sweep
from slsim.report.figures.data import ALONG, OF, Along, Curves, Line, Measure, Of, Over, at_round, lines_of
from slsim.report.figures.looks import Look, looks
from slsim.report.figures.page import Page, by_width, plain
from slsim.report.swept import Swept, chosen, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LINES = 12  # of a panel with a key, unless there are more codecs
MOST_SWEPT = 20  # of a panel with a colour bar
SPREAD = 5  # curves that end this many times apart are drawn on a logarithmic axis
BAND = 0.15  # opacity of an interval
MOST_BANDS = 6  # of a panel: with more lines, intervals are drawn at their ends alone
MOST_TICKS = 25  # marks of a line: of more evaluations, evenly chosen ones have one


def over(summary: pd.DataFrame, means: pd.DataFrame, of: Of, along: Over, width_in: float) -> Figure:
    """Test accuracy through the codec, or training loss, over one of `ALONG`: a line a setting with its
    interval as a band; of accuracy a large dot where the target was reached. `means` are those of
    `over_seeds`."""
    x, y = ALONG[along], OF[of]
    lines = lines_of(summary, means, (x.column, y.column))
    swept = one_sweep(summary.iloc[[line.place for line in lines]]) if len(lines) > MOST_LINES else None
    if swept is not None:
        return _by_number(summary, lines, x, y, swept, width_in)
    shown = _few(lines)
    sheet = Page(width_in, by_width(width_in, 2.1, 3.0))
    _panel(sheet.axes, shown, summary, x, y)
    if means.empty:
        page.say_nothing_is_there(sheet.axes, "no run was evaluated")
    _explain(sheet, shown)
    return sheet.finish([selection(len(shown), len(lines)), of_seeds(summary, len(shown))])


def learning_curves(summary: pd.DataFrame, means: Mapping[Of, pd.DataFrame], width_in: float) -> Figure:
    """All of them as one grid: a row for accuracy and one for loss, a column for each of `ALONG`; two columns
    where the page is narrow. `means` are those of `over_seeds`, of accuracy and loss."""
    along = [x for x in ALONG.values() if all(x.column in table for table in means.values())]
    lines = lines_of(summary, means["accuracy"], ("sim_s", "uplink_bytes", "accuracy"))
    shown = _few(lines)
    columns = min(by_width(width_in, 2, 4), len(along))
    is_grid = columns == len(along)
    rows = -(-len(along) * len(means) // columns)
    sheet = Page(width_in, by_width(width_in, 1.45, 1.7), rows, columns, sharey="row" if is_grid else False)
    for panel in sheet.panels[len(along) * len(means) :]:
        panel.set_visible(False)
    panels = iter(sheet.panels)
    for of, table in means.items():
        curves = Curves(table)
        drawn = [
            dataclasses.replace(line, curve=curves.of(str(summary["setting"].iat[line.place])))
            for line in shown
        ]
        for place, x in enumerate(along):
            panel = next(panels)
            _panel(panel, drawn, summary, x, OF[of], small=True)
            if place and is_grid:
                panel.set_ylabel("")
    _explain(sheet, shown)
    return sheet.finish([selection(len(shown), len(lines)), of_seeds(summary, len(shown))])


def _few(lines: Sequence[Line]) -> list[Line]:
    """A dozen lines at most, or one of each codec where there are more codecs."""
    return [lines[place] for place in chosen([line.codec for line in lines], MOST_LINES)]


def _looked(lines: Sequence[Line]) -> list[tuple[Line, Look]]:
    """Every line with its look."""
    return list(zip(lines, looks([line.name for line in lines]), strict=True))


def _explain(sheet: Page, lines: Sequence[Line]) -> None:
    """Add lines to a page's key."""
    from matplotlib.lines import Line2D

    for line, look in _looked(lines):
        sheet.add(Line2D([], [], **look.line), plain(line.label))


def _panel(
    axes: Axes, lines: Sequence[Line], summary: pd.DataFrame, x: Along, y: Measure, *, small: bool = False
) -> None:
    """Lines with bands, ticks at what was measured, and dots where the target was reached."""

    scale, label = _x_axis(axes, lines, x, minor=not small)
    for line, look in _looked(lines):
        at, height = line.curve[x.column] / scale, y.scale * line.curve[y.column]
        size: dict[str, Any] = {"markersize": 2.0, "linewidth": 0.9} if small else {}
        if len(at) > 10:
            size["markersize"] = min(2.6, size.get("markersize", 2.6))
        every = max(1, -(-len(at) // MOST_TICKS))
        axes.plot(at, height, markevery=every, **look.line, **size)
        _interval(axes, at, line.curve, y, look, is_band=len(lines) <= MOST_BANDS)
        if y.column == "accuracy":
            reached, accuracy = at_round(line.curve, line.reached, (x.column, y.column))
            dot: dict[str, Any] = {
                "markersize": 4.0 if small else 6.5,
                "markeredgecolor": "black",
                "zorder": 5.0,
            }
            axes.plot([reached / scale], [y.scale * accuracy], "o", color=look.colour, **dot)
    if y.column == "accuracy":
        _target(axes, summary["target_accuracy"], small=small)
    limit(axes, [y.scale * line.curve[y.column] for line in lines])
    axes.set(xlabel=label, ylabel=y.title)


def _interval(
    axes: Axes, at: pd.Series, curve: pd.DataFrame, y: Measure, look: Look, *, is_band: bool
) -> None:
    """The interval of a line, as a band, or at the line's end where bands would hide the lines."""
    if not curve["low"].notna().any():
        return
    low, high = (y.scale * curve[end].clip(0, y.most) for end in ("low", "high"))
    if is_band:
        axes.fill_between(at, low, high, color=look.colour, alpha=BAND, linewidth=0)
    else:
        axes.vlines(at.iloc[-1], low.iloc[-1], high.iloc[-1], color=look.colour, linewidth=0.7)


def limit(axes: Axes, heights: Sequence[pd.Series]) -> None:
    """Show all of the lines and the target, and of bands what is near them: those of first evaluations are
    far wider than all that follows."""
    found = pd.concat(list(heights)).dropna() if heights else pd.Series(dtype=float)
    if found.nunique() < 2:
        return
    low, high = axes.get_ylim()
    margin = 0.12 * float(found.max() - found.min())
    highest = max((float(np.nanmax(y)) for y in _drawn(axes)), default=high)
    axes.set_ylim(max(low, float(found.min()) - margin), min(high, max(float(found.max()) + margin, highest)))


def _drawn(axes: Axes) -> list[np.ndarray]:
    """The heights of a panel's lines, that of the target included, of those that have some."""
    found = [np.asarray(line.get_ydata(), np.float64) for line in axes.lines]
    return [heights for heights in found if np.isfinite(heights).any()]


def _x_axis(axes: Axes, lines: Sequence[Line], x: Along, *, minor: bool = True) -> tuple[float, str]:
    """Choose the unit and, where curves end far apart, a logarithmic axis; gives the unit's size and the
    label."""
    found = [line.curve[x.column] for line in lines if len(line.curve)]
    ends = [float(column.iloc[-1]) for column in found] or [0.0]
    least = min((float(column.min()) for column in found), default=0.0)
    scale, unit = x.unit(min(ends))
    if least > 0 and max(ends) > SPREAD * min(ends):
        page.log_scale(axes, "x", least / scale, max(ends) / scale, minor=minor)
    return scale, f"{x.title} ({unit})" if unit else x.title


def _target(axes: Axes, targets: pd.Series, *, small: bool) -> None:
    """A dashed line with its number, where all settings have one target."""
    distinct = targets.dropna().round(9).unique()
    if len(distinct) == 1:
        height = 100 * distinct[0]
        axes.axhline(height, color="#555555", linewidth=0.7, linestyle=(0, (4, 3)), zorder=1.5)
        across = axes.get_yaxis_transform()  # x as a share of the width, y in data
        text = f"{height:.1f}" if small else f"target {height:.1f} %"
        behind = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.4}
        said = axes.text(0.01, height, text, va="bottom", color="#555555", transform=across, bbox=behind)
        said.set(fontsize=page.SMALL_PT - small, zorder=4)


def _by_number(
    summary: pd.DataFrame, lines: Sequence[Line], x: Along, y: Measure, swept: Swept, width_in: float
) -> Figure:
    """A panel for each series, a colour bar over the number that its lines differ in."""
    from matplotlib.collections import LineCollection

    numbers, names = summary[swept.column].to_numpy(np.float64), summary[swept.series].to_list()
    series = list(dict.fromkeys(names[line.place] for line in lines))
    columns = min(len(series), by_width(width_in, 2, 3))
    rows = -(-len(series) // columns)
    sheet = Page(width_in, by_width(width_in, 1.5, 1.9), rows, columns, sharex=True, sharey=True)
    colour_of: Numbered = number_colours(sheet, [numbers[line.place] for line in lines], swept)
    parts = [[line for line in lines if names[line.place] == name] for name in series]
    shown = [[part[place] for place in spread(len(part), MOST_SWEPT)] for part in parts]
    scale, label = _x_axis(sheet.axes, [line for part in shown for line in part], x, minor=False)
    factors = np.array([1 / scale, y.scale])
    for panel, name, part in zip(sheet.panels, series, shown, strict=False):
        segments = [line.curve[[x.column, y.column]].to_numpy(np.float64) * factors for line in part]
        colours = [colour_of(numbers[line.place]) for line in part]
        panel.add_collection(LineCollection(segments, colors=colours, linewidths=0.8))
        sheet.entitle(panel, plain(name))
        if y.column == "accuracy":
            _target(panel, summary["target_accuracy"], small=True)
        panel.autoscale_view()
    sheet.name_axes(len(series), columns, label, y.title)
    said = selection(sum(map(len, shown)), len(lines))
    return sheet.finish([said, "means over seeds" if (summary["seeds"] > 1).any() else ""])


def selection(shown: int, count: int) -> str:
    """Say how many settings are drawn; an empty string where all are."""
    return f"{shown} of {count:,} settings, of each codec the ends and between" if shown < count else ""


def of_seeds(summary: pd.DataFrame, shown: int) -> str:
    """Say what lines are over several seeds; an empty string for one."""
    numbers = sorted({int(number) for number in np.asarray(summary["seeds"])})
    if numbers[-1:] <= [1]:
        return ""
    few_to_many = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
    at_end = ", intervals at the ends of lines" if shown > MOST_BANDS else ""
    return f"mean and 95 % interval over {few_to_many} seeds{at_end}"
