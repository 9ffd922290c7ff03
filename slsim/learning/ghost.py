"""Batch normalization when the batches of several clients run as one.

With aggregation every step all clients hold the same weights, so their mini-batches are concatenated along
the batch; each client's samples are still normalized by that client's own statistics, as they would be on the
client itself. (The same arithmetic is known as ghost batch normalization: Hoffer, Hubara and Soudry, NeurIPS
2017.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import groupby, pairwise
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.autograd.function import once_differentiable

from slsim.learning import ghost_kernels

LARGE = 2**16  # elements of a group: from here on a CPU copies more slowly than it starts another call
KEEPS_UP = 2  # threads of torch's with which one of the kernels' keeps up; there is one a group, at most
SHARED = 2**19  # elements, from which on it pays to wake other threads up
FEW_PIXELS = 8  # below, torch normalizes [samples, channels] several times faster than [.., height, width]


class Grouped(nn.Module):
    """A module that is told whose samples are in a batch.

    Within `grouped`, `counts` are the samples of each client, whose batches are concatenated, and `shares`
    what each client counts in an average, where they do not all count the same; outside, both are empty.

    Example:
        >>> class PerClientMean(Grouped):
        ...     def forward(self, x):
        ...         return torch.cat([one - one.mean(0) for one in x.split(self.counts or (len(x),))])
    """

    counts: tuple[int, ...] = ()
    shares: tuple[float, ...] = ()


class GhostBatchNorm(Grouped, nn.modules.batchnorm._BatchNorm):
    """`nn.BatchNorm1d`, `2d` or `3d` with a batch that may be divided into groups (see `grouped`).

    Input and output: [batch, channels, ...], float32 or bfloat16, in either memory format, which is kept.
    In training, each group is normalized by its own mean and variance. The running statistics become the mean
    over groups, by `shares` if there are any, of what each would have made of them alone, as weights are
    averaged; `num_batches_tracked` counts batches, not groups. In evaluation it is `nn.BatchNorm2d`, and so
    are its parameters and buffers.

    A group with one value a channel has variance 0: its output is the bias and its input gradient 0, but
    for rounding; it counts with a variance of 0 in the running one. (torch refuses it, which would end a
    training whenever a client's last mini-batch is of one sample.)
    """

    def _check_input_dim(self, input: torch.Tensor) -> None:
        assert input.ndim >= 2, "batch normalization needs [batch, channels, ...]"

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        self._check_input_dim(input)
        counts = self.counts or (len(input),)
        assert sum(counts) == len(input), f"groups of {counts} samples in a batch of {len(input)}"
        statistics = input.new_zeros((2, len(counts), self.num_features), dtype=torch.float32)
        outputs = self._normalize(input, counts, statistics)
        if self.training and self.running_mean is not None:
            values = input[0, 0].numel()
            self._update([count * values for count in counts], *statistics)
        return outputs

    def _normalize(self, x: torch.Tensor, counts: Sequence[int], statistics: torch.Tensor) -> torch.Tensor:
        """Normalize each group, and write its mean and unbiased variance to `statistics`, [2, groups,
        channels].

        float32 with channels last on a CPU goes through `ghost_kernels`, groups side by side on as many
        threads as torch has; torch does it where it has many more threads than there are groups. Otherwise
        (the usual layout, bfloat16, other devices), small neighbouring groups of one size become more
        channels of one call of torch's, because the time of a small call is spent on starting it; that copies
        the batch twice. On a CPU, large groups, whose time is spent on memory, are normalized one after
        another and copied once. `benchmarks/training.py --norms` measures all three.
        """

        def normalized(part: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
            """One call of torch's, with as many channels as `mean` and `variance` have elements."""
            scale, shift = (
                None if each is None else each.repeat(len(mean)) for each in (self.weight, self.bias)
            )
            mean, variance = mean.view(-1), variance.view(-1)
            cudnn = torch.backends.cudnn.enabled
            return torch.batch_norm(part, scale, shift, mean, variance, True, 1.0, self.eps, cudnn)

        if compilable(x, self.weight, len(counts)):
            return cast(
                torch.Tensor, Compiled.apply(x, self.weight, self.bias, counts, self.eps, *statistics)
            )
        small = x.device.type != "cpu" or x.numel() < len(counts) * LARGE
        runs = [list(run) for _, run in groupby(counts)] if small else [[count] for count in counts]
        lengths = [len(run) for run in runs]
        means, variances = (each.split(lengths) for each in statistics)
        outputs = [
            side_by_side(part, len(mean), partial(normalized, mean=mean, variance=variance))
            for part, mean, variance in zip(
                x.split([sum(run) for run in runs]), means, variances, strict=True
            )
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    @torch.no_grad()
    def _update(self, sizes: Sequence[int], means: torch.Tensor, variances: torch.Tensor) -> None:
        """Move the running statistics. A client's update is linear in its statistics, so the mean of the
        updates is the update by the mean; one value has no unbiased variance (NaN), which counts as 0."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        factor = self.momentum
        if factor is None:  # the mean of all batches so far
            factor = 1 / int(self.num_batches_tracked)
        if min(sizes) == 1:
            variances = variances.masked_fill(variances.new_tensor(sizes).eq(1).unsqueeze(1), 0)
        self.running_mean.lerp_(self._mean(means).to(self.running_mean.dtype), factor)
        self.running_var.lerp_(self._mean(variances).to(self.running_var.dtype), factor)

    def _mean(self, of_groups: torch.Tensor) -> torch.Tensor:
        """Average a statistic over groups, by `shares` if there are any: [groups, channels] to [channels]."""
        if not self.shares:
            return of_groups.mean(0)
        return of_groups.new_tensor(self.shares) @ of_groups


def compilable(x: torch.Tensor, weight: torch.Tensor | None, groups: int) -> bool:
    """Whether the kernels take `x`, and are likely to be faster than torch: more than one group, channels
    last, float32, on a CPU, with not many more threads of torch's than there are groups."""
    if x.device.type != "cpu" or x.dtype != torch.float32 or weight is None or weight.dtype != x.dtype:
        return False
    return groups > 1 and torch.get_num_threads() <= KEEPS_UP * groups and _channels_last(x)


def share_out(run: Callable[[slice], None], groups: int, elements: int) -> None:
    """Call `run` with slices that together are all groups, on as many threads as torch has if there are
    enough elements. `run` must release the GIL, and write where no other slice does."""
    workers = min(torch.get_num_threads(), groups) if elements >= SHARED else 1
    edges = [groups * worker // workers for worker in range(workers + 1)]
    own, *others = (slice(*pair) for pair in pairwise(edges))
    waiting = [_threads(workers - 1).submit(run, other) for other in others]
    run(own)
    for other in waiting:
        other.result()


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="batch-norm")


class Compiled(torch.autograd.Function):
    """Normalize all groups of `x`, channels last, by the kernels, and write `means` and (unbiased)
    `variances`, [groups, channels]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        counts: Sequence[int],
        eps: float,
        means: torch.Tensor,
        variances: torch.Tensor,
    ) -> torch.Tensor:
        starts = np.cumsum([0, *counts])
        y, biased = torch.empty_like(x), torch.empty_like(variances)
        scale, shift = weight.detach().numpy(), bias.detach().numpy()
        inputs, outputs = _rows(x), _rows(y)
        by_group = [each.numpy() for each in (means, biased, variances)]

        def run(own: slice) -> None:
            ends = starts[own.start : own.stop + 1]
            ghost_kernels.forward(inputs, ends, scale, shift, eps, outputs, *(each[own] for each in by_group))

        share_out(run, len(counts), x.numel())
        ctx.save_for_backward(x, weight, means, biased)
        ctx.starts, ctx.eps = starts, eps
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, means, biased = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx, dweights, dbiases = torch.empty_like(x), torch.empty_like(means), torch.empty_like(means)
        values, slopes, out = (_rows(tensor) for tensor in (x, dy, dx))
        by_group = [each.numpy() for each in (means, biased, dweights, dbiases)]
        scale = weight.detach().numpy()

        def run(own: slice) -> None:
            ends = ctx.starts[own.start : own.stop + 1]
            ghost_kernels.backward(
                values, slopes, out, ends, scale, ctx.eps, *(each[own] for each in by_group)
            )

        share_out(run, len(means), x.numel())
        return dx, dweights.sum(0), dbiases.sum(0), None, None, None, None


def _rows(x: torch.Tensor) -> NDArray[np.float32]:
    """View the memory of `x`, channels last, as [samples, pixels, channels]."""
    return x.detach().permute(0, 2, 3, 1).view(len(x), -1, x.shape[1]).numpy()


def _channels_last(x: torch.Tensor) -> bool:
    """Whether `x` is laid out with its channels last, and not in the usual layout too."""
    return x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def side_by_side(
    x: torch.Tensor, groups: int, normalized: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Apply `normalized` to all groups in one call, where group g's channel c is channel g·channels + c.

    `x` and the result are [groups·n, channels, ...]. The copies there and back, and so the gradients', are in
    the memory format of `x`. A single group is not copied.
    """
    if groups == 1:
        return normalized(x)
    channels = x.shape[1]
    if _channels_last(x):
        last = x.permute(0, 2, 3, 1)
        rows = last.reshape(groups, -1, channels).transpose(0, 1).reshape(-1, groups * channels)
        rows = normalized(rows).view(-1, groups, channels).transpose(0, 1)
        return rows.reshape(last.shape).permute(0, 3, 1, 2)
    parts = x.reshape(groups, len(x) // groups, channels, -1)
    samples, pixels = parts.shape[1], parts.shape[3]
    if pixels < FEW_PIXELS:
        rows = normalized(parts.permute(1, 3, 0, 2).reshape(-1, groups * channels))
        return rows.view(samples, pixels, groups, channels).permute(2, 0, 3, 1).reshape(x.shape)
    planes = normalized(parts.transpose(0, 1).reshape(samples, groups * channels, pixels))
    return planes.view(samples, groups, channels, pixels).transpose(0, 1).reshape(x.shape)


def convert(module: nn.Module) -> nn.Module:
    """Make every `nn.BatchNorm1d`, `2d` and `3d` of `module`, or `module` itself, a `GhostBatchNorm`.

    In place: parameters, buffers and their names stay, and so do optimizers and hooks that know them. Classes
    derived from torch's are left as they are. Returns `module`.
    """
    for each in module.modules():
        if type(each) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
            each.__class__ = GhostBatchNorm
    return module


def layers_of(modules: nn.Module | Iterable[nn.Module]) -> list[Grouped]:
    """List every module in `modules` that is told whose samples are in a batch, in order."""
    roots = [modules] if isinstance(modules, nn.Module) else modules
    return [each for root in roots for each in root.modules() if isinstance(each, Grouped)]


@contextmanager
def grouped(
    modules: nn.Module | Iterable[nn.Module], counts: Sequence[int], shares: Sequence[float] = ()
) -> Iterator[None]:
    """Within it, batches in training are groups of `counts` samples, concatenated along the batch.

    `counts` are positive and sum to the batch size; with none, as without `grouped`, a batch is one group.
    `shares` are what each group's statistics count in the running ones; without, all the same. Applies to
    all `Grouped` in `modules`, `GhostBatchNorm` among them. Only the forward needs it: a backward may come
    later.
    """
    assert all(count > 0 for count in counts), f"groups of {counts} samples"
    layers = layers_of(modules)
    before = [(layer.counts, layer.shares) for layer in layers]
    try:
        for layer in layers:
            layer.counts, layer.shares = tuple(counts), tuple(shares)
        yield
    finally:
        for layer, former in zip(layers, before, strict=True):
            layer.counts, layer.shares = former
