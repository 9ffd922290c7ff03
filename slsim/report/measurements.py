"""Draw what hooks measured, over training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from slsim.report import drawing
from slsim.report.swept import spread
from slsim.results import StudyFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes


THEORY = {  # quantities of the hook "theory"
    *("norm", "error", "bound", "alpha", "bias", "bias_low", "bias_high"),
    *("jacobian", "hessian", "slope", "downlink_error"),
}
PARTS = ("activations", "client", "server")
MOST_PANELS, MOST_RUNS = 12, 12


def draw_measurements(folder: StudyFolder) -> list[str]:
    """Draw `measurements.csv`; gives the names of the files. What the hook "theory" measured has a figure of
    its own; of everything else each quantity has a panel."""
    table, told = _few(folder.load_table("measurements"))
    is_theory = table["quantity"].isin(THEORY) & table["part"].isin(PARTS)
    names = _draw_theory(folder, table[is_theory], told) if is_theory.any() or table.empty else []
    others = table[~is_theory]
    return names + (_draw_quantities(folder, others, told) if len(others) else [])


def _few(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Of many runs some; and a line that says so."""
    runs = table["run"].unique()
    if len(runs) <= MOST_RUNS:
        return table, []
    some = [runs[place] for place in spread(len(runs), MOST_RUNS)]
    told = f"{MOST_RUNS} of {len(runs):,} runs, evenly between the ends"
    return table[table["run"].isin(some)], [told]


def _draw_quantities(folder: StudyFolder, table: pd.DataFrame, told: Sequence[str]) -> list[str]:
    """Each quantity over rounds, a panel each, a line a run."""
    from matplotlib.figure import Figure

    pairs = list(table[["part", "quantity"]].drop_duplicates().itertuples(index=False, name=None))
    shown = pairs[:MOST_PANELS]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(4.5 * columns, 1 + 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    for panel, (part, quantity) in zip(panels, shown, strict=False):
        for run, colour in _coloured(table):
            values = series(table, run, part, quantity)
            panel.plot(values.index, values, marker=".", label=drawing.plain(run), color=colour)
        panel.set_title(f"{quantity.replace('_', ' ')}, {part}", fontsize="medium")
        panel.set_xlabel("round")
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    if len(pairs) > len(shown):
        told = [f"the first {len(shown)} of {len(pairs)} quantities", *told]
    figure.suptitle("; ".join(told), fontsize="medium")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return drawing.save(folder, "measurements", figure)


def _draw_theory(folder: StudyFolder, table: pd.DataFrame, told: Sequence[str]) -> list[str]:
    """Errors beside their bounds, biases with their intervals, alpha."""
    from matplotlib.figure import Figure

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
    figure.suptitle("; ".join(told), fontsize="medium")
    return drawing.save(folder, "theory", figure)


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
