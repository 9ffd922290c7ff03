"""`training.aggregation`: the clients' own gradients, averaged free of charge, by the server or in a ring."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trainings import normalized, normalizing_net, one_round, scenario_of, state_of, table_of, trained

from slsim.clock import Clock
from slsim.codecs import Codec, create
from slsim.errors import ScenarioError
from slsim.learning.halves import flat
from slsim.recording import SERVER, Steps
from slsim.scenario import Scenario
from slsim.study.preparing import prepare

WAYS = ["free", "server", "all-reduce"]
MLP = {"name": "mlp", "hidden": 15, "cut": 1}
WEIGHTS = 64 * 15 + 15  # of the client's half: not a multiple of four
CHUNKS = [244, 244, 244, 243]
HEAD = {"name": "mlp", "hidden": 15, "cut": 1, "head_cut": 2}


def header(size: int) -> int:
    """Of a vector: 8 fixed bytes, and its length in groups of seven bits."""
    return 8 + max(1, -(-size.bit_length() // 7))


def identity(size: int) -> int:
    return header(size) + 4 * size


def averaging(document: dict[str, Any], way: str, **tables: Any) -> Scenario:
    training = {"max_rounds": 6, "learning_rate": 0.02, **tables.pop("training", {}), "aggregation": way}
    return scenario_of(document, **{"model": MLP, "training": training, **tables})


# What is learned.


@pytest.mark.parametrize("protocol", ["splitfed", "u-shaped"])
def test_all_ways_learn_the_same_bit_for_bit(tiny: dict[str, Any], tmp_path: Path, protocol: str) -> None:
    """With identity as weights codec; with batch normalization and clients of uneven sizes."""
    head = {"head_cut": 2} if protocol == "u-shaped" else {}
    tables = {
        "model": {"name": normalizing_net(tmp_path), "cut": 1, **head},
        "data": {**tiny["data"], "partition": {"dirichlet": 0.5}},
        "clients": {"count": 4, "batch_size": 8},
        "training": {"protocol": protocol, "max_rounds": 15},
    }
    found = [trained(averaging(tiny, way, **copy.deepcopy(tables))) for way in WAYS]
    for exchange, _ in found[1:]:
        assert torch.equal(exchange.whole_weights(), found[0][0].whole_weights())
    free = table_of(found[0][1])
    for _, steps in found[1:]:
        table = table_of(steps)
        before = table[table["section"] == 0].reset_index(drop=True)
        columns = [name for name in free if name != "round"]
        assert before[columns].equals(free[columns])


def by_hand(scenario: Scenario, average: Callable[..., torch.Tensor]) -> list[torch.Tensor]:
    """A copy of the whole model for each client; its gradient of the client's part goes through `average`."""
    exchange, data = prepare(scenario), scenario.data.component.create().load()
    model = exchange.parts.model
    parts = [part for part in (model.client, model.server, model.head) if part is not None]
    own, others = list(exchange.client.module.parameters()), list(model.server.parameters())
    optimizer = torch.optim.SGD([*own, *others], lr=scenario.training.learning_rate, momentum=0.9)
    for number in range(exchange.progress.total_rounds):
        batches = exchange.sampler.one_each(number)
        clients = exchange.sampler.participants(number)
        total = sum(batch.indices.size for batch in batches)
        vectors, sums = {}, [torch.zeros_like(one) for one in others]
        for batch in batches:
            values = normalized(data, batch.indices)
            for part in parts:
                values = part(values)
            loss = nn.functional.cross_entropy(values, torch.from_numpy(data.y_train[batch.indices]))
            found = torch.autograd.grad(loss, [*own, *others])
            share = batch.indices.size / total
            vectors[batch.client] = flat(found[: len(own)]) * share * len(batches)
            sums = [one + share * own_one for one, own_one in zip(sums, found[len(own) :], strict=True)]
        mean = average(vectors, clients)
        for weight, part in zip(own, mean.split([one.numel() for one in own]), strict=True):
            weight.grad = part.view_as(weight)
        for weight, summed in zip(others, sums, strict=True):
            weight.grad = summed
        optimizer.step()
    return state_of(exchange)


def through(codec: Codec, vector: torch.Tensor) -> torch.Tensor:
    return codec.decode(codec.encode(vector))


def server_average(codec: Codec) -> Callable[..., torch.Tensor]:
    def average(vectors: dict[int, torch.Tensor], clients: Sequence[int]) -> torch.Tensor:
        del clients
        arrived = [through(codec, vector) for vector in vectors.values()]
        return through(codec, torch.stack(arrived).sum(0) / len(vectors))

    return average


def ring_average(codec: Codec) -> Callable[..., torch.Tensor]:
    """Chunk k goes from the k-th client round the ring, is added to at each, and then goes round as it is."""

    def average(vectors: dict[int, torch.Tensor], clients: Sequence[int]) -> torch.Tensor:
        size = len(next(iter(vectors.values())))
        chunks = [vectors.get(client, torch.zeros(size)).tensor_split(len(clients)) for client in clients]
        means = []
        for k in range(len(clients)):
            total = chunks[k][k]
            for hop in range(1, len(clients)):
                total = chunks[(k + hop) % len(clients)][k] + through(codec, total)
            means.append(through(codec, total) / len(vectors))
        return torch.cat(means)

    return average


@pytest.mark.parametrize("protocol", ["splitfed", "u-shaped"])
@pytest.mark.parametrize("way", ["server", "all-reduce"])
@pytest.mark.parametrize("codec", ["cast", {"name": "qu", "bits": 5}])
def test_of_a_lossy_weights_codec_each_clients_own_gradient_is_encoded(
    tiny: dict[str, Any], way: str, codec: Any, protocol: str
) -> None:
    """Also of clients whose mini-batches differ in size, and while some sit out."""
    tables = {
        "model": HEAD if protocol == "u-shaped" else MLP,
        "data": {**tiny["data"], "partition": {"dirichlet": 0.5}},
        "clients": {"count": 4, "batch_size": 8},
        "training": {"protocol": protocol, "max_rounds": 12},
    }
    scenario = averaging(tiny, way, codec={"weights": codec}, **copy.deepcopy(tables))
    exchange, steps = trained(scenario)
    taking = table_of(steps).query("work == 'client forward'").groupby("round").size()
    assert taking.nunique() > 1  # some sit rounds out
    free, _ = trained(averaging(tiny, "free", codec={"weights": codec}, **copy.deepcopy(tables)))
    assert not torch.equal(exchange.whole_weights(), free.whole_weights())
    name, parameters = (codec, {}) if isinstance(codec, str) else (codec["name"], {"bits": codec["bits"]})
    average = server_average if way == "server" else ring_average
    expected = by_hand(scenario, average(create(name, **parameters)))
    learned, other, plain = (flat(one) for one in (state_of(exchange), expected, state_of(free)))
    assert (learned - other).norm() < 0.1 * (plain - other).norm()


# What is sent.


def crossing(steps: Steps) -> list[tuple[int, int, int, str, int]]:
    """Round, sender, receiver, kind and bytes of what is sent after the first section."""
    table = table_of(steps)
    sent = table[(table["work"] == "") & (table["section"] > 0)]
    return list(sent[["round", "who", "to", "kind", "num_bytes"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(("protocol", "size"), [("splitfed", WEIGHTS), ("u-shaped", WEIGHTS + 15 * 4 + 4)])
def test_by_the_server_each_gradient_goes_up_and_the_mean_down(
    tiny: dict[str, Any], protocol: str, size: int
) -> None:
    """With a head on the clients, its gradient too."""
    model = HEAD if protocol == "u-shaped" else MLP
    scenario = averaging(tiny, "server", model=model, training={"protocol": protocol})
    steps = one_round(scenario, prepare(scenario))
    up = [(0, client, SERVER, "client gradients", identity(size)) for client in range(4)]
    down = [(0, SERVER, client, "client gradients", identity(size)) for client in range(4)]
    assert crossing(steps) == up + down
    table = table_of(steps).query("section > 0")
    assert set(table["section"]) == {1, 2}
    assert table.query("section == 1 and lane == 2")[["work", "phase"]].to_numpy().tolist() == [
        ["encode", "encode"],
        ["", "uplink"],
        ["decode", "server compute"],
    ]
    assert table.query("section == 2 and lane == 2")[["work", "phase"]].to_numpy().tolist() == [
        ["encode", "server compute"],
        ["", "downlink"],
        ["decode", "decode"],
    ]
    assert set(table["raw_bytes"]) == {0, 4 * size}
    assert set(table["elements"]) == {0, size}


def test_in_a_ring_of_four_each_client_sends_six_chunks_to_the_next(tiny: dict[str, Any]) -> None:
    scenario = averaging(tiny, "all-reduce")
    found = crossing(one_round(scenario, prepare(scenario)))
    assert len(found) == 4 * 6
    for client in range(4):
        own = [row for row in found if row[1] == client]
        assert {(row[2], row[3]) for row in own} == {((client + 1) % 4, "client gradients")}
        chunks = [(client - turn) % 4 for turn in range(3)] + [(client + 1 - turn) % 4 for turn in range(3)]
        assert [row[4] for row in own] == [identity(CHUNKS[chunk]) for chunk in chunks]
    assert sum(row[4] for row in found) == 6 * sum(map(identity, CHUNKS))


def test_running_statistics_go_beside_exactly(tiny: dict[str, Any], tmp_path: Path) -> None:
    """A mean and a variance of each of 6 channels: 12 numbers, or three of them with each of four chunks."""
    model = {"name": normalizing_net(tmp_path), "cut": 1}
    weights = 6 * 9 + 6 + 12
    expected = {
        "server": ([(identity(12), 4 * 12)] * 8, 4 * weights),
        "all-reduce": ([(identity(3), 4 * 3)] * 24, 4 * weights // 4),
    }
    for way, (statistics, raw_bytes) in expected.items():
        scenario = averaging(tiny, way, model=model, codec={"weights": {"name": "qu", "bits": 3}})
        exchange = prepare(scenario)
        table = table_of(one_round(scenario, exchange)).query("work == '' and section > 0")
        beside = table[table["kind"] == "statistics"]
        assert beside[["num_bytes", "raw_bytes"]].to_numpy().tolist() == list(map(list, statistics))
        assert set(beside["joined"]) == {True}
        assert set(beside["codec"]) == {"identity"}
        gradients = table[table["kind"] == "client gradients"]
        assert set(gradients["raw_bytes"]) == {raw_bytes}
        assert not set(gradients["joined"]) & {True}
        free = averaging(tiny, "free", model=model)
        plain = prepare(free)
        one_round(free, plain)
        names = [name for name in plain.parts.model.client.state_dict() if "running" in name]
        for name in names:
            own, other = (one.parts.model.client.state_dict()[name] for one in (exchange, plain))
            assert torch.equal(own, other)
        assert len(names) == 2


def test_clients_that_sit_a_round_out_receive_the_mean_too(tiny: dict[str, Any]) -> None:
    """Of 240 samples in shares of a power law the last rounds of an epoch are of some clients alone."""
    data = {**tiny["data"], "partition": {"power_law": 1.2}}
    training = {"max_rounds": 23}
    for way in ("server", "all-reduce"):
        exchange, steps = trained(averaging(tiny, way, data=data, training=training))
        everyone, last = [0, 1, 2, 3], table_of(steps).query("round == 22")
        taking = sorted(set(last.query("work == 'client forward'")["client"]))
        assert 0 < len(taking) < 4
        sent = last.query("work == '' and section > 0")
        if way == "server":
            assert sent.query("to == -1")["who"].tolist() == taking
            assert sent.query("who == -1")["to"].tolist() == everyone
        else:
            assert sorted(sent["who"].tolist()) == [client for client in everyone for _ in range(6)]
        free, _ = trained(averaging(tiny, "free", data=data, training=training))
        assert torch.equal(exchange.whole_weights(), free.whole_weights())


# On the clock.

MILLI, MICRO = 1e-3, 1e-6
CLIENT = {
    **{"name": "timed", "client_forward": "1 ms", "client_backward": "2 ms"},
    **{"encode": "3 us", "decode": "5 us"},
}
SERVER_DEVICE = {
    **{"name": "timed", "server_forward": "2 ms", "server_backward": "3 ms"},
    **{"encode": "1 us", "decode": "2 us"},
}
NETWORK = {"uplink": "8 Mbps", "downlink": "16 Mbps", "latency": "4 ms", "framing": "none"}
EVEN = {"name": "mlp", "hidden": 16, "cut": 1}  # 1,040 weights: four chunks of 260


def seconds(document: dict[str, Any], way: str) -> tuple[float, dict[str, float]]:
    """How long one round takes, and the seconds of client 0 by phase."""
    clients = {"count": 4, "batch_size": 5, "device": CLIENT}
    tables = {"clients": clients, "server": {"device": SERVER_DEVICE, "parallel": 1}, "network": NETWORK}
    scenario = averaging(document, way, model=EVEN, **tables)
    steps = one_round(scenario, prepare(scenario))
    timeline = Clock.of(scenario).run(steps, np.zeros(1, np.int64))
    assert timeline.alarm == ""
    events = Clock.of(scenario).run_with_events(steps, np.zeros(1, np.int64))
    assert events.makespan_s == pytest.approx(timeline.makespan_s, rel=1e-12)
    assert timeline.seconds.sum(axis=1) == pytest.approx([timeline.makespan_s] * 4)
    phases = {phase.name: float(timeline.spent(phase.name)[0]) for phase in timeline.phases}
    return timeline.makespan_s, phases


def test_one_round_takes_these_seconds(tiny: dict[str, Any]) -> None:
    """Everyone is alike: 80 activations each way (and 5 labels), then 1,040 gradients."""
    activations = 4 * 80 + header(5) + 1  # [5, 16]
    arrive = 5 * MILLI + 80 * 3 * MICRO + 4 * MILLI + (activations + 5) * MICRO
    served = 80 * 2 * MICRO + 5 * (2 + 3) * MILLI + 80 * MICRO
    back = 4 * MILLI + activations * MICRO / 2 + 80 * 5 * MICRO + 5 * 2 * MILLI
    free_s, phases = seconds(tiny, "free")
    assert free_s == pytest.approx(arrive + 4 * served + back, rel=1e-9)
    assert "all-reduce" not in phases

    whole = identity(1040)
    up = 1040 * 3 * MICRO + 4 * MILLI + whole * MICRO + 4 * 1040 * 2 * MICRO  # the server takes one at a time
    down = 4 * 1040 * MICRO + 4 * MILLI + whole * MICRO / 2 + 1040 * 5 * MICRO
    server_s, phases = seconds(tiny, "server")
    assert server_s == pytest.approx(free_s + up + down, rel=1e-9)
    assert phases["uplink"] == pytest.approx(8 * MILLI + (activations + 5 + whole) * MICRO)

    crossed = 8 * MILLI + identity(260) * MICRO  # both links and their latencies, at the slower one's rate
    encoded, decoded = 260 * 3 * MICRO, 260 * 5 * MICRO
    ring_s, phases = seconds(tiny, "all-reduce")
    assert ring_s == pytest.approx(free_s + 4 * encoded + 6 * (crossed + decoded), rel=1e-9)
    assert phases["all-reduce"] == pytest.approx(6 * crossed)


# What cannot be.


@pytest.mark.parametrize("way", ["server", "all-reduce"])
@pytest.mark.parametrize(
    ("protocol", "label"),
    [
        ("fedavg", "fedavg 1"),
        ("sequential", "sequential 1"),
        ("splitfed-v2", "splitfed-v2 1"),
        ({"name": "splitfed", "local_epochs": 2}, "splitfed 2"),
    ],
)
def test_protocols_that_send_weights_have_none(
    tiny: dict[str, Any], way: str, protocol: Any, label: str
) -> None:
    words = f"aggregation: {label} has clients send their weights, not their gradients; leave aggregation out"
    with pytest.raises(ScenarioError, match=words):
        averaging(tiny, way, training={"protocol": protocol})


def test_it_needs_every_client_in_every_round(tiny: dict[str, Any]) -> None:
    for way in ("server", "all-reduce"):
        words = rf"training\.aggregation: {way} needs every client in every round; leave clients\.per_round"
        with pytest.raises(ScenarioError, match=words):
            averaging(tiny, way, clients={"count": 4, "per_round": 2, "batch_size": 5})


@pytest.mark.parametrize(
    "network", [{"medium": "10 Mbps"}, {"access_points": {"count": 2, "rate": "10 Mbps"}}]
)
def test_a_ring_runs_over_own_links(tiny: dict[str, Any], network: dict[str, Any]) -> None:
    words = r"training\.aggregation: all-reduce runs over the clients' own links; leave network\.medium and"
    with pytest.raises(ScenarioError, match=words):
        averaging(tiny, "all-reduce", network=network)
    averaging(tiny, "server", network=network)


def test_one_client_alone_averages_nothing(tiny: dict[str, Any]) -> None:
    for way in ("server", "all-reduce"):
        scenario = averaging(tiny, way, clients={"count": 1, "batch_size": 5})
        assert crossing(one_round(scenario, prepare(scenario))) == []
