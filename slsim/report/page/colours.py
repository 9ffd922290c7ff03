"""How lines look on a page, on white and on black: as in every figure, a codec has one colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slsim.report.figures.looks import Dash, looks

WIDTH = 2  # pixels of a line
DARKEST, RISE = 0.42, 0.5  # lightness on black: of black, and how much of a colour's own is added
WHITE = "#F2F2F2"  # on black, of what is black on white


@dataclass(frozen=True)
class Pen:
    """How a line is drawn: its colour on white and on black, and its dash, as Plotly calls it."""

    light: str
    dark: str
    dash: str


def pens(codecs: Sequence[str]) -> list[Pen]:
    """A pen for each line, by the plain names of their codecs; no two alike."""
    return [Pen(look.colour, on_black(look.colour), plotly_dash(look.dash)) for look in looks(codecs)]


def plotly_dash(dash: Dash) -> str:
    """A dash as Plotly has it: "solid", or lengths in pixels."""
    return "solid" if isinstance(dash, str) else ",".join(f"{WIDTH * part:g}px" for part in dash[1])


def on_black(colour: str) -> str:
    """A colour mixed with white, so that it is seen on black, and shades stay apart; black becomes white."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    own = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), parts, strict=True))
    if not own:
        return WHITE
    white = max(0.0, (DARKEST + RISE * own - own) / (1 - own)) if own < 1 else 0.0
    return "#" + "".join(f"{round(255 * (part + (1 - part) * white)):02X}" for part in parts)
