"""No client's samples change another's activations, whatever the layers do with a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from trainings import scenario_of, state_of

from slsim.learning import ghost
from slsim.learning.apart import COUNTS, mixing, one_by_one
from slsim.learning.exchange import Exchange, Passing
from slsim.learning.sampling import Batch
from slsim.study.preparing import prepare


class Do(nn.Module):
    """Anything, in place of a layer."""

    def __init__(self, how: Callable[[Any, torch.Tensor], torch.Tensor], **buffers: torch.Tensor) -> None:
        super().__init__()
        self.how = how
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.how(self, x)


class Sub(nn.BatchNorm1d):
    """A class of one's own, as many repositories have."""


class Limited(torch.autograd.Function):
    """Gradients of the whole batch are made small together."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] / gradients[0].norm()


def running(m: Any, x: torch.Tensor) -> torch.Tensor:
    """A normalization by statistics of its own, which puts new tensors in their place."""
    if m.training:
        m.mean = 0.9 * m.mean + 0.1 * x.detach().mean(0)
    return x - m.mean


def largest(m: Any, x: torch.Tensor) -> torch.Tensor:
    """Only what it keeps looks across the batch: the mean of clients' maxima is not the maximum."""
    m.most = torch.maximum(m.most, x.detach().abs().max(0).values)
    return x


def attention() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (4, 4)), nn.TransformerEncoderLayer(4, 2, 8), nn.Flatten())


MIXING: dict[str, Callable[[], nn.Module]] = {
    "mean": lambda: Do(lambda _, x: x - 0.01 * x.mean(0)),
    "deviation": lambda: Do(lambda _, x: x / x.std(0)),
    "largest": lambda: Do(lambda _, x: x / x.abs().max()),
    "batch size": lambda: Do(lambda _, x: x * len(x)),
    "subclass": lambda: Sub(16),
    "attention across the batch": attention,
    "gradients": lambda: Do(lambda _, x: Limited.apply(x)),
    "statistics of its own": lambda: Do(running, mean=torch.zeros(16)),
    "maximum": lambda: Do(largest, most=torch.zeros(16)),
    "in evaluation": lambda: Do(lambda m, x: x if m.training else x - x.mean(0)),
    "neighbours": lambda: Do(lambda _, x: x + x.roll(1, 0)),
}
ALONE: dict[str, Callable[[], nn.Module]] = {
    "batch normalization": lambda: nn.BatchNorm1d(16),
    "without statistics": lambda: nn.BatchNorm1d(16, track_running_stats=False),
    "cumulative": lambda: nn.BatchNorm1d(16, momentum=None, affine=False),
    "layer normalization": lambda: nn.LayerNorm(16),
    "instance normalization": lambda: nn.Sequential(
        nn.Unflatten(1, (4, 4)), nn.InstanceNorm1d(4, track_running_stats=True), nn.Flatten()
    ),
    "attention within a sample": lambda: nn.Sequential(
        nn.Unflatten(1, (4, 4)), nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), nn.Flatten()
    ),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.AlphaDropout(0.2)),
    "noise": lambda: Do(lambda _, x: x + torch.randn_like(x) * torch.rand(len(x), 1)),
    "depth": lambda: Do(lambda _, x: x * x.new_empty(len(x), 1).bernoulli_(0.8) / 0.8),
    "recurrent": lambda: nn.Sequential(
        nn.Unflatten(1, (4, 4)),
        nn.LSTM(4, 4, batch_first=True),
        Do(lambda _, x: x[0][:, -1]),
        nn.Linear(4, 16),
    ),
    "spectral": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16)),
    "counter": lambda: nn.Sequential(nn.BatchNorm1d(16), nn.BatchNorm1d(16)),
    "constants": lambda: Do(lambda m, x: torch.where(m.table < 0, 0, x), table=torch.full((16,), -torch.inf)),
}


def half(layer: nn.Module) -> nn.Sequential:
    built = nn.Sequential(nn.Flatten(), nn.Linear(9, 16), layer, nn.ReLU())
    ghost.convert(built)
    return built


def batches() -> list[torch.Tensor]:
    return [torch.randn(count, 3, 3) * scale for scale, count in enumerate(COUNTS, 1)]


@pytest.mark.parametrize("name", MIXING)
def test_a_layer_that_looks_across_a_batch_is_found(name: str) -> None:
    torch.manual_seed(0)
    found = mixing(half(MIXING[name]()), 1, batches())
    assert found is not None
    if name != "maximum":  # which only the half's state at the end shows
        assert found.number == 3


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_that_does_not_is_not(name: str) -> None:
    torch.manual_seed(0)
    built = half(ALONE[name]())
    before = copy.deepcopy(built.state_dict())
    assert mixing(built, 1, batches()) is None
    assert all(torch.equal(value, before[key]) for key, value in built.state_dict().items())


def test_a_layer_that_fails_with_other_numbers_of_samples_counts_as_mixing() -> None:
    found = mixing(half(Do(lambda _, x: x.view(COUNTS[0], 16))), 1, batches())
    assert found is not None


# What a client sends, and what is learned, does not change with the others.

NETS = """
from torch import nn


class OwnNorm(nn.Module):
    def forward(self, x):
        return (x - x.mean(0)) / (x.std(0) + 1e-3) if len(x) > 1 else x


class Sub(nn.BatchNorm1d):
    pass


def head():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16))


def own(i, n): return nn.Sequential(nn.Sequential(head(), OwnNorm()), nn.Linear(16, n))
def own_server(i, n): return nn.Sequential(head(), nn.Sequential(OwnNorm(), nn.Linear(16, n)))
def sub(i, n): return nn.Sequential(nn.Sequential(head(), Sub(16)), nn.Sequential(nn.Linear(16, 16), Sub(16), nn.Linear(16, n)))
def norm(i, n): return nn.Sequential(nn.Sequential(head(), nn.BatchNorm1d(16)), nn.Linear(16, n))
def no_statistics(i, n): return nn.Sequential(nn.Sequential(head(), nn.BatchNorm1d(16, track_running_stats=False)), nn.Linear(16, n))
def layer(i, n): return nn.Sequential(nn.Sequential(head(), nn.LayerNorm(16)), nn.Linear(16, n))
def weighted(i, n): return nn.Sequential(nn.Sequential(head(), nn.utils.parametrizations.weight_norm(nn.Linear(16, 16)), nn.BatchNorm1d(16, affine=False)), nn.Linear(16, n))
def attention(i, n): return nn.Sequential(nn.Sequential(nn.Flatten(1, 2), nn.TransformerEncoderLayer(8, 4, 16, dropout=0.0)), nn.Sequential(nn.Flatten(), nn.Linear(64, n)))
"""  # noqa: E501


Prepare = Callable[..., Exchange]


@pytest.fixture
def prepared(tiny: dict[str, Any], tmp_path: Path) -> Prepare:
    """An exchange with a model of `NETS`."""
    path = tmp_path / "nets.py"
    path.write_text(NETS)

    def of(name: str, **training: Any) -> Exchange:
        return prepare(scenario_of(tiny, model={"name": f"{path}:{name}", "cut": 1}, training=training))

    return of


BATCHES = [Batch(0, np.arange(5)), Batch(1, np.arange(5, 12)), Batch(2, np.arange(20, 23))]


def exchanged(exchange: Exchange, batches: Sequence[Batch]) -> Passing:
    """What the server received of these batches, after gradients returned."""
    at_server = exchange.upload(exchange.forward(batches))
    exchange.server_learns(at_server)
    exchange.return_gradients(at_server)
    return at_server


@pytest.mark.parametrize(
    "name", ["own", "own_server", "sub", "norm", "no_statistics", "layer", "weighted", "attention"]
)
@pytest.mark.parametrize("weighting", ["samples", "clients"])
def test_clients_together_are_each_as_alone(prepared: Prepare, name: str, weighting: str) -> None:
    """Activations, the gradients that return, the weights' gradients, and running statistics."""
    together = prepared(name, weighting=weighting)
    alone = [copy.deepcopy(together) for _ in BATCHES]
    received = exchanged(together, BATCHES)
    sizes = [batch.indices.size for batch in BATCHES]
    shares = [1 / 3] * 3 if weighting == "clients" else [size / sum(sizes) for size in sizes]
    sums = [torch.zeros_like(one) for one in weights(together)]
    means = [torch.zeros_like(one) for one in statistics(together)]
    parts = zip(received.values.split(sizes), gradient(received).split(sizes), strict=True)
    for own, batch, (activations, returned), share in zip(alone, BATCHES, parts, shares, strict=True):
        expected = exchanged(own, [batch])
        torch.testing.assert_close(expected.values, activations, rtol=1e-4, atol=1e-5)
        scaled = returned / (share * len(BATCHES))
        torch.testing.assert_close(scaled, gradient(expected), rtol=1e-3, atol=1e-5)
        sums = [total + share * one.grad for total, one in zip(sums, weights(own), strict=True)]
        means = [mean + share * one for mean, one in zip(means, statistics(own), strict=True)]
    for one, total in zip(weights(together), sums, strict=True):
        torch.testing.assert_close(one.grad / len(BATCHES), total, rtol=1e-3, atol=1e-5)
    for one, mean in zip(statistics(together), means, strict=True):
        torch.testing.assert_close(one, mean, rtol=1e-4, atol=1e-5)


def gradient(received: Passing) -> torch.Tensor:
    assert received.values.grad is not None
    return received.values.grad


def weights(of: Exchange) -> list[torch.Tensor]:
    return [one for one in state_of(of) if isinstance(one, nn.Parameter)]


def statistics(of: Exchange) -> list[torch.Tensor]:
    return [one for one in state_of(of) if not isinstance(one, nn.Parameter)]


def test_a_reader_is_told(prepared: Prepare) -> None:
    assert prepared("norm").parts.manner.notices == ()
    client, server = prepared("sub").parts.manner.notices
    assert client.startswith('layer 1 ("0.1", Sub) gives other numbers for a client\'s samples when another')
    assert client.endswith("the client's half takes one client's batch after another's")
    assert server.startswith('layer 2 ("1.1", Sub)')


def test_evaluation_is_in_a_clients_batches_where_layers_look_across_them(prepared: Prepare) -> None:
    """Of 60 test images, the first five give the same whatever the others are."""
    own = prepared("own")
    images, _ = next(own.images.test_batches())
    other = torch.cat([images[:5], images[5:] * 7])
    with torch.no_grad():
        first, second = (own.parts.through_client(one, [5] * 12)[:5] for one in (images, other))
    torch.testing.assert_close(first, second)


def test_statistics_that_no_client_changes_stay_as_they_are_and_counters_count_once() -> None:
    layer = Do(count, table=torch.tensor([-torch.inf, 0.1]), seen=torch.tensor(3), total=torch.tensor(1.0))
    table = layer.table
    outputs = one_by_one(layer, [torch.ones(2), torch.full((3,), 5.0)], [0.4, 0.6])
    assert outputs.tolist() == [1, 1, 5, 5, 5]
    assert layer.table is table
    assert layer.seen == 4
    assert layer.total == pytest.approx(1 + 0.4 * 2 + 0.6 * 15)


def count(m: Any, x: torch.Tensor) -> torch.Tensor:
    m.seen += 1
    m.total = m.total + x.sum()
    return x


def test_batches_of_different_sizes_count_by_their_samples_unless_clients_are_to_count_alike(
    prepared: Prepare,
) -> None:
    """Batches of 10 and 1 (in `splitfed`) give the gradient of all 11 samples at once."""
    together = prepared("layer")
    parts = [Batch(0, np.arange(10)), Batch(1, np.arange(30, 31))]
    pooled = copy.deepcopy(together)
    exchanged(together, parts)
    exchanged(pooled, [Batch(0, np.concatenate([part.indices for part in parts]))])
    for one, expected in zip(weights(together), weights(pooled), strict=True):
        torch.testing.assert_close(one.grad / 2, expected.grad, rtol=1e-4, atol=1e-6)
    alike = prepared("layer", weighting="clients")
    exchanged(alike, parts)
    pairs = zip(weights(alike), weights(pooled), strict=True)
    assert not any(torch.allclose(one.grad / 2, other.grad, rtol=0.1) for one, other in pairs)
