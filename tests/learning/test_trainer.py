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

from slsim import codecs, seeds
from slsim.codecs import base, device
from slsim.errors import DataError, TrainingDiverged
from slsim.learning import models
from slsim.learning.data import Dataset
from slsim.learning.sampling import Batch
from slsim.learning.split import SplitModel, split
from slsim.learning.trainer import Trainer
from slsim.protocols import SplitFed
from slsim.scenario import Scenario, plan

NORMALIZING = """
from torch import nn

def net(image_shape, num_classes):
    block = nn.Sequential(nn.Conv2d(image_shape[0], 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    hidden = nn.Sequential(nn.Conv2d(6, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())
    return nn.Sequential(block, hidden, nn.Sequential(nn.Flatten(), nn.Linear(54, num_classes)))
"""


@pytest.fixture
def normalizing(tmp_path: Path) -> str:
    """A network with batch normalization in both halves, for 8×8 images."""
    path = tmp_path / "normalizing.py"
    path.write_text(NORMALIZING)
    return f"{path}:net"


ALL_CODECS = codecs.registry.names()


def scenario_of(document: dict[str, Any], **tables: Any) -> Scenario:
    document = {**{key: value for key, value in document.items() if key != "sweep"}, **tables}
    return plan(document, "test", Path()).cases[0].scenario


def build(scenario: Scenario) -> tuple[Trainer, Dataset, SplitModel]:
    images = scenario.data.component.create().load()
    model = scenario.model.component.create()
    halves = split(model, scenario.model.cut, images.image_shape, images.num_classes, scenario.seed)
    up, down = scenario.codec.uplink.create(), scenario.codec.downlink.create()
    return Trainer(scenario, images, halves, up, down), images, halves


def normalized(images: Dataset, indices: np.ndarray) -> torch.Tensor:
    mean, deviation = (torch.from_numpy(value).view(-1, 1, 1) for value in images.channel_statistics())
    return (torch.from_numpy(images.x_train[indices]).float() / 255 - mean) / deviation


@pytest.mark.parametrize(("largest", "width"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (70_000, 4)])
def test_a_label_travels_as_it_is_in_as_many_bytes_as_the_classes_need(
    tiny: dict[str, Any], largest: int, width: int
) -> None:
    scenario = scenario_of(tiny)
    trainer, images, halves = build(scenario)
    labels = images.y_train.copy()
    labels[7] = largest
    wide = replace(images, y_train=labels)
    trainer = Trainer(scenario, wide, halves, trainer.uplink, trainer.downlink)
    (sent,) = trainer.encode_labels([Batch(0, np.array([3, 7]))])
    assert [int.from_bytes(sent[:width], "little"), int.from_bytes(sent[width:], "little")] == [3, largest]


def looped(scenario: Scenario, trainer: Trainer, images: Dataset, halves: SplitModel) -> list[torch.Tensor]:
    """Section 3 as it is written: a copy of the client's half for each client, one after another; then
    gradients averaged (Eq. 2) and one step. Gives all weights after the last round."""
    client, server = copy.deepcopy(halves.client), copy.deepcopy(halves.server)
    weights = [*client.parameters(), *server.parameters()]
    statistics = [b for half in (client, server) for b in half.buffers() if b.is_floating_point()]
    optimizer = torch.optim.SGD(
        weights, lr=scenario.training.learning_rate, momentum=scenario.training.momentum
    )
    up = trainer.uplink
    for number in range(trainer.progress.total_rounds):
        batches = trainer.sampler.one_each(number)
        sums = [torch.zeros_like(weight) for weight in weights]
        means = [torch.zeros_like(statistic) for statistic in statistics]
        for batch in batches:
            own_client, own_server = copy.deepcopy(client), copy.deepcopy(server)
            activations = own_client(normalized(images, batch.indices))
            rng = seeds.generator(scenario.seed, "codec", batch.client, batch.number)
            arrived = up.decode(up.encode(activations, rng)).requires_grad_()
            labels = torch.from_numpy(images.y_train[batch.indices])
            nn.functional.cross_entropy(own_server(arrived), labels).backward()
            activations.backward(arrived.grad)
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
        *((codec, RESTS, "mlp") for codec in ALL_CODECS),
        ("ms", EVEN, "mlp"),
        *((codec, sizes, "normalizing") for codec in ("identity", "ms") for sizes in (EVEN, RESTS)),
    ],
)
def test_batched_equals_the_loop_over_clients(
    tiny: dict[str, Any], normalizing: str, codec: str, sizes: dict[str, int], model: str
) -> None:
    """Weights and running statistics; with as many bytes, which `test_uplink_bytes…` measures."""
    training = {"epochs": 1, "learning_rate": 0.05}
    chosen = {"model": {"name": normalizing, "cut": 1}} if model == "normalizing" else {}
    scenario = scenario_of(tiny, codec={"uplink": codec}, clients=sizes, training=training, **chosen)
    trainer, images, halves = build(scenario)
    expected = looped(scenario, build(scenario)[0], images, halves)
    assert len(list(SplitFed().learn(trainer))) == trainer.progress.total_rounds
    learned = [*halves.client.parameters(), *halves.server.parameters()]
    learned += [b for half in (halves.client, halves.server) for b in half.buffers() if b.is_floating_point()]
    assert len(learned) == len(expected)
    for weight, other in zip(learned, expected, strict=True):
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
    trainer, *_ = build(scenario)
    trainer.uplink = Spy(sparsity=0.9, bits=3)
    for record in SplitFed().learn(trainer):
        labels = sum(turn.samples for turn in record.turns)  # one byte a sample
        assert len(record.turns) == 10
        assert record.num_bytes("up") == sum(measured) + labels
        measured.clear()


def test_raw_bytes_are_those_of_float32_activations(tiny: dict[str, Any]) -> None:
    trainer, *_ = build(scenario_of(tiny, codec={"uplink": "ms"}))
    record = next(SplitFed().learn(trainer))
    assert [turn.message("activations").raw_bytes for turn in record.turns] == [5 * 16 * 4] * 4
    assert [turn.message("gradients").raw_bytes for turn in record.turns] == [5 * 16 * 4] * 4


def test_clients_whose_samples_are_used_up_sit_out(tiny: dict[str, Any], tiny_npz: Path) -> None:
    uneven = {"name": "npz", "path": str(tiny_npz), "partition": {"dirichlet": 0.3}}
    trainer, *_ = build(scenario_of(tiny, data=uneven))
    seen = [0] * 4
    for record in SplitFed().learn(trainer):
        for turn in record.turns:
            seen[turn.client] += turn.samples
    assert seen == [3 * part.size for part in trainer.sampler.parts]
    assert len(set(seen)) > 1


def test_evaluation_with_identity_is_the_same_with_and_without_codec(tiny: dict[str, Any]) -> None:
    trainer, *_ = build(scenario_of(tiny))
    next(SplitFed().learn(trainer))
    evaluation = trainer.evaluate()
    assert evaluation.accuracy == evaluation.accuracy_without_codec
    assert (evaluation.round, evaluation.epoch) == (1, 1 / trainer.progress.rounds_per_epoch)


def test_the_codec_stands_between_the_halves_at_evaluation_too(tiny: dict[str, Any]) -> None:
    trainer, *_ = build(scenario_of(tiny))
    for _ in SplitFed().learn(trainer):
        pass
    trainer.uplink = codecs.create("sp", sparsity=1.0)  # drops everything
    evaluation = trainer.evaluate()
    assert evaluation.accuracy == 0.25  # one of four classes for every image
    assert evaluation.accuracy_without_codec > 0.9


def test_the_downlink_codec_changes_the_clients_gradients_only(tiny: dict[str, Any]) -> None:
    """After one step with all gradients dropped, the client has not moved and the server has."""
    dropped = {"downlink": {"name": "sp", "sparsity": 1.0}}
    trainer, _, halves = build(scenario_of(tiny, codec=dropped))
    before = copy.deepcopy(halves)
    next(SplitFed().learn(trainer))
    for weight, old in zip(halves.client.parameters(), before.client.parameters(), strict=True):
        assert torch.equal(weight, old)
    moved = [
        not torch.equal(w, o)
        for w, o in zip(halves.server.parameters(), before.server.parameters(), strict=True)
    ]
    assert all(moved)


def test_a_loss_that_explodes_ends_the_training(tiny: dict[str, Any]) -> None:
    trainer, *_ = build(scenario_of(tiny, training={"epochs": 20, "learning_rate": 1e30}))
    with pytest.raises(TrainingDiverged, match="became"):
        for _ in SplitFed().learn(trainer):
            pass


def test_the_cosine_schedule_ends_at_zero(tiny: dict[str, Any]) -> None:
    trainer, *_ = build(scenario_of(tiny, training={"epochs": 2, "schedule": "cosine", "learning_rate": 0.1}))
    rates = []
    for _ in SplitFed().learn(trainer):
        rates.append(trainer.client.optimizer.param_groups[0]["lr"])
    assert rates[0] == 0.1
    assert rates[len(rates) // 2] == pytest.approx(0.05)
    assert rates[-1] == pytest.approx(0.1 * (1 + np.cos(np.pi * (1 - 1 / len(rates)))) / 2)


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
    trainer, *_ = build(scenario_of(tiny, codec={"uplink": uplink, "downlink": downlink}))
    rounds = SplitFed().learn(trainer)
    next(rounds)  # the first step makes the momentum
    fetched: list[int] = []
    fetch = device.fetch
    monkeypatch.setattr(base, "on_host", lambda tensor: False)
    monkeypatch.setattr(device, "fetch", lambda *parts: (fetched.append(1), fetch(*parts))[1])
    with waits:
        next(rounds)
    assert waits.seen == ["aten::_local_scalar_dense"]
    assert len(fetched) == (1 if downlink == "identity" else 2)
