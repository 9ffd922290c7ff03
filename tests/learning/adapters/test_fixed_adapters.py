"""`projection` and `c3`: linear maps that are drawn once, their adjoints, and what they lose."""

from __future__ import annotations

import math

import pytest
import torch
from torch.func import jacrev

from slsim.learning import ghost
from slsim.learning.adapters.binding import slots
from slsim.learning.adapters.c3 import C3
from slsim.learning.adapters.hartley import hartley
from slsim.learning.adapters.projection import Projection
from slsim.learning.flops import counted


@pytest.mark.parametrize("size", [1, 2, 3, 8, 15])
def test_the_hartley_transform_is_that_of_the_textbook_and_its_own_inverse(size: int) -> None:
    angles = 2 * math.pi * torch.outer(torch.arange(size), torch.arange(size)) / size
    matrix = (angles.cos() + angles.sin()) / math.sqrt(size)
    found = hartley(torch.eye(size))
    torch.testing.assert_close(found, matrix, atol=1e-5, rtol=0)
    torch.testing.assert_close(hartley(found), torch.eye(size), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(3, 5), (16,), (1, 7)])
def test_a_projection_has_orthonormal_rows_and_is_lifted_by_its_adjoint(shape: tuple[int, ...]) -> None:
    size = math.prod(shape)
    project, lift = Projection(ratio=3).build(shape)
    matrix = project(torch.eye(size).view(size, *shape)).T
    rank = round(size / 3)
    assert matrix.shape == (rank, size)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(rank), atol=1e-5, rtol=0)
    torch.testing.assert_close(lift(torch.eye(rank)).flatten(1), matrix, atol=1e-6, rtol=0)


def test_the_gradient_of_a_projection_comes_down_projected_and_is_lifted_exactly() -> None:
    project, lift = Projection(ratio=4).build((8, 2))
    z, at_server = torch.randn(3, 8, 2, requires_grad=True), torch.randn(3, 8, 2)
    code = project(z).detach().requires_grad_()
    lift(code).backward(at_server)
    torch.testing.assert_close(code.grad, project(at_server), atol=1e-6, rtol=0)
    project(z).backward(code.grad)
    torch.testing.assert_close(z.grad, lift(project(at_server)), atol=1e-6, rtol=0)


def test_a_projection_of_a_large_map_keeps_its_share_of_the_energy() -> None:
    project, lift = Projection(ratio=16).build((64, 32, 32))
    z = torch.randn(2, 64, 32, 32)
    z[1].zero_()
    z[1, 0, 0, 0] = 100.0  # one place alone is spread over all numbers
    kept = lift(project(z)).flatten(1).square().sum(1) / z.flatten(1).square().sum(1)
    torch.testing.assert_close(kept, torch.full((2,), 1 / 16), atol=0.005, rtol=0)


def test_groups_are_of_one_client_each_and_the_last_may_be_smaller() -> None:
    groups, places = slots((5, 2, 4), 4)
    assert groups == 4
    assert places.tolist() == [0, 1, 2, 3, 4, 8, 9, 12, 13, 14, 15]


def test_samples_are_bound_by_circular_convolution_with_keys_of_length_one() -> None:
    bind, unbind = C3(samples=3).build((6,))
    keys = torch.fft.irfft(bind.keys.on(torch.device("cpu")), n=6)
    torch.testing.assert_close(keys.norm(dim=1), torch.ones(3))
    x = torch.randn(2, 6)  # of a group of three
    by_hand = sum(
        torch.stack(
            [sum(keys[r, (place - shift) % 6] * x[r, shift] for shift in range(6)) for place in range(6)]
        )
        for r in range(2)
    )
    bound = bind(x)
    torch.testing.assert_close(bound, by_hand.view(1, 6))
    with ghost.grouped(unbind, [2]):
        found = unbind(bound)
    for r in range(2):
        correlated = [sum(keys[r, (s - place) % 6] * bound[0, s] for s in range(6)) for place in range(6)]
        torch.testing.assert_close(found[r], torch.stack(correlated))


@pytest.mark.parametrize("samples", [2, 4])
def test_unbinding_leaves_noise_of_as_many_times_the_energy_as_samples_are_bound(samples: int) -> None:
    torch.manual_seed(0)
    bind, unbind = C3(samples=samples).build((4096,))
    x = torch.randn(16, 4096)
    with ghost.grouped([bind, unbind], [16]):
        noise = unbind(bind(x)) - x
    # Each of the others' samples, and one's own through the sides of its key's autocorrelation.
    assert float(noise.square().sum() / x.square().sum()) == pytest.approx(samples, rel=0.1)


@pytest.mark.parametrize("counts", [(6,), (4, 5), (1, 3)])
def test_unbinding_is_the_adjoint_of_binding_and_so_are_their_gradients(counts: tuple[int, ...]) -> None:
    bind, unbind = C3(samples=3).build((2, 4))
    x = torch.randn(sum(counts), 2, 4)
    with ghost.grouped([bind, unbind], counts):
        forward = jacrev(bind)(x)
        code = bind(x)
        backward = jacrev(unbind)(code)
    matrix = forward.reshape(code.numel(), x.numel())
    torch.testing.assert_close(backward.reshape(x.numel(), code.numel()), matrix.T, atol=1e-5, rtol=0)


def test_fast_transforms_count_on_the_clock() -> None:
    bind, _ = C3(samples=2).build((64,))
    with counted() as flops:
        bind(torch.zeros(4, 64))
    a_transform = 2.5 * 64 * 6
    assert flops.get_total_flops() == 4 * a_transform + 2 * a_transform, "each sample there, each group back"
