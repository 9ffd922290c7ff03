"""Trainings whose codecs remember, learn, correct gradients and follow the other direction; also resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from resumption import assert_same, document_of, interrupted, training_of
from trainings import learn, one_round, scenario_of, trained

from slsim.errors import FaultsError
from slsim.events import silent
from slsim.learning.tensors import Tensors
from slsim.recording import ACTIVATIONS, CODEC_UPDATES, GRADIENTS, Steps
from slsim.study.job import train
from slsim.study.preparing import prepare

RANDTOPK = {"uplink": {"name": "randtopk", "rate": 0.25}, "downlink": "masked"}
ICS = {"uplink": {"name": "ics", "rate": 0.5}, "downlink": "masked"}
DELTA = {"uplink": "delta", "downlink": {"name": "qu", "bits": 8}}
CORRECTED = {"uplink": {"name": "qu", "bits": 2, "correction": 0.5}}
CHANGES = {"uplink": "delta", "downlink": "delta"}
SCHEMES = {"randtopk": RANDTOPK, "ics": ICS, "delta": DELTA, "corrected": CORRECTED, "changes": CHANGES}


def gradients_of(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, ...]]:
    """Activations, what arrived of them, and the gradients with which the client's half runs backward, of
    the first round."""
    found, backward = [], Tensors._backward

    def noting(self: Tensors, source: Any, gradients: torch.Tensor) -> None:
        arrived = self.codings.ends(ACTIVATIONS).through(source.values, source.counts)
        found.append((source.values.detach().clone(), arrived, gradients.clone()))
        backward(self, source, gradients)

    monkeypatch.setattr(Tensors, "_backward", noting)
    one_round(scenario, prepare(scenario))
    monkeypatch.undo()
    return found


def test_a_correction_adds_its_share_of_the_error_to_the_gradient(
    tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, corrected = (
        gradients_of(scenario_of(tiny, codec={"uplink": {"name": "qu", "bits": 2, **more}}), monkeypatch)[0]
        for more in ({}, {"correction": 0.5})
    )
    values, arrived, gradient = plain
    assert (values != arrived).any()
    assert torch.equal(corrected[2], gradient + 0.5 * (values - arrived))


def test_randtopk_sends_as_many_gradients_as_activations_and_none_elsewhere(
    tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen activations a sample, of which 4 are kept, five samples a mini-batch."""
    scenario = scenario_of(tiny, codec=RANDTOPK)
    steps = one_round(scenario, prepare(scenario))
    up, down = (steps.rows["num_bytes"][steps.sent(kind)].tolist() for kind in (ACTIVATIONS, GRADIENTS))
    assert up == [10 + 1 + 10 + 4 * 20] * 4  # header, which way, a mask of 80 bits, and values
    assert down == [10 + 4 * 20] * 4
    ((_, _, gradients),) = gradients_of(scenario, monkeypatch)
    assert ((gradients != 0).sum(dim=1) <= 4).all()


def test_updates_are_messages_beside_the_gradients(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, codec=ICS)
    steps = one_round(scenario, prepare(scenario))
    updates = steps.sent(CODEC_UPDATES)
    assert steps.rows["num_bytes"][updates].tolist() == [9 + 4 * 16] * 4
    assert steps.rows["raw_bytes"][updates].tolist() == [0] * 4
    assert steps.rows["joined"][updates].all()  # with the gradients, as one transfer
    work = steps.text("work")
    assert (work == "server backward").sum() == 2 * (work == "server forward").sum()


@pytest.mark.parametrize(
    ("codec", "where", "bytes_each"),
    [
        ({"uplink": {"name": "lsq", "learning_rate": 0.1}}, ["client backward"], [20.0]),
        (CORRECTED, ["client backward"], [16.0]),
        (ICS, ["server compute", "client backward"], [4.0, 9.0]),
        ({"uplink": {"name": "qu", "bits": 2}}, [], []),
    ],
)
def test_what_coders_make_of_gradients_is_work_of_their_ends(
    tiny: dict[str, Any], codec: dict[str, Any], where: list[str], bytes_each: list[float]
) -> None:
    """Beside decoding: 80 numbers a client that the sender reads and writes where it runs its half backward,
    and the receiver before it returns them."""
    scenario = scenario_of(tiny, codec=codec)
    steps = one_round(scenario, prepare(scenario))
    extra = (steps.text("work") == "decode") & (steps.rows["elements"] == 0)
    of_one = extra & (steps.clients == 0)
    assert steps.text("phase")[of_one].tolist() == where
    assert steps.rows["memory_bytes"][of_one].tolist() == [80 * each for each in bytes_each]
    assert (steps.rows["core_s"][of_one] > 0).all()
    assert extra.sum() == 4 * len(where)


def test_what_codecs_remember_is_counted(tiny: dict[str, Any]) -> None:
    exchange, _ = trained(scenario_of(tiny, codec=DELTA, training={"epochs": 2}))
    samples = [part.size for part in exchange.sampler.parts]
    assert exchange.codings.kept_bytes() == (max(samples) * (16 * 4 + 8), sum(samples) * (16 * 4 + 8))
    assert trained(scenario_of(tiny))[0].codings.kept_bytes() == (0, 0)


def test_the_second_pass_of_changes_costs_less(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, codec=DELTA, training={"epochs": 2})
    exchange = prepare(scenario)
    sizes = []
    for done in learn(scenario, exchange):
        steps = Steps.of([done.rows], exchange.words)
        sizes.append(set(steps.rows["num_bytes"][steps.sent(ACTIVATIONS)].tolist()))
    first, second = sizes[: len(sizes) // 2], sizes[len(sizes) // 2 :]
    assert set.union(*first) == {10 + 4 * 80}
    assert set.union(*second) == {10 + 8 * 5 + 40}  # a range of 8 bytes a sample, and codes of 4 bits


@pytest.mark.parametrize(
    ("scheme", "protocol"),
    [
        *((scheme, "splitfed") for scheme in SCHEMES),
        *(("ics", protocol) for protocol in ("splitfed local", "splitfed-v2", "sequential")),
        ("changes", "u-shaped"),
    ],
)
def test_a_resumed_training_is_the_same_bit_for_bit(
    tiny: dict[str, Any], scheme: str, protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slsim.codecs.timing.on_this_core", lambda *_: None)  # which differs each time
    document = document_of(tiny, protocol)
    document["codec"] = {**document["codec"], **SCHEMES[scheme]}
    training = training_of(document)
    assert_same(interrupted(training, tmp_path / "c.pt", rounds=1), train(training, silent))


def test_ics_needs_labels_at_the_server(tiny: dict[str, Any]) -> None:
    model = {"name": "mlp", "hidden": 16, "cut": 1, "head_cut": 2}
    with pytest.raises(FaultsError, match="learns from logits and labels at the server"):
        scenario_of(tiny, model=model, codec=ICS, training={"protocol": "u-shaped"})


@pytest.mark.parametrize(
    ("codec", "what"),
    [
        ({"uplink": "qu", "downlink": "masked"}, "codec.downlink: QU sends something of every element"),
        ({"weights": "delta"}, "codec.weights: delta .* give weights a codec that does not"),
    ],
)
def test_codecs_that_do_not_fit_are_told(tiny: dict[str, Any], codec: dict[str, Any], what: str) -> None:
    with pytest.raises(FaultsError, match=what):
        scenario_of(tiny, codec=codec)


def test_an_evaluation_uses_each_clients_coders_in_turn_and_changes_none(tiny: dict[str, Any]) -> None:
    exchange, _ = trained(scenario_of(tiny, codec=ICS, training={"epochs": 1}))
    ends, before = exchange.codings.ends(ACTIVATIONS), exchange.codings.ends(ACTIVATIONS).state()
    arrived = ends.through(torch.ones(20, 16), [5, 5, 5, 5])
    for place, client in enumerate(sorted(ends.senders)):
        kept = ends.senders[client].kept(ends.codec.encode(torch.ones(5, 16)))
        assert kept is not None
        assert np.array_equal(arrived[5 * place : 5 * place + 5].numpy() != 0, kept)
    after = ends.state()
    assert before.keys() == after.keys()
    for name, clients in before.items():
        for client, state in clients.items():
            assert all(torch.equal(state[key], after[name][client][key]) for key in state)
