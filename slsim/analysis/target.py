"""When a training has reached its target: one rule for every table, figure, check and CSV file.

A target is reached at the first evaluation that is at or above it and confirmed: of the
`training.target_window` evaluations in a row that begin there, more than half are at or above the target.
Time and bytes are those of that first evaluation. So neither one lucky evaluation of a codec nor one unlucky
evaluation of the baseline makes a difference. What a training held is the highest accuracy that it reached by
this rule, and "baseline" as a target is what the uncompressed run held. There is no target at or below
chance, and none from an uncompressed run that diverged or learned nothing.

What a target cost, in rounds, seconds and bytes, is read at that evaluation (`training.target_method`
"stepped"), or on the straight line from the evaluation before ("interpolated"): then it hardly depends on how
often was evaluated, and a difference below the step between evaluations is an estimate.

Accuracies are compared as numbers of test images, so that 470 of 1,000 reach 52 % less 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from slsim.recording import Evaluation, Recording, TestSet
from slsim.scenario.training_table import STEPPED, Method, TrainingTable

State = Literal["reached", "not reached", "no target"]
REACHED: State = "reached"
NOT_REACHED: State = "not reached"
NO_TARGET: State = "no target"

IMAGE_TOLERANCE = 1e-6  # of a test image: what rounding in floats can make of a whole number of them
TOLERANCE = 1e-9  # of accuracies whose test set is not known
STANDARD_ERRORS = 3  # by which a baseline must be better than chance


@dataclass(frozen=True)
class Outcome:
    """What became of a target in one training: where it was reached, after `round` rounds, the last
    evaluation before that was after `round_before` (0: there was none); elsewhere `reason` says why not.
    `share` is how much of the way from the one to the other counts: all of it, or, interpolated, less."""

    state: State
    reason: str = ""
    round: int = 0
    round_before: int = 0
    share: float = 1.0

    @property
    def is_reached(self) -> bool:
        """Whether the target was reached."""
        return self.state == REACHED

    @property
    def rounds(self) -> float:
        """How many rounds it took, where the target was reached."""
        return self.cost(float)

    def cost(self, after: Callable[[int], float]) -> float:
        """What it took, of something that was `after(round)` once so many rounds were over."""
        if self.share == 1:
            return after(self.round)
        return (1 - self.share) * after(self.round_before) + self.share * after(self.round)


@dataclass(frozen=True)
class Target:
    """A test accuracy (0 … 1) that the first and most of `window` evaluations in a row must reach, counted
    on `samples` test images (None: not known). NaN where there is no target, for the `reason` given. Where it
    is reached is read by `method`."""

    accuracy: float
    window: int
    samples: int | None = None
    reason: str = ""
    method: Method = STEPPED

    def met_by(self, accuracy: float) -> bool:
        """Whether one evaluation is at or above the target."""
        return _at_least(accuracy, self.accuracy, self.samples)

    def outcome(self, recording: Recording) -> Outcome:
        """Whether, and where, a training reached this target."""
        if math.isnan(self.accuracy):
            return Outcome(NO_TARGET, self.reason)
        evaluations = recording.evaluations
        met = [self.met_by(evaluation.accuracy) for evaluation in evaluations]
        for place, first in enumerate(met):
            if first and sum(met[place : place + self.window]) >= needed(self.window):
                before = evaluations[place - 1].round if place else 0
                return Outcome(REACHED, "", evaluations[place].round, before, self._share(evaluations, place))
        return Outcome(NOT_REACHED, self._why_not(recording, met))

    def _share(self, evaluations: Sequence[Evaluation], place: int) -> float:
        """How much of the way to an evaluation from the one before the target lies; all of it where there is
        none before, or that one was at the target already."""
        if self.method == STEPPED or not place:
            return 1.0
        low, high = (evaluations[one].accuracy for one in (place - 1, place))
        return 1.0 if low >= self.accuracy else min(1.0, (self.accuracy - low) / (high - low))

    def _why_not(self, recording: Recording, met: Sequence[bool]) -> str:
        reasons = [f"diverged in round {diverged_in(recording)}"] if recording.status == "diverged" else []
        if len(met) < needed(self.window):
            reasons.append(_too_few(len(met), self.window))
        elif any(met):
            reasons.append(
                f"at or above it at {sum(met)} of {len(met)} evaluations, never at {in_words(self.window)}"
            )
        else:
            reasons.append(f"below it at {_evaluations(len(met))}")
        return "; ".join(reasons)


def target_of(settings: TrainingTable, test_set: TestSet | None, baseline: Recording | None) -> Target:
    """The target that a scenario's [training] asks for, of a training that was evaluated on `test_set`.
    `baseline` is its uncompressed run, None where that is not there."""
    samples = test_set.samples if test_set else None
    margin = settings.target_margin
    accuracy = math.nan
    if margin is None:
        accuracy, reason = float(settings.target_accuracy), ""
    elif baseline is None:
        reason = "the uncompressed run is missing"
    else:
        reason = _baseline_fault(baseline, settings.target_window)
        accuracy = held(baseline, settings.target_window) - margin
    if not reason and test_set and _at_least(test_set.chance, accuracy, samples):
        reason = f"a target of {_percent(accuracy)} is not above chance, {_percent(test_set.chance)}"
    found = math.nan if reason else accuracy
    return Target(found, settings.target_window, samples, reason, settings.target_method)


def held(recording: Recording, window: int) -> float:
    """The highest target that a training reached, with `window` evaluations; NaN where it was evaluated too
    rarely to reach any."""
    accuracies = [evaluation.accuracy for evaluation in recording.evaluations]
    return max(confirmed(accuracies, window), default=math.nan)


def confirmed(accuracies: Sequence[float], window: int) -> list[float]:
    """For each evaluation of a training that enough others follow, the highest target that is reached there,
    by the accuracies of all its evaluations."""
    most = needed(window)
    return [
        min(accuracies[place], sorted(accuracies[place : place + window])[-most])
        for place in range(len(accuracies) - most + 1)
    ]


def needed(window: int) -> int:
    """How many of `window` evaluations are more than half of them."""
    return window // 2 + 1


def in_words(window: int) -> str:
    """The evaluations that a target asks for: "2 of 3 evaluations in a row"."""
    of = "" if needed(window) == window else f" of {window}"
    return f"{needed(window)}{of} evaluations in a row" if window > 1 else "1 evaluation"


def diverged_in(recording: Recording) -> int:
    """The round in which a training that diverged did so; that round is not recorded any more."""
    return recording.num_rounds + 1


def _baseline_fault(baseline: Recording, window: int) -> str:
    """Why no target can be taken from an uncompressed run; an empty string where one can."""
    if baseline.status == "diverged":
        return f"the uncompressed run diverged in round {diverged_in(baseline)}"
    if len(baseline.evaluations) < needed(window):
        return f"the uncompressed run was {_too_few(len(baseline.evaluations), window)}"
    if baseline.test_set is None:
        return ""
    chance, samples = baseline.test_set.chance, baseline.test_set.samples
    noise = STANDARD_ERRORS * math.sqrt(chance * (1 - chance) / samples)
    if not _at_least(chance + noise, (best := held(baseline, window)), samples):
        return ""
    return (
        f"the uncompressed run held {_percent(best)}, no more than chance: {_percent(chance)} "
        f"and {STANDARD_ERRORS} standard errors of {samples:,} test images, {_percent(noise)}"
    )


def _at_least(accuracy: float, least: float, samples: int | None) -> bool:
    """Whether `accuracy` is `least` or more, in whole test images where their number is known."""
    tolerance = IMAGE_TOLERANCE / samples if samples else TOLERANCE
    return accuracy >= least - tolerance


def _too_few(evaluated: int, window: int) -> str:
    times = {0: "never evaluated", 1: "evaluated once"}.get(evaluated, f"evaluated {evaluated} times")
    return f"{times}, training.target_window asks for {in_words(window)}"


def _evaluations(count: int) -> str:
    return "its only evaluation" if count == 1 else f"all {count} evaluations"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
