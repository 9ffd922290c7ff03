"""Which colours lines have, on white and on black: a codec has one colour, whatever else is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from slsim.report.figures.palette import ink

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
LEAST_LIGHT = 0.4  # of a colour on black


@dataclass(frozen=True)
class Pen:
    """How a line is drawn: its colour on white and on black, and its dash, as Plotly calls it."""

    light: str
    dark: str
    dash: str


def pens(codecs: Sequence[str]) -> list[Pen]:
    """A pen for each line, by the plain names of their codecs; lines of one codec differ in their dashes."""
    before: Counter[str] = Counter()
    found = []
    for codec in codecs:
        colour = ink(codec).colour
        found.append(Pen(colour, on_black(colour), DASHES[before[colour] % len(DASHES)]))
        before[colour] += 1
    return found


def on_black(colour: str) -> str:
    """A colour that can be seen on black: as it is, or mixed with white; black itself becomes white."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    own = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), parts, strict=True))
    if own < 0.02:
        return "#F2F2F2"
    white = max(0.0, (LEAST_LIGHT - own) / (1 - own))
    return "#" + "".join(f"{round(255 * (part + (1 - part) * white)):02X}" for part in parts)
