"""How many transfers a second the live network delivers, beside plain SimPy timeouts in the same process.

    python benchmarks/network.py                       # two minutes; every case three times, the best counts
    python benchmarks/network.py --quick               # a few seconds
    python benchmarks/network.py --plot docs/figures   # also draws network_cost.svg and .png: cost over size

One core; CPU time is counted, because machines are shared. Closed loop: 1,000 SimPy processes, each of which
sends again as soon as its transfer has arrived. At the end, the rounds of `barrier.py`. Targets are those of
a core that does as many plain SimPy timeouts a second as `barrier.REFERENCE`; on a slower one they are lower
in proportion. One that is missed is marked, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import barrier
import simpy
from barrier import CONCURRENT, timeouts

from slsim.network import Link, Network, Transfer

PERIOD_S = 0.05  # simulated seconds between two looks at how many have arrived: about a thousand
Route = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """`measure(completions)` gives completions a second; `target` is what they are to reach, if anything."""

    label: str
    measure: Callable[[int], float]
    target: float | None = None


@dataclass(frozen=True)
class Topology:
    """Links, and the routes that each client takes in turn, over and over."""

    links: Sequence[Link]
    routes_of: Sequence[Sequence[Route]]


def bottleneck(clients: int = CONCURRENT) -> Topology:
    """Each client has an access link of its own rate before one that all share."""
    rng = random.Random(0)
    links = [Link(f"up{i}", rng.uniform(1e6, 100e6)) for i in range(clients)]
    return Topology(
        [*links, Link("ingress", 20e6 * clients)], [[(f"up{i}", "ingress")] for i in range(clients)]
    )


def mesh(clients: int = CONCURRENT, routes: int = 1) -> Topology:
    """100 links and random routes of two to four of them; each client takes `routes` different ones."""
    rng = random.Random(0)
    links = [Link(f"link{i}", rng.uniform(1e8, 1e9)) for i in range(100)]
    names = [link.name for link in links]
    return Topology(
        links, [[tuple(rng.sample(names, rng.randint(2, 4))) for _ in range(routes)] for _ in range(clients)]
    )


def tree(clients: int = CONCURRENT) -> Topology:
    """Access links of many rates, 20 access points, and the server's ingress."""
    rng = random.Random(0)
    links = [Link(f"up{i}", rng.uniform(1e6, 100e6)) for i in range(clients)]
    links += [Link(f"point{i}", rng.uniform(0.5e6, 2e6) * clients) for i in range(20)]
    links += [Link("ingress", 15e6 * clients)]
    return Topology(links, [[(f"up{i}", f"point{i % 20}", "ingress")] for i in range(clients)])


def closed_loop(topology: Topology, completions: int, think_s: float = 0.0) -> float:
    """Completions a second once every client has been served; `think_s` is the mean pause between two."""
    env = simpy.Environment()
    flows = Network(topology.links).attach(env)
    rng = random.Random(1)
    sizes = [rng.randrange(1000, 2_000_000) for _ in range(10_007)]
    arrived: list[int] = []

    def client(number: int, routes: Sequence[Route]) -> Iterator[simpy.Event]:
        turns = itertools.islice(itertools.cycle(sizes), number * 7, None)
        for route, size in zip(itertools.cycle(routes), turns, strict=False):
            yield flows.send(route, size)
            arrived.append(size)
            if think_s:
                yield env.timeout(rng.expovariate(1 / think_s))

    def run_until(count: int) -> None:
        while len(arrived) < count:
            env.run(until=env.now + PERIOD_S)

    for number, routes in enumerate(topology.routes_of):
        env.process(client(number, routes))
    run_until(len(topology.routes_of))
    before = len(arrived)
    start = time.process_time()
    run_until(before + completions)
    return (len(arrived) - before) / (time.process_time() - start)


def transfers_at_once(topology: Topology, window_s: float = 10.0) -> float:
    """Seconds for one transfer of every client, of different sizes, all sent within `window_s`."""
    rng = random.Random(2)
    transfers = [
        Transfer(routes[0], rng.randrange(100_000, 2_000_000), rng.uniform(0.0, window_s))
        for routes in topology.routes_of
    ]
    network = Network(topology.links)
    gc.collect()
    gc.freeze()  # what was made before, by other cases too, is not to be searched for garbage here
    start = time.process_time()
    network.completion_times(transfers)
    seconds = time.process_time() - start
    gc.unfreeze()
    return seconds


def many_transfers(count: int) -> float:
    """Seconds for `count` transfers through a link so slow that nearly all are on it at a time."""
    return transfers_at_once(Topology([Link("link", 1e3 * count)], [[("link",)]] * count))


def cases() -> list[Case]:
    """What is measured, in order. More cases go here: a label, a function, and a target if there is one.

    A client that takes the same route again leaves all rates as they were; with ten routes or pauses, all
    rates change with every completion.
    """
    return [  # the one that needs most memory first, while that is in one piece
        Case("100,000 transfers, one link", lambda _: 1e5 / many_transfers(100_000), 50_000),
        Case("one bottleneck", lambda n: closed_loop(bottleneck(), 4 * n), 60_000),
        Case("mesh, a route a client", lambda n: closed_loop(mesh(), 2 * n), 50_000),
        Case("access points, ingress", lambda n: closed_loop(tree(), 2 * n), 50_000),
        Case("mesh, 10 routes a client", lambda n: closed_loop(mesh(routes=10), n)),
        Case("access points, pauses", lambda n: closed_loop(tree(), n, think_s=0.05)),
    ]


def cost_rows(quick: bool) -> list[tuple[int, float, str]]:
    """(transfers, seconds, case) for n transfers at once, up to all of them concurrent."""
    sizes = [100, 300, 1000, 3000] if quick else [100, 300, 1000, 3000, 10_000, 30_000, 100_000]
    rows = []
    for size in sizes:
        repeats = 3 if size <= 10_000 else 1
        rows.append((size, min(many_transfers(size) for _ in range(repeats)), "one link"))
        rows.append(
            (size, min(transfers_at_once(bottleneck(size)) for _ in range(repeats)), "access links, ingress")
        )
        if size <= 10_000:
            rows.append((size, transfers_at_once(tree(size)), "access points, ingress"))
            rows.append((size, transfers_at_once(mesh(size)), "random mesh"))
    return rows


def plot(rows: Sequence[tuple[int, float, str]], folder: Path) -> None:
    """Seconds over the number of transfers, on two logarithmic axes, as network_cost.svg and .png."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", yscale="log", xlabel="transfers, all at once", ylabel="CPU seconds on one core"
    )
    for case in dict.fromkeys(case for _, _, case in rows):
        points = [(size, seconds) for size, seconds, name in rows if name == case]
        axes.plot(*zip(*points, strict=True), marker="o", label=case)
    size, seconds, _ = rows[0]
    sizes = sorted({size for size, _, _ in rows})
    guide = [seconds * n * math.log(n) / (size * math.log(size)) for n in sizes]
    axes.plot(sizes, guide, color="0.6", linestyle="--", label="n log n")
    axes.legend()
    axes.grid(alpha=0.3)
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"network_cost.{suffix}", dpi=150)


def growth(rows: Sequence[tuple[int, float, str]]) -> Iterator[str]:
    """For every case the exponent of n over the last decade of sizes."""
    for case in dict.fromkeys(case for _, _, case in rows):
        points = [(size, seconds) for size, seconds, name in rows if name == case]
        (small, fast), (large, slow) = points[-3], points[-1]
        exponent = math.log(slow / fast) / math.log(large / small)
        n_log_n = math.log(large * math.log(large) / (small * math.log(small))) / math.log(large / small)
        yield f"{case}: {slow:.3g} s for {large:,}; seconds ~ n^{exponent:.2f} (n log n: n^{n_log_n:.2f})"


def report(case: Case, completions: int, repeats: int) -> bool:
    """Measure a case between two measurements of plain SimPy, print its row: is it fast enough?"""
    runs = []
    for _ in range(repeats):
        before, rate, after = timeouts(100_000), case.measure(completions), timeouts(100_000)
        runs.append((rate, 2 * rate / (before + after)))
    rate, ratio = max(runs)
    target = None if case.target is None else case.target * min(1.0, rate / ratio / barrier.REFERENCE)
    met = target is None or rate >= target
    aim = "" if target is None else f"≥ {target:,.0f}, of {case.target:,.0f}" + ("" if met else " MISSED")
    rates = ", ".join(f"{rate / 1e3:.0f}" for rate, _ in runs)
    print(f"| {case.label} | **{rate:,.0f}** | {ratio:.3f} | {aim} | {rates} |", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer completions, one repeat, smaller sizes")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="where network_cost.svg and .png go")
    options = parser.parse_args()
    completions, repeats = (20_000, 1) if options.quick else (50_000, 3)
    print("| case | completions/s | ÷ SimPy timeouts/s | target | runs (thousands) |\n|---|---|---|---|---|")
    met = [report(case, completions, repeats) for case in cases()]
    if options.plot or not options.quick:
        rows = cost_rows(options.quick)
        print("", *growth(rows), sep="\n")
        if options.plot:
            plot(rows, options.plot)
    print("\nRounds that are barriers:\n", flush=True)
    met.append(barrier.run(100_000 if options.quick else 1_000_000, repeats=3 if options.quick else 9))
    print("\nAll targets are met." if all(met) else "\nA target is missed.")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
