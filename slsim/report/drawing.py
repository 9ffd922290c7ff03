"""What every figure is drawn with: an empty figure, styles that tell runs apart, axes, legend, files."""

from __future__ import annotations

import io
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.results import StudyFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#999999")
DPI = 150
DASHES = ("-", "--", ":", "-.")


def new() -> tuple[Figure, Axes]:
    """An empty figure, without pyplot: no global state, no display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def plain(text: object) -> str:
    """A label as it is: no dollar begins a formula, and no underscore at its beginning hides it."""
    shown = str(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def say_nothing_is_there(axes: Axes, why: str) -> None:
    """Write into empty axes why they are empty."""
    axes.text(0.5, 0.5, why, ha="center", va="center", color="grey", transform=axes.transAxes)
    axes.set(xticks=[], yticks=[])


def colours(count: int) -> list[Any]:
    """So many different colours: those of `COLOURS` where they are enough."""
    import matplotlib as mpl

    if count <= len(COLOURS):
        return list(COLOURS[:count])
    few: list[Any] = list(mpl.colormaps["tab20"].colors)  # type: ignore[attr-defined]
    return (
        few[:count] if count <= len(few) else [mpl.colormaps["turbo"](k / (count - 1)) for k in range(count)]
    )


def styles(groups: Sequence[Hashable], every: Sequence[Hashable] = ()) -> list[dict[str, Any]]:
    """A line style for each item, no two the same: a colour a group, a dash for each item of a group. Colours
    are given in the order of `every` group, or of those that occur."""
    distinct = list(every) or list(dict.fromkeys(groups))
    colour_of = dict(zip(distinct, colours(len(distinct)), strict=True))
    before = dict.fromkeys(distinct, 0)
    drawn = []
    for group in groups:
        drawn.append({"color": colour_of[group], "linestyle": _dash(before[group])})
        before[group] += 1
    return drawn


def _dash(number: int) -> Any:
    return DASHES[number] if number < len(DASHES) else (0, (number, 1, 1, 1))


def log_scale(set_scale: Callable[[str], None], axis: Axis) -> None:
    """A logarithmic axis with plain numbers on it."""
    from matplotlib.ticker import FormatStrFormatter

    set_scale("log")
    axis.set_major_formatter(FormatStrFormatter("%g"))


def legend(figure: Figure, axes: Axes) -> None:
    """Inside the axes, or below them, in a taller figure, where it would cover the lines."""
    labels = axes.get_legend_handles_labels()[1]
    if not labels:
        return
    longest = max(map(len, labels))
    if len(labels) <= 8 and longest <= 30:
        axes.legend(frameon=False, fontsize="small")
        return
    columns = max(1, 100 // (longest + 10))
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.2 * -(-len(labels) // columns))
    figure.legend(frameon=False, fontsize="x-small", loc="outside lower center", ncols=columns)


def save(folder: StudyFolder, name: str, figure: Figure) -> list[str]:
    """Both formats, without dates, so that the same tables give the same files. Each is drawn once: the
    layout is made for the first and kept for the second."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.image import imsave

    contents = {kind: io.BytesIO() for kind in ("png", "svg")}
    with mpl.rc_context({"svg.hashsalt": "slsim", "svg.fonttype": "none"}):
        figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        imsave(contents["png"], canvas.buffer_rgba(), format="png", dpi=DPI)
        figure.set_layout_engine("none")
        FigureCanvasSVG(figure).print_svg(contents["svg"], metadata={"Date": None})
    for kind, content in contents.items():
        with describing_disk_errors(folder.figures):
            atomic.write(folder.figures / f"{name}.{kind}", content.getvalue())
    return [f"{name}.{kind}" for kind in contents]
