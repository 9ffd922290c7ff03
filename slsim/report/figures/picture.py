"""A figure that notebooks show, without pyplot: no global state, no display."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from slsim.report.figures.page import in_print

NOTEBOOK_DPI = 150


class Picture(Figure):
    """A matplotlib figure that shows itself at the end of a notebook's cell."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        with in_print():
            self.savefig(content, format="png", dpi=NOTEBOOK_DPI)
        return content.getvalue()
