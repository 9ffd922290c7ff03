"""Draw the frontier: which accuracy is had for how many bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim.analysis.target import confirmed
from slsim.report.figures import page
from slsim.report.figures.curves import BAND, MOST_BANDS, MOST_LINES, limit, of_seeds, selection
from slsim.report.figures.data import ALONG, Line, lines_of, over_seeds
from slsim.report.figures.looks import looks
from slsim.report.figures.page import Page, by_width, plain
from slsim.report.swept import chosen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Lines: TypeAlias = Sequence[Line]
APART = 1.02  # bytes of two settings of one codec that differ by more are two rates


def frontier(summary: pd.DataFrame, curves: pd.DataFrame, width_in: float) -> Figure:
    """Test accuracy held over bytes up and down. Where a codec has several rates: a point a setting, with its
    interval, and a line through the settings of one codec under the same conditions. Elsewhere: a curve a
    setting, the accuracy held by then."""
    means = over_seeds(_held(curves, summary))
    everything = lines_of(summary, means, ("all_bytes", "accuracy"))
    lines = [line for line in everything if len(line.curve)]
    sheet = Page(width_in, by_width(width_in, 2.1, 3.0))
    if not lines:
        page.say_nothing_is_there(sheet.axes, "no run was evaluated")
        return sheet.finish()
    ends = np.array([line.curve["all_bytes"].iloc[-1] for line in lines])
    scale, unit = ALONG["all"].unit(ends.min())
    names = [line.name for line in lines]
    remarks = (
        _points(sheet, lines, scale, summary) if _have_rates(names, ends) else _curves(sheet, lines, scale)
    )
    what = "traffic of a run, up and down" if _have_rates(names, ends) else "traffic up and down"
    sheet.axes.set(xlabel=f"{what} ({unit})", ylabel="best test accuracy (%)")
    return sheet.finish([*remarks, of_seeds(summary, 1)])


def held_so_far(accuracies: Sequence[float], window: int) -> NDArray[np.float64]:
    """For each evaluation, the highest target that was reached by then, by the rule of `analysis.target`:
    confirmed by most of `window` evaluations in a row. NaN where none was.

    >>> held_so_far([0.2, 0.5, 0.4, 0.6], window=3).tolist()
    [0.2, 0.5, 0.5, 0.5]
    """
    found = np.full(len(accuracies), np.nan)
    levels = confirmed(accuracies, window)
    found[: len(levels)] = levels
    return np.fmax.accumulate(found) if len(found) else found


def _held(curves: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """The curves with the accuracy that was held in place of each evaluation's."""
    windows = dict(
        zip(summary["setting"], summary.get("target_window", pd.Series(3, summary.index)), strict=True)
    )
    held = curves["accuracy"].to_numpy(np.float64, copy=True)
    codes, runs = pd.factorize(curves["run"])
    settings = dict(zip(curves["run"], curves["setting"], strict=True))
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(runs) + 1))
    for number, run in enumerate(runs):
        places = order[ends[number] : ends[number + 1]]
        held[places] = held_so_far(held[places].tolist(), int(windows.get(settings[run], 3)))
    return curves.assign(accuracy=held)


def _have_rates(names: Sequence[str], ends: NDArray[np.float64]) -> bool:
    """Whether some codec's settings end at different bytes."""
    frame = pd.DataFrame({"codec": names, "bytes": ends}).groupby("codec")["bytes"]
    return bool((frame.max() > APART * frame.min()).any())


def _curves(sheet: Page, lines: Lines, scale: float) -> list[str]:
    axes = sheet.axes
    shown = [lines[place] for place in chosen([line.codec for line in lines], MOST_LINES)]
    names = [line.name for line in shown]
    for line, look in zip(shown, looks(names), strict=True):
        x, y = line.curve["all_bytes"] / scale, 100 * line.curve["accuracy"]
        (drawn,) = axes.plot(
            x, y, drawstyle="steps-post", markevery=max(1, len(x) // 5), markersize=2.8, **look.line
        )
        if len(shown) <= MOST_BANDS and line.curve["low"].notna().any():
            low, high = (100 * line.curve[end].clip(0, 1) for end in ("low", "high"))
            axes.fill_between(x, low, high, color=look.colour, alpha=BAND, linewidth=0, step="post")
        sheet.add(drawn, plain(line.label))
    limit(axes, [100 * line.curve["accuracy"] for line in shown])
    _log_x(sheet, pd.concat([line.curve["all_bytes"] for line in shown]) / scale)
    return [selection(len(shown), len(lines))]


def _points(sheet: Page, lines: Lines, scale: float, summary: pd.DataFrame) -> list[str]:
    axes = sheet.axes
    rows = summary.iloc[[line.place for line in lines]].assign(codec_name=[line.name for line in lines])
    ends = pd.DataFrame([line.curve.iloc[-1] for line in lines])
    rows = rows.assign(**{name: ends[name].to_numpy() for name in ("all_bytes", "accuracy", "low", "high")})
    rows["called"] = [str(label).split()[0] if label else "" for label in rows["codec"]]
    rows["curve"] = rows["called"] + np.where(rows["conditions"] == "", "", ", " + rows["conditions"])
    alone = rows["conditions"].nunique() == 1
    groups = [part.sort_values("all_bytes") for _, part in rows.groupby("curve", sort=False)]
    names = [str(part["codec_name"].iloc[0]) for part in groups]
    places = chosen(names, MOST_LINES)
    for place, look in zip(places, looks([names[place] for place in places]), strict=True):
        part = groups[place]
        x, y = part["all_bytes"] / scale, 100 * part["accuracy"]
        (drawn,) = axes.plot(x, y, **look.line)
        if part["low"].notna().any():
            ends_of = np.abs(np.array([y - 100 * part["low"].clip(0, 1), 100 * part["high"].clip(0, 1) - y]))
            axes.errorbar(x, y, yerr=ends_of, fmt="none", ecolor=look.colour, elinewidth=0.7, capsize=2)
        sheet.add(drawn, plain(part["called" if alone else "curve"].iloc[0]))
    _log_x(sheet, rows["all_bytes"] / scale)
    return [selection(len(places), len(groups))]


def _log_x(sheet: Page, x: pd.Series) -> None:
    if x.min() > 0:
        page.log_scale(sheet.axes, "x", float(x.min()), float(x.max()))
