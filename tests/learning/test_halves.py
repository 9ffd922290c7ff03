"""One half of the model: its state as a vector, its momentum, and going on from a snapshot bit for bit."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from slsim.codecs import create
from slsim.learning.halves import Half, Snapshot
from slsim.learning.sending import others_of, weights_of
from slsim.scenario.training_table import TrainingTable

SETTINGS = TrainingTable(learning_rate=0.1, momentum=0.9)


def network(momentum: float | None = 0.1) -> nn.Sequential:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3)
    return nn.Sequential(convolution, nn.BatchNorm2d(4, momentum=momentum), nn.Flatten(), nn.Linear(64, 2))


def images(step: int) -> torch.Tensor:
    return torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(step))


def learn(half: Half, steps: range) -> None:
    for step in steps:
        half.module(images(step)).square().mean().backward()
        half.step(0.1, participants=1)


def equal(one: Half, other: Half) -> bool:
    first, second = one.snapshot(), other.snapshot()
    assert first.momentum is not None
    assert second.momentum is not None
    return (
        torch.equal(first.weights, second.weights)
        and torch.equal(first.momentum, second.momentum)
        and all(torch.equal(a, b) for a, b in zip(first.counters, second.counters, strict=True))
    )


def test_the_state_has_weights_and_running_statistics_and_can_be_put_back() -> None:
    half = Half(network(), SETTINGS)
    assert half.size == (4 * 27 + 4) + 2 * 4 + (64 * 2 + 2) + 2 * 4
    before = half.weights()
    assert before.shape == (half.size,)
    learn(half, range(3))
    after = half.weights()
    assert not torch.equal(before[-8:], after[-8:])  # the running statistics come last
    half.load(before)
    assert torch.equal(half.weights(), before)
    assert not torch.equal(after, before)  # a copy: loading does not reach into it


def test_a_half_without_weights_does_nothing() -> None:
    half = Half(nn.Sequential(nn.Flatten()), SETTINGS)
    assert half.size == 0
    assert half.weights().shape == (0,)
    half.load(half.weights())
    half.restore(half.snapshot())
    half.step(0.1, participants=3)
    half.forget_momentum()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("norm_momentum", [0.1, None])  # None: the mean of all, by a count of batches
def test_going_on_from_a_snapshot_is_the_same_bit_for_bit(last: bool, norm_momentum: float | None) -> None:
    layout = torch.channels_last if last else torch.contiguous_format
    whole = Half(network(norm_momentum).to(memory_format=layout), SETTINGS)
    learn(whole, range(8))
    begun = Half(network(norm_momentum).to(memory_format=layout), SETTINGS)
    learn(begun, range(4))
    rest = Half(network(norm_momentum).to(memory_format=layout), SETTINGS)
    rest.restore(begun.snapshot())
    learn(rest, range(4, 8))
    assert equal(rest, whole)
    assert rest.optimizer is not None
    for parameter, state in rest.optimizer.state.items():
        assert state["momentum_buffer"].stride() == parameter.stride()


@pytest.mark.parametrize("frozen", ["by the user", "without a gradient"])
def test_weights_that_do_not_learn_take_nothing_from_the_momentum_of_others(frozen: str) -> None:
    """A snapshot used to forget all momentum then."""

    def half() -> Half:
        layers = network()
        if frozen == "by the user":
            layers[0].requires_grad_(False)
        else:
            layers[0].register_parameter("unused", nn.Parameter(torch.ones(2)))
        return Half(layers, SETTINGS)

    whole, begun, rest = half(), half(), half()
    learn(whole, range(6))
    learn(begun, range(3))
    assert begun.snapshot().momentum is not None
    rest.restore(begun.snapshot())
    learn(rest, range(3, 6))
    assert equal(rest, whole)


def test_a_snapshot_is_a_copy_and_without_momentum_forgets_it() -> None:
    half = Half(network(), SETTINGS)
    assert half.snapshot().momentum is None
    learn(half, range(2))
    kept = half.snapshot()
    copied = copy.deepcopy(kept)
    learn(half, range(2, 4))
    assert torch.equal(kept.weights, copied.weights)
    assert kept.momentum is not None
    assert torch.equal(kept.momentum, copied.momentum)
    half.restore(Snapshot(kept.weights))
    assert half.snapshot().momentum is None
    assert half.optimizer is not None
    assert not half.optimizer.state


def test_no_momentum_in_the_settings_gives_none_in_the_snapshot() -> None:
    half = Half(network(), TrainingTable(learning_rate=0.1, momentum=0.0))
    learn(half, range(2))
    assert half.snapshot().momentum is None
    half.restore(half.snapshot())
    learn(half, range(2, 3))


def test_a_step_divides_summed_gradients_by_the_participants() -> None:
    one, two = Half(network(), SETTINGS), Half(network(), SETTINGS)
    for half, repeats in ((one, 1), (two, 2)):
        half.module[1].eval()  # type: ignore[index]
        for _ in range(repeats):
            half.module(images(0)).square().mean().backward()
        half.step(0.1, participants=repeats)
    torch.testing.assert_close(one.weights(), two.weights(), rtol=1e-6, atol=1e-7)


def test_a_state_that_travels_has_its_statistics_exactly_and_its_weights_through_the_codec() -> None:
    halves = Half(network(), SETTINGS), Half(network(), SETTINGS)
    learn(halves[0], range(2))
    state = torch.cat([half.weights() for half in halves])
    codec = create("qu", bits=3)
    weights, put_back = weights_of(state, halves)
    payload = codec.encode(weights, np.random.default_rng(0))
    arrived = put_back(codec.decode(payload, tuple(weights.shape)))
    size, own = halves[0].size, halves[0].num_weights
    for sent, came in zip(state.split(size), arrived.split(size), strict=True):
        assert torch.equal(sent[own:], came[own:])
        assert not torch.equal(sent[:own], came[:own])
    assert weights.shape == (2 * own,)
    assert others_of(state, halves).shape == (2 * (8 + 1),)  # and a counter
    assert len(others_of(state[:0], (Half(nn.Sequential(nn.Flatten()), SETTINGS),))) == 0


class Replacing(nn.Module):
    """A layer that puts another tensor in its buffer's place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(0)
        return x - self.mean


def test_the_state_is_of_the_buffers_that_are_there_now() -> None:
    half = Half(nn.Sequential(Replacing()), SETTINGS)
    half.module(torch.ones(4, 3))
    assert half.weights().tolist() == [0.5] * 3
    half.load(torch.zeros(3))
    assert half.module[0].mean.tolist() == [0, 0, 0]  # type: ignore[index]


def test_other_gradients_can_be_put_in_place_of_those_that_were_summed() -> None:
    """As one vector of the weights that learn; a weight without a gradient counts as 0."""
    half = Half(network(), SETTINGS)
    half.module[0].requires_grad_(False)  # type: ignore[index]
    learning = [one for one in half.module.parameters() if one.requires_grad]
    assert half.gradients().tolist() == [0.0] * sum(one.numel() for one in learning)
    half.module(images(0)).square().mean().backward()
    expected = [2 * one.grad for one in learning if one.grad is not None]
    half.set_gradients(2 * half.gradients())
    for one, double in zip(learning, expected, strict=True):
        assert torch.equal(one.grad, double)  # type: ignore[arg-type]
