"""What every figure is drawn on: its width, sizes of text and lines, panels, remarks and a key below them.

A figure is as wide as it will be printed, so that its text has the size that it is set in: 8 points for
titles of axes, 7 for numbers and keys. Heights follow from what is drawn.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from slsim.units import Quantity

Number = TypeVar("Number", int, float)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = {"pt": 1 / 72, "mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0}
WIDTH = Quantity(
    "width", _INCHES, "3.3 in", 2.0, 40.0, "pt|mm|cm|in|inch|inches", lambda unit: _INCHES[unit[:2]]
)
COLUMN_IN, PAGE_IN = 3.3, 7.0  # of two columns: one, and both
TEXT_PT, SMALL_PT = 8, 7
LINE_IN = 0.145  # a line of the key
TALLEST_IN = 14.0  # of a figure, its key included
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT_PT,
    "axes.labelsize": TEXT_PT,
    "axes.titlesize": TEXT_PT,
    "figure.titlesize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.title_fontsize": SMALL_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "axes.linewidth": 0.6,
    "axes.labelpad": 2.5,
    "axes.titlepad": 4.0,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.4,
    "lines.markeredgewidth": 0.7,
    "hatch.linewidth": 0.4,
    "patch.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "legend.labelspacing": 0.25,
    "legend.borderpad": 0.1,
    "svg.hashsalt": "slsim",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def inches(width: str | None) -> float:
    """A width such as "3.3 in", "84mm" or "8.4 cm" in inches; None is a page of two columns. Raises
    `UnitError`."""
    return PAGE_IN if width is None else WIDTH.parse(width)


def by_width(width_in: float, narrow: Number, wide: Number) -> Number:
    """One number for figures of one column of two, another for wider ones."""
    return narrow if width_in < 5 else wide


@contextmanager
def in_print() -> Iterator[None]:
    """While this lasts, figures are made and saved in the style of print."""
    import matplotlib as mpl

    with mpl.rc_context(cast(Any, STYLE)):
        yield


class Page:
    """A figure in the making: rows and columns of panels, remarks above them, a key below.

    `height_in` is that of a row of panels; what stands above and below is added to it. The key's entries are
    collected by `add`, or else are those of the first panel that has some.
    """

    def __init__(
        self, width_in: float, height_in: float, rows: int = 1, columns: int = 1, **shared: Any
    ) -> None:
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        from slsim.report.figures.picture import Picture

        self.width_in, self.height_in = width_in, height_in * rows
        layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.03)
        self.figure: Figure = Picture(figsize=(width_in, self.height_in), layout=layout)
        self.panels: list[Axes] = list(self.figure.subplots(rows, columns, squeeze=False, **shared).flat)
        self._entries: list[tuple[Any, str]] = []
        self._columns = columns

    @property
    def axes(self) -> Axes:
        """The first panel."""
        return self.panels[0]

    def add(self, handle: Any, label: str) -> None:
        """One more entry of the key."""
        self._entries.append((handle, label))

    def entitle(self, panel: Axes, *lines: str) -> None:
        """Write lines above a panel, each broken where it would reach the panel beside it."""
        room_in = 0.85 * self.width_in / self._columns
        broken = [part for line in lines for part in wrapped(line, room_in, TEXT_PT)]
        panel.set_title("\n".join(broken))

    def name_axes(self, count: int, columns: int, x: str, y: str) -> None:
        """Name the axes of the outer ones of `count` panels that share theirs; hide those that are left."""
        for place, panel in enumerate(self.panels):
            panel.set_visible(place < count)
            if place % columns == 0:
                panel.set_ylabel(y)
            if count - columns <= place < count:
                panel.set_xlabel(x)
                panel.tick_params(labelbottom=True)

    def finish(self, remarks: Sequence[str] = (), title: str | None = None) -> Figure:
        """Write remarks above the panels and the key below, and make room for both. `title` is the key's."""
        above_in = self._say("; ".join(filter(None, remarks)))
        entries = self._entries or next(
            (
                list(zip(*found, strict=True))
                for panel in self.panels
                if any(found := panel.get_legend_handles_labels())
            ),
            [],
        )
        below_in = self._explain(entries, title)
        self.figure.set_size_inches(self.width_in, min(self.height_in + above_in + below_in, TALLEST_IN))
        return self.figure

    def _say(self, text: str) -> float:
        if not text:
            return 0.0
        lines = wrapped(text, self.width_in - 0.1)
        self.figure.suptitle("\n".join(lines), x=0.01, ha="left", color="#666666")
        return 0.13 * len(lines) + 0.03

    def _explain(self, entries: Sequence[tuple[Any, str]], title: str | None) -> float:
        if not entries:
            return 0.0
        room_in = self.width_in - 0.1
        texts = ["\n".join(wrapped(label, room_in - HANDLE_IN)) for _, label in entries]
        columns = _columns_for([HANDLE_IN + max(map(text_in, text.split("\n"))) for text in texts], room_in)
        self.figure.legend(
            [handle for handle, _ in entries], texts, loc="outside lower center", ncols=columns, title=title
        )
        lines = max(sum(text.count("\n") + 1 for text in texts[place::columns]) for place in range(columns))
        per_column = math.ceil(sum(text.count("\n") + 1 for text in texts) / columns)
        return LINE_IN * (max(min(lines, per_column + 2), per_column) + bool(title)) + 0.06


HANDLE_IN = 0.42  # a key's line or patch, with the space on both of its sides


def _columns_for(widths_in: Sequence[float], room_in: float) -> int:
    """In how many columns entries of these widths fit, filled one column after another."""
    for columns in range(min(len(widths_in), 8), 1, -1):
        rows = math.ceil(len(widths_in) / columns)
        parts = [widths_in[begin : begin + rows] for begin in range(0, len(widths_in), rows)]
        if sum(map(max, parts)) <= room_in:
            return math.ceil(len(widths_in) / rows)
    return 1


@cache
def text_in(text: str, size_pt: float = SMALL_PT) -> float:
    """How wide a text is in print, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size_pt)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrapped(text: str, room_in: float, size_pt: float = SMALL_PT) -> list[str]:
    """A text in lines of at most this width, as far as its words allow it."""
    width_in = text_in(text, size_pt)
    if width_in <= room_in:
        return [text]
    return textwrap.wrap(text, max(8, int(len(text) * room_in / width_in * 0.97)))


def plain(text: object) -> str:
    """A label as it is: no dollar begins a formula, and no underscore at its beginning hides it."""
    shown = str(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def say_nothing_is_there(axes: Axes, why: str) -> None:
    """Write into empty axes why they are empty."""
    axes.text(0.5, 0.5, why, ha="center", va="center", color="#666666", transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])


def log_scale(axes: Axes, axis: str, low: float, high: float, *, minor: bool = True) -> None:
    """A logarithmic axis, "x" or "y", with plain numbers on it: several a decade where it has few decades.
    Without `minor`, no ticks stand between these numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    chosen = axes.xaxis if axis == "x" else axes.yaxis
    set_scale: Callable[[str], None] = axes.set_xscale if axis == "x" else axes.set_yscale
    set_scale("log")
    decades = math.log10(high / low) if 0 < low < high else 0.0
    steps = (
        (1.0,) if decades > 2.2 else (1.0, 2.0, 5.0) if decades > 0.8 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    )
    chosen.set_major_locator(LogLocator(subs=steps, numticks=12))
    chosen.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    chosen.set_minor_formatter(NullFormatter())
    if not minor:
        chosen.set_minor_locator(NullLocator())
