"""Split training: batched over clients it equals the plain loop of the paper's Section 3, for every codec."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trainings import (
    learn,
    normalized,
    normalizing_net,
    one_round,
    samples_of,
    scenario_of,
    sent,
    state_of,
    trained,
)

from slsim import codecs, seeds
from slsim.codecs import base, device
from slsim.errors import DataError
from slsim.learning import models
from slsim.learning.data import Dataset
from slsim.learning.sampling import Batch
from slsim.learning.split import split
from slsim.recording import ACTIVATIONS, Steps
from slsim.scenario import Scenario
from slsim.study.preparing import prepare
from slsim.study.rehearsing import Foreseen, rehearsal

STATELESS = [name for name in codecs.registry.names() if codecs.create(name).is_stateless]


def data_of(scenario: Scenario) -> Dataset:
    data: Dataset = scenario.data.component.create().load()
    return data


@pytest.mark.parametrize(("largest", "width"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (70_000, 4)])
def test_a_label_travels_as_it_is_in_as_many_bytes_as_the_classes_need(
    tiny: dict[str, Any], largest: int, width: int
) -> None:
    scenario = scenario_of(tiny)
    data = data_of(scenario)
    labels = data.y_train.astype(np.int64)
    labels[7] = largest
    exchange = rehearsal(scenario, Foreseen.from_data(scenario, replace(data, y_train=labels)))
    received = exchange.upload(exchange.forward([Batch(0, np.array([3, 7]))]))
    assert received.labels is not None
    assert received.labels.tolist() == [3, largest]
    steps = Steps.of([exchange.open_rows()], exchange.words)
    for column in ("num_bytes", "raw_bytes"):
        assert steps.rows[column][steps.sent("labels")].tolist() == [2 * width]


def looped(scenario: Scenario) -> list[torch.Tensor]:
    """Section 3 as it is written: a copy of the client's half for each client, one after another; then
    gradients averaged (Eq. 2) and one step. Gives all weights and statistics after the last round."""
    exchange, images = prepare(scenario), data_of(scenario)
    client, server = exchange.parts.model.client, exchange.parts.model.server
    state = state_of(exchange)
    weights = [one for one in state if isinstance(one, nn.Parameter)]
    statistics = state[len(weights) :]
    optimizer = torch.optim.SGD(
        weights, lr=scenario.training.learning_rate, momentum=scenario.training.momentum
    )
    up = exchange.codings.of(ACTIVATIONS)
    for number in range(exchange.progress.total_rounds):
        batches = exchange.sampler.one_each(number)
        sums = [torch.zeros_like(weight) for weight in weights]
        means = [torch.zeros_like(statistic) for statistic in statistics]
        for batch in batches:
            own_client, own_server = copy.deepcopy(client), copy.deepcopy(server)
            activations = own_client(normalized(images, batch.indices))
            rng = seeds.generator(scenario.seed, "codec", batch.client, batch.number)
            sender, receiver = up.coder(), up.coder()  # those of codecs that remember nothing
            payload = sender.encode(activations.detach(), rng)
            arrived = receiver.decode(payload, tuple(activations.shape)).requires_grad_()
            labels = torch.from_numpy(images.y_train[batch.indices])
            nn.functional.cross_entropy(own_server(arrived), labels).backward()
            assert arrived.grad is not None
            kept = sender.kept(payload)
            sent = codecs.Crossing(payload, arrived.detach(), activations.detach(), kept=kept)
            activations.backward(sender.pull_back(arrived.grad, sent))
            gradients = [weight.grad for weight in (*own_client.parameters(), *own_server.parameters())]
            sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
            own = [b for half in (own_client, own_server) for b in half.buffers() if b.is_floating_point()]
            means = [mean + one / len(batches) for mean, one in zip(means, own, strict=True)]
        for statistic, mean in zip(statistics, means, strict=True):
            statistic.copy_(mean)
        for weight, total in zip(weights, sums, strict=True):
            weight.grad = total / len(batches)
        optimizer.step()
    return [*weights, *statistics]


EVEN, RESTS = {"count": 4, "batch_size": 5}, {"count": 3, "batch_size": 30}  # RESTS: last batches of 20


@pytest.mark.parametrize(
    ("codec", "sizes", "model"),
    [
        *((codec, RESTS, "mlp") for codec in STATELESS),
        ("ms", EVEN, "mlp"),
        *((codec, sizes, "normalizing") for codec in ("identity", "ms") for sizes in (EVEN, RESTS)),
    ],
)
def test_batched_equals_the_loop_over_clients(
    tiny: dict[str, Any], tmp_path: Path, codec: str, sizes: dict[str, int], model: str
) -> None:
    """Weights and running statistics; with as many bytes, which `test_uplink_bytes…` measures."""
    training = {"epochs": 1, "learning_rate": 0.05}
    chosen = {"model": {"name": normalizing_net(tmp_path), "cut": 1}} if model == "normalizing" else {}
    scenario = scenario_of(tiny, codec={"uplink": codec}, clients=sizes, training=training, **chosen)
    expected = looped(scenario)
    exchange, steps = trained(scenario)
    assert len(steps) == exchange.progress.total_rounds
    for weight, other in zip(state_of(exchange), expected, strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-5)


def test_uplink_bytes_of_every_round_are_what_the_payloads_measured(tiny: dict[str, Any]) -> None:
    measured: list[int] = []

    class Spy(codecs.MS):
        """Notes what each payload measures on the wire."""

        def encode_many(self, *arguments: Any) -> list[codecs.Payload]:
            payloads = super().encode_many(*arguments)
            measured.extend(len(payload.to_bytes()) for payload in payloads)
            return payloads

    scenario = scenario_of(tiny, clients={"count": 10, "batch_size": 7}, training={"epochs": 2})
    exchange = prepare(scenario)
    exchange.codings.ends(ACTIVATIONS).codec = Spy(sparsity=0.9, bits=3)
    for done in learn(scenario, exchange):
        steps = Steps.of([done.rows], exchange.words)
        assert steps.rows["num_bytes"][steps.sent(ACTIVATIONS)].tolist() == measured
        assert len(measured) == 10
        assert sent(steps)["labels", "up"] == samples_of(steps).to_numpy().sum()  # one byte a sample
        measured.clear()


def test_raw_bytes_are_those_of_float32_activations(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, codec={"uplink": "ms"})
    steps = one_round(scenario, prepare(scenario))
    for kind in ("activations", "gradients"):
        assert steps.rows["raw_bytes"][steps.sent(kind)].tolist() == [5 * 16 * 4] * 4


def test_the_downlink_codec_changes_the_clients_gradients_only(tiny: dict[str, Any]) -> None:
    """After one step with all gradients dropped, the client has not moved and the server has."""
    dropped = {"downlink": {"name": "sp", "sparsity": 1.0}}
    scenario = scenario_of(tiny, codec=dropped)
    exchange = prepare(scenario)
    halves = exchange.parts.model
    before = copy.deepcopy(halves)
    next(learn(scenario, exchange))
    for weight, old in zip(halves.client.parameters(), before.client.parameters(), strict=True):
        assert torch.equal(weight, old)
    moved = [
        not torch.equal(w, o)
        for w, o in zip(halves.server.parameters(), before.server.parameters(), strict=True)
    ]
    assert all(moved)


def test_flops_of_a_known_model() -> None:
    """mlp 64→16→16→4: 2·64·16 forward on the client; its backward needs the weights' gradient only."""
    halves = split(models.Mlp(hidden=16), "shallow", (1, 8, 8), 4, seed=0)
    assert (halves.client_flops.forward, halves.client_flops.backward) == (2048, 2048)
    assert halves.server_flops.forward == 2 * 16 * 16 + 2 * 16 * 4
    assert halves.server_flops.backward == 2 * halves.server_flops.forward
    assert halves.activation_shape == (16,)


@pytest.mark.parametrize(
    ("name", "cut", "shape"),
    [
        ("cnn", "shallow", (16, 14, 14)),
        ("cnn", "medium", (32, 7, 7)),
        ("cnn", 3, (64, 3, 3)),
        ("mlp", "deep", (128,)),
    ],
)
def test_activation_shapes_at_the_cuts(name: str, cut: str | int, shape: tuple[int, ...]) -> None:
    assert split(models.registry.create(name), cut, (1, 28, 28), 10, seed=0).activation_shape == shape


def test_weights_come_from_the_seed_and_leave_torchs_own_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (split(models.Cnn(), 2, (1, 28, 28), 10, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [next(halves.client.parameters()) for halves in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_images_too_small_for_the_model_are_refused() -> None:
    with pytest.raises(DataError, match="4×4 pixels are too few"):
        split(models.Cnn(), "medium", (1, 4, 4), 10, seed=0)


@pytest.mark.parametrize("downlink", ["identity", {"name": "qu", "bits": 3}])
def test_a_step_waits_for_an_accelerator_once_each_way_and_for_the_loss(
    tiny: dict[str, Any], downlink: Any, waits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU stands in for one: what comes back are the payloads of either direction, and one number."""
    uplink = {"name": "ms", "sparsity": 0.9, "bits": 2}
    scenario = scenario_of(tiny, codec={"uplink": uplink, "downlink": downlink})
    rounds = learn(scenario, prepare(scenario))
    next(rounds)  # the first step makes the momentum
    fetched: list[int] = []
    fetch = device.fetch
    monkeypatch.setattr(base, "on_host", lambda tensor: False)
    monkeypatch.setattr(device, "fetch", lambda *parts: (fetched.append(1), fetch(*parts))[1])
    with waits:
        next(rounds)
    assert waits.seen == ["aten::_local_scalar_dense"]
    assert len(fetched) == (1 if downlink == "identity" else 2)
