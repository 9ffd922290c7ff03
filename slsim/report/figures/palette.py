"""Which colour and marker a codec has, in every figure of every study, and shades of a colour.

Both follow from the codec's name alone. slsim's own codecs have a colour and a marker that no other of them
has; a codec of somebody else's has those that a hash of its name gives. The colours are those of Okabe and
Ito (without yellow, which paper swallows), a grey and two of Paul Tol's: readers with any of the three kinds
of colour blindness tell them apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

BLACK, GREY, ORANGE, SKY, GREEN = "#000000", "#6A6A6A", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, WINE, INDIGO = "#0072B2", "#D55E00", "#CC79A7", "#882255", "#332288"


@dataclass(frozen=True)
class Ink:
    """A codec's colour and marker."""

    colour: str
    marker: str


INKS: dict[str, Ink] = {
    "identity": Ink(BLACK, "o"),
    "cast": Ink(GREY, "s"),
    "qu": Ink(ORANGE, "s"),
    "qsgd": Ink(WINE, "P"),
    "sp": Ink(SKY, "^"),
    "randk": Ink(BLUE, "v"),
    "rt": Ink(GREEN, "D"),
    "kmeans": Ink(PURPLE, "h"),
    "ms": Ink(VERMILLION, "X"),
    "masked": Ink(GREY, "v"),
    "randtopk": Ink(INDIGO, "<"),
    "fedlite": Ink(PURPLE, "*"),
    "splitfc": Ink(SKY, "p"),
    "splitfc-drop": Ink(SKY, "d"),
    "ics": Ink(WINE, "d"),
    "sl-acc": Ink(GREEN, ">"),
    "sl-fac": Ink(VERMILLION, "8"),
    "lsq": Ink(ORANGE, "H"),
    "dsq": Ink(GREY, "D"),
    "delta": Ink(BLUE, "p"),
    "tah": Ink(INDIGO, "P"),
    "bottleneck": Ink(BLUE, "o"),
    "projection": Ink(WINE, "o"),
    "c3": Ink(GREEN, "o"),
}
HUES = (GREY, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE, WINE, INDIGO)  # of codecs that are not slsim's
MARKERS = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "p", "h", "d", "*")
# Between these lightnesses (0: black, 1: white) shades of a colour are told apart, and seen on paper.
DARKEST, LIGHTEST = 0.22, 0.74


def ink(codec: str) -> Ink:
    """The colour and the marker of a codec, by the name that a scenario calls it."""
    if (known := INKS.get(codec)) is not None:
        return known
    number = int.from_bytes(hashlib.sha256(codec.encode()).digest()[:8], "big")
    rest, hue = divmod(number, len(HUES))
    return Ink(HUES[hue], MARKERS[rest % len(MARKERS)])


def shades(colour: str, count: int) -> list[str]:
    """So many shades of a colour, from dark to light; one alone is the colour itself.

    >>> shades("#009E73", 1)
    ['#009E73']
    """
    if count == 1:
        return [colour]
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    own = sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), parts, strict=True))
    darkest = min(own, DARKEST)
    levels = [darkest + (LIGHTEST - darkest) * place / (count - 1) for place in range(count)]
    return [_at_lightness(parts, own, level) for level in levels]


def _at_lightness(parts: Sequence[float], own: float, level: float) -> str:
    """A colour mixed with black or with white, so that its lightness becomes `level`."""
    if level < own:
        mixed = [part * level / own for part in parts]
    else:
        white = (level - own) / (1 - own)
        mixed = [part + (1 - part) * white for part in parts]
    return "#" + "".join(f"{round(255 * part):02X}" for part in mixed)


def ramp(count: int) -> list[str]:
    """So many colours in an order: of classes, or of a number that grows. A few are as different as colours
    can be."""
    if count <= len(HUES) + 1:
        return [BLACK, ORANGE, SKY, GREEN, VERMILLION, BLUE, PURPLE, WINE, GREY, INDIGO][:count]
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    return [to_hex(mpl.colormaps["viridis"](place / (count - 1))) for place in range(count)]
