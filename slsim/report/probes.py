"""What probes found, over training: errors beside their bounds, biases with their intervals, alpha."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from slsim.report import drawing
from slsim.results import StudyFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_probes(folder: StudyFolder) -> list[str]:
    """Draws `probes.csv`; gives the names of the files."""
    from matplotlib.figure import Figure

    table = folder.load_table("probes")
    figure = Figure(figsize=(9, 9), layout="constrained")
    panels = figure.subplots(3, 2, sharex=True)
    for column, part in enumerate(("client", "server")):
        _errors(panels[0, column], table, part)
        _biases(panels[1, column], table, part)
    _biases(panels[2, 0], table, "activations")
    _alpha(panels[2, 1], table)
    for panel in panels.flat:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("round")
    handles, labels = panels[2, 1].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=4)
    return drawing.save(folder, "probes", figure)


def series(table: pd.DataFrame, run: str, part: str, quantity: str) -> pd.Series[float]:
    """One quantity of a run over rounds; empty where it was not measured."""
    chosen = (table["run"] == run) & (table["part"] == part) & (table["quantity"] == quantity)
    return table[chosen].set_index("round")["value"]


def _coloured(table: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    """Every run with its colour."""
    runs = table["run"].unique()
    return zip(runs, drawing.colours(len(runs)), strict=True)


def _errors(axes: Axes, table: pd.DataFrame, part: str) -> None:
    """Solid: the gradient's error; dashed: its bound."""
    drawn = False
    for run, colour in _coloured(table):
        for quantity, dash in (("error", "-"), ("bound", "--")):
            values = series(table, run, part, quantity)
            shown = values[values > 0]
            axes.plot(shown.index, shown, color=colour, linestyle=dash)
            drawn = drawn or not shown.empty
    if drawn:
        axes.set_yscale("log")
    axes.set_title(f"gradient error, {part}: measured (—), bound (– –)", fontsize="medium")


def _biases(axes: Axes, table: pd.DataFrame, part: str) -> None:
    """Bias ÷ norm, with its 95 % interval, of the codecs that draw."""
    for run, colour in _coloured(table):
        low, high = (series(table, run, part, f"bias_{end}") for end in ("low", "high"))
        if low.empty:
            continue
        size = series(table, run, part, "norm").reindex(low.index)
        bias = series(table, run, part, "bias").reindex(low.index)
        below, above = (bias - low) / size, (high - bias) / size
        axes.errorbar(
            low.index, bias / size, yerr=[below, above], capsize=3, marker="o", markersize=3, color=colour
        )
    axes.set_ylim(bottom=0)
    axes.set_title(f"bias ÷ norm, {part}, with 95 % interval", fontsize="medium")


def _alpha(axes: Axes, table: pd.DataFrame) -> None:
    """alpha over rounds; below 0 for codecs that do not contract."""
    for run, colour in _coloured(table):
        values = series(table, run, "activations", "alpha")
        axes.plot(values.index, values, label=drawing.plain(run), color=colour)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_title("alpha = 1 - E‖ε‖² ÷ ‖a‖²", fontsize="medium")
