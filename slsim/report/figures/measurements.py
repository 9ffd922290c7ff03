"""Draw what hooks measured, over training: a line a run, in the colour of its codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from slsim.report.figures.looks import Look, codec_names, looks
from slsim.report.figures.page import Page, by_width, plain
from slsim.report.swept import chosen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEORY = {  # quantities of the hook "theory"
    *("norm", "error", "bound", "alpha", "bias", "bias_low", "bias_high"),
    *("jacobian", "hessian", "slope", "downlink_error"),
}
PARTS = ("activations", "client", "server")
MOST_PANELS, MOST_RUNS = 12, 12
BOUND = (0, (4, 1.6))

Looks: TypeAlias = Mapping[str, Look]  # by run


def is_theory(table: pd.DataFrame) -> pd.Series:
    """Which rows the hook "theory" measured: they have a figure of their own."""
    return table["quantity"].isin(THEORY) & table["part"].isin(PARTS)


def quantities(table: pd.DataFrame, summary: pd.DataFrame | None, width_in: float) -> Figure:
    """Each quantity over rounds, a panel each, a line a run."""
    runs, told = _runs(table, summary)
    pairs = list(table[["part", "quantity"]].drop_duplicates().itertuples(index=False, name=None))
    shown = pairs[:MOST_PANELS]
    columns = min(2, len(shown))
    sheet = Page(width_in, by_width(width_in, 1.5, 2.0), -(-len(shown) // columns), columns)
    for panel in sheet.panels[len(shown) :]:
        panel.set_visible(False)
    for panel, (part, quantity) in zip(sheet.panels, shown, strict=False):
        for run, look in runs.items():
            values = series(table, run, part, quantity)
            panel.plot(values.index, values, **look.line)
        sheet.entitle(panel, f"{quantity.replace('_', ' ')}, {part}")
        panel.set_xlabel("round")
    if len(pairs) > len(shown):
        told = [f"the first {len(shown)} of {len(pairs)} quantities", *told]
    return _finish(sheet, runs, told)


def theory(table: pd.DataFrame, summary: pd.DataFrame | None, width_in: float) -> Figure:
    """Errors beside their bounds, biases with their intervals, alpha."""
    from matplotlib.lines import Line2D

    runs, told = _runs(table, summary)
    columns = by_width(width_in, 1, 2)
    sheet = Page(width_in, by_width(width_in, 1.5, 1.9), 6 // columns, columns, sharex=True)
    for part, error, bias in zip(("client", "server"), (0, 1), (2, 3), strict=True):
        _errors(sheet.panels[error], table, runs, part)
        _biases(sheet.panels[bias], table, runs, part)
    _biases(sheet.panels[4], table, runs, "activations")
    _alpha(sheet.panels[5], table, runs)
    for panel in sheet.panels[-columns:]:
        panel.set_xlabel("round")
    return _finish(
        sheet, runs, told, (Line2D([], [], color="#555555", linestyle=BOUND), "bound of the error")
    )


def _runs(table: pd.DataFrame, summary: pd.DataFrame | None) -> tuple[Looks, list[str]]:
    """The look of each run, of many runs of some of each codec; and a line that says so."""
    runs = table[["run", "setting"]].drop_duplicates("run")
    known = dict(zip(summary["setting"], codec_names(summary), strict=True)) if summary is not None else {}
    codecs = [known.get(setting, str(setting)) for setting in runs["setting"]]
    places = chosen(codecs, MOST_RUNS)
    drawn = looks([codecs[place] for place in places])
    told = (
        [f"{len(places)} of {len(runs):,} runs, of each codec the ends and between"]
        if len(places) < len(runs)
        else []
    )
    return dict(zip(runs["run"].iloc[places], drawn, strict=True)), told


def _finish(sheet: Page, runs: Looks, told: list[str], *more: tuple[object, str]) -> Figure:
    from matplotlib.lines import Line2D

    for run, look in runs.items():
        sheet.add(Line2D([], [], **look.line), plain(run))
    for handle, label in more:
        sheet.add(handle, label)
    return sheet.finish(told)


def series(table: pd.DataFrame, run: str, part: str, quantity: str) -> pd.Series[float]:
    """One quantity of a run over rounds; empty where it was not measured."""
    chosen_rows = (table["run"] == run) & (table["part"] == part) & (table["quantity"] == quantity)
    return table[chosen_rows].set_index("round")["value"]


def _errors(axes: Axes, table: pd.DataFrame, runs: Looks, part: str) -> None:
    """With marks: the gradient's error; dashed: its bound."""
    drawn = False
    for run, look in runs.items():
        for quantity in ("error", "bound"):
            values = series(table, run, part, quantity)
            shown = values[values > 0]
            style = look.line | (
                {"linestyle": "-"} if quantity == "error" else {"linestyle": BOUND, "marker": ""}
            )
            axes.plot(shown.index, shown, **style)
            drawn = drawn or not shown.empty
    if drawn:
        axes.set_yscale("log")
    axes.set_title(f"gradient error, {part}")


def _biases(axes: Axes, table: pd.DataFrame, runs: Looks, part: str) -> None:
    """Bias ÷ norm, with its 95 % interval, of the codecs that draw."""
    for run, look in runs.items():
        low, high = (series(table, run, part, f"bias_{end}") for end in ("low", "high"))
        if low.empty:
            continue
        size = series(table, run, part, "norm").reindex(low.index)
        bias = series(table, run, part, "bias").reindex(low.index)
        below, above = (bias - low) / size, (high - bias) / size
        axes.errorbar(low.index, bias / size, yerr=[below, above], capsize=2, elinewidth=0.7, **look.line)
    axes.set_ylim(bottom=0)
    axes.set_title(f"bias ÷ norm, {part}, 95 % interval")


def _alpha(axes: Axes, table: pd.DataFrame, runs: Looks) -> None:
    """alpha over rounds; below 0 for codecs that do not contract."""
    for run, look in runs.items():
        values = series(table, run, "activations", "alpha")
        axes.plot(values.index, values, **look.line)
    axes.axhline(0, color="#555555", linewidth=0.7)
    axes.set_title("alpha = 1 - E‖ε‖² ÷ ‖a‖²")
