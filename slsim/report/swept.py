"""The numbers that a study sweeps, as its saved tables name them; which of many rows or points to show."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slsim.saved import SERIES
from slsim.units import COMPUTE, DURATION, MEMORY_RATE, RATE, SIZE, Quantity

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES: dict[str, Quantity] = {  # by what ends the column, the longest first
    "_bytes_per_s": MEMORY_RATE,
    "_flops": COMPUTE,
    "_bytes": SIZE,
    "_bps": RATE,
    "_s": DURATION,
}


@dataclass(frozen=True)
class Swept:
    """A column of swept numbers: `series` is the column of what settings are called without it."""

    column: str

    @property
    def series(self) -> str:
        """The column of what settings are called without this number."""
        return f"{self.column}{SERIES}"

    @property
    def suffix(self) -> str:
        """What ends the column: its unit; empty of a plain number."""
        return next((suffix for suffix in QUANTITIES if self.column.endswith(suffix)), "")

    @property
    def name(self) -> str:
        """Without the unit: "uplink", "clients_count"."""
        return self.column.removesuffix(self.suffix)

    @property
    def title(self) -> str:
        """For a reader: "uplink", "clients count", "target accuracy"."""
        return self.name.removeprefix("training_").replace("_", " ")

    def pretty(self, value: float) -> str:
        """A number for a reader: "287 Mbps", "0.05"."""
        if self.suffix:
            return QUANTITIES[self.suffix].pretty(value)
        return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def swept_in(table: pd.DataFrame) -> list[Swept]:
    """The numbers that a summary's settings differ in."""
    return [Swept(str(name).removesuffix(SERIES)) for name in table if str(name).endswith(SERIES)]


def spread(count: int, most: int) -> list[int]:
    """At most so many of `count` places: the ends and evenly between."""
    if count <= most:
        return list(range(count))
    if most < 2:
        return [0][:most]
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def chosen(groups: Sequence[Hashable], most: int) -> list[int]:
    """At most so many places of `groups`, in their order, of each group the same number, its ends and evenly
    between; one at least of each."""
    if len(groups) <= most:
        return list(range(len(groups)))
    places: dict[Hashable, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    each = max(1, most // len(places))
    return sorted(found[at] for found in places.values() for at in spread(len(found), each))
