"""How lines look on a page, on white and on black: as in every figure, a codec has one colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slsim.report.figures.looks import Dash, looks
from slsim.report.figures.palette import ink

WIDTH = 2  # pixels of a line
LEAST_LIGHT = 0.42  # of a colour on black
TINT = 0.65  # of white, at most, in the colours on black of several lines of one codec
WHITE = 0.95  # of white, on black, in what is black on white


@dataclass(frozen=True)
class Pen:
    """How a line is drawn: its colour on white and on black, and its dash, as Plotly calls it."""

    light: str
    dark: str
    dash: str


def pens(codecs: Sequence[str]) -> list[Pen]:
    """A pen for each line, by the plain names of their codecs; no two alike."""
    colours = [ink(codec).colour for codec in codecs]
    counts, before = Counter(colours), Counter[str]()
    found = []
    for look, colour in zip(looks(codecs), colours, strict=True):
        dark = on_black(colour, before[colour] / counts[colour])
        found.append(Pen(look.colour, dark, plotly_dash(look.dash)))
        before[colour] += 1
    return found


def plotly_dash(dash: Dash) -> str:
    """A dash as Plotly has it: "solid", or lengths in pixels."""
    return "solid" if isinstance(dash, str) else ",".join(f"{WIDTH * part:g}px" for part in dash[1])


def on_black(colour: str, share: float = 0.0) -> str:
    """A colour that is seen on black: mixed with white where it is dark, and the more, the larger `share`
    (0 … 1) is. Black becomes white, and darker the larger `share` is."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    own = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), parts, strict=True))
    if own:
        lift = max(0.0, (LEAST_LIGHT - own) / (1 - own))
        white = lift + (1 - lift) * TINT * share
    else:
        white = WHITE * (1 - share / 2)
    return "#" + "".join(f"{round(255 * (part + (1 - part) * white)):02X}" for part in parts)
