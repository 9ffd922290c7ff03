"""Figures, drawn from a study's saved tables and nothing else, as PNG and SVG."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slsim.analysis import Link, swept_in
from slsim.errors import SlsimError, StudyError
from slsim.report import drawing
from slsim.report.drawing import save
from slsim.report.measurements import draw_measurements
from slsim.report.tables import phases_in
from slsim.results import StudyFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PHASE_COLOURS: dict[str, str] = {
    "client forward": "#D55E00",
    "encode": "#E69F00",
    "uplink": "#0072B2",
    "server wait": "#CCCCCC",
    "server compute": "#009E73",
    "downlink": "#56B4E9",
    "decode": "#F0E442",
    "client backward": "#CC79A7",
    "barrier wait": "#EEEEEE",
}
OTHER_COLOURS = ("#000000", "#8C564B", "#6A3D9A", "#999933", "#882255")  # of phases that are not usual
MOST_BARS = 30
MOST_CLIENTS, MOST_PIECES = 100, 20  # bars of a partition, and colours in them
SPREAD = 5  # runs that end this many times apart are drawn on a logarithmic axis


def draw(folder: StudyFolder) -> list[str]:
    """Draws every figure that the tables of `folder` allow; gives the names of the files. Raises
    `StudyError` when there is no table."""
    apart = {"errors": draw_errors, "partition": draw_partition}
    try:
        names = [name for table, drawn in apart.items() if folder.has_table(table) for name in drawn(folder)]
        return names + (draw_runs(folder) if folder.has_table("summary") or not names else [])
    except SlsimError:
        raise
    except Exception as error:  # of numbers that no figure can show
        raise StudyError(f"the tables of {folder.path} cannot be drawn: {error!r}") from error


def draw_runs(folder: StudyFolder) -> list[str]:
    """Accuracy over time and bytes; where link rates vary, time to the target over them."""
    summary, curves = folder.load_table("summary"), folder.load_table("curves")
    names = []
    if folder.has_table("breakdown"):
        names += save(folder, "average_round", _average_round(folder.load_table("breakdown")))
    if folder.has_table("measurements"):
        names += draw_measurements(folder)
    time_scale, time_unit = _time_axis(float(curves.groupby("run")["sim_s"].max().min()))
    figures = {
        "accuracy_over_time": _accuracy(
            summary, curves, "sim_s", time_scale, f"simulated time ({time_unit})"
        ),
        "accuracy_over_bytes": _accuracy(summary, curves, "uplink_bytes", 1e6, "uplink traffic (MB)"),
    }
    figures |= {f"time_to_target_over_{link}": _time_to_target(summary, link) for link in swept_in(summary)}
    for name, figure in figures.items():
        names += save(folder, name, figure)
    return names


def draw_errors(folder: StudyFolder) -> list[str]:
    """Relative l2 error over compression ratio, a line a series: solid nominal, dashed with zstd."""
    table = folder.load_table("errors")
    figure, axes = drawing.new()
    lines = [(series, lossless) for series in table["series"].unique() for lossless in (False, True)]
    for (series, lossless), drawn in zip(lines, drawing.styles([series for series, _ in lines]), strict=True):
        points = table[(table["series"] == series) & (table["lossless"] == lossless)]
        axes.plot(
            points["compression_ratio"],
            points["relative_error"],
            marker="o" if lossless else "s",
            markersize=4,
            label=f"{series}, zstd" if lossless else series,
            **drawn,
        )
    drawing.log_scale(axes.set_xscale, axes.xaxis)
    axes.set_xticks([5, 10, 20, 50, 100])
    axes.set(xlabel="compression ratio", ylabel="relative l2 error of the activations", ylim=(0, None))
    drawing.legend(figure, axes)
    return save(folder, "errors_over_ratio", figure)


def draw_partition(folder: StudyFolder) -> list[str]:
    """Training samples by client: a bar a client, a piece a class, or for many classes a range of them."""
    from matplotlib.ticker import MaxNLocator

    whole = folder.load_table("partition")
    table = whole.head(MOST_CLIENTS)
    classes = table.filter(like="class_")
    ranges = np.array_split(np.arange(len(classes.columns)), min(len(classes.columns), MOST_PIECES))
    figure, axes = drawing.new()
    bottom = 0 * table["samples"]
    for piece, colour in zip(ranges, drawing.colours(len(ranges)), strict=True):
        height = classes.iloc[:, piece].sum(axis=1)
        label = f"{piece[0]}" if len(piece) == 1 else f"{piece[0]}–{piece[-1]}"
        axes.bar(table["client"], height, bottom=bottom, color=colour, label=label, width=0.9)
        bottom = bottom + height
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    clients = "client" if len(table) == len(whole) else f"client (the first {len(table)} of {len(whole):,})"
    axes.set(xlabel=clients, ylabel="training samples", xlim=(-0.6, len(table) - 0.4))
    axes.grid(False, axis="x")
    axes.set_axisbelow(True)
    figure.legend(title="class", frameon=False, fontsize="x-small", loc="outside right upper", reverse=True)
    return save(folder, "partition", figure)


def _time_axis(shortest_s: float) -> tuple[float, str]:
    """Scale and unit in which the shortest run still shows."""
    return (3600.0, "h") if shortest_s >= 2 * 3600 else (60.0, "min") if shortest_s >= 120 else (1.0, "s")


def _accuracy(summary: pd.DataFrame, curves: pd.DataFrame, column: str, scale: float, label: str) -> Figure:
    """Test accuracy through the codec over time or bytes; a dot where the target was reached."""
    figure, axes = drawing.new()
    for (_, row), drawn in zip(summary.iterrows(), drawing.styles(list(summary["codec"])), strict=True):
        curve = curves[curves["run"] == row["run"]]
        marker = "." if len(curve) == 1 else None  # a line of one point shows nothing
        name = drawing.plain(row["run"])
        axes.plot(curve[column] / scale, 100 * curve["accuracy"], label=name, marker=marker, **drawn)
        reached = curve[curve["round"] == row["rounds_to_target"]]
        axes.plot(reached[column] / scale, 100 * reached["accuracy"], "o", color=drawn["color"])
    targets = summary["target_accuracy"].dropna().unique()
    if len(targets) == 1:
        axes.axhline(100 * targets[0], color="grey", linewidth=0.8, linestyle="--")
        across = axes.get_yaxis_transform()  # x as a share of the width, y in data
        axes.text(0.01, 100 * targets[0], "target", va="bottom", color="grey", transform=across)
    ends = curves.groupby("run")[column].max()
    if curves[column].min() > 0 and ends.max() > SPREAD * ends.min():
        drawing.log_scale(axes.set_xscale, axes.xaxis)
    axes.set(xlabel=label, ylabel="test accuracy (%)")
    if curves.empty:
        drawing.say_nothing_is_there(axes, "no run was evaluated")
    drawing.legend(figure, axes)
    return figure


def _time_to_target(summary: pd.DataFrame, link: Link) -> Figure:
    """Simulated time to the target over the rate of a link, a line for runs that differ in nothing else."""
    figure, axes = drawing.new()
    axes.set(xlabel=f"{link} (Mbps)", ylabel="time to target accuracy (s)")
    if summary["time_to_target_s"].isna().all():
        drawing.say_nothing_is_there(axes, "no run reached its target")
        return figure
    groups = list(summary.groupby(f"{link}_series", sort=False))
    for (label, rows), drawn in zip(groups, drawing.styles([label for label, _ in groups]), strict=True):
        shown = rows[rows["time_to_target_s"].notna()].sort_values(f"{link}_bps")
        name = drawing.plain(label if len(shown) else f"{label}: {rows['target_state'].iloc[0]}")
        axes.plot(shown[f"{link}_bps"] / 1e6, shown["time_to_target_s"], marker="o", label=name, **drawn)
    drawing.log_scale(axes.set_xscale, axes.xaxis)
    if summary["time_to_target_s"].min() > 0:
        drawing.log_scale(axes.set_yscale, axes.yaxis)
    drawing.legend(figure, axes)
    return figure


def _average_round(breakdown: pd.DataFrame) -> Figure:
    """Where the milliseconds of an average round go: a bar a run, a piece a phase."""
    shown = breakdown.head(MOST_BARS).iloc[::-1]
    places = range(len(shown))
    figure, axes = drawing.new()
    figure.set_size_inches(7, 1.6 + 0.35 * len(shown))
    left = 0.0 * shown["round_s"]
    phases = phases_in(shown)
    spare = itertools.cycle(OTHER_COLOURS)
    for phase, column in phases.items():
        colour, width = PHASE_COLOURS.get(phase) or next(spare), 1000 * shown[column]
        axes.barh(places, width, left=left, color=colour, label=phase, height=0.7)
        left = left + width
    axes.set_yticks(places, labels=map(drawing.plain, shown["run"]))
    axes.set(xlabel="an average round (ms)")
    axes.grid(False, axis="y")
    figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return figure
