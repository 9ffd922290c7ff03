"""The loop of a training: what it records, evaluates and measures, and how it goes on from a state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trainings import evaluated, learn, normalizing_net, samples_of, scenario_of, table_of, trained

from slsim import codecs
from slsim.errors import ComponentError, TrainingDiverged
from slsim.learning.exchange import Exchange
from slsim.learning.hooks import Hook
from slsim.learning.loop import Loop
from slsim.recording import ACTIVATIONS, FEATURES, Pause, Recording, Round
from slsim.scenario import Scenario
from slsim.study.preparing import prepare


class Counting(Hook):
    """Counts how often it is asked."""

    def measure(self, look: Any) -> Iterator[Any]:
        yield "activations", "norm", float(look.activations.norm())
        yield "activations", "not finite", float("nan")


def loop_of(scenario: Scenario, *hooks: Hook, learn: Any = None) -> Loop:
    """A training in which nothing was done yet; with `learn` in place of the protocol's."""
    exchange, protocol = prepare(scenario), scenario.training.protocol.create()
    recording = Recording("key", scenario.learning_table(), words=exchange.words)
    return Loop(exchange, learn or protocol.learn, recording, hooks, protocol.crosses_cut)


# Rounds.


def test_clients_whose_samples_are_used_up_sit_out(tiny: dict[str, Any]) -> None:
    exchange, steps = trained(scenario_of(tiny, data={**tiny["data"], "partition": {"dirichlet": 0.3}}))
    seen = samples_of(steps).sum().tolist()
    assert seen == [3 * part.size for part in exchange.sampler.parts]
    assert len(set(seen)) > 1


def test_the_cosine_schedule_ends_at_zero(tiny: dict[str, Any]) -> None:
    training = {"epochs": 2, "schedule": "cosine", "learning_rate": 0.1}
    scenario = scenario_of(tiny, training=training)
    exchange, rates = prepare(scenario), []
    for _ in learn(scenario, exchange):
        assert exchange.client.optimizer is not None
        rates.append(exchange.client.optimizer.param_groups[0]["lr"])
    assert rates[0] == 0.1
    assert rates[len(rates) // 2] == pytest.approx(0.05)
    assert rates[-1] == pytest.approx(0.1 * (1 + np.cos(np.pi * (1 - 1 / len(rates)))) / 2)


def test_a_loss_that_explodes_ends_the_training_and_the_recording_says_so(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, training={"epochs": 20, "learning_rate": 1e30})
    with pytest.raises(TrainingDiverged, match="became"):
        trained(scenario)
    loop = loop_of(scenario)
    rounds = len(list(loop.run()))
    assert loop.recording.status == "diverged"
    assert loop.recording.num_rounds == rounds < loop.exchange.progress.total_rounds


def test_rounds_that_repeat_are_recorded_once(tiny: dict[str, Any]) -> None:
    loop = loop_of(scenario_of(tiny))
    assert all(isinstance(event, Round) for event in loop.run())
    assert loop.recording.rounds.tolist() == [0] * 36
    assert len(loop.recording.steps) == 1


def test_a_protocol_that_gives_no_round_is_told(tiny: dict[str, Any]) -> None:
    def number(exchange: Exchange, resumed: object) -> Iterator[Any]:
        yield 5

    def nothing_done(exchange: Exchange, resumed: object) -> Iterator[Any]:
        yield exchange.finish_round()

    due = r"the protocol gave 5 \(int\); exchange\.finish_round\(\) or a Pause is due"
    nothing = "the protocol ended a round in which nothing was done"
    for protocol, words in ((number, due), (nothing_done, nothing)):
        with pytest.raises(ComponentError, match=words):
            list(loop_of(scenario_of(tiny), learn=protocol).run())


# Evaluations.


def test_evaluation_with_identity_is_the_same_with_and_without_codec(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny)
    exchange = prepare(scenario)
    next(learn(scenario, exchange))
    evaluation = evaluated(exchange)
    assert evaluation.accuracy == evaluation.accuracy_without_codec
    assert (evaluation.round, evaluation.epoch) == (1, 1 / exchange.progress.rounds_per_epoch)


def test_the_codec_stands_between_the_halves_at_evaluation_too(tiny: dict[str, Any]) -> None:
    exchange, _ = trained(scenario_of(tiny))
    exchange.codings.ends(ACTIVATIONS).codec = codecs.create("sp", sparsity=1.0)  # drops everything
    evaluation = evaluated(exchange)
    assert evaluation.accuracy == 0.25  # one of four classes for every image
    assert evaluation.accuracy_without_codec > 0.9


def test_the_codec_of_features_stands_before_the_head_at_evaluation_too(tiny: dict[str, Any]) -> None:
    model = {"name": "mlp", "hidden": 16, "cut": 1, "head_cut": 2}
    exchange, _ = trained(scenario_of(tiny, model=model, training={"epochs": 3, "protocol": "u-shaped"}))
    assert evaluated(exchange).accuracy > 0.9
    exchange.computation.losses.append(0.0)  # of a round that is evaluated anew
    exchange.codings.ends(FEATURES).codec = codecs.create("sp", sparsity=1.0)
    evaluation = evaluated(exchange)
    assert evaluation.accuracy == 0.25
    assert evaluation.accuracy_without_codec > 0.9


def test_evaluations_are_where_the_scenario_wants_them_and_of_the_losses_since_the_last(
    tiny: dict[str, Any],
) -> None:
    scenario = scenario_of(tiny, training={"max_rounds": 8, "evaluate_every": 3})
    loop, losses = loop_of(scenario), []
    for _ in loop.run():
        losses += loop.tensors.losses[-1:]
    found = loop.recording.evaluations
    assert [one.round for one in found] == [3, 6, 8]
    assert found[0].training_loss > found[2].training_loss
    assert len(losses) == 8 - 3  # those of evaluated rounds were read, and reset


# Hooks.


def test_a_hook_measures_before_the_first_round_and_after_every_few(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, training={"max_rounds": 5})
    loop = loop_of(scenario, Counting(every=2), Counting(every=3))
    list(loop.run())
    rows = loop.recording.measurements
    assert [row.round for row in rows] == [0, 0, 2, 3, 4]
    assert {(row.part, row.quantity) for row in rows} == {("activations", "norm")}  # what is finite
    assert {row.client for row in rows} == {0}


# States.

LOCAL = ["splitfed", "splitfed-v2", "sequential", "fedavg"]


@pytest.mark.parametrize("protocol", LOCAL)
def test_going_on_from_a_state_is_the_same_bit_for_bit(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    """Weights, momentum, counters, steps, evaluations and measurements; within a round too, and with layers
    and codecs that draw."""
    local = {"local_epochs": 1} if protocol != "splitfed-v2" else {}
    scenario = scenario_of(
        tiny,
        model={"name": normalizing_net(tmp_path, drop=0.2), "cut": 1},
        codec={"uplink": {"name": "randk", "sparsity": 0.5}, "weights": {"name": "qsgd", "bits": 4}},
        clients={"count": 3, "batch_size": 20},
        training={"protocol": {"name": protocol, **local}, "max_rounds": 2},
    )
    whole = loop_of(scenario, Counting())
    count = len(list(whole.run()))
    assert count == 2 * (1 + 12)
    for stop in (1, 7, 13, 14, 20):  # steps of the first round, its end, and steps of the second
        torch.manual_seed(stop)
        begun, rest = loop_of(scenario, Counting()), loop_of(scenario, Counting())
        done = list(islice(begun.run(), stop))
        rest.restore(begun.state())
        for event in done:
            if isinstance(event, Round):
                rest.recording.add_round(event.rows)
        rest.recording.evaluations += begun.recording.evaluations
        rest.recording.measurements += begun.recording.measurements
        assert len(list(rest.run())) == count - stop
        assert torch.equal(rest.exchange.whole_weights(), whole.exchange.whole_weights())
        assert rest.recording.measurements == whole.recording.measurements
        assert rest.recording.evaluations == whole.recording.evaluations
        assert table_of(rest.recording.steps).equals(table_of(whole.recording.steps))
        assert rest.recording.rounds.tolist() == whole.recording.rounds.tolist()


def test_pauses_are_within_rounds(tiny: dict[str, Any]) -> None:
    loop = loop_of(scenario_of(tiny, training={"protocol": "sequential", "max_rounds": 1}))
    *pauses, last = loop.run()
    assert all(isinstance(event, Pause) for event in pauses)
    assert len(pauses) == 4 * 12
    assert isinstance(last, Round)
