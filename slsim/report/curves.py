"""Draw accuracy over time and bytes, and time to the target over swept numbers, with bands over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slsim.analysis import AS_STATED, intervals
from slsim.report import drawing
from slsim.report.swept import Swept, chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CURVES = 12  # of a figure, unless there are more codecs
SPREAD = 5  # curves that end this many times apart are drawn on a logarithmic axis
BAND = 0.18  # opacity of an interval
SCALES = {
    "_bps": (1e6, "Mbps"),
    "_s": (1e-3, "ms"),
    "_bytes": (1e6, "MB"),
    "_flops": (1e9, "GFLOPS"),
    "_bytes_per_s": (1e9, "GB/s"),
}
POINTS = 40  # of a line: with more, they have no marks


def over_seeds(curves: pd.DataFrame) -> pd.DataFrame:
    """One row a setting and evaluation that all seeds of the setting have: means over seeds, and the ends of
    the accuracy's interval (`low`, `high`; NaN of one seed)."""
    seeds = curves.groupby("setting")["seed"].transform("nunique")
    grouped = curves.assign(seeds=seeds).groupby(["setting", "round"], sort=False)
    means = grouped[["sim_s", "uplink_bytes", "seeds"]].mean()
    counts = grouped["accuracy"].size()
    place = grouped.cumcount().to_numpy()
    values = np.full((len(means), int(counts.max()) if len(means) else 1), np.nan)
    values[grouped.ngroup().to_numpy(), place] = curves["accuracy"]
    means["accuracy"], means["low"], means["high"] = intervals(values)
    return means[(counts == means["seeds"]).to_numpy()].reset_index()


def accuracy(summary: pd.DataFrame, means: pd.DataFrame, column: str, scale: float, label: str) -> Figure:
    """Test accuracy through the codec over time or bytes, a line a setting with its interval as a band; a dot
    where the target was reached. `means` are those of `over_seeds`."""
    figure, axes = drawing.new()
    places = chosen(summary["codec"].to_list(), MOST_CURVES)
    shown = summary.iloc[places]
    lines = dict(iter(means.groupby("setting", sort=False)))
    for row, drawn in zip(shown.to_dict("records"), _styles(summary, places), strict=True):
        curve = lines.get(row["setting"], means.iloc[:0])
        marker = "." if len(curve) == 1 else None  # a line of one point shows nothing
        x = curve[column] / scale
        axes.plot(x, 100 * curve["accuracy"], label=drawing.plain(row["setting"]), marker=marker, **drawn)
        if curve["low"].notna().any():
            low, high = (100 * curve[end].clip(0, 1) for end in ("low", "high"))
            axes.fill_between(x, low, high, color=drawn["color"], alpha=BAND, linewidth=0)
        reached = _at(curve, row["rounds_to_target"])
        axes.plot([reached[column] / scale], [100 * reached["accuracy"]], "o", color=drawn["color"])
    _target(axes, summary["target_accuracy"])
    ends = means[means["setting"].isin(shown["setting"])].groupby("setting")[column].last()
    if means[column].min() > 0 and ends.max() > SPREAD * ends.min():
        drawing.log_scale(axes.set_xscale, axes.xaxis)
    axes.set(xlabel=label, ylabel="test accuracy (%)")
    if means.empty:
        drawing.say_nothing_is_there(axes, "no run was evaluated")
    _say_what_is_shown(axes, len(shown), len(summary), "settings", summary["seeds"])
    drawing.legend(figure, axes)
    return figure


def _styles(summary: pd.DataFrame, places: Sequence[int]) -> list[dict[str, Any]]:
    """Of the settings that are shown: a codec keeps its colour, whatever else is shown."""
    codecs = list(dict.fromkeys(summary["codec"]))
    return drawing.styles([summary["codec"].iloc[place] for place in places], codecs)


def _at(curve: pd.DataFrame, round_: float) -> dict[str, float]:
    """A curve at a round, which of a median over seeds may be one between evaluations; NaN where there is
    none."""
    columns = ("sim_s", "uplink_bytes", "accuracy")
    if (
        not math.isfinite(round_)
        or curve.empty
        or not curve["round"].iloc[0] <= round_ <= curve["round"].iloc[-1]
    ):
        return dict.fromkeys(columns, math.nan)
    return {name: float(np.interp(round_, curve["round"], curve[name])) for name in columns}


def _target(axes: Axes, targets: pd.Series) -> None:
    distinct = targets.dropna().round(9).unique()
    if len(distinct) == 1:
        axes.axhline(100 * distinct[0], color="grey", linewidth=0.8, linestyle="--")
        across = axes.get_yaxis_transform()  # x as a share of the width, y in data
        axes.text(0.01, 100 * distinct[0], "target", va="bottom", color="grey", transform=across)


def _say_what_is_shown(axes: Axes, shown: int, count: int, what: str, seeds: pd.Series) -> None:
    """Write above the axes how many of the lines are drawn, and over how many seeds."""
    said = [f"{shown} of {count:,} {what}, of each codec the ends and between"] if shown < count else []
    numbers = sorted({int(number) for number in seeds})
    if numbers[-1:] > [1]:
        few_to_many = " to ".join(map(str, dict.fromkeys((numbers[0], numbers[-1]))))
        said.append(f"mean and 95 % interval over {few_to_many} seeds")
    axes.set_title("; ".join(said), fontsize="small", color="grey", loc="left")


def time_to_target(summary: pd.DataFrame, crossovers: pd.DataFrame, axis: Swept) -> Figure:
    """Simulated time to the target over a swept number, a line for settings that differ in nothing else:
    medians over seeds, with the range as a band; a cross where a setting stops paying, or begins to."""
    figure, axes = drawing.new()
    scale, unit = SCALES.get(axis.suffix, (1.0, ""))
    axes.set(xlabel=f"{axis.title} ({unit})" if unit else axis.title, ylabel="time to target accuracy (s)")
    finite = summary[np.isfinite(summary["time_to_target_s"])]
    if finite.empty:
        drawing.say_nothing_is_there(axes, "no run reached its target")
        return figure
    groups = [
        (str(name), rows.sort_values(axis.column)) for name, rows in summary.groupby(axis.series, sort=False)
    ]
    codecs = [rows["codec"].iloc[0] for _, rows in groups]
    places = chosen(codecs, MOST_CURVES)
    styles = drawing.styles([codecs[place] for place in places], list(dict.fromkeys(codecs)))
    for place, drawn in zip(places, styles, strict=True):
        label, rows = groups[place]
        shown = rows[np.isfinite(rows["time_to_target_s"])]
        name = drawing.plain(label if len(shown) else f"{label}: {rows['target_state'].iloc[0]}")
        x = shown[axis.column] / scale
        marker = "o" if len(shown) <= POINTS else None
        axes.plot(x, shown["time_to_target_s"], marker=marker, markersize=4, label=name, **drawn)
        if shown["time_to_target_s_least"].notna().any():
            ends = (shown["time_to_target_s_least"], shown["time_to_target_s_most"].replace(np.inf, np.nan))
            axes.fill_between(x, *ends, color=drawn["color"], alpha=BAND, linewidth=0)
        for at in _crossings(crossovers, axis, label):
            time_s = np.interp(at, shown[axis.column], shown["time_to_target_s"])
            axes.plot([at / scale], [time_s], "x", color=drawn["color"], markersize=9, markeredgewidth=2)
    if summary[axis.column].min() > 0:
        drawing.log_scale(axes.set_xscale, axes.xaxis)
    if finite["time_to_target_s"].min() > 0:
        drawing.log_scale(axes.set_yscale, axes.yaxis)
    _say(axes, len(places), len(groups), summary["seeds"], crossovers, axis)
    drawing.legend(figure, axes)
    return figure


def _crossings(crossovers: pd.DataFrame, axis: Swept, series: str) -> list[float]:
    """Where a series stops or begins to pay, as far as it is known and, of several seeds, significant."""
    rows = crossovers[(crossovers["axis"] == axis.column) & (crossovers["assuming"] == AS_STATED)]
    rows = rows[(rows["seeds"] == 1) | rows["significant"]]
    return rows[rows["series"] == series]["value"].dropna().to_list()


def _say(axes: Axes, shown: int, count: int, seeds: pd.Series, crossovers: pd.DataFrame, axis: Swept) -> None:
    said = [f"{shown} of {count:,} rows, of each codec the ends and between"] if shown < count else []
    if (seeds > 1).any():
        said.append("median and range over seeds")
    rows = crossovers[(crossovers["axis"] == axis.column) & crossovers["value"].notna()]
    if len(rows):
        said.append("×: stops paying, or begins to")
    axes.set_title("; ".join(said), fontsize="small", color="grey", loc="left")
