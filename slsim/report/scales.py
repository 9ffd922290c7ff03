"""One unit and one number of decimals for a column of numbers, so that its rows compare at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from slsim.units import Quantity

FIGURES, MOST_FIGURES = 3, 5  # of the smallest number, where the largest does not have more than so many
WIDEST = 1e5  # of the largest number in the unit of the smallest: beyond it, a larger unit is taken
NEVER = "∞"  # the end of a range that never ends


@dataclass(frozen=True)
class Scale:
    """How the numbers of a column are written: in `unit`, of which `size` is one, with so many decimals."""

    unit: str
    size: float
    decimals: int

    @classmethod
    def of(cls, values: Iterable[float], quantity: Quantity) -> Scale:
        """The unit in which the smallest of `values`, in base units, is 1 or more, and the decimals that give
        it three figures, as far as the largest has no more than five; a larger unit where the largest would
        be out of all proportion.

        Example:
            >>> from slsim.units import DURATION
            >>> scale = Scale.of([14.14, 118.2], DURATION)
            >>> scale.unit, scale.text(14.14), scale.text(118.2)
            ('s', '14.1', '118.2')
        """
        positive = sorted(value for value in values if value > 0 and math.isfinite(value))
        smallest, largest = (positive[0], positive[-1]) if positive else (1.0, 1.0)
        ascending = sorted(quantity.units.items(), key=lambda item: item[1])
        fitting = [item for item in ascending if smallest >= item[1] * (1 - 1e-9)] or ascending[:1]
        larger = [item for item in ascending if item[1] >= fitting[-1][1] and largest < WIDEST * item[1]]
        unit, size = (larger or ascending[-1:])[0]
        least, most = (math.floor(math.log10(value / size) + 1e-9) for value in (smallest, largest))
        return cls(unit, size, max(0, min(FIGURES - 1 - least, MOST_FIGURES - 1 - most)))

    def text(self, value: float) -> str:
        """A number of the column, without its unit; "–" where there is none."""
        if math.isnan(value):
            return "–"
        return NEVER if value == math.inf else f"{value / self.size:,.{self.decimals}f}"

    def between(self, low: float, high: float) -> str:
        """A range: "2.97–4.45"; one number where both ends are written alike."""
        ends = self.text(low), self.text(high)
        return ends[0] if ends[0] == ends[1] else "–".join(ends)
