"""Real seconds of a training, and of all trainings of a study, from what was measured."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slsim.forecast import TrainingForecast
from slsim.scenario import Scenario
from slsim.study.measuring import Measured
from slsim.study.step_sizes import FirstRound

if TYPE_CHECKING:
    from slsim.learning.data import Dataset


def evaluations_in(scenario: Scenario, first: FirstRound, rounds: int) -> int:
    """How often a training of so many rounds is evaluated."""
    every = scenario.training.evaluate_every or first.rounds_per_epoch
    return max(1, math.ceil(rounds / every - 1e-9))


def training_s(scenario: Scenario, data: Dataset, first: FirstRound, times: Measured, done: int) -> float:
    """Real seconds that a training takes of which so many rounds are done."""
    left = max(0, first.rounds - done)
    of_an_epoch = data.y_train.size / first.rounds_per_epoch
    samples = first.samples if first.is_whole else of_an_epoch
    hooks = scenario.training.hooks
    measurements_s: float = sum(
        seconds * (1 + left // choice.create().every)
        for choice, seconds in zip(hooks, times.hooks_s, strict=True)
    )
    evaluations = evaluations_in(scenario, first, left)
    steps_s = left * samples * times.sample_s
    return times.begin_s + steps_s + evaluations * times.evaluation_s + measurements_s


def wall_s(trainings: Sequence[TrainingForecast], workers: int) -> float:
    """Real seconds of the trainings that are left, `workers` at a time, each begun in the order of their
    numbers when a place is free and what it needs is finished. NaN where one is not known."""
    ends_s: dict[int, float] = {}
    free_s = [0.0] * workers
    for one in (one for one in trainings if one.is_left):
        needed_s = ends_s.get(one.needs, 0.0) if one.needs is not None else 0.0
        ends_s[one.number] = max(heapq.heappop(free_s), needed_s) + one.wall_s
        if math.isnan(ends_s[one.number]):
            return math.nan
        heapq.heappush(free_s, ends_s[one.number])
    return max(ends_s.values(), default=0.0)
