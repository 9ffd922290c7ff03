"""How lines look, no two of a figure alike: a colour a codec, shades, dashes and markers for its settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from slsim.report.figures.palette import INKS, ink, shades

if TYPE_CHECKING:
    import pandas as pd

Dash: TypeAlias = "str | tuple[int, tuple[float, ...]]"

DASHES: tuple[Dash, ...] = (
    "-",
    (0, (4.5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (2.5, 1.2)),
    (0, (6, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
_BY_LETTERS = {codec.replace("-", ""): codec for codec in INKS}


@dataclass(frozen=True)
class Look:
    """What tells a line from others: colour, dash, marker, and whether the marker is filled."""

    colour: str
    dash: Dash
    marker: str
    is_filled: bool = True

    @property
    def line(self) -> dict[str, Any]:
        """What matplotlib is told of a line with its markers."""
        face = self.colour if self.is_filled else "white"
        return {
            "color": self.colour,
            "linestyle": self.dash,
            "marker": self.marker,
            "markerfacecolor": face,
            "markeredgecolor": self.colour,
        }


def looks(codecs: Sequence[str]) -> list[Look]:
    """The look of each line, by the names of their codecs. Lines of one codec have shades of its colour, from
    dark to light in their order; lines that share a colour differ in their dashes as well."""
    inks = [ink(codec) for codec in codecs]
    counts = Counter(inks)
    of_ink = {one: shades(one.colour, count) for one, count in counts.items()}
    by_ink: Counter[Any] = Counter()
    by_colour: Counter[Any] = Counter()
    found = []
    for one in inks:
        place, dash = by_ink[one], by_colour[one.colour]
        is_filled = (place // len(DASHES)) % 2 == 0
        found.append(Look(of_ink[one][place], DASHES[dash % len(DASHES)], one.marker, is_filled))
        by_ink[one] += 1
        by_colour[one.colour] += 1
    return found


def codec_names(table: pd.DataFrame) -> list[str]:
    """The name of each row's codec, as scenarios call it: of a summary or a table of runs."""
    if "codec_name" in table:
        return [str(name) for name in table["codec_name"]]
    return [codec_name(str(label)) for label in table["codec"]]


def codec_name(label: str) -> str:
    """The name of a codec, of its label: "rt" of "RT (95 %, α 0.1)", "kmeans" of "k-means"."""
    word = (label.split() or [""])[0].lower()
    return _BY_LETTERS.get(word.replace("-", ""), word)
