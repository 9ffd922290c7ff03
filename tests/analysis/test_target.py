"""When a target is reached: at an evaluation that most of a window confirm, counted in test images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from slsim.analysis import held, target_of
from slsim.recording import STEP, Evaluation, Recording, Status, TestSet
from slsim.scenario.training_table import TrainingTable

TEN_CLASSES = TestSet(samples=1000, classes=10, chance=0.1)


def recording(
    accuracies: Sequence[float], status: Status = "finished", test_set: TestSet | None = TEN_CLASSES
) -> Recording:
    """A training that was evaluated every 20 rounds."""
    evaluations = [
        Evaluation(20 * place, 0.0, value, value, 0.0) for place, value in enumerate(accuracies, 1)
    ]
    run = Recording("key", {}, evaluations, status=status, test_set=test_set)
    for _ in range(20 * len(accuracies)):
        run.add_round(np.zeros(0, STEP))
    return run


def aim(target: float | str, window: int = 3) -> TrainingTable:
    return TrainingTable(target_accuracy=target, target_window=window)


def outcome(target: float | str, accuracies: Sequence[float], window: int = 3, **changes: object) -> tuple:
    """State, round and the evaluation before of a run, and why not."""
    run = recording(accuracies, **changes)  # type: ignore[arg-type]
    found = target_of(aim(target, window), run.test_set, None).outcome(run)
    return found.state, found.round, found.round_before, found.reason


def from_baseline(
    target: str, baseline: Recording | None, test_set: TestSet | None = TEN_CLASSES, window: int = 3
) -> tuple[float, str]:
    found = target_of(aim(target, window), test_set, baseline)
    return found.accuracy, found.reason


def test_one_lucky_evaluation_does_not_reach_the_target() -> None:
    curve = [0.5, 0.711, 0.603, 0.61, 0.72, 0.73, 0.6]
    assert outcome(0.7, curve) == ("reached", 100, 80, "")
    assert outcome(0.7, curve, window=1) == ("reached", 40, 20, "")
    reason = "at or above it at 3 of 7 evaluations, never at 4 of 7 evaluations in a row"
    assert outcome(0.7, curve, window=7) == ("not reached", 0, 0, reason)


def test_one_unlucky_evaluation_does_not_put_the_target_off() -> None:
    curve = [0.5, 0.71, 0.69, 0.72, 0.73]
    assert outcome(0.7, curve) == ("reached", 40, 20, "")
    assert outcome(0.7, curve, window=2) == ("reached", 80, 60, "")


def test_the_first_of_the_evaluations_must_itself_reach_the_target() -> None:
    assert outcome(0.7, [0.6, 0.8, 0.8, 0.8])[:2] == ("reached", 40)


def test_the_last_evaluation_alone_does_not_count() -> None:
    assert outcome(0.7, [0.5, 0.6, 0.9])[0] == "not reached"
    assert outcome(0.7, [0.8, 0.8]) == ("reached", 20, 0, "")


@pytest.mark.parametrize(
    ("accuracies", "reason"),
    [
        ([0.5, 0.6], "below it at all 2 evaluations"),
        ([0.9], "evaluated once, training.target_window asks for 2 of 3 evaluations in a row"),
        ([], "never evaluated, training.target_window asks for 2 of 3 evaluations in a row"),
    ],
)
def test_why_a_target_was_not_reached_is_told(accuracies: list[float], reason: str) -> None:
    assert outcome(0.7, accuracies)[3] == reason


def test_a_run_that_diverged_says_so_unless_it_reached_the_target_before() -> None:
    assert outcome(0.7, [0.5, 0.6], status="diverged")[3].startswith("diverged in round 41; below it")
    assert outcome(0.7, [0.75, 0.75], status="diverged")[0] == "reached"


def test_what_a_run_held_is_its_best_by_the_same_rule() -> None:
    run = recording([0.5, 0.9, 0.6, 0.8, 0.7])
    assert [held(run, window) for window in (1, 2, 3, 4)] == [0.9, 0.7, 0.8, 0.7]
    assert math.isnan(held(run, 10))


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_the_baseline_reaches_what_it_held(window: int) -> None:
    baseline = recording([0.31, 0.5, 0.48, 0.52, 0.51])
    target = target_of(aim("baseline", window), TEN_CLASSES, baseline)
    assert target.outcome(baseline).state == "reached"


@pytest.mark.parametrize(("images", "state"), [(469, "not reached"), (470, "reached"), (471, "reached")])
def test_accuracies_are_compared_in_test_images(images: int, state: str) -> None:
    """0.52 - 0.05 is 0.47000000000000003 in floats."""
    baseline, run = recording([0.52, 0.52]), recording([images / 1000] * 2)
    assert target_of(aim("baseline - 5%"), TEN_CLASSES, baseline).outcome(run).state == state


def test_a_margin_of_part_of_an_image_asks_for_the_next_whole_one() -> None:
    small = TestSet(samples=60, classes=4, chance=0.25)
    baseline = recording([55 / 60] * 2, test_set=small)
    target = target_of(aim("baseline - 5%"), small, baseline)  # 52 images exactly
    assert [target.met_by(images / 60) for images in (51, 52)] == [False, True]
    target = target_of(aim("baseline - 4%"), small, baseline)  # 52.6 images
    assert [target.met_by(images / 60) for images in (52, 53)] == [False, True]


def test_without_a_known_test_set_rounding_in_floats_is_forgiven() -> None:
    baseline, run = recording([0.52, 0.52], test_set=None), recording([0.47, 0.47], test_set=None)
    assert target_of(aim("baseline - 5%"), None, baseline).outcome(run).state == "reached"


def test_there_is_no_target_at_or_below_chance() -> None:
    accuracy, reason = from_baseline("baseline - 60%", recording([0.29, 0.29]))
    assert math.isnan(accuracy)
    assert reason == "a target of -31.0 % is not above chance, 10.0 %"
    assert outcome(0.1, [0.5, 0.5])[::3] == ("no target", "a target of 10.0 % is not above chance, 10.0 %")
    assert outcome(0.101, [0.5, 0.5])[0] == "reached"


def test_there_is_no_target_from_a_baseline_that_diverged() -> None:
    accuracy, reason = from_baseline("baseline - 2%", recording([0.1, 0.1], status="diverged"))
    assert math.isnan(accuracy)
    assert reason == "the uncompressed run diverged in round 41"


def test_there_is_no_target_from_a_baseline_at_chance() -> None:
    """Three standard errors of 1,000 images at 10 % are 2.85 points."""
    assert from_baseline("baseline", recording([0.129, 0.129]))[1] == ""
    accuracy, reason = from_baseline("baseline", recording([0.3, 0.128, 0.128]))
    assert math.isnan(accuracy)
    assert reason.startswith("the uncompressed run held 12.8 %, no more than chance: 10.0 % and 3 standard")


def test_there_is_no_target_from_a_baseline_that_is_missing_or_hardly_evaluated() -> None:
    assert from_baseline("baseline", None)[1] == "the uncompressed run is missing"
    reason = (
        "the uncompressed run was evaluated once, training.target_window asks for 2 of 3 evaluations in a row"
    )
    assert from_baseline("baseline", recording([0.5]))[1] == reason
    assert from_baseline("baseline", recording([0.5]), window=1) == (0.5, "")


def test_interpolated_it_is_read_on_the_line_between_two_evaluations() -> None:
    """70 % lies a quarter of the way from 65 % after 40 rounds to 85 % after 60; what it cost follows."""
    run = recording([0.5, 0.65, 0.85, 0.86])
    asked = TrainingTable(target_accuracy=0.7, target_method="interpolated")
    found = target_of(asked, run.test_set, None).outcome(run)
    assert (found.round, found.round_before) == (60, 40)
    assert found.rounds == pytest.approx(45)
    assert found.cost(lambda round_: round_**2) == pytest.approx(0.75 * 40**2 + 0.25 * 60**2)
    stepped = target_of(aim(0.7), run.test_set, None).outcome(run)
    assert stepped.rounds == stepped.cost(float) == 60


@pytest.mark.parametrize("accuracies", [[0.7, 0.9], [0.8, 0.5, 0.5, 0.75, 0.8], [0.75, 0.6, 0.69, 0.7, 0.72]])
def test_interpolated_is_never_more_than_stepped(accuracies: list[float]) -> None:
    run = recording(accuracies)
    asked = TrainingTable(target_accuracy=0.7, target_method="interpolated")
    found = target_of(asked, run.test_set, None).outcome(run)
    assert found.round_before < found.rounds <= found.round


@pytest.mark.parametrize("count", range(4))
def test_a_training_that_was_evaluated_too_rarely_held_nothing(count: int) -> None:
    """Of seven evaluations in a row four are needed."""
    assert math.isnan(held(recording([0.5] * count), window=7))
    assert held(recording([0.5] * 4), window=7) == 0.5
