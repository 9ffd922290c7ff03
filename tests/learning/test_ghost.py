"""Batch normalization of several clients in one batch equals each client's own, one after another."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from slsim.learning import ghost as module
from slsim.learning.ghost import LARGE, GhostBatchNorm, convert, grouped

EQUAL, UNEQUAL = [4, 4, 4], [5, 2, 1, 3]
RUNS = [4, 4, 1, 3, 3, 3]  # of one size side by side, and the runs one after another


@pytest.fixture(autouse=True, params=["compiled", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With slsim's own kernels, and without them, as where torch has many threads."""
    if request.param == "torch":
        monkeypatch.setattr(module, "KEEPS_UP", 0)
    else:
        monkeypatch.setattr(module, "KEEPS_UP", 1024)
    return request.param


def layer(channels: int = 6, kind: type[nn.Module] = nn.BatchNorm2d, **options: Any) -> nn.Module:
    """torch's layer with parameters and running statistics that are not the usual zeros and ones."""
    normalization = kind(channels, **options)
    with torch.no_grad():
        for tensor in normalization.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 2)
    return normalization


def images(counts: Sequence[int], *shape: int) -> torch.Tensor:
    """Samples whose mean and scale differ from client to client."""
    parts = [torch.randn(count, *shape) * (number + 1) - number for number, count in enumerate(counts)]
    return torch.cat(parts)


def looped(
    reference: nn.Module, x: torch.Tensor, counts: Sequence[int], gradients: torch.Tensor
) -> list[torch.Tensor]:
    """Each client with a copy of torch's layer: outputs, input gradients, the parameters' gradients summed,
    the running statistics averaged."""
    copies = [copy.deepcopy(reference) for _ in counts]
    parts = [part.clone().requires_grad_() for part in x.split(list(counts))]
    outputs = [client(part) for client, part in zip(copies, parts, strict=True)]
    torch.cat(outputs).backward(gradients)
    summed = [sum(g) for g in zip(*([p.grad for p in client.parameters()] for client in copies), strict=True)]
    buffers = zip(*([b.float() for b in client.buffers()] for client in copies), strict=True)
    averaged = [torch.stack(values).mean(0) for values in buffers]
    return [torch.cat(outputs), torch.cat([part.grad for part in parts]), *summed, *averaged]


def together(
    reference: nn.Module, x: torch.Tensor, counts: Sequence[int], gradients: torch.Tensor
) -> list[torch.Tensor]:
    """The same of one batch."""
    ghost = convert(copy.deepcopy(reference))
    x = x.clone().requires_grad_()
    with grouped(ghost, counts):
        outputs = ghost(x)
    outputs.backward(gradients)
    buffers = [buffer.float() for buffer in ghost.buffers()]
    return [outputs, x.grad, *[parameter.grad for parameter in ghost.parameters()], *buffers]


def assert_same(
    reference: nn.Module,
    x: torch.Tensor,
    counts: Sequence[int],
    tolerance: float = 2e-5,
    gradients: torch.Tensor | None = None,
) -> None:
    if gradients is None:
        gradients = torch.randn_like(x)
    results = together(reference, x, counts, gradients)
    for own, expected in zip(results, looped(reference, x, counts, gradients), strict=True):
        torch.testing.assert_close(own, expected, rtol=tolerance, atol=tolerance)
    for own in results[:2]:
        assert own.stride() == x.stride()


@pytest.mark.parametrize("counts", [EQUAL, UNEQUAL, RUNS, [7]])
@pytest.mark.parametrize("size", [(9, 7), (2, 2)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_equals_the_loop_over_clients(
    counts: list[int], size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    assert_same(layer(), images(counts, 6, *size).contiguous(memory_format=memory_format), counts)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_large_groups_too(memory_format: torch.memory_format) -> None:
    """They are normalized one after another."""
    torch.manual_seed(0)
    x = images([4, 4], 6, 64, 64).contiguous(memory_format=memory_format)
    assert x.numel() > 2 * LARGE
    assert_same(layer(), x, [4, 4], tolerance=3e-4)


@pytest.mark.parametrize("counts", [EQUAL, [5, 2, 3], [4, 4, 2, 3, 3]])
@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 40)])
def test_one_dimension(counts: list[int], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    assert_same(layer(kind=nn.BatchNorm1d), images(counts, *shape), counts)


@pytest.mark.parametrize("options", [{"momentum": None}, {"momentum": 0.3, "eps": 0.1}])
@pytest.mark.parametrize("counts", [EQUAL, UNEQUAL])
def test_momentum_and_epsilon_are_the_layers_own(options: dict[str, Any], counts: list[int]) -> None:
    """Without a momentum the running statistics are means of all batches so far."""
    torch.manual_seed(0)
    assert_same(layer(**options), images(counts, 6, 5, 5), counts)


@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}])
@pytest.mark.parametrize("counts", [EQUAL, UNEQUAL])
def test_without_parameters_or_running_statistics(options: dict[str, Any], counts: list[int]) -> None:
    torch.manual_seed(0)
    assert_same(layer(**options), images(counts, 6, 5, 5), counts)


@pytest.mark.parametrize("counts", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(9, 7), (2, 2)])
def test_bfloat16_autocast(
    counts: list[int], memory_format: torch.memory_format, size: tuple[int, int]
) -> None:
    """Activations are bfloat16, parameters and running statistics stay float32."""
    torch.manual_seed(0)
    x = images(counts, 6, *size).bfloat16().contiguous(memory_format=memory_format)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(layer(), x, counts, tolerance=2e-2)
        ghost = convert(layer())
        with grouped(ghost, counts):
            assert ghost(x).dtype == torch.bfloat16
    assert {p.dtype for p in (*ghost.parameters(), ghost.running_mean)} == {torch.float32}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_what_is_not_a_number_stays_with_its_client(memory_format: torch.memory_format) -> None:
    """A training that diverges is noticed by it."""
    x = images(EQUAL, 6, 5, 5).contiguous(memory_format=memory_format)
    x[0, 2, 0, 0] = torch.nan
    x[4, 2, 0, 0] = torch.inf
    ghost = convert(layer())
    with grouped(ghost, EQUAL):
        finite = ghost(x).isfinite().flatten(2).all(2)
    assert not finite[:8, 2].any()
    assert finite[8:].all()
    assert finite[:, [0, 1, 3, 4, 5]].all()


def test_gradients_in_any_layout() -> None:
    """An average over pixels sends one that repeats a number."""
    torch.manual_seed(0)
    x = images(EQUAL, 6, 5, 5)
    assert_same(layer(), x, EQUAL, gradients=torch.randn(12, 6, 1, 1).expand_as(x))
    assert_same(
        layer(), x, EQUAL, gradients=torch.randn_like(x).contiguous(memory_format=torch.channels_last)
    )


@pytest.mark.parametrize("counts", [(), [12]])
def test_without_counts_the_batch_is_one_group(counts: Sequence[int]) -> None:
    torch.manual_seed(0)
    reference, x = layer(), images(EQUAL, 6, 5, 5)
    ghost = convert(copy.deepcopy(reference))
    with grouped(ghost, counts):
        inside = ghost(x)
    torch.testing.assert_close(inside, reference(x))
    torch.testing.assert_close(ghost.state_dict(), reference.state_dict())
    torch.testing.assert_close(ghost(x), reference(x))


def test_evaluation_uses_the_running_statistics() -> None:
    torch.manual_seed(0)
    reference, x = layer().eval(), images(EQUAL, 6, 5, 5)
    ghost = convert(copy.deepcopy(reference))
    with grouped(ghost, EQUAL):
        assert torch.equal(ghost(x), reference(x))
    assert torch.equal(ghost.running_mean, reference.running_mean)
    assert ghost.num_batches_tracked == 0


@pytest.mark.parametrize("counts", [[1, 1, 1], [1, 3]])
def test_one_value_a_channel_has_variance_zero(counts: list[int]) -> None:
    torch.manual_seed(0)
    ghost = convert(layer())
    start = ghost.running_var.clone()
    x = images(counts, 6, 1, 1).requires_grad_()
    with grouped(ghost, counts):
        outputs = ghost(x)
    (outputs * torch.randn_like(x)).sum().backward()
    torch.testing.assert_close(outputs[0].flatten(), ghost.bias.detach(), rtol=0, atol=1e-3)
    torch.testing.assert_close(x.grad[0], torch.zeros(6, 1, 1), rtol=0, atol=1e-3)
    own = [part.var(0).flatten() if len(part) > 1 else torch.zeros(6) for part in x.detach().split(counts)]
    torch.testing.assert_close(ghost.running_var, 0.9 * start + 0.1 * torch.stack(own).mean(0))


def test_a_lone_sample_does_not_end_a_training() -> None:
    """Not even when it is the whole batch."""
    ghost = convert(layer(kind=nn.BatchNorm1d))
    torch.testing.assert_close(ghost(torch.randn(1, 6)), ghost.bias[None], rtol=0, atol=1e-3)
    assert ghost.running_var.isfinite().all()


def test_state_goes_to_torchs_layer_and_back() -> None:
    torch.manual_seed(0)
    plain, ghost = nn.Sequential(nn.Conv2d(3, 6, 3), layer()), nn.Sequential(nn.Conv2d(3, 6, 3), layer())
    convert(ghost)
    assert list(ghost.state_dict()) == list(plain.state_dict())
    ghost.load_state_dict(plain.state_dict())
    with grouped(ghost, EQUAL):
        ghost(images(EQUAL, 3, 8, 8))
    plain.load_state_dict(ghost.state_dict())
    x = images(EQUAL, 3, 8, 8)
    assert torch.equal(plain.eval()(x), ghost.eval()(x))


def test_convert_keeps_parameters_and_finds_every_layer() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)))
    before = [*model.parameters(), *model.buffers()]
    assert convert(model) is model
    after = [*model.parameters(), *model.buffers()]
    assert all(new is old for new, old in zip(after, before, strict=True))
    assert [type(module) for module in (model[0], *model[1])] == [GhostBatchNorm, GhostBatchNorm, nn.Conv2d]
    assert isinstance(convert(nn.BatchNorm2d(4)), GhostBatchNorm)


def test_groups_end_with_the_block_for_all_modules_even_after_an_error() -> None:
    first, second = convert(layer()), convert(nn.Sequential(layer()))
    with grouped([first, second], [2, 3]):
        with pytest.raises(AssertionError), grouped(first, [5]):
            first(images(EQUAL, 6, 5, 5))
        assert (first.counts, second[0].counts) == ((2, 3), (2, 3))
    assert (first.counts, second[0].counts) == ((), ())


@pytest.mark.parametrize("counts", [[2, 3], [4, 4, 4, 4]])
def test_counts_that_do_not_sum_to_the_batch_are_a_mistake(counts: list[int]) -> None:
    ghost = convert(layer())
    with pytest.raises(AssertionError, match="in a batch of 12"), grouped(ghost, counts):
        ghost(images(EQUAL, 6, 5, 5))


def test_two_layers_deep_the_backward_may_come_after_the_block() -> None:
    """A small network, whole: weights' gradients are the sum of the clients'."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4), nn.Flatten()
    )
    x = images(UNEQUAL, 3, 8, 8)
    ghost = convert(copy.deepcopy(network))
    with grouped(ghost, UNEQUAL):
        outputs = ghost(x)
    outputs.square().sum().backward()
    for part in x.split(UNEQUAL):
        network(part).square().sum().backward()
    for own, expected in zip(ghost.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(own.grad, expected.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_as_many_threads_as_there_are_give_the_same_bits(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, x = layer(), images(UNEQUAL, 6, 5, 5).to(memory_format=torch.channels_last)
    gradients = torch.randn_like(x)
    alone = together(reference, x, UNEQUAL, gradients)
    slices: list[slice] = []
    share_out = module.share_out

    def watched(run: Any, groups: int, elements: int) -> None:
        share_out(lambda own: (slices.append(own), run(own)), groups, elements)

    monkeypatch.setattr(module, "share_out", watched)
    monkeypatch.setattr(module, "SHARED", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for mine, other in zip(together(reference, x, UNEQUAL, gradients), alone, strict=True):
        assert torch.equal(mine, other)
    if module.KEEPS_UP:
        assert len(slices) == 2 * min(threads, len(UNEQUAL))  # forward and backward
        covered = sorted(group for own in slices for group in range(own.start, own.stop))
        assert covered == sorted([0, 1, 2, 3] * 2)
