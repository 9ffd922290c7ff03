"""Draw the error that codecs make over the compression ratio that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim.report.figures import page
from slsim.report.figures.looks import Look, codec_name, looks
from slsim.report.figures.page import Page, by_width, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NOMINAL, ZSTD = "-", (0, (4, 1.6))


def errors(table: pd.DataFrame, width_in: float) -> Figure:
    """Relative l2 error over compression ratio, a line a series: solid with filled marks as the format is,
    dashed with hollow marks after zstd."""
    from matplotlib.lines import Line2D

    sheet = Page(width_in, by_width(width_in, 2.3, 3.2))
    axes = sheet.axes
    firsts = table.drop_duplicates("series")
    shades = looks([codec_name(str(label)) for label in firsts["codec"]])
    for series, shade in zip(firsts["series"], shades, strict=True):
        for is_lossless in (False, True):
            points = table[(table["series"] == series) & (table["lossless"] == is_lossless)]
            look = Look(
                shade.colour, ZSTD if is_lossless else NOMINAL, shade.marker, is_filled=not is_lossless
            )
            axes.plot(points["compression_ratio"], points["relative_error"], **look.line)
        sheet.add(Line2D([], [], **Look(shade.colour, NOMINAL, shade.marker).line), plain(series))
    sheet.add(Line2D([], [], **Look("#555555", ZSTD, "", is_filled=False).line), "with zstd")
    ratios = table["compression_ratio"]
    page.log_scale(axes, "x", float(ratios.min()), float(ratios.max()))
    axes.set(
        xlabel="compression ratio (raw ÷ encoded bytes)",
        ylabel="relative l2 error of activations",
        ylim=(0, None),
    )
    return sheet.finish()
