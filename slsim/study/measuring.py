"""How long a training takes, and how much memory: a few real rounds of it in an exchange that is thrown away.

Real data are used where they are loaded anyway. Where they are missing, or would have to be decoded first,
random images of their sizes stand in for them: how long a step takes hardly depends on what is in an image.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slsim import seeds
from slsim.protocols import Protocol
from slsim.scenario import Scenario
from slsim.study.failures import told_by_cause
from slsim.study.preparing import Manners, prepare
from slsim.threads import computing_with

if TYPE_CHECKING:
    import torch

    from slsim.learning.data import Dataset
    from slsim.learning.exchange import Exchange

LEAST_ROUNDS, LEAST_S = 2, 0.5  # that are measured after the first, which warms up
MOST_FLOPS = 1e11  # of a round that is measured; a larger one is measured with fewer of its clients
TESTED = 1000  # test images at most, with which an evaluation is measured
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measured:
    """Real seconds: of the beginning, of a training sample, of an evaluation, of a measurement of each hook.
    `peak_bytes` is the most memory that this process had meanwhile; None where the system does not say, or
    where fewer clients were measured than there are."""

    begin_s: float
    sample_s: float
    evaluation_s: float
    hooks_s: tuple[float, ...]
    peak_bytes: int | None


def measure(
    scenario: Scenario,
    data: Dataset,
    loaded: bool,
    flops: float,
    known: Manners | None = None,
    device: str = "cpu",
) -> Measured:
    """Measure a scenario's training on `data`, which are sizes alone unless `loaded`, with torch on `device`.
    `flops` are those of a round. Raises `SlsimError` for what its training would raise."""
    own = scenario if flops <= MOST_FLOPS else _with_fewer_clients(scenario, MOST_FLOPS / flops)
    forget_peak()
    began_s = time.perf_counter()
    with told_by_cause(scenario), computing_with(scenario.training.threads):
        exchange = prepare(own, device, known, data=data if loaded else drawn(own, data))
        begin_s = time.perf_counter() - began_s
        sample_s = _sample_s(exchange, own.training.protocol.create())
        hooks_s = tuple(_hook_s(exchange, choice.create()) for choice in own.training.hooks)
        evaluation_s = _evaluation_s(exchange, own, data.y_test.size)
    return Measured(begin_s, sample_s, evaluation_s, hooks_s, None if own is not scenario else peak())


def _with_fewer_clients(scenario: Scenario, share: float) -> Scenario:
    """The same, with a share of the clients in each round, one at least."""
    clients = scenario.clients
    fewer = max(1, int((clients.per_round or clients.count) * share))
    return scenario.model_copy(update={"clients": clients.model_copy(update={"per_round": fewer})})


def drawn(scenario: Scenario, data: Dataset) -> Dataset:
    """Random images of the sizes of `data`, as many as some rounds take."""
    rng = seeds.generator(scenario.seed, "images to measure with")
    clients = scenario.clients
    wanted = min(data.y_train.size, clients.count * clients.batch_size * (LEAST_ROUNDS + 1))
    labels = (np.arange(wanted) * max(1, data.y_train.size // wanted)) % data.y_train.size
    tested = min(data.y_test.size, TESTED)

    def images(count: int) -> Any:
        return rng.integers(0, 256, (count, *data.image_shape), dtype=np.uint8)

    y_train = data.y_train[labels]
    y_train[0] = data.num_classes - 1  # so that there are as many classes
    groups = {name: group[labels] for name, group in data.groups.items()}
    return replace(
        data,
        x_train=images(wanted),
        y_train=y_train,
        x_test=images(tested),
        y_test=data.y_test[:tested],
        groups=groups,
    )


def _sample_s(exchange: Exchange, protocol: Protocol) -> float:
    """Seconds a sample, over some rounds, or over some steps of a long one."""
    events = protocol.learn(exchange)
    next(events)  # the first warms up
    before, began_s = _samples(exchange), time.perf_counter()
    done = 0
    for done, _ in enumerate(events, 1):
        if done >= LEAST_ROUNDS and time.perf_counter() - began_s >= LEAST_S:
            break
    seconds = time.perf_counter() - began_s
    return seconds / max(1, _samples(exchange) - before) if done else seconds


def _samples(exchange: Exchange) -> int:
    """How many samples were taken so far."""
    sampler, batch = exchange.sampler, exchange.sampler.batch_size
    if not sampler.taken.any():  # all in one place
        return exchange.progress.rounds * batch * len(sampler.participants(0))
    return sum(
        _taken(int(taken), part.size, batch) for taken, part in zip(sampler.taken, sampler.parts, strict=True)
    )


def _taken(batches: int, samples: int, size: int) -> int:
    """Samples in so many mini-batches, of which each pass over the samples ends with a smaller one."""
    in_a_pass = -(-samples // size)
    passes, rest = divmod(batches, in_a_pass) if in_a_pass else (0, 0)
    return passes * samples + rest * size


def _hook_s(exchange: Exchange, hook: Any) -> float:
    from slsim.learning.hooks.look import Look

    began_s = time.perf_counter()
    list(hook.measure(Look(exchange)))
    return time.perf_counter() - began_s


def _evaluation_s(exchange: Exchange, scenario: Scenario, test_images: int) -> float:
    """Seconds of an evaluation on so many test images, from one on some of them."""
    from slsim.learning.evaluation import evaluate
    from slsim.learning.tensors import Tensors

    tensors = exchange.computation
    assert isinstance(tensors, Tensors)
    if not tensors.losses:
        tensors.losses = [0.0]
    tensors.images = _Few(tensors.images)  # type: ignore[assignment]
    began_s = time.perf_counter()
    crosses_cut = scenario.training.protocol.create().crosses_cut
    evaluate(tensors, exchange.progress, exchange.sampler.batch_size, crosses_cut)
    return (time.perf_counter() - began_s) * test_images / min(test_images, TESTED)


class _Few:
    """Images of which some are there to test with."""

    def __init__(self, images: Any) -> None:
        self._images = images

    def test_batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        batches: Iterator[tuple[torch.Tensor, torch.Tensor]] = self._images.test_batches(TESTED)
        return itertools.islice(batches, 1)


# Memory, where the system says it (Linux).


def forget_peak() -> None:
    """Let `peak` begin from what this process has now."""
    _quietly(lambda: RESET.write_text("5"))


def peak() -> int | None:
    """The most memory (bytes) that this process had since `forget_peak`; None where it is not known."""
    return _quietly(lambda: _status("VmHWM"))


def _status(key: str) -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{key}:"))
    return 1024 * int(line.split()[1])


def _quietly(call: Callable[[], int]) -> int | None:
    try:
        return call()
    except (OSError, ValueError):
        return None
