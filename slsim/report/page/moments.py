"""A study at each value of its slider, the units of a page's lines, and numbers as a screen shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from slsim.report.figures.data import over_seeds
from slsim.report.page.material import Material, Slider
from slsim.report.scales import Scale
from slsim.report.swept import QUANTITIES
from slsim.units import DURATION, SIZE

if TYPE_CHECKING:
    import pandas as pd

Row: TypeAlias = dict[Any, Any]  # of a summary


@dataclass(frozen=True)
class Moments:
    """A study at each value of its slider, or, without one, the study at the only value that there is: which
    row of the summary a series of settings has there, and its curve."""

    summary: pd.DataFrame
    curves: pd.DataFrame
    slider: Slider | None = None

    @classmethod
    def of(cls, material: Material) -> Moments:
        """Those of a page; without any curve where there is no table of them."""
        slider = material.slider
        source: Material | Slider = slider or material
        curves = source.curves
        if curves is None:
            columns = ["setting", "seed", "round", "sim_s", "uplink_bytes", "accuracy"]
            curves = source.summary.reindex(columns=columns).iloc[:0]
        return cls(source.summary, curves, slider)

    @property
    def values(self) -> list[float]:
        """The values of the slider; one that says nothing without a slider."""
        return self.slider.values if self.slider else [0.0]

    @property
    def texts(self) -> list[str]:
        """The values for a reader."""
        return [self.slider.axis.pretty(value) for value in self.values] if self.slider else [""]

    @property
    def start(self) -> int:
        """The place of the value that is shown first."""
        return self.values.index(self.slider.start) if self.slider else 0

    @cached_property
    def rows(self) -> dict[str, list[Row | None]]:
        """Of each series, the row of the summary at each value."""
        names = self.summary[self.slider.axis.series if self.slider else "setting"]
        at = self.summary[self.slider.axis.column].map(float) if self.slider else [0.0] * len(self.summary)
        place = {value: number for number, value in enumerate(self.values)}
        found: dict[str, list[Row | None]] = {}
        for name, value, row in zip(names, at, self.summary.to_dict("records"), strict=True):
            found.setdefault(str(name), [None] * len(place))[place[value]] = row
        return found

    @cached_property
    def means(self) -> dict[Any, pd.DataFrame]:
        """The curve of each setting, over its seeds; with bytes both ways, where the table has them."""
        return dict(iter(over_seeds(self.curves).groupby("setting", sort=False)))


@dataclass(frozen=True)
class Scales:
    """The units of a page's lines, and of the table beside the slider."""

    time: Scale
    size: Scale
    both: Scale
    cost: Scale
    axis: Scale

    def axis_title(self, moments: Moments) -> str:
        """What the slider moves through, with its unit; empty without a slider."""
        if moments.slider is None:
            return ""
        unit = f" ({self.axis.unit})" if self.axis.unit else ""
        return f"{moments.slider.axis.title}{unit}"

    @classmethod
    def of(cls, moments: Moments) -> Scales:
        starts = [row["setting"] for rows in moments.rows.values() if (row := rows[moments.start])]
        at_start = [moments.means[name] for name in starts if name in moments.means]
        suffix = moments.slider.axis.suffix if moments.slider else ""
        return cls(
            Scale.of([curve["sim_s"].iloc[-1] for curve in at_start], DURATION),
            Scale.of([curve["uplink_bytes"].iloc[-1] for curve in at_start], SIZE),
            Scale.of([curve["all_bytes"].iloc[-1] for curve in at_start if "all_bytes" in curve], SIZE),
            Scale.of(moments.summary["time_to_target_s"], DURATION),
            Scale.of(moments.values, QUANTITIES[suffix]) if suffix else Scale("", 1.0, 3),
        )


def rounded(values: Iterable[float], figures: int = 4) -> list[float | None]:
    """Numbers as a screen shows them."""
    return [screen_number(value, figures) for value in values]


def screen_number(value: float, figures: int = 4) -> float | None:
    """A number as a screen shows it; None where there is none, for JSON has no NaN."""
    return float(f"{value:.{figures}g}") if math.isfinite(value) else None
