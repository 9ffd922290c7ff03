"""What a page is made of: the tables of a study, and the study over the values of one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from slsim.report.swept import Swept, swept_in

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Slider:
    """A study over the values of one number, such as the rate of the uplink: what the slider moves through.

    `key` is the number's key in a scenario, `axis` its column in the tables, `start` the value that is shown
    first. Every series of settings has the same trainings at every value.
    """

    key: str
    axis: Swept
    start: float
    summary: pd.DataFrame
    curves: pd.DataFrame
    crossovers: pd.DataFrame

    @cached_property
    def values(self) -> list[float]:
        """The values, in ascending order and in base units."""
        return sorted(map(float, self.summary[self.axis.column].unique()))

    @cached_property
    def crossings(self) -> dict[tuple[str, str], list[dict[Any, Any]]]:
        """Where each series stops paying, or begins to: rows of the crossovers, by series and by what devices
        are assumed to cost."""
        found: dict[tuple[str, str], list[dict[Any, Any]]] = {}
        for row in self.crossovers[self.crossovers["axis"] == self.axis.column].to_dict("records"):
            found.setdefault((row["series"], row["assuming"]), []).append(row)
        return found


@dataclass(frozen=True)
class Material:
    """The tables of a study, None for one that cannot be read; the resolved `scenario` as text; where there
    is no slider, `no_slider` says why; `missing` has a line for all that should be there and is not."""

    name: str
    summary: pd.DataFrame
    curves: pd.DataFrame | None
    breakdown: pd.DataFrame | None
    crossovers: pd.DataFrame | None
    links: pd.DataFrame | None
    frontier: pd.DataFrame | None
    scenario: str
    manifest: Mapping[str, Any] = field(default_factory=dict)
    slider: Slider | None = None
    no_slider: str = ""
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def axes(self) -> list[Swept]:
        """The numbers that the study itself sweeps."""
        return swept_in(self.summary)
