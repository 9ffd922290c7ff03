"""Figures, drawn from a study's saved tables and nothing else, as PNG and SVG."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from slsim.errors import SlsimError, StudyError
from slsim.report import curves, drawing
from slsim.report.breakdowns import by_setting, phases_in
from slsim.report.drawing import save
from slsim.report.measurements import draw_measurements
from slsim.report.swept import spread, swept_in
from slsim.results import StudyFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawing: TypeAlias = Callable[[StudyFolder], list[str]]  # gives the names of the files
Damaged: TypeAlias = Callable[[StudyError], object]

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


def draw(folder: StudyFolder, damaged: Damaged | None = None) -> list[str]:
    """Draws every figure that the tables of `folder` allow; gives the names of the files. `damaged` is told
    of each table that cannot be read, and figures that do not need it are drawn; left out, the first is
    raised. Raises `StudyError` when there is no table."""
    apart = [draw for table, draw in APART.items() if folder.has_table(table)]
    runs = RUNS if folder.has_table("summary") or not apart else ()
    return [name for draw in (*apart, *runs) for name in _drawn(folder, draw, damaged)]


def draw_runs(folder: StudyFolder) -> list[str]:
    """Accuracy over time and bytes; time to the target over each swept number."""
    return [name for draw in RUNS for name in _drawn(folder, draw, None)]


def _drawn(folder: StudyFolder, draw: Drawing, damaged: Damaged | None) -> list[str]:
    try:
        return draw(folder)
    except StudyError as error:
        if damaged is None:
            raise
        damaged(error)
    except SlsimError:
        raise
    except Exception as error:  # of numbers that no figure can show
        raise StudyError(f"the tables of {folder.path} cannot be drawn: {error!r}") from error
    return []


def draw_rounds(folder: StudyFolder) -> list[str]:
    """Where the seconds of an average round go."""
    if not folder.has_table("breakdown"):
        return []
    return save(folder, "average_round", _average_round(folder.load_table("breakdown")))


def draw_hooks(folder: StudyFolder) -> list[str]:
    """What hooks measured."""
    return draw_measurements(folder) if folder.has_table("measurements") else []


def draw_accuracy(folder: StudyFolder) -> list[str]:
    """Accuracy over time and over bytes."""
    summary, means = folder.load_table("summary"), curves.over_seeds(folder.load_table("curves"))
    ends_s = means.groupby("setting")["sim_s"].last()
    scale, unit = _time_axis(ends_s.min() if len(ends_s) else 0.0)
    over_time = curves.accuracy(summary, means, "sim_s", scale, f"simulated time ({unit})")
    over_bytes = curves.accuracy(summary, means, "uplink_bytes", 1e6, "uplink traffic (MB)")
    return save(folder, "accuracy_over_time", over_time) + save(folder, "accuracy_over_bytes", over_bytes)


def draw_times(folder: StudyFolder) -> list[str]:
    """Time to the target over each swept number."""
    summary, names = folder.load_table("summary"), []
    axes = swept_in(summary)
    crossovers = folder.load_table("crossovers") if axes else pd.DataFrame()
    for axis in axes:
        figure = curves.time_to_target(summary, crossovers, axis)
        names += save(folder, f"time_to_target_over_{axis.name}", figure)
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
    """Scale and unit in which the shortest curve still shows."""
    return (3600.0, "h") if shortest_s >= 2 * 3600 else (60.0, "min") if shortest_s >= 120 else (1.0, "s")


def _average_round(breakdown: pd.DataFrame) -> Figure:
    """Where the milliseconds of an average round go: a bar a setting, a piece a phase."""
    settings = by_setting(breakdown)
    shown = settings.iloc[spread(len(settings), MOST_BARS)].iloc[::-1]
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
    axes.set_yticks(places, labels=map(drawing.plain, shown["setting"]))
    axes.set(xlabel="an average round (ms)")
    if len(shown) < len(settings):
        said = f"{len(shown)} of {len(settings):,} settings, evenly between the ends"
        axes.set_title(said, fontsize="small", color="grey", loc="left")
    axes.grid(False, axis="y")
    figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return figure


APART: dict[str, Drawing] = {"errors": draw_errors, "partition": draw_partition}
RUNS: tuple[Drawing, ...] = (draw_rounds, draw_hooks, draw_accuracy, draw_times)
