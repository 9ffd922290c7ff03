"""The frontier of bytes and accuracy: what accuracy a training held with so many bytes sent, and how many
more bytes one training needs than another for the same accuracy (Bjøntegaard's difference, BD-rate).

An accuracy counts once it is confirmed, by the same rule as a target (see `target.py`). So a training is a
staircase: with so many bytes sent, that accuracy held. Two staircases are compared over the accuracies that
both have, from the higher of their first steps to the lower of their last:

    BD-rate = exp(mean over these accuracies of ln(bytes of one ÷ bytes of the other)) - 1

after G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves" (VCEG-M33, 2001), which fits
cubic polynomials to a few points; here there are many points, and the integral over the measured steps is
exact. -0.5 says that half of the bytes were needed, on average over accuracies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim.analysis.runs import Run
from slsim.analysis.statistics import Estimate, intervals, ratio_of
from slsim.analysis.target import confirmed
from slsim.recording import Recording

Floats = NDArray[np.float64]
COUNTED: Mapping[str, tuple[str, ...]] = {  # which columns of `cumulative` count
    "uplink": ("uplink_bytes",),
    "total": ("uplink_bytes", "downlink_bytes"),
}
STEPS = (1, 2, 5)  # of the budgets in every decade


@dataclass(frozen=True)
class Staircase:
    """Ascending accuracies (0 … 1), each held for the first time with `num_bytes` sent; both as long."""

    accuracies: Floats
    num_bytes: Floats

    def at(self, budget_bytes: float) -> float:
        """The accuracy held with so many bytes sent; NaN before anything was evaluated."""
        place = int(np.searchsorted(self.num_bytes, budget_bytes, side="right")) - 1
        return float(self.accuracies[place]) if place >= 0 else math.nan

    def bytes_to(self, accuracies: Floats) -> Floats:
        """Bytes to each of these accuracies, none above the last."""
        return self.num_bytes[np.searchsorted(self.accuracies, accuracies, side="left")]


def staircase(recording: Recording, sent: pd.DataFrame, window: int, counted: Sequence[str]) -> Staircase:
    """The staircase of a training that sent the bytes `sent` (see `cumulative`), of which the columns
    `counted` count; an accuracy is confirmed by `window` evaluations."""
    evaluations = recording.evaluations
    levels = np.array(confirmed([one.accuracy for one in evaluations], window), np.float64)
    rounds = [one.round for one in evaluations[: len(levels)]]
    num_bytes = sum((sent[column].to_numpy(np.float64)[rounds] for column in counted), np.zeros(len(levels)))
    before = np.maximum.accumulate(np.concatenate([[-np.inf], levels]))[:-1] if len(levels) else levels
    rises = levels > before
    return Staircase(levels[rises], num_bytes[rises])


def bd_rate(one: Staircase, other: Staircase) -> float:
    """Bjøntegaard's difference in bytes of `one` over `other` (-0.5: half of them); NaN where they have no
    accuracies in common, or one sends nothing.

    Example:
        >>> slow = Staircase(np.array([0.5, 0.7]), np.array([1e6, 4e6]))
        >>> fast = Staircase(np.array([0.5, 0.7]), np.array([0.5e6, 2e6]))
        >>> bd_rate(fast, slow)
        -0.5
    """
    if not (one.accuracies.size and other.accuracies.size):
        return math.nan
    low = max(one.accuracies[0], other.accuracies[0])
    high = min(one.accuracies[-1], other.accuracies[-1])
    if high <= low:
        return math.nan
    steps = np.unique(np.concatenate([one.accuracies, other.accuracies, [low, high]]))
    steps = steps[(steps >= low) & (steps <= high)]
    bytes_of_both = [stairs.bytes_to(steps[1:]) for stairs in (one, other)]
    if not all((part > 0).all() for part in bytes_of_both):
        return math.nan
    logarithms = np.log(bytes_of_both[0] / bytes_of_both[1])
    return float(np.expm1((logarithms * np.diff(steps)).sum() / (high - low)))


def budgets(staircases: Sequence[Staircase]) -> list[float]:
    """Round numbers of bytes (1, 2, 5, 10, …), from where one of the trainings held an accuracy to where all
    have held their last."""
    sizes = np.concatenate([stairs.num_bytes for stairs in staircases] or [np.zeros(0)])
    sizes = sizes[sizes > 0]
    if not sizes.size:
        return []
    decades = range(math.floor(math.log10(sizes.min())), math.ceil(math.log10(sizes.max())) + 1)
    steps = [float(step * 10**decade) for decade in decades for step in STEPS]
    last = next(step for step in steps if step >= sizes.max())
    return [step for step in steps if sizes.min() <= step <= last]


Staircases = Mapping[str, Mapping[int, Staircase]]  # by setting and seed


def staircases(runs: Sequence[Run], counted: str) -> dict[str, dict[int, Staircase]]:
    """The staircases of a study's runs, by setting and seed; `counted` is a key of `COUNTED`. Runs of one
    training have the same."""
    known: dict[tuple[str, int], Staircase] = {}
    found: dict[str, dict[int, Staircase]] = {}
    for run in runs:
        key = (run.training, run.target.window)
        if key not in known:
            known[key] = staircase(run.recording, run.sent, run.target.window, COUNTED[counted])
        found.setdefault(run.setting, {})[run.seed] = known[key]
    return found


def accuracy_at(settings: Staircases) -> pd.DataFrame:
    """One row a setting and budget: `budget_bytes`, and the mean `accuracy` held within it over the setting's
    seeds, with its 95 % interval (`…_low`, `…_high`); NaN where one seed held none yet."""
    found = budgets([stairs for group in settings.values() for stairs in group.values()])
    rows = []
    for setting, group in settings.items() if found else ():
        values = np.array([[stairs.at(budget) for stairs in group.values()] for budget in found])
        lacking = np.isnan(values).any(axis=1)
        ends = (np.where(lacking, math.nan, one).tolist() for one in intervals(values))
        rows += [(setting, len(group), *one) for one in zip(found, *ends, strict=True)]
    names = ["setting", "seeds", "budget_bytes", "accuracy", "accuracy_low", "accuracy_high"]
    return pd.DataFrame(rows, columns=names)


def bd_rates_over(settings: Staircases, against: str) -> pd.DataFrame:
    """One row a setting: `bd_rate` over the setting `against`, paired by seed, of the geometric mean of the
    ratios of bytes, with its 95 % interval (`…_low`, `…_high`); `seeds` is how many pairs there are."""
    rows = []
    for setting, group in settings.items():
        pairs = [(own, settings[against][seed]) for seed, own in group.items() if seed in settings[against]]
        ratios = [1 + rate for rate in (bd_rate(*pair) for pair in pairs) if not math.isnan(rate)]
        found = ratio_of(ratios) if ratios else Estimate(math.nan, math.nan, math.nan)
        rows.append((setting, len(ratios), found.mean - 1, found.low - 1, found.high - 1))
    return pd.DataFrame(rows, columns=["setting", "seeds", "bd_rate", "bd_rate_low", "bd_rate_high"])
