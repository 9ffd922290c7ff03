"""Draw what codecs change beside what they send: errors over compression ratios, rates over distortions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slsim.report.figures import page
from slsim.report.figures.looks import Dash, Look, codec_name, looks
from slsim.report.figures.page import Page, by_width, plain
from slsim.saved import NO_STAGE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

STAGE_DASHES: tuple[Dash, ...] = ("-", (0, (4, 1.6)), (0, (1, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
GREY = "#555555"
BAR: dict[str, Any] = {"marker": "_", "markersize": 7, "linestyle": ""}


def errors(table: pd.DataFrame, width_in: float) -> Figure:
    """Relative l2 error over compression ratio, a line a series: solid with filled marks as the format is,
    broken with hollow marks behind a lossless stage. Codecs without an error are left out beside others."""
    sheet = Page(width_in, by_width(width_in, 2.3, 3.2))
    lossy = table[table["relative_error"] > 0]
    shown = table if lossy.empty else lossy
    _draw_series(sheet, shown, "compression_ratio", "relative_error")
    ratios = shown["compression_ratio"]
    page.log_scale(sheet.axes, "x", float(ratios.min()), float(ratios.max()))
    sheet.axes.set(
        xlabel="compression ratio (raw ÷ encoded bytes)",
        ylabel="relative l2 error of activations",
        ylim=(0, None),
    )
    return sheet.finish()


def rates(table: pd.DataFrame, width_in: float) -> Figure:
    """Bits an element over D/σ², lines as in `errors`; a bar below marks the entropy in context, and a grey
    line the bits that are enough for any source of that variance. Codecs without an error have no place."""
    from matplotlib.lines import Line2D

    sheet = Page(width_in, by_width(width_in, 2.3, 3.2))
    shown = table[table["distortion"] > 0]
    if shown.empty:
        page.say_nothing_is_there(sheet.axes, "no codec changed anything")
        return sheet.finish()
    for series, look in _draw_series(sheet, shown, "distortion", "bits_per_element").items():
        points = shown[shown["series"] == series].drop_duplicates("codec")
        limits = points["context_entropy_bits"]
        sheet.axes.plot(points["distortion"], limits, color=look.colour, **BAR)
    sheet.add(Line2D([], [], color=GREY, **BAR), "entropy in context")
    low, high = float(shown["distortion"].min()), float(shown["distortion"].max())
    along = np.geomspace(low, high, 200)
    along = along[along < 1]
    (gauss,) = sheet.axes.plot(along, -0.5 * np.log2(along), color=GREY, linewidth=0.8, zorder=1)
    sheet.add(gauss, "½ log2(σ²/D): enough for any source")
    bits = shown[["bits_per_element", "context_entropy_bits"]].to_numpy()
    least = float(bits[bits > 0].min())
    page.log_scale(sheet.axes, "x", low, high)
    page.log_scale(sheet.axes, "y", least, float(bits.max()))
    sheet.axes.set(xlabel="D/σ² (squared error ÷ variance)", ylabel="bits an element")
    sheet.axes.set_ylim(bottom=least / 1.3)
    return sheet.finish()


def _draw_series(sheet: Page, table: pd.DataFrame, x: str, y: str) -> dict[str, Look]:
    """A line a series and lossless stage, and the key; the looks of the series."""
    from matplotlib.lines import Line2D

    names = [str(series) for series in table["series"].unique()]
    shades = dict(zip(names, looks([codec_name(name) for name in names]), strict=True))
    stages = [str(stage) for stage in table["stage"].unique()]
    dashes = dict(zip(sorted(stages, key=NO_STAGE.__ne__), STAGE_DASHES, strict=False))
    for _, points in table.groupby(["series", "stage"], sort=False):
        shade, stage = shades[str(points["series"].iloc[0])], str(points["stage"].iloc[0])
        along = points.sort_values(x)
        look = Look(shade.colour, dashes.get(stage, "-"), shade.marker, stage == NO_STAGE)
        sheet.axes.plot(along[x], along[y], **look.line)
    for series, shade in shades.items():
        sheet.add(Line2D([], [], **Look(shade.colour, "-", shade.marker).line), plain(series))
    for stage in stages:
        if stage != NO_STAGE:
            sheet.add(Line2D([], [], **Look(GREY, dashes.get(stage, "-"), "").line), f"with {stage}")
    return shades
