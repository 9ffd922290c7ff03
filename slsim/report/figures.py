"""Figures, drawn from a study's saved tables and nothing else, as PNG and SVG."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import SlsimError, StudyError
from slsim.protocols.steps import Phase, phase_column
from slsim.report.tables import varies_in_rate
from slsim.results import StudyFolder
from slsim.units import RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#999999")
DASHES = ("-", "--", ":", "-.")
PHASE_COLOURS: dict[Phase, str] = {
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
MOST_BARS = 30
MOST_CLIENTS, MOST_PIECES = 100, 20  # bars of a partition, and colours in them
SPREAD = 5  # runs that end this many times apart are drawn on a logarithmic axis
LINK_COLUMNS = {"network.uplink": "uplink", "network.downlink": "downlink"}


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
    if folder.has_table("probes"):
        from slsim.report.probes import draw_probes  # it draws with what is here

        names += draw_probes(folder)
    time_scale, time_unit = _time_axis(float(curves.groupby("run")["sim_s"].max().min()))
    figures = {
        "accuracy_over_time": _accuracy(
            summary, curves, "sim_s", time_scale, f"simulated time ({time_unit})"
        ),
        "accuracy_over_bytes": _accuracy(summary, curves, "uplink_bytes", 1e6, "uplink traffic (MB)"),
    }
    figures |= {
        f"time_to_target_over_{name}": _time_to_target(summary, column, name)
        for column, name in LINK_COLUMNS.items()
        if varies_in_rate(summary, column)
    }
    for name, figure in figures.items():
        names += save(folder, name, figure)
    return names


def draw_errors(folder: StudyFolder) -> list[str]:
    """Relative l2 error over compression ratio, a line a series: solid nominal, dashed with zstd."""
    table = folder.load_table("errors")
    figure, axes = _new()
    for position, series in enumerate(table["series"].unique()):
        for variant, lossless in enumerate((False, True)):
            points = table[(table["series"] == series) & (table["lossless"] == lossless)]
            label = f"{series}, zstd" if lossless else series
            axes.plot(
                points["compression_ratio"],
                points["relative_error"],
                marker="o" if lossless else "s",
                markersize=4,
                label=label,
                **style(position, variant),  # type: ignore[arg-type]
            )
    _log_scale(axes.set_xscale, axes.xaxis)
    axes.set_xticks([5, 10, 20, 50, 100])
    axes.set(xlabel="compression ratio", ylabel="relative l2 error of the activations", ylim=(0, None))
    _legend(figure, axes)
    return save(folder, "errors_over_ratio", figure)


def draw_partition(folder: StudyFolder) -> list[str]:
    """Training samples by client: a bar a client, a piece a class, or for many classes a range of them."""
    from matplotlib.ticker import MaxNLocator

    whole = folder.load_table("partition")
    table = whole.head(MOST_CLIENTS)
    classes = table.filter(like="class_")
    ranges = np.array_split(np.arange(len(classes.columns)), min(len(classes.columns), MOST_PIECES))
    figure, axes = _new()
    bottom = 0 * table["samples"]
    for piece, colour in zip(ranges, _colours(len(ranges)), strict=True):
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


def _colours(count: int) -> list[Any]:
    """So many colours, those of `COLOURS` where they are enough."""
    import matplotlib as mpl

    return list(COLOURS[:count]) if count <= len(COLOURS) else list(mpl.colormaps["tab20"].colors)[:count]  # type: ignore[attr-defined]


def _time_axis(shortest_s: float) -> tuple[float, str]:
    """Scale and unit in which the shortest run still shows."""
    return (3600.0, "h") if shortest_s >= 2 * 3600 else (60.0, "min") if shortest_s >= 120 else (1.0, "s")


def _new() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure  # without pyplot: no global state, no display

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def style(codec: int, variant: int) -> dict[str, str]:
    """A colour a codec, a dash for each of its variants."""
    return {"color": COLOURS[codec % len(COLOURS)], "linestyle": DASHES[variant % len(DASHES)]}


def _accuracy(summary: pd.DataFrame, curves: pd.DataFrame, column: str, scale: float, label: str) -> Figure:
    """Test accuracy through the codec over time or bytes; a dot where the target was reached first."""
    figure, axes = _new()
    codecs = list(summary["codec"].unique())
    variants = summary.groupby("codec").cumcount()
    for run, codec, target, variant in zip(
        summary["run"], summary["codec"], summary["target_accuracy"], variants, strict=True
    ):
        curve = curves[curves["run"] == run]
        drawn = style(codecs.index(codec), int(variant))
        axes.plot(curve[column] / scale, 100 * curve["accuracy"], label=run, **drawn)  # type: ignore[arg-type]
        reached = curve[curve["accuracy"] >= target].head(1)
        axes.plot(reached[column] / scale, 100 * reached["accuracy"], "o", color=drawn["color"])
    targets = summary["target_accuracy"].dropna().unique()
    if len(targets) == 1:
        axes.axhline(100 * targets[0], color="grey", linewidth=0.8, linestyle="--")
        across = axes.get_yaxis_transform()  # x as a share of the width, y in data
        axes.text(0.01, 100 * targets[0], "target", va="bottom", color="grey", transform=across)
    ends = curves.groupby("run")[column].max()
    if ends.max() > SPREAD * ends.min():
        _log_scale(axes.set_xscale, axes.xaxis)
    axes.set(xlabel=label, ylabel="test accuracy (%)")
    _legend(figure, axes)
    return figure


def _log_scale(set_scale: Callable[[str], None], axis: Axis) -> None:
    """A logarithmic axis with plain numbers on it."""
    from matplotlib.ticker import FormatStrFormatter

    set_scale("log")
    axis.set_major_formatter(FormatStrFormatter("%g"))


def _time_to_target(summary: pd.DataFrame, column: str, name: str) -> Figure:
    """Simulated time to the target over the rate of a link, a line a codec; the quickest run counts."""
    figure, axes = _new()
    rates = summary[column].map(RATE.parse)
    for position, codec in enumerate(summary["codec"].unique()):
        chosen = (summary["codec"] == codec) & (summary["time_to_target_s"] < math.inf)
        times = summary.loc[chosen, "time_to_target_s"].groupby(rates[chosen]).min()
        label = codec if len(times) else f"{codec}: never"
        axes.plot(times.index / 1e6, times, marker="o", label=label, **style(position, 0))  # type: ignore[arg-type]
    _log_scale(axes.set_xscale, axes.xaxis)
    _log_scale(axes.set_yscale, axes.yaxis)
    axes.set(xlabel=f"{name} (Mbps)", ylabel="time to target accuracy (s)")
    _legend(figure, axes)
    return figure


def _average_round(breakdown: pd.DataFrame) -> Figure:
    """Where the milliseconds of an average round go: a bar a run, a piece a phase."""
    shown = breakdown.head(MOST_BARS).iloc[::-1]
    figure, axes = _new()
    figure.set_size_inches(7, 1.6 + 0.35 * len(shown))
    left = 0.0 * shown["round_s"]
    for phase, colour in PHASE_COLOURS.items():
        width = 1000 * shown[phase_column(phase)]
        axes.barh(shown["run"], width, left=left, color=colour, label=phase, height=0.7)
        left = left + width
    axes.set(xlabel="an average round (ms)")
    axes.grid(False, axis="y")
    figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return figure


def _legend(figure: Figure, axes: Axes) -> None:
    """Inside the axes, or below them, in a taller figure, where it would cover the lines."""
    labels = axes.get_legend_handles_labels()[1]
    longest = max(map(len, labels), default=0)
    if len(labels) <= 8 and longest <= 30:
        axes.legend(frameon=False, fontsize="small")
        return
    columns = max(1, 100 // (longest + 10))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.2 * -(-len(labels) // columns))
    figure.legend(frameon=False, fontsize="x-small", loc="outside lower center", ncols=columns)


def save(folder: StudyFolder, name: str, figure: Figure) -> list[str]:
    """Both formats, without dates, so that the same tables give the same files."""
    import matplotlib as mpl

    formats: dict[str, dict[str, Any]] = {"png": {"dpi": 150}, "svg": {"metadata": {"Date": None}}}
    for kind, options in formats.items():
        content = io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": "slsim", "svg.fonttype": "none"}):
            figure.savefig(content, format=kind, **options)
        with describing_disk_errors(folder.figures):
            atomic.write(folder.figures / f"{name}.{kind}", content.getvalue())
    return [f"{name}.{kind}" for kind in formats]
