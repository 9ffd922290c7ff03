"""Draw where the seconds of an average round go: a bar a setting, a piece a phase."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from slsim.report.breakdowns import by_setting, phase_title, phases_in
from slsim.report.figures.bars import one_sweep, unit_of
from slsim.report.figures.curves import MOST_LINES, selection
from slsim.report.figures.looks import codec_names
from slsim.report.figures.page import SMALL_PT, Page, by_width, log_scale, plain, text_in, wrapped
from slsim.report.swept import Swept, chosen
from slsim.units import DURATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PHASE_COLOURS: dict[str, str] = {
    "client forward": "#D55E00",
    "encode": "#E69F00",
    "uplink": "#0072B2",
    "server wait": "#BFBFBF",
    "server compute": "#009E73",
    "downlink": "#56B4E9",
    "decode": "#F0E442",
    "client backward": "#CC79A7",
    "barrier wait": "#E6E6E6",
}
OTHER_COLOURS = ("#332288", "#8C564B", "#999933", "#882255", "#000000")  # of phases that are not usual
MOST_BARS = 24
LEAST_SHARE = 1e-4  # of a round: a phase that nowhere takes more is not drawn


def phase_colours(phases: Iterable[str]) -> dict[str, str]:
    """The colour of each phase."""
    spare = itertools.cycle(OTHER_COLOURS)
    return {phase: PHASE_COLOURS.get(phase) or next(spare) for phase in phases}


def average_round(breakdown: pd.DataFrame, summary: pd.DataFrame | None, width_in: float) -> Figure:
    """Where the seconds of an average round go. A bar a setting; of more settings, where one number is swept,
    shares of the round over that number, a panel a series; else bars of some of each codec."""
    settings = by_setting(breakdown)
    if summary is not None and len(settings) > MOST_LINES:
        columns = [name for name in summary if name not in settings]
        whole = settings.merge(summary[["setting", *columns]], on="setting")
        if len(whole) and (swept := one_sweep(whole)) is not None:
            return _shares(whole, phases_in(settings), swept, width_in)
    shown = settings.iloc[chosen(_codecs(settings, summary), MOST_BARS)]
    sheet = _bars(shown.iloc[::-1], phases_in(settings), width_in)
    return sheet.finish([selection(len(shown), len(settings))])


def _bars(shown: pd.DataFrame, phases: Mapping[str, str], width_in: float) -> Page:
    """Bars of milliseconds, the first row lowest; labels above them where they are long."""
    names = [plain(name) for name in shown["setting"]]
    is_beside = max(map(text_in, names)) < 0.3 * width_in
    sheet = Page(width_in, 0.6 + (0.2 if is_beside else 0.31) * len(shown))
    axes, scale = sheet.axes, 1.0 if shown["round_s"].max() >= 10 else 1e3
    colours, left = phase_colours(phases), 0.0 * shown["round_s"]
    for phase in _taken(shown, phases):
        width = scale * shown[phases[phase]]
        height = 0.7 if is_beside else 0.5
        called = phase_title(phase)
        axes.barh(range(len(shown)), width, left=left, color=colours[phase], label=called, height=height)
        left = left + width
    axes.set_yticks(range(len(shown)), labels=names if is_beside else [""] * len(shown))
    for place, name in enumerate([] if is_beside else names):
        text = wrapped(name, width_in - 0.6)[0]
        above: dict[str, Any] = {"xytext": (1, 6.5), "textcoords": "offset points", "va": "bottom"}
        axes.annotate(text, (0, place), fontsize=SMALL_PT, **above)
    highest = len(shown) - (0.4 if is_beside else 0.1)
    axes.set(xlabel=f"an average round ({'s' if scale == 1 else 'ms'})", ylim=(-0.6, highest))
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    return sheet


def _shares(whole: pd.DataFrame, phases: Mapping[str, str], swept: Swept, width_in: float) -> Figure:
    """Shares of the round over a swept number, stacked; above each panel how long it is at the ends."""
    groups = list(whole.groupby(swept.series, sort=False))
    columns = min(len(groups), by_width(width_in, 2, 3))
    rows = -(-len(groups) // columns)
    sheet = Page(width_in, by_width(width_in, 1.35, 1.6), rows, columns, sharex=True, sharey=True)
    colours, taken = phase_colours(phases), _taken(whole, phases)
    called = list(map(phase_title, taken))
    scale, label = unit_of(swept)
    for panel, (name, part) in zip(sheet.panels, groups, strict=False):
        part = part.sort_values(swept.column)
        shares = [100 * part[phases[phase]] / part["round_s"] for phase in taken]
        at = part[swept.column] / scale
        panel.stackplot(at, shares, colors=[colours[one] for one in taken], labels=called, linewidth=0)
        ends = " … ".join(DURATION.pretty(part["round_s"].iloc[end]) for end in (0, -1))
        sheet.entitle(panel, plain(name), ends)
        panel.set(ylim=(0, 100), xlim=(at.min(), at.max()))
        panel.grid(False)
    if (low := float(whole[swept.column].min())) > 0:
        log_scale(sheet.axes, "x", low / scale, float(whole[swept.column].max()) / scale, minor=False)
    sheet.name_axes(len(groups), columns, label, "a round (%)")
    return sheet.finish(["above each panel: how long the round is at the ends"])


def _taken(shown: pd.DataFrame, phases: Mapping[str, str]) -> list[str]:
    """The phases that take time somewhere; all of them where none does."""
    least = LEAST_SHARE * shown["round_s"]
    return [phase for phase, column in phases.items() if (shown[column] > least).any()] or list(phases)


def _codecs(settings: pd.DataFrame, summary: pd.DataFrame | None) -> list[str]:
    """The codec of each setting; an empty string where that is not known."""
    if summary is None:
        return [""] * len(settings)
    known = dict(zip(summary["setting"], codec_names(summary), strict=True))
    return [known.get(name, "") for name in settings["setting"]]
