"""Settings that differ in one swept number: which it is, and colours with a bar that explains them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from slsim.report.figures.page import Page
from slsim.report.swept import Swept, swept_in

if TYPE_CHECKING:
    import pandas as pd

MOST_PANELS = 12
Numbered: TypeAlias = Callable[[float], Any]  # the colour of a number
SCALES = {
    "_bps": (1e6, "Mbps"),
    "_s": (1e-3, "ms"),
    "_bytes": (1e6, "MB"),
    "_flops": (1e9, "GFLOPS"),
    "_bytes_per_s": (1e9, "GB/s"),
}


def one_sweep(settings: pd.DataFrame) -> Swept | None:
    """The swept number in which rows of a summary differ that are of one series, where few series have all of
    them; None where it takes more than one number."""
    for swept in swept_in(settings):
        if settings[swept.series].nunique() <= min(MOST_PANELS, len(settings) // 2):
            return swept
    return None


def unit_of(swept: Swept) -> tuple[float, str]:
    """The size of the unit in which a swept number is drawn, and the axis's label."""
    scale, unit = SCALES.get(swept.suffix, (1.0, ""))
    return scale, f"{swept.title} ({unit})" if unit else swept.title


def number_colours(sheet: Page, numbers: Sequence[float], swept: Swept) -> Numbered:
    """Add a colour bar over swept numbers to a page; gives the colour of a number."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm, Normalize
    from matplotlib.ticker import FuncFormatter, NullLocator

    scale, label = unit_of(swept)
    low, high = min(numbers) / scale, max(numbers) / scale
    is_wide = low > 0 and high > 10 * low
    norm: Normalize = LogNorm(low, high) if is_wide else Normalize(low, high)
    colours = ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 0.92, 256)))  # yellow is lost on paper
    mapped = ScalarMappable(norm, colours)
    bar = sheet.figure.colorbar(mapped, ax=sheet.panels, location="bottom", aspect=40, pad=0.02, label=label)
    bar.outline.set_visible(False)
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    return lambda number: colours(norm(number / scale))
