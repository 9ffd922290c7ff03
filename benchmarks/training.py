"""How much of plain PyTorch's training speed is left with slsim around it.

    python benchmarks/training.py            # all models; bfloat16 and channels last too; some five minutes
    python benchmarks/training.py --quick    # the small models, float32 only; about a minute
    python benchmarks/training.py --norms    # batch normalization by client alone: the ways to do it
    python benchmarks/training.py --stacked  # clients of different weights: one after another, or stacked
    python benchmarks/training.py --device cuda  # the first two on a GPU; there are no targets for one

Ten clients with mini-batches of ten (forward, encode, server pass, decode, backward, average, and an
evaluation through the codec and without it), by slsim's defaults, against a plain loop on the same model with
one batch of 100: same loss, SGD with momentum, the same test images evaluated as often, PyTorch's defaults.
The targets are for that, in float32: five points below the table of docs/training-speed.md. A second ratio
is to a plain loop that lays images and weights out with channels last, as slsim does. Images are random, of
CIFAR's shape and in its proportion of five to train on for one to test. All loops take turns in one process,
because machines are shared; a ratio is the median over turns. On a GPU the plain loop's images are there from
the start, and a turn ends when the GPU is done; float32 is float32 for all loops. A target that is missed is
marked, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as slsim's command line does, for all loops

import torch
from torch import func, nn

from slsim.learning import ghost
from slsim.learning.apart import Manner
from slsim.learning.data import Dataset
from slsim.learning.evaluation import evaluate
from slsim.learning.images import Images
from slsim.learning.models import Model
from slsim.learning.parts import Parts
from slsim.learning.sampling import Sampler
from slsim.learning.split import SplitModel, halve
from slsim.learning.transfer import called
from slsim.recording import Round
from slsim.registry import registry_of
from slsim.scenario import plan
from slsim.study.preparing import exchange_of

CLIENTS, BATCH_SIZE = 10, 10
BATCH = CLIENTS * BATCH_SIZE
TARGETS = {
    "cnn": {"identity": 1.24, "ms": 1.18},
    "vgg19, width 0.25": {"identity": 1.04, "ms": 1.01},
    "resnet18, width 0.25": {"identity": 1.06, "ms": 1.05},
    "vgg19, width 1": {"identity": 0.93, "ms": 0.89},
}
CODECS: dict[str, dict[str, Any]] = {"identity": {}, "ms": {"sparsity": 0.99, "bits": 2}}
OPTIONS = ((False, False), (False, True), (True, False), (True, True))  # bfloat16, channels last
Turn = Callable[[], None]


@dataclass(frozen=True)
class Case:
    """A model, how many steps each loop takes a turn, and how many turns."""

    name: str
    width: float | None
    steps: int
    turns: int

    @property
    def label(self) -> str:
        return self.name if self.width is None else f"{self.name}, width {self.width:g}"

    def model(self) -> Model:
        return registry_of("model").create(self.name, **({} if self.width is None else {"width": self.width}))


CASES = (
    Case("cnn", None, steps=20, turns=9),
    Case("vgg19", 0.25, steps=10, turns=9),
    Case("resnet18", 0.25, steps=5, turns=7),
    Case("vgg19", 1.0, steps=3, turns=5),
)


def images(steps: int) -> Dataset:
    """Noise for `steps` batches, and a fifth of it for the test."""
    rng = np.random.default_rng(0)
    train, test = steps * BATCH, steps * BATCH // 5

    def some(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), np.arange(count) % 10

    return Dataset(*some(train), *some(test))


def halves_of(case: Case, data: Dataset) -> SplitModel:
    return halve(case.model(), "medium", data.image_shape, data.num_classes, seed=0)


def plain_loop(case: Case, data: Dataset, bfloat16: bool, channels_last: bool, device: torch.device) -> Turn:
    """An epoch as one writes it with PyTorch alone, and an evaluation; all images are made floats once."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    halves = halves_of(case, data)
    model = nn.Sequential(halves.client, halves.server).to(device, memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    mean, deviation = (torch.from_numpy(each).view(-1, 1, 1) for each in data.channel_statistics())
    x_train, x_test = (
        torch.from_numpy(x).float().div_(255).sub_(mean).div_(deviation).to(device)
        for x in (data.x_train, data.x_test)
    )
    y_train, y_test = (torch.from_numpy(y).to(device) for y in (data.y_train, data.y_test))

    def logits(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            return model(x.contiguous(memory_format=layout)).float()

    def turn() -> None:
        for chosen in torch.randperm(len(x_train)).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(logits(x_train[chosen]), y_train[chosen])
            loss.backward()
            optimizer.step()
            loss.item()
        model.eval()
        with torch.no_grad():
            sum(
                int((logits(x).argmax(1) == y).sum())
                for x, y in zip(x_test.split(1000), y_test.split(1000), strict=True)
            )
        model.train()

    return turn


def slsim_loop(
    case: Case, data: Dataset, codec: str, bfloat16: bool, channels_last: bool, device: torch.device
) -> Turn:
    """An epoch of slsim's training by the `splitfed` protocol, and an evaluation."""
    document = {
        "name": "benchmark",
        "data": {"name": "fashion-mini"},  # not loaded: the images are given
        "model": {"name": case.name, "cut": "medium"},
        "clients": {"count": CLIENTS, "batch_size": BATCH_SIZE},
        "codec": {"uplink": {"name": codec, **CODECS[codec]}},
        "training": {
            "epochs": 10_000,
            "learning_rate": 0.01,
            "momentum": 0.9,
            "precision": "bfloat16" if bfloat16 else "float32",
            "channels_last": channels_last,
        },
    }
    scenario = plan(document, "benchmark", Path()).cases[0].scenario
    halves = halves_of(case, data)
    for half in (halves.client, halves.server):
        ghost.convert(half)
    parts = Parts(halves, scenario.training, Manner(channels_last), device)
    pictures = Images(data, None, parts.device, channels_last)
    exchange = exchange_of(scenario, parts, pictures, Sampler.of(scenario, data))
    events = scenario.training.protocol.create().learn(exchange)

    def turn() -> None:
        for _ in range(case.steps):
            done = next(events)
            assert isinstance(done, Round)
        evaluate(exchange.computation, exchange.progress, BATCH_SIZE, crosses_cut=True)

    return turn


def in_turns(
    loops: dict[str, Turn], turns: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each loop's turns, after one each to warm up."""
    times: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(turns + 1):
        for name, loop in loops.items():
            start = clock()
            loop()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            if number:
                times[name].append(clock() - start)
    return times


def median_ratio(first: Sequence[float], second: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def against_plain(case: Case, bfloat16: bool, device: torch.device) -> bool:
    """Prints a row; whether all targets are met."""
    data = images(case.steps)
    loops = {
        name: plain_loop(case, data, bfloat16, last, device)
        for name, last in (("plain", False), ("last", True))
    }
    for codec in CODECS:
        loops[codec] = slsim_loop(case, data, codec, bfloat16, True, device)
    times = in_turns(loops, case.turns)
    samples = case.steps * BATCH
    rates = {name: f"{samples / statistics.median(own):,.0f}" for name, own in times.items()}
    cells, all_met = [rates["plain"], rates["last"]], True
    for codec, target in TARGETS[case.label].items():
        ratio, alike = (median_ratio(times[name], times[codec]) for name in ("plain", "last"))
        met = bfloat16 or device.type != "cpu" or ratio >= target
        all_met &= met
        cells += [
            rates[codec],
            f"{ratio:.2f}" if met else f"**{ratio:.2f} MISSES {target:.2f}**",
            f"{alike:.2f}",
        ]
    print(f"| {case.label} | {' | '.join(cells)} |", flush=True)
    return all_met


def options(case: Case, device: torch.device) -> None:
    """Prints a row: slsim's own speed-ups by bfloat16 and channels last, with `ms`."""
    data = images(case.steps)
    loops = {str(option): slsim_loop(case, data, "ms", *option, device) for option in OPTIONS}
    times = list(in_turns(loops, max(3, case.turns // 2)).values())
    speedups = [f"{median_ratio(times[0], own):.2f}×" for own in times[1:]]
    print(f"| {case.label} | {' | '.join(speedups)} |", flush=True)


WAYS = {
    "own": (ghost.LARGE, ghost.KEEPS_UP),
    "after": (0, 0),
    "beside": (10**12, 0),
    "mixed": (ghost.LARGE, 0),
}


def norms(case: Case, clients: int, batch_size: int) -> None:
    """Print rows: what batch normalization by client adds to a forward and backward of the whole model, as
    it is, and without slsim's kernels: always client after client, always side by side, and by size.
    With one thread, CPU time is measured, because other programs do not change it much."""
    counts = [batch_size] * clients
    data = images(-(-sum(counts) // BATCH))
    x = torch.from_numpy(data.x_train[: sum(counts)]).float().div_(255)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

    def loop(model: nn.Module, batch: torch.Tensor, counts: Sequence[int], way: str) -> Turn:
        def turn() -> None:
            ghost.LARGE, ghost.KEEPS_UP = WAYS[way]
            model.zero_grad()
            with ghost.grouped(model, counts):
                model(batch).square().mean().backward()

        return turn

    for name, layout in (("", torch.contiguous_format), (", channels last", torch.channels_last)):
        batch = x.contiguous(memory_format=layout)
        models = []
        for _ in range(2):
            halves = halves_of(case, data)
            models.append(nn.Sequential(halves.client, halves.server).to(memory_format=layout))
        loops = {"plain": loop(models[0], batch, (), "own")}
        for way in WAYS:
            loops[way] = loop(ghost.convert(models[1]), batch, counts, way)
        times = in_turns(loops, 2 * case.turns, clock)
        more = [f"{median_ratio(times[way], times['plain']) - 1:+.0%}" for way in WAYS]
        milliseconds = f"{1000 * statistics.median(times['plain']):.0f}"
        print(f"| {case.label}{name} | {milliseconds} | {' | '.join(more)} |", flush=True)


def stacked(case: Case) -> None:
    """Prints a row: a step of ten clients whose weights differ, one after another and stacked by torch.func
    (without running statistics, which only helps it); and how much faster stacked is."""
    halves = halves_of(case, images(1))
    model = nn.Sequential(halves.client, halves.server)
    x, y = torch.randn(CLIENTS, BATCH_SIZE, 3, 32, 32), torch.randint(0, 10, (CLIENTS, BATCH_SIZE))
    clients = [copy.deepcopy(model) for _ in range(CLIENTS)]
    optimizers = [_sgd(client.parameters()) for client in clients]
    bare = [func.replace_all_batch_norm_modules_(copy.deepcopy(model)) for _ in range(CLIENTS)]
    states, buffers = func.stack_module_state(bare)
    weights = {name: state.detach() for name, state in states.items()}
    together = _sgd(weights.values())

    def one_after_another() -> None:
        for client, optimizer, own_x, own_y in zip(clients, optimizers, x, y, strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(client(own_x), own_y).backward()
            optimizer.step()

    def loss(own: Any, rest: Any, own_x: torch.Tensor, own_y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(func.functional_call(bare[0], (own, rest), (own_x,)), own_y)

    def at_once() -> None:
        for name, gradient in func.vmap(func.grad(loss))(weights, buffers, x, y).items():
            weights[name].grad = gradient
        together.step()

    times = in_turns({"one": one_after_another, "stacked": at_once}, case.turns)
    cells = [f"{1000 * statistics.median(own):.0f}" for own in times.values()]
    faster = median_ratio(times["one"], times["stacked"])
    print(f"| {case.label} | {' | '.join(cells)} | {faster:.2f}× |", flush=True)


def _sgd(weights: Iterable[torch.Tensor]) -> torch.optim.SGD:
    return torch.optim.SGD(list(weights), lr=0.01, momentum=0.9, fused=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small models, float32 only")
    parser.add_argument("--model", help="cnn, vgg19 or resnet18 alone; left out: all")
    parser.add_argument("--norms", action="store_true", help="batch normalization alone")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="with --norms")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE, help="with --norms")
    parser.add_argument("--stacked", action="store_true", help="clients of different weights alone")
    parser.add_argument("--threads", type=int, help="of torch; left out: its own choice")
    parser.add_argument("--bfloat16", action="store_true", help="all loops in bfloat16")
    parser.add_argument("--device", type=torch.device, default="cpu", help="where slsim and PyTorch compute")
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # as slsim's trainings
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    cases = [
        case for case in (CASES[:3] if arguments.quick else CASES) if arguments.model in (None, case.name)
    ]
    where = called(arguments.device)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {where}\n")
    if arguments.norms:
        print(
            "| model | plain, ms | as it is | client after client | side by side | by size |\n"
            + 6 * "|---"
            + "|"
        )
        for case in cases:
            if case.name != "cnn":  # which has none
                norms(case, arguments.clients, arguments.batch_size)
        return 0
    if arguments.stacked:
        print("| model | one after another, ms | stacked, ms | faster |\n" + 4 * "|---" + "|")
        for case in cases:
            stacked(case)
        return 0
    print(
        "| model | plain, samples/s | plain, channels last | identity | ÷ plain | ÷ channels last "
        "| MS 99 %, 2 bits | ÷ plain | ÷ channels last |\n" + 9 * "|---" + "|"
    )
    met = [against_plain(case, arguments.bfloat16, arguments.device) for case in cases]
    if not arguments.quick:
        print("\nSpeed-ups of slsim's training with MS, over float32 in the usual layout\n")
        print("| model | channels last | bfloat16 | both |\n|---|---|---|---|")
        for case in cases:
            options(case, arguments.device)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
