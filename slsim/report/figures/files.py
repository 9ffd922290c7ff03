"""Write figures as files, the same figure always as the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.errors import StudyError
from slsim.report.figures.page import in_print
from slsim.units import nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("pdf", "png", "svg")
USUAL = ("png", "svg")  # what a run writes
DPI = 200  # of PNG


def known_formats(asked: Sequence[str]) -> tuple[str, ...]:
    """The formats asked for, those of a run where none is. Raises `StudyError` for one that is not known."""
    for name in asked:
        if name not in FORMATS:
            raise StudyError(
                f'figures have no format "{name}"; {nearest(name, FORMATS)}allowed: {", ".join(FORMATS)}'
            )
    return tuple(dict.fromkeys(asked)) or USUAL


def save(folder: Path, name: str, figure: Figure, formats: Sequence[str] = USUAL) -> list[str]:
    """Write a figure in each of `formats`, without dates; gives the names of the files. The layout is made
    once for all of them. Raises `DiskError`."""
    with in_print():
        figure.set_dpi(DPI)
        if (layout := figure.get_layout_engine()) is not None:
            layout.execute(figure)
            figure.set_layout_engine("none")
        for kind in formats:
            with describing_disk_errors(folder):
                atomic.write(folder / f"{name}.{kind}", _content(figure, kind))
    return [f"{name}.{kind}" for kind in formats]


def _content(figure: Figure, kind: str) -> bytes:
    """The bytes of one format, drawn by its canvas itself: `savefig` would draw everything twice."""
    content = io.BytesIO()
    figure.set_dpi(DPI)  # canvases of vectors change it
    if kind == "png":
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure).print_png(content)
    elif kind == "svg":
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    else:
        from matplotlib.backends.backend_pdf import FigureCanvasPdf

        FigureCanvasPdf(figure).print_pdf(content, metadata={"CreationDate": None})
    return content.getvalue()
