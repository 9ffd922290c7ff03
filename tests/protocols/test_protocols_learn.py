"""Every protocol learns, sends the bytes of a formula written here, and equals a plain loop of copies."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trainings import evaluated, normalized, normalizing_net, samples_of, scenario_of, sent, table_of, trained

from slsim import seeds
from slsim.errors import TrainingDiverged
from slsim.scenario import Scenario
from slsim.study.keys import training_key
from slsim.study.preparing import prepare

PROTOCOLS: dict[str, dict[str, Any]] = {
    "splitfed": {"name": "splitfed"},
    "splitfed local": {"name": "splitfed", "local_epochs": 1},
    "splitfed-v2": {"name": "splitfed-v2"},
    "sequential": {"name": "sequential"},
    "fedavg": {"name": "fedavg"},
    "centralized": {"name": "centralized"},
}
LOCAL = ("splitfed local", "splitfed-v2", "sequential", "fedavg")


# Bytes, by a formula of the test's own.


def header(*shape: int) -> int:
    """8 fixed bytes, and each dimension in groups of seven bits."""
    return 8 + sum(max(1, math.ceil(size.bit_length() / 7)) for size in shape)


def identity(*shape: int) -> int:
    return header(*shape) + 4 * math.prod(shape)


def halved(*shape: int) -> int:
    return header(*shape) + 2 * math.prod(shape)


def three_bits(*shape: int) -> int:
    """Minimum and maximum, then the codes."""
    return header(*shape) + 8 + math.ceil(3 * math.prod(shape) / 8)


def mini_batches(samples: int, size: int) -> list[int]:
    return [size] * (samples // size) + [samples % size] * (samples % size > 0)


def expected_bytes(
    protocol: str,
    batches: Sequence[int],
    units: int,
    weights: int,
    codecs: tuple[Any, Any, Any],
    num_weights: int,
) -> Counter[tuple[str, str]]:
    """By kind and direction: of all mini-batches that were taken, and of so many weights each way."""
    up, down, coded_weights = codecs
    expected: Counter[tuple[str, str]] = Counter()
    if protocol not in ("fedavg", "centralized"):
        expected["activations", "up"] = sum(up(size, units) for size in batches)
        expected["labels", "up"] = sum(batches)
        expected["gradients", "down"] = sum(down(size, units) for size in batches)
    if protocol in LOCAL:
        expected["weights", "up"] = expected["weights", "down"] = num_weights * coded_weights(weights)
    return expected


@pytest.mark.parametrize("name", PROTOCOLS)
def test_reaches_75_percent_on_fashion_mini_with_the_bytes_of_the_formula(name: str) -> None:
    document = {
        "name": "mini",
        "data": {"name": "fashion-mini"},
        "model": {"name": "mlp", "hidden": 32, "cut": "shallow"},
        "clients": {"count": 7, "batch_size": 25},
        "training": {
            "protocol": PROTOCOLS[name],
            "epochs": 5,
            "learning_rate": 0.02,
            "schedule": "cosine",
        },
    }
    exchange, steps = trained(scenario_of(document))
    assert evaluated(exchange, crosses_cut=name not in ("fedavg", "centralized")).accuracy >= 0.75
    each = [858, *[857] * 6]  # 6,000 images over 7 clients
    batches = [size for samples in each for size in mini_batches(samples, 25)] * 5
    client = 784 * 32 + 32
    server = 32 * 32 + 32 + 32 * 10 + 10
    state = client + server if name == "fedavg" else client
    identities = (identity, identity, identity)
    assert sent(steps) == expected_bytes(name, batches, 32, state, identities, num_weights=7 * 5)
    assert samples_of(steps).to_numpy().sum() == 5 * 6000
    assert len(steps) == 5 * (1 if name in LOCAL else math.ceil(6000 / (7 * 25)))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_bytes_of_lossy_codecs_and_uneven_clients(tiny: dict[str, Any], name: str) -> None:
    """Several local epochs, where there are any, and 4 epochs in all."""
    protocol = {**PROTOCOLS[name], **({"local_epochs": 2} if name in LOCAL else {})}
    scenario = scenario_of(
        tiny,
        data={**tiny["data"], "partition": {"dirichlet": 0.5}},
        codec={"uplink": {"name": "qu", "bits": 3}, "downlink": "cast", "weights": "cast"},
        training={"protocol": protocol, "epochs": 4, "learning_rate": 0.02},
    )
    exchange, steps = trained(scenario)
    assert evaluated(exchange, crosses_cut=name not in ("fedavg", "centralized")).accuracy > 0.6
    each = [part.size for part in exchange.sampler.parts]
    assert sum(each) == 240
    assert len(set(each)) > 1
    batches = [size for samples in each for size in mini_batches(samples, 5)] * 4
    client = 64 * 16 + 16
    state = client + 16 * 16 + 16 + 16 * 4 + 4 if name == "fedavg" else client
    codecs = (three_bits, halved, halved)
    taking_part = sum(size > 0 for size in each)
    assert sent(steps) == expected_bytes(name, batches, 16, state, codecs, num_weights=taking_part * 2)
    assert set(steps.rows["raw_bytes"][steps.sent("weights")]) == ({4 * state} if name in LOCAL else set())


@pytest.mark.parametrize("name", ["fedavg", "splitfed local", "splitfed-v2", "sequential"])
def test_what_is_no_weight_travels_exactly_and_is_charged(normalizing: dict[str, Any], name: str) -> None:
    """Of the block's and, in `fedavg`, of the rest's batch normalization: means, variances and a counter."""
    clients, data = {"count": 4, "batch_size": 10}, {**normalizing["data"], "partition": "iid"}
    training = {"protocol": PROTOCOLS[name], "max_rounds": 2, "learning_rate": 1e-6}
    codec = {"weights": {"name": "qu", "bits": 3}}
    exchange, steps = trained(
        scenario_of(normalizing, data=data, codec=codec, clients=clients, training=training)
    )
    layers = 2 if name == "fedavg" else 1
    weights = (1 * 6 * 9 + 6 + 12) + ((6 * 6 * 9 + 6 + 12 + 54 * 4 + 4) if name == "fedavg" else 0)
    table = table_of(steps)[["kind", "num_bytes", "raw_bytes"]].loc[steps.are_messages]
    kinds = {kind: set(table[table["kind"] == kind].itertuples(index=False, name=None)) for kind in STATE}
    assert kinds["weights"] == {("weights", three_bits(weights), 4 * weights)}
    assert kinds["statistics"] == {("statistics", identity(13 * layers), 4 * 13 * layers)}
    plain, _ = trained(scenario_of(normalizing, data=data, clients=clients, training=training))
    for half in ("client", "server") if name == "fedavg" else ("client",):
        for key, value in getattr(plain.parts.model, half).state_dict().items():
            if "running_var" in key:
                assert (getattr(exchange.parts.model, half).state_dict()[key] > 0).all()
            if "running_mean" in key and half == "client":
                assert value.abs().max() > 0


def test_a_centralized_round_is_as_large_as_everyones_mini_batches_and_sees_each_sample_once(
    tiny: dict[str, Any],
) -> None:
    uneven = {**tiny["data"], "partition": {"dirichlet": 0.3}}
    training = {"protocol": "centralized", "epochs": 2}
    clients = {"count": 4, "batch_size": 7}
    exchange, steps = trained(scenario_of(tiny, data=uneven, training=training, clients=clients))
    assert samples_of(steps)[0].tolist() == [28] * 8 + [16] + [28] * 8 + [16]
    drawn = [exchange.sampler.pooled(number).indices for number in range(18)]
    for one_pass in (drawn[:9], drawn[9:]):
        assert sorted(np.concatenate(one_pass)) == list(range(240))
    assert list(drawn[0]) != list(drawn[9])


STATE = ("weights", "statistics")

# Against a loop of copies.

State = dict[str, torch.Tensor]


@pytest.fixture
def normalizing(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Batch normalization in both halves; clients of uneven sizes, in mini-batches of 8 and what is left."""
    return {
        **tiny,
        "data": {**tiny["data"], "partition": {"dirichlet": 0.7}},
        "model": {"name": normalizing_net(tmp_path), "cut": 1},
        "clients": {"count": 4, "batch_size": 8},
    }


class ByHand:
    """A protocol as one would write it down: deep copies, an optimizer each, averages of states."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.exchange = prepare(scenario)  # for its sampler and its first weights
        self.data = scenario.data.component.create().load()
        self.client = copy.deepcopy(self.exchange.parts.model.client)
        self.server = copy.deepcopy(self.exchange.parts.model.server)

    def optimizer(self, *halves: nn.Module) -> torch.optim.SGD:
        parameters = [parameter for half in halves for parameter in half.parameters()]
        return torch.optim.SGD(parameters, lr=self.scenario.training.learning_rate, momentum=0.9)

    def step(self, client: nn.Module, server: nn.Module, indices: Any, *optimizers: Any) -> None:
        loss = nn.functional.cross_entropy(
            server(client(normalized(self.data, indices))), torch.from_numpy(self.data.y_train[indices])
        )
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    def rounds(self) -> Iterator[list[tuple[int, list[Any]]]]:
        """Each round's participants with their mini-batches."""
        sampler = self.exchange.sampler
        for number in range(self.exchange.progress.total_rounds):
            participants = sampler.participants(number)
            yield [
                (client, [sampler.next_batch(client) for _ in range(2 * sampler.steps_in_pass(client))])
                for client in participants
            ]


def mean_state(halves: Sequence[nn.Module], sizes: Sequence[int]) -> State:
    """By numbers of samples, running statistics and all."""
    states = [half.state_dict() for half in halves]
    total = sum(sizes)
    return {
        key: sum(
            (state[key].double() * (size / total) for state, size in zip(states, sizes, strict=True)),
            torch.zeros((), dtype=torch.float64),
        ).to(value.dtype)
        for key, value in states[0].items()
    }


def num_samples(batches: Sequence[Any]) -> int:
    return sum(batch.indices.size for batch in batches)


def averaged(hand: ByHand) -> None:
    """splitfed with local epochs, and fedavg: without codecs they learn the same."""
    for participants in hand.rounds():
        clients, servers, sizes = [], [], []
        for _, batches in participants:
            client, server = copy.deepcopy(hand.client), copy.deepcopy(hand.server)
            optimizer = hand.optimizer(client, server)
            for batch in batches:
                hand.step(client, server, batch.indices, optimizer)
            clients.append(client)
            servers.append(server)
            sizes.append(num_samples(batches))
        hand.client.load_state_dict(mean_state(clients, sizes))
        hand.server.load_state_dict(mean_state(servers, sizes))


def one_server(hand: ByHand) -> None:
    """splitfed-v2."""
    servers = hand.optimizer(hand.server)
    for number, participants in enumerate(hand.rounds()):
        clients = {n: copy.deepcopy(hand.client) for n, _ in participants}
        optimizers = {n: hand.optimizer(client) for n, client in clients.items()}
        order = seeds.generator(hand.scenario.seed, "server order", number)
        for step in range(max(len(batches) for _, batches in participants)):
            there = {n: batches[step] for n, batches in participants if step < len(batches)}
            for n in order.permutation(list(there)).tolist():
                hand.step(clients[n], hand.server, there[n].indices, servers, optimizers[n])
        sizes = [num_samples(batches) for _, batches in participants]
        hand.client.load_state_dict(mean_state(list(clients.values()), sizes))


def one_after_another(hand: ByHand) -> None:
    """sequential."""
    servers = hand.optimizer(hand.server)
    for participants in hand.rounds():
        for _, batches in participants:
            own = hand.optimizer(hand.client)
            for batch in batches:
                hand.step(hand.client, hand.server, batch.indices, servers, own)


HANDS = {
    "splitfed local": averaged,
    "fedavg": averaged,
    "splitfed-v2": one_server,
    "sequential": one_after_another,
}


@pytest.mark.parametrize("name", HANDS)
@pytest.mark.parametrize("per_round", [None, 2])
def test_equals_a_loop_of_copies(normalizing: dict[str, Any], name: str, per_round: int | None) -> None:
    """Weights and the running statistics of batch normalization, of both halves."""
    clients = {**normalizing["clients"], **({"per_round": per_round} if per_round else {})}
    training = {
        "protocol": {**PROTOCOLS[name], "local_epochs": 2},
        "epochs": 4 if per_round else 6,
        "learning_rate": 0.02,
    }
    scenario = scenario_of(normalizing, training=training, clients=clients)
    exchange, steps = trained(scenario)
    hand = ByHand(scenario)
    assert len(steps) == (4 if per_round else 3)
    HANDS[name](hand)
    model = exchange.parts.model
    for half, other in ((model.client, hand.client), (model.server, hand.server)):
        learned, expected = half.state_dict(), other.state_dict()
        assert any("running_var" in key for key in learned)
        for key, value in expected.items():
            if "num_batches" not in key:
                torch.testing.assert_close(learned[key], value, rtol=1e-4, atol=1e-5)


# How it computes.


@pytest.mark.parametrize("name", ["splitfed", "fedavg"])
@pytest.mark.parametrize("switch", [{"precision": "bfloat16"}, {"channels_last": False}])
def test_switches_of_arithmetic_learn_as_well_and_make_another_training(
    tiny: dict[str, Any], name: str, switch: dict[str, Any]
) -> None:
    model = {"name": "cnn", "channels": 4, "cut": "shallow"}
    training = {"protocol": PROTOCOLS[name], "epochs": 4, "learning_rate": 0.03}
    plain = scenario_of(tiny, model=model, training=training)
    switched = scenario_of(tiny, model=model, training={**training, **switch})
    assert training_key(plain) != training_key(switched)
    accuracies = []
    for scenario in (plain, switched):
        exchange, _ = trained(scenario)
        accuracies.append(evaluated(exchange, crosses_cut=name != "fedavg").accuracy)
        weights = exchange.parts.model.server.parameters()
        assert all(parameter.dtype == torch.float32 for parameter in weights)
    assert accuracies[0] > 0.8
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.05)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_loss_that_explodes_ends_every_protocol(tiny: dict[str, Any], name: str) -> None:
    training = {"protocol": PROTOCOLS[name], "epochs": 20, "learning_rate": 1e30}
    with pytest.raises(TrainingDiverged, match="became"):
        trained(scenario_of(tiny, training=training))
