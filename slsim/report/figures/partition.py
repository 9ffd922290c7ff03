"""Draw which client holds which training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slsim.report.figures.page import Page, by_width
from slsim.report.figures.palette import ramp

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_CLIENTS, MOST_PIECES = 100, 20  # bars, and colours in them


def partition(whole: pd.DataFrame, width_in: float) -> Figure:
    """Training samples by client: a bar a client, a piece a class, or for many classes a range of them."""
    from matplotlib.ticker import MaxNLocator

    table = whole.head(MOST_CLIENTS)
    classes = table.filter(like="class_")
    ranges = np.array_split(np.arange(len(classes.columns)), min(len(classes.columns), MOST_PIECES))
    sheet = Page(width_in, by_width(width_in, 2.1, 3.0))
    axes, bottom = sheet.axes, 0 * table["samples"]
    for piece, colour in zip(ranges, ramp(len(ranges)), strict=True):
        height = classes.iloc[:, piece].sum(axis=1)
        label = f"{piece[0]}" if len(piece) == 1 else f"{piece[0]}–{piece[-1]}"
        axes.bar(table["client"], height, bottom=bottom, color=colour, label=label, width=0.85)
        bottom = bottom + height
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    clients = "client" if len(table) == len(whole) else f"client (the first {len(table)} of {len(whole):,})"
    axes.set(xlabel=clients, ylabel="training samples", xlim=(-0.6, len(table) - 0.4))
    axes.grid(False, axis="x")
    return sheet.finish(title="class")
