"""Codecs that learn or remember, in a training: what they learn, and that it is resumed bit for bit."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
import torch
from trainings import evaluated, learn, scenario_of

from slsim.learning.loop import Loop
from slsim.recording import ACTIVATIONS, FEATURES, GRADIENTS, Recording, Round
from slsim.scenario import Scenario
from slsim.study.preparing import prepare


def loop_of(scenario: Scenario) -> Loop:
    """A training in which nothing was done yet."""
    exchange, protocol = prepare(scenario), scenario.training.protocol.create()
    recording = Recording("key", scenario.learning_table(), words=exchange.words)
    return Loop(exchange, protocol.learn, recording)


def remembered(loop: Loop, kind: str, end: str = "senders") -> dict[int, dict[str, list[float]]]:
    """What the coders at one end remember, by client."""
    states = loop.exchange.codings.ends(kind).state()[end]
    return {client: {name: one.tolist() for name, one in state.items()} for client, state in states.items()}


@pytest.mark.parametrize("codec", [{"name": "lsq", "bits": 2}, {"name": "dsq", "bits": 2}])
def test_each_client_learns_parameters_of_its_own_and_the_loss_falls(
    tiny: dict[str, Any], codec: dict[str, Any]
) -> None:
    scenario = scenario_of(tiny, codec={"uplink": codec}, training={"epochs": 3, "evaluate_every": 12})
    loop = loop_of(scenario)
    rounds = loop.run()
    next(rounds)
    after_one = remembered(loop, ACTIVATIONS)
    list(rounds)
    after_all = remembered(loop, ACTIVATIONS)
    assert after_one.keys() == after_all.keys() == {0, 1, 2, 3}
    for client, parameters in after_all.items():
        assert parameters.keys() == after_one[client].keys() != set()
        assert parameters != after_one[client]
    assert len({str(parameters) for parameters in after_all.values()}) == 4
    assert set(map(str, remembered(loop, ACTIVATIONS, "receivers").values())) == {"{}"}
    losses = [one.training_loss for one in loop.recording.evaluations]
    assert losses == sorted(losses, reverse=True)
    assert loop.recording.evaluations[-1].accuracy > 0.6


def test_a_step_that_does_not_learn_stays_as_the_first_mini_batch_gave_it(tiny: dict[str, Any]) -> None:
    codec = {"name": "lsq", "learning_rate": 0.0}
    loop = loop_of(scenario_of(tiny, codec={"uplink": codec}, training={"max_rounds": 5}))
    rounds = loop.run()
    next(rounds)
    after_one = remembered(loop, ACTIVATIONS)
    list(rounds)
    assert remembered(loop, ACTIVATIONS) == after_one


def test_the_server_learns_a_step_for_the_features_of_each_client(tiny: dict[str, Any]) -> None:
    """With a head on the clients, what the server sends is what returns a gradient."""
    scenario = scenario_of(
        tiny,
        model={"name": "mlp", "hidden": 16, "cut": 1, "head_cut": 2},
        codec={"uplink": "dsq", "head_downlink": "lsq", "head_uplink": "sl-acc"},
        training={"protocol": "u-shaped", "epochs": 1},
    )
    loop = loop_of(scenario)
    rounds = loop.run()
    next(rounds)
    after_one = remembered(loop, FEATURES)
    list(rounds)
    assert after_one.keys() == {0, 1, 2, 3}
    assert all(remembered(loop, FEATURES)[client] != step for client, step in after_one.items())


def test_both_ends_of_sl_acc_remember_entropies_of_their_own(tiny: dict[str, Any]) -> None:
    """Activations at the client, gradients at the server; sizes follow from the data, within their bounds."""
    scenario = scenario_of(tiny, codec={"uplink": "sl-acc", "downlink": "sl-acc"}, training={"epochs": 3})
    loop = loop_of(scenario)
    list(loop.run())
    for kind in (ACTIVATIONS, GRADIENTS):
        entropies = [state["entropies"] for state in remembered(loop, kind).values()]
        assert [len(one) for one in entropies] == [16] * 4
        assert len(set(map(str, entropies))) == 4
        assert set(map(str, remembered(loop, kind, "receivers").values())) == {"{}"}
        steps, (low, high) = loop.recording.steps, loop.exchange.codings.of(kind).size_bounds((5, 16))
        sizes = set(steps.rows["num_bytes"][steps.sent(kind)].tolist())
        assert len(sizes) > 1
        assert low <= min(sizes) <= max(sizes) <= high
    assert loop.recording.evaluations[-1].accuracy > 0.9


@pytest.mark.parametrize("protocol", ["splitfed", {"name": "splitfed", "local_epochs": 1}])
@pytest.mark.parametrize(
    "codecs",
    [
        {"uplink": {"name": "lsq", "bits": 2, "learning_rate": 0.1}},
        {"uplink": {"name": "dsq", "bits": 2, "learning_rate": 0.1}, "downlink": {"name": "qu", "bits": 4}},
        {"uplink": "sl-acc", "downlink": "sl-acc"},
    ],
)
def test_a_training_is_resumed_in_the_middle_of_an_epoch_bit_for_bit(
    tiny: dict[str, Any], codecs: dict[str, Any], protocol: Any
) -> None:
    scenario = scenario_of(
        tiny, codec=codecs, training={"protocol": protocol, "epochs": 2, "evaluate_every": 4}
    )
    whole = loop_of(scenario)
    list(whole.run())
    begun, rest = loop_of(scenario), loop_of(scenario)
    done = list(islice(begun.run(), 7))
    rest.restore(begun.state())
    for event in done:
        if isinstance(event, Round):
            rest.recording.add_round(event.rows)
    rest.recording.evaluations += begun.recording.evaluations
    list(rest.run())
    assert torch.equal(rest.exchange.whole_weights(), whole.exchange.whole_weights())
    assert rest.exchange.codings.kept_bytes() == whole.exchange.codings.kept_bytes()
    for kind in (ACTIVATIONS, GRADIENTS):
        assert remembered(rest, kind) == remembered(whole, kind)
    assert rest.recording.evaluations == whole.recording.evaluations


def test_an_evaluation_changes_neither_what_is_remembered_nor_what_is_learned(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, codec={"uplink": "lsq", "downlink": "sl-acc"}, training={"max_rounds": 6})
    often, never = prepare(scenario), prepare(scenario)
    for _ in learn(scenario, often):
        evaluated(often)
    assert len(list(learn(scenario, never))) == 6
    assert torch.equal(often.whole_weights(), never.whole_weights())
    for kind in (ACTIVATIONS, GRADIENTS):
        one, other = (exchange.codings.ends(kind).kept_bytes() for exchange in (often, never))
        assert one == other != (0, 0)
