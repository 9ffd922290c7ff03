"""The summary: one row a setting, statistics over its seeds, and what they prove.

Everything is computed from the table of runs. No number is the best of several:

- accuracies, bytes, seconds and rounds of whole trainings are means over seeds, with a 95 % interval
  (`…_low`, `…_high`) by Student's t; what codecs keep in memory is the most over seeds;
- rounds, time and bytes to the target are medians over seeds, with their range (`…_least`, `…_most`). A seed
  that did not reach the target counts as infinite, whatever the reason, so the median is infinite where half
  of the seeds or more never got there;
- multipliers and speed-ups are those of each seed over the same seed's baseline: geometric means with their
  intervals, over the seeds in which both reached the target; none where half of the seeds or more lack one.
  BD-rates (see `frontier`), which are ratios less one, are treated alike.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim.analysis.per_run import ACCOUNTINGS, BD_RATES, FAILED
from slsim.analysis.statistics import intervals, is_less, ratio_intervals, ratio_of
from slsim.analysis.target import NO_TARGET, NOT_REACHED, REACHED
from slsim.saved import SERIES

FASTER_BY = 1.05  # below that, a codec counts as not paying
ELSEWHERE = "elsewhere"  # of a baseline that is no setting of the table
MEANS = (
    *("held_accuracy", "final_accuracy", "final_accuracy_without_codec", "target_accuracy"),
    *("rounds", "makespan_s", "uplink_bytes", "downlink_bytes"),
)
MEDIANS = (
    *("rounds_to_target", "time_to_target_s", "bytes_to_target"),
    *("uplink_bytes_to_target", "downlink_bytes_to_target"),
)
KEPT = ("kept_client_bytes", "kept_server_bytes")
STEPS = ("evaluation_step_rounds", "evaluation_step_s", "evaluation_step_bytes")
OVER_BASELINE = (*ACCOUNTINGS, "speed_up", "speed_up_if_cheap", "speed_up_if_dear")
SHARED = ("codec", "codec_name", "conditions", "uplink_bps", "downlink_bps")  # by all seeds of a setting
COMPARED = {"best_time": "time_to_target_s", "best_bytes": "bytes_to_target"}
STEP_OF = {"time_to_target_s": "evaluation_step_s", "bytes_to_target": "evaluation_step_bytes"}

Floats = NDArray[np.float64]
Columns = dict[Hashable, Any]


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """The summary of a table of runs. See the module for the statistics, and docs/targets.md for the columns:
    `pays` says whether a setting is significantly faster than its baseline ("yes", "no", "unclear"; empty for
    the baseline and for one seed), `best_time` and `best_bytes` whether it is significantly better than every
    other codec under the same conditions."""
    over = _Seeds(runs)
    columns = {"setting": over.settings, **_shared(runs, over), **_counts(runs, over)}
    for name in MEANS:
        columns |= _ends(name, intervals(over.table(runs[name])))
    columns |= {name: np.fmax.reduce(over.table(runs[name]), axis=1) for name in KEPT if name in runs}
    columns |= _costs_of_target(runs, over, np.isin(columns["target_state"], (REACHED, NOT_REACHED)))
    columns["baseline"] = _baselines(runs, over)
    columns |= _ratios(runs, over)
    columns |= {name: runs[name].to_numpy()[over.first] for name in SHARED[3:] if name not in columns}
    columns["training"] = [" ".join(rows) for rows in over.of(runs["training"])]
    summary = pd.DataFrame(columns)
    summary["pays"] = [_pays(row) for row in _rows(summary)]
    for name, cost in COMPARED.items():
        summary[name] = _best(summary, over.table(runs[cost]), cost)
    return summary


def _shared(runs: pd.DataFrame, over: _Seeds) -> Columns:
    """What all seeds of a setting share: its codec, its conditions, and what is swept."""
    names = list(map(str, runs))
    swept = [name for name in names if "." in name or name.endswith(SERIES) or f"{name}{SERIES}" in names]
    shared = [name for name in dict.fromkeys((*SHARED[:3], *swept)) if name in names]
    return {name: runs[name].to_numpy()[over.first] for name in shared}


def _counts(runs: pd.DataFrame, over: _Seeds) -> Columns:
    """How many seeds there are, how they ended, and why."""
    statuses, states = list(over.of(runs["status"])), list(over.of(runs["target_state"]))
    failed = [rows.count(FAILED) for rows in statuses]
    return {
        "seeds": over.counts,
        "finished": over.counts - np.array(failed, int),
        "failed": failed,
        "diverged": [rows.count("diverged") for rows in statuses],
        "reached": [rows.count(REACHED) for rows in states],
        "target_state": list(map(_state, states)),
        "target_reason": [_told(rows) for rows in over.of(runs["target_reason"])],
        "failure": [_told(rows) for rows in over.of(runs["failure"])],
        **{name: runs[name].to_numpy()[over.first] for name in ("target_window", "target_method")},
    }


def _costs_of_target(runs: pd.DataFrame, over: _Seeds, have_target: NDArray[np.bool_]) -> Columns:
    """Medians and ranges of what the target cost, NaN for settings without a target, and of the steps between
    evaluations the medians."""
    found: Columns = {}
    for name in MEDIANS:
        found |= _middle(name, over.table(runs[name].where(runs["target_state"] == REACHED, np.inf)))
    found = {name: np.where(have_target, values, np.nan) for name, values in found.items()}
    return found | {name: _median(over.table(runs[name])) for name in STEPS}


def _ratios(runs: pd.DataFrame, over: _Seeds) -> Columns:
    """Geometric means of ratios with their intervals; `compared`: in how many seeds there is a speed-up."""
    found: Columns = {}
    for name in (*OVER_BASELINE, "compression_ratio"):
        if name not in runs:
            continue
        ratios = over.table(runs[name].where(runs[name] > 0))
        there = (~np.isnan(ratios)).sum(axis=1)
        if name == "speed_up":
            found["compared"] = there
        if name in OVER_BASELINE:
            ratios[2 * there <= over.counts] = np.nan
        found |= _ends(name, ratio_intervals(ratios))
    for name in BD_RATES:
        if name in runs:
            ratios = 1 + over.table(runs[name])
            ratios[2 * (~np.isnan(ratios)).sum(axis=1) <= over.counts] = np.nan
            found |= {key: values - 1 for key, values in _ends(name, ratio_intervals(ratios)).items()}
    return found


def estimated(speed_ups: Sequence[float]) -> dict[str, float]:
    """The columns `speed_up`, `…_low` and `…_high` of a setting whose seeds have these speed-ups; the ends
    are open where one has none."""
    lacking = sum(map(math.isnan, speed_ups))
    if 2 * lacking >= len(speed_ups):
        return {
            "speed_up": 0.0,
            "speed_up_low": 0.0,
            "speed_up_high": math.inf if lacking < len(speed_ups) else 0.0,
        }
    found = ratio_of(speed_ups)
    low, high = (0.0, math.inf) if lacking else (found.low, found.high)
    return {"speed_up": found.mean, "speed_up_low": low, "speed_up_high": high}


class _Seeds:
    """Which rows of a table of runs are of which setting."""

    def __init__(self, runs: pd.DataFrame) -> None:
        numbers, found = pd.factorize(runs["setting"])
        self.settings = list(found)
        self.counts = np.bincount(numbers, minlength=len(found))
        self.first = np.unique(numbers, return_index=True)[1]
        seeds, every = pd.factorize(runs["seed"], sort=True)
        self._places = numbers, seeds
        self._shape = len(found), len(every)
        self._rows = [np.flatnonzero(numbers == number) for number in range(len(found))] if len(runs) else []

    def table(self, column: pd.Series) -> Floats:
        """The values of a column, [settings, seeds]; NaN where there is no run."""
        values = np.full(self._shape, np.nan)
        values[self._places] = column.to_numpy(np.float64)
        return values if column.dtype != bool else np.nan_to_num(values)

    def of(self, column: pd.Series) -> Iterator[list[Any]]:
        """The values of each setting."""
        values = column.to_numpy()
        return (values[rows].tolist() for rows in self._rows)


def _state(states: list[str]) -> str:
    """Of a setting: reached if most of its seeds did."""
    if 2 * states.count(REACHED) > len(states):
        return REACHED
    known = set(states) - {""}
    return NOT_REACHED if known - {NO_TARGET} else NO_TARGET if known else FAILED


def _told(texts: list[str]) -> str:
    """The reasons of a setting's seeds, with how many have which, where not all have the same."""
    counts = Counter(text for text in texts if text)
    if len(counts) <= 1 and counts.total() in (0, len(texts)):
        return next(iter(counts), "")
    return "; ".join(f"{number} of {len(texts)} seeds: {text}" for text, number in counts.items())


def _ends(name: str, found: tuple[Floats, Floats, Floats]) -> dict[Hashable, Floats]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))


def _middle(name: str, values: Floats) -> dict[Hashable, Floats]:
    """The median, and the range, which is empty of one seed."""
    several = (~np.isnan(values)).sum(axis=1) > 1
    ends = [end(values, axis=1, initial=start, where=~np.isnan(values)) for end, start in _ENDS]
    least, most = (np.where(several, end, np.nan) for end in ends)
    return {name: _median(values), f"{name}_least": least, f"{name}_most": most}


_ENDS = ((np.min, np.inf), (np.max, -np.inf))  # the range's, a column each


def _median(values: Floats) -> Floats:
    """Of each row; infinite where half of the values or more are; NaN of none."""
    ordered, counts = np.sort(values, axis=1), (~np.isnan(values)).sum(axis=1)
    rows, above = np.arange(len(values)), np.minimum(counts // 2, values.shape[1] - 1)
    middle = (ordered[rows, np.maximum((counts - 1) // 2, 0)] + ordered[rows, above]) / 2
    return np.where(counts > 0, middle, np.nan)


def _baselines(runs: pd.DataFrame, over: _Seeds) -> list[str]:
    """What each setting's speed-ups are over: the setting of its baseline, under the same conditions if it
    has these; "elsewhere" where that is no setting of the table, empty where there is none."""
    under: dict[tuple[str, str], str] = {}
    anywhere: dict[str, str] = {}
    places = zip(runs["training"], runs["conditions"], runs["setting"], strict=True)
    for training, conditions, setting in places:
        under.setdefault((training, conditions), setting)
        anywhere.setdefault(training, setting)
    found: dict[str, str] = dict.fromkeys(over.settings, "")
    columns = zip(runs["setting"], runs["baseline"], runs["conditions"], strict=True)
    for setting, baseline, conditions in columns:
        if baseline and not found[setting]:
            elsewhere = anywhere.get(baseline, ELSEWHERE)
            found[setting] = under.get((baseline, conditions), elsewhere)
    return list(found.values())


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _pays(row: Mapping[str, Any]) -> str:
    """Whether a setting of several seeds is significantly faster than its baseline by `FASTER_BY` or more
    ("yes"), or significantly not ("no"), and where no seed reached the target; "unclear" too where not every
    seed of both did."""
    if row["baseline"] in ("", row["setting"]) or row["seeds"] < 2 or row["target_state"] == NO_TARGET:
        return ""
    if row["compared"] < row["seeds"]:
        return "unclear" if row["reached"] else "no"
    return (
        "yes" if row["speed_up_low"] >= FASTER_BY else "no" if row["speed_up_high"] < FASTER_BY else "unclear"
    )


def _best(summary: pd.DataFrame, costs: Floats, cost: str) -> list[bool]:
    """Whether each setting needs significantly less than every other codec under the same conditions."""
    return significantly_least(
        summary["conditions"], costs, summary.rename(columns={cost: "cost", STEP_OF[cost]: "step"})
    )


def significantly_least(groups: pd.Series, costs: Floats, of: pd.DataFrame) -> list[bool]:
    """Whether each setting needs significantly less than every other of its group, and by more than an
    evaluation: of settings that reached the target with every seed. Those that never did are no rivals; where
    one did with some seeds, none is the best.

    `costs` are [settings, seeds], NaN where there is no run and infinite where the target was not reached.
    `of` has for each setting its number of `seeds`, how many `reached` the target, its `cost` over all seeds,
    and how much of it lies between two evaluations (`step`).
    """
    best = [False] * len(of)
    seeds, reached, middle, step = (of[name].to_numpy() for name in ("seeds", "reached", "cost", "step"))
    for rows in groups.groupby(groups, sort=False).indices.values():
        rivals = [int(row) for row in rows if reached[row]]
        if len(rivals) < 2 or any(reached[row] < seeds[row] for row in rivals):
            continue
        first = min(rivals, key=lambda row: float(middle[row]))  # no other can be less than all
        best[first] = all(
            is_less(_common(costs, first, other)[0], _common(costs, first, other)[1])
            and middle[other] - middle[first] >= max(step[first], step[other])
            for other in rivals
            if other != first
        )
    return best


def _common(costs: Floats, one: int, other: int) -> Floats:
    """The costs of two settings, [2, seeds]: of the seeds that either has."""
    pair = costs[[one, other]]
    return pair[:, ~np.isnan(pair).all(axis=0)]
