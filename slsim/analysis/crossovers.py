"""Where a setting stops paying, or begins to, over each swept number.

A setting pays where it reaches the target at least 5 % sooner than its baseline (`FASTER_BY`); where it does
not reach the target it does not pay. Between two swept numbers of which it pays at one alone, the number at
which the speed-up is just that is computed, by timing the recordings at numbers in between, to 0.5 %. Where
another number needs another training, or is a whole one, these two swept numbers are all that is known.

Over several seeds the same is done with the ends of the speed-up's 95 % interval: the crossover is
significant where both ends cross too, for then there are swept numbers at which the setting significantly
pays, and others at which it significantly does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from slsim.analysis.runs import SUPPOSED
from slsim.analysis.summary import FASTER_BY
from slsim.analysis.target import NOT_REACHED
from slsim.saved import SERIES
from slsim.scenario.axes import Axis

Direction = Literal["stops", "begins", "always", "never"]
AS_STATED = "as stated"  # what devices cost; or one of `SUPPOSED`
PRECISION = 0.005  # relative
MOST_STEPS = 12  # of a search: halving a range 12 times leaves a four-thousandth of it
COLUMNS = ("axis", "series", "assuming", "direction", "value", "low", "high", "after", "before", "seeds")

Probe = Callable[[str, Axis, float, str], Mapping[str, float] | None]
"""The columns of speed-ups (`speed_up`, `…_low`, `…_high`) of a setting at another number of an axis, if
devices cost what is assumed; None where that cannot be known."""


@dataclass(frozen=True)
class _Bracket:
    """Two neighbouring swept numbers between which a curve crosses, and its values there."""

    direction: Direction
    ends: tuple[float, float]
    values: tuple[float, float]
    setting: str


def crossovers(summary: pd.DataFrame, axes: Sequence[Axis], probe: Probe) -> pd.DataFrame:
    """One row a crossing: `axis` (its column in the summary), `series` (the settings without that number),
    `assuming` what devices cost, `direction` ("stops" or "begins" to pay in ascending order; "always" or
    "never" where it does not cross), `value` where known, `low` and `high` where the interval's ends cross,
    `after` and `before` (the swept numbers on either side), `seeds`, and whether it is `significant`."""
    rows: list[dict[str, Any]] = []
    for axis in axes:
        for series, points in summary.groupby(f"{axis.column}{SERIES}", sort=False):
            ordered = points.sort_values(axis.column, kind="stable").to_dict("records")
            if any(one["baseline"] != one["setting"] and one["baseline"] for one in ordered):
                for found in _of_series(_Series(axis, ordered, probe)):
                    rows.append({"axis": axis.column, "series": series, **found})
    return pd.DataFrame(rows, columns=[*COLUMNS, "significant"])


@dataclass(frozen=True)
class _Series:
    """Settings that differ in one number, in ascending order, as rows of the summary."""

    axis: Axis
    points: Sequence[Mapping[Any, Any]]
    probe: Probe

    @property
    def seeds(self) -> int:
        """How many seeds the settings have, the fewest of them."""
        return min(int(point["seeds"]) for point in self.points)

    def curve(self, column: str) -> list[tuple[float, float, str]]:
        """Of each setting where it is known: the number, the speed-up (0 where the target is not reached),
        and what it is called."""
        known = (
            (float(point[self.axis.column]), _speed_up(point, column), point["setting"])
            for point in self.points
        )
        return [one for one in known if not math.isnan(one[1])]

    def brackets(self, column: str) -> list[_Bracket]:
        """Between which numbers a curve crosses."""
        curve = self.curve(column)
        return [
            _Bracket(
                "stops" if one[1] >= FASTER_BY else "begins", (one[0], other[0]), (one[1], other[1]), one[2]
            )
            for one, other in pairwise(curve)
            if (one[1] >= FASTER_BY) != (other[1] >= FASTER_BY)
        ]

    def located(self, bracket: _Bracket, column: str, assuming: str) -> float:
        """The number at which a curve crosses; NaN where only the swept ones are known."""
        if not self.can_be_between:
            return math.nan

        def speed_up(number: float) -> float:
            found = self.probe(bracket.setting, self.axis, number, assuming)
            return math.nan if found is None else found[column.removesuffix(f"_{assuming}")]

        return crossing(speed_up, bracket.ends, bracket.values)

    @property
    def can_be_between(self) -> bool:
        """Whether the axis can have other numbers without another training."""
        return not self.axis.is_learned and not (self.axis.is_whole and self.axis.quantity is None)


def _speed_up(point: Mapping[Any, Any], column: str) -> float:
    """The speed-up of a setting, or an end of its interval, which is open where not all seeds of both reached
    the target; 0 where the setting misses it; NaN where there is none to speak of."""
    if point["target_state"] == NOT_REACHED:
        return 0.0
    end = {"low": 0.0, "high": math.inf}.get(column.rpartition("_")[2])
    if end is not None and point["compared"] < point["seeds"]:
        return end
    return float(point.get(column, math.nan))


def _of_series(series: _Series) -> Iterator[dict[str, Any]]:
    for assuming in (AS_STATED, *SUPPOSED):
        column = "speed_up" if assuming == AS_STATED else f"speed_up_{assuming}"
        if not (curve := series.curve(column)) or all(column not in point for point in series.points):
            continue
        whole = {"assuming": assuming, "seeds": series.seeds}
        ends = _interval_ends(series) if assuming == AS_STATED and series.seeds > 1 else {}
        brackets = series.brackets(column)
        if not brackets:
            pays = curve[0][1] >= FASTER_BY
            sure = [
                value >= FASTER_BY
                for _, value, _ in series.curve("speed_up_low" if pays else "speed_up_high")
            ]
            significant = bool(ends) and all(one == pays for one in sure)
            yield {**whole, "direction": "always" if pays else "never", "significant": significant}
        for bracket in brackets:
            value = series.located(bracket, column, assuming)
            about = [_nearest(one, bracket, value) for one in ends.values()]
            low, high = sorted(about) if about and not any(map(math.isnan, about)) else (math.nan, math.nan)
            yield {
                **whole,
                "direction": bracket.direction,
                "value": value,
                "low": low,
                "high": high,
                "after": bracket.ends[0],
                "before": bracket.ends[1],
                "significant": not math.isnan(low),
            }


def _interval_ends(series: _Series) -> dict[str, list[tuple[Direction, float]]]:
    """Where each end of the interval crosses: in between, or, where that is not known, at the swept number
    that is farther from the other side."""
    found: dict[str, list[tuple[Direction, float]]] = {}
    for column in ("speed_up_low", "speed_up_high"):
        found[column] = []
        for bracket in series.brackets(column):
            value = series.located(bracket, column, AS_STATED)
            is_low = column.endswith("low")
            outer = bracket.ends[0 if is_low == (bracket.direction == "stops") else 1]
            found[column].append((bracket.direction, outer if math.isnan(value) else value))
    return found


def _nearest(crossings: Sequence[tuple[Direction, float]], bracket: _Bracket, value: float) -> float:
    """The crossing of that direction that is nearest to a bracket; NaN where there is none."""
    middle = sum(bracket.ends) / 2 if math.isnan(value) else value
    fitting = [number for direction, number in crossings if direction == bracket.direction]
    return min(fitting, key=lambda number: abs(number - middle), default=math.nan)


def crossing(
    speed_up: Callable[[float], float], ends: tuple[float, float], values: tuple[float, float]
) -> float:
    """The number between `ends` at which `speed_up` crosses `FASTER_BY`, to 0.5 %, by regula falsi over
    logarithms (halving where it does not help); `values` are those at the ends. NaN where a number in between
    has no speed-up."""
    is_log = min(ends) > 0
    places = [math.log(end) if is_log else end for end in ends]
    heights = [_height(value) for value in values]
    width = PRECISION * (1.0 if is_log else places[1] - places[0])
    last = math.inf
    for step in range(MOST_STEPS):
        share = heights[0] / (heights[0] - heights[1]) if all(map(math.isfinite, heights)) else 0.5
        share = 0.5 if step % 3 == 2 else share
        place = places[0] + share * (places[1] - places[0])
        if abs(place - last) < width / 2 or places[1] - places[0] < width:
            break
        height = _height(speed_up(math.exp(place) if is_log else place))
        if math.isnan(height):
            return math.nan
        same = int((height >= 0) == (heights[1] >= 0))
        places[same], heights[same], last = place, height, place
        if height == 0:
            break
    return math.exp(place) if is_log else place


def _height(speed_up: float) -> float:
    """The logarithm of a speed-up over the least that pays."""
    return float(np.log(speed_up / FASTER_BY)) if speed_up > 0 else (-math.inf if speed_up == 0 else math.nan)
