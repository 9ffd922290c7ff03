"""What curves are drawn from: means over seeds, the axes that they are drawn over, lines that are alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from slsim.analysis import intervals
from slsim.report.figures.looks import codec_names
from slsim.report.swept import swept_in

Over: TypeAlias = Literal["time", "uplink", "all", "epochs"]
Of: TypeAlias = Literal["accuracy", "loss"]
Unit: TypeAlias = tuple[float, str, float]  # its size, its name, the shortest curve that it is for


@dataclass(frozen=True)
class Along:
    """What curves are drawn over: a column of the means, how it is called, and its units, the smallest
    first."""

    column: str
    title: str
    units: tuple[Unit, ...] = ((1.0, "", 0.0),)

    def unit(self, shortest: float) -> tuple[float, str]:
        """The size and the name of the largest unit in which the shortest curve still shows."""
        size, name, _ = next(unit for unit in reversed(self.units) if shortest >= unit[2] or not unit[2])
        return size, name


_SECONDS = ((1e-3, "ms", 0.0), (1.0, "s", 0.5), (60.0, "min", 120.0), (3600.0, "h", 7200.0))
_BYTES = ((1.0, "B", 0.0), (1e3, "kB", 2e3), (1e6, "MB", 2e6), (1e9, "GB", 2e9), (1e12, "TB", 2e12))
ALONG: dict[Over, Along] = {
    "time": Along("sim_s", "simulated time", _SECONDS),
    "uplink": Along("uplink_bytes", "traffic up", _BYTES),
    "all": Along("all_bytes", "traffic up and down", _BYTES),
    "epochs": Along("epoch", "epochs"),
}


@dataclass(frozen=True)
class Measure:
    """What curves show: a column of the means, how it is called, and the factor that it is drawn with."""

    column: str
    title: str
    scale: float
    most: float  # no interval ends above


OF: dict[Of, Measure] = {
    "accuracy": Measure("accuracy", "test accuracy (%)", 100.0, 1.0),
    "loss": Measure("training_loss", "training loss (nats)", 1.0, math.inf),
}


def with_all_bytes(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves with a column of bytes up and down together, where they have both."""
    if "downlink_bytes" not in curves:
        return curves
    return curves.assign(all_bytes=curves["uplink_bytes"] + curves["downlink_bytes"])


def over_seeds(curves: pd.DataFrame, of: str = "accuracy") -> pd.DataFrame:
    """One row a setting and evaluation that all seeds of the setting have, those of a setting together: means
    over seeds, and the ends of the interval of the column `of` (`low`, `high`; NaN of one seed)."""
    curves = with_all_bytes(curves)
    seeds = curves.groupby("setting")["seed"].transform("nunique")
    grouped = curves.assign(seeds=seeds).groupby(["setting", "round"], sort=False)
    columns = [along.column for along in ALONG.values() if along.column in curves]
    means = grouped[[*columns, "seeds"]].mean()
    counts = grouped[of].size()
    values = np.full((len(means), int(counts.max()) if len(means) else 1), np.nan)
    values[grouped.ngroup().to_numpy(), grouped.cumcount().to_numpy()] = curves[of]
    means[of], means["low"], means["high"] = intervals(values)
    means = means[(counts == means["seeds"]).to_numpy()].reset_index()
    order = np.argsort(pd.factorize(means["setting"])[0], kind="stable")
    return means.iloc[order].reset_index(drop=True)


def at_round(curve: pd.DataFrame, round_: float, columns: Sequence[str]) -> list[float]:
    """A curve's columns at a round, which of a median over seeds may be one between evaluations; NaN where
    there is none."""
    if curve.empty or not curve["round"].iloc[0] <= round_ <= curve["round"].iloc[-1]:
        return [math.nan] * len(columns)
    return [float(np.interp(round_, curve["round"], curve[name])) for name in columns]


class Curves:
    """The curves of settings, of the means that `over_seeds` gives."""

    def __init__(self, means: pd.DataFrame) -> None:
        self.means = means
        codes, settings = pd.factorize(means["setting"])
        begins = np.searchsorted(codes, np.arange(len(settings) + 1))
        spans = zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True)
        self._spans = dict(zip(settings, spans, strict=True))

    def of(self, setting: str) -> pd.DataFrame:
        """The curve of a setting; without rows where there is none."""
        return self.means.iloc[slice(*self._spans.get(setting, (0, 0)))]

    def shapes(self, columns: Sequence[str]) -> dict[str, bytes]:
        """What tells the curves of settings apart in some columns."""
        values = self.means[list(columns)].to_numpy(np.float64).round(12)
        return {setting: values[begin:end].tobytes() for setting, (begin, end) in self._spans.items()}


@dataclass(frozen=True)
class Line:
    """One line of a figure: the place of its setting in the summary, the label and the name of its codec, the
    round in which the target was reached, its curve, and what it is called."""

    place: int
    codec: str
    name: str
    reached: float
    curve: pd.DataFrame
    label: str


def lines_of(summary: pd.DataFrame, means: pd.DataFrame, columns: Sequence[str]) -> list[Line]:
    """A line a setting; settings of one codec whose curves are the same in `columns` are one line, which has
    the label of what they have in common."""
    curves = Curves(means)
    shapes = curves.shapes(columns)
    settings, codecs, names = summary["setting"].to_list(), summary["codec"].to_list(), codec_names(summary)
    reached = summary["rounds_to_target"].to_numpy(np.float64)
    alike: dict[tuple[str, object], list[int]] = {}
    for place, (setting, codec) in enumerate(zip(settings, codecs, strict=True)):
        alike.setdefault((codec, shapes.get(setting, place)), []).append(place)
    found = []
    for places in alike.values():
        first, label = places[0], _common_label(summary, places)
        curve = curves.of(settings[first])
        found.append(Line(first, codecs[first], names[first], float(reached[first]), curve, label))
    return found


def _common_label(summary: pd.DataFrame, places: Sequence[int]) -> str:
    """What settings are called without the swept numbers that they differ in; else the first, and how many
    there are."""
    first = str(summary["setting"].iat[places[0]])
    if len(places) == 1:
        return first
    for swept in swept_in(summary):
        series = set(summary[swept.series].iloc[list(places)])
        if len(series) == 1:
            return str(series.pop())
    return f"{first} and {len(places) - 1} like it"
