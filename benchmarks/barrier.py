"""How fast rounds that are barriers are worked out: seconds, and as a ratio to SimPy's, turn for turn.

    python benchmarks/barrier.py                     # half a minute
    python benchmarks/barrier.py --clients 100000    # smaller rounds; the targets of large ones go by size

A round: forward, encode, uplink, server, downlink, decode, backward, all of random length, so that nobody
arrives in order. Medians of `--repeats`, CPU time of one thread; compiling is not counted. The ratio is to
the same round of 500 clients in SimPy, in the same process, because machines are shared; targets are scaled
by plain SimPy timeouts. A target that is missed is marked, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simpy

from slsim.clock import Clock
from slsim.network import Link, Network, barrier
from slsim.recording import Message, Piece, Recording, Rows, Script, Vocabulary
from slsim.recording.kinds import CLIENT_BACKWARD, CLIENT_FORWARD, ENCODE
from slsim.scenario import plan

LATENCY_S = 0.005
RATES_BPS = np.geomspace(1e6, 1e9, 20)


REFERENCE = 1_310_000  # plain SimPy timeouts a second of the core that targets are told for
CONCURRENT = 1000
HALVES = ("client forward", "client backward", "server forward", "server backward")


@dataclass(frozen=True)
class Rounds:
    """What every client computes and sends."""

    offsets: np.ndarray
    forward_s: np.ndarray
    encode_s: np.ndarray
    up_bytes: np.ndarray
    service_s: np.ndarray
    down_bytes: np.ndarray
    decode_s: np.ndarray
    backward_s: np.ndarray
    rate_bps: np.ndarray  # of each client's own links

    @classmethod
    def random(cls, rounds: int, clients: int) -> Rounds:
        rng = np.random.default_rng(7)
        turns = rounds * clients
        return cls(
            offsets=np.arange(0, turns + 1, clients),
            forward_s=rng.lognormal(-2, 0.7, turns),
            encode_s=rng.uniform(1e-3, 5e-3, turns),
            up_bytes=rng.integers(10_000, 100_000, turns).astype(np.float64),
            service_s=rng.uniform(1e-6, 2e-6, turns),
            down_bytes=rng.integers(50_000, 150_000, turns).astype(np.float64),
            decode_s=rng.uniform(1e-3, 5e-3, turns),
            backward_s=rng.lognormal(-1.5, 0.7, turns),
            rate_bps=rng.uniform(1e6, 1e8, turns),
        )

    @property
    def clients(self) -> int:
        return int(self.offsets[1])


Crossing = Callable[[np.ndarray, np.ndarray], np.ndarray]  # start_s, num_bytes -> end_s


def ends(rounds: Rounds, up: Crossing, down: Crossing, slots: int) -> np.ndarray:
    """When each round is over."""
    now_s = up(rounds.forward_s + rounds.encode_s, rounds.up_bytes)
    _, now_s = barrier.queue(now_s, rounds.service_s, rounds.offsets, slots)
    now_s = down(now_s, rounds.down_bytes)
    now_s += rounds.decode_s
    now_s += rounds.backward_s
    return np.maximum.reduceat(now_s, rounds.offsets[:-1])


def dedicated(_: Rounds, rate_bps: float | np.ndarray) -> Crossing:
    return lambda start_s, num_bytes: barrier.dedicated(start_s, num_bytes, rate_bps, LATENCY_S)


def shared(rounds: Rounds, rate_bps: float) -> Crossing:
    return lambda start_s, num_bytes: barrier.fair(start_s, num_bytes, rounds.offsets, rate_bps, LATENCY_S)[0]


def fifo(rounds: Rounds, rate_bps: float) -> Crossing:
    return lambda start_s, num_bytes: barrier.fifo(start_s, num_bytes, rounds.offsets, rate_bps, LATENCY_S)[0]


def seconds(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def one_round(clients: int) -> Iterator[tuple[str, Callable[[], object], float | None]]:
    """Label, call, and the target in seconds for 1,000,000 clients."""
    r = Rounds.random(1, clients)
    own, medium = dedicated(r, r.rate_bps), shared(r, 1e4 * clients)
    yield "dedicated links", lambda: ends(r, own, own, clients), 0.05
    yield "dedicated links, 1 server slot", lambda: ends(r, own, own, 1), None
    yield "dedicated links, 100 server slots", lambda: ends(r, own, own, 100), None
    yield "shared medium", lambda: ends(r, medium, medium, clients), 1.0
    yield "shared medium, 1 server slot", lambda: ends(r, medium, medium, 1), None
    balanced = shared(r, 8 * r.up_bytes.sum())  # as many arrive as leave, and most are on it
    yield "shared medium, full while filling", lambda: ends(r, balanced, balanced, clients), 1.0
    queued = fifo(r, 1e4 * clients)
    yield "FIFO links, 1 server slot", lambda: ends(r, queued, queued, 1), None


def many_rounds() -> None:
    """2,000 rounds of 10 clients at each rate, over each kind of link."""
    r = Rounds.random(2000, 10)
    for kind in (dedicated, shared, fifo):
        for rate_bps in RATES_BPS:
            crossing = kind(r, float(rate_bps))
            ends(r, crossing, crossing, 1)


def replay() -> None:
    """The same as a replay does it: a recording's records as columns, and for each rate a network, devices,
    all phases, what links carried, and the checks of the clock."""
    recording = Recording("", {})
    for number in range(2000):
        recording.add_round(_round(recording.words, number))
    for rate_bps in RATES_BPS:
        document = {
            "name": "replay",
            "data": {"name": "fashion-mini"},
            "model": {"name": "cnn", "cut": "medium"},
            "network": {"uplink": f"{rate_bps:.0f} bps"},
        }
        (case,) = plan(document, "benchmark", Path()).cases
        Clock.of(case.scenario).play(recording)


def _round(words: Vocabulary, number: int) -> Rows:
    """A round of ten clients of `splitfed`, whose activations take a size of their own."""
    script, elements = Script(words), 15_680
    work = {
        name: Piece(name, samples=10, flops=flops)
        for name, flops in zip(HALVES, (1e7, 2e7, 3e7, 6e7), strict=True)
    }
    encode, decode = (
        Piece(name, elements=elements, codec="ms", core_s=1e-5) for name in ("encode", "decode")
    )
    for client in range(10):
        lane = script.lane(client)
        lane.work(client, CLIENT_FORWARD, work["client forward"])
        lane.work(client, ENCODE, encode)
        size = 4000 + (13 * number + client) % 1000
        lane.upload(client, Message("activations", size, 62_720), Message("labels", 10, 10))
        lane.serve(client, decode, work["server forward"], work["server backward"])
        lane.download(client, Message("gradients", 62_720, 62_720))
        lane.work(client, CLIENT_BACKWARD, work["client backward"])
    return script.rows()


def timeouts(completions: int) -> float:
    """Plain SimPy: 1,000 processes that wait for one timeout after the other, those a second."""
    env = simpy.Environment()

    def client(delay_s: float) -> Iterator[simpy.Event]:
        for _ in range(completions // CONCURRENT):
            yield env.timeout(delay_s)

    clients = [env.process(client(1 + i / CONCURRENT)) for i in range(CONCURRENT)]
    start = time.process_time()
    env.run(until=env.all_of(clients))
    return completions / (time.process_time() - start)


def in_simpy(clients: int) -> None:
    """One round over a shared medium, event by event."""
    r = Rounds.random(1, clients)
    env = simpy.Environment()
    flows = Network([Link("up", 1e4 * clients, LATENCY_S), Link("down", 1e4 * clients, LATENCY_S)]).attach(
        env
    )
    server = simpy.Resource(env, 1)

    def client(i: int) -> Iterator[simpy.Event]:
        yield env.timeout(r.forward_s[i])
        yield env.timeout(r.encode_s[i])
        yield flows.send(("up",), int(r.up_bytes[i]))
        with server.request() as place:
            yield place
            yield env.timeout(r.service_s[i])
        yield flows.send(("down",), int(r.down_bytes[i]))
        yield env.timeout(r.decode_s[i])
        yield env.timeout(r.backward_s[i])

    env.run(until=env.all_of([env.process(client(i)) for i in range(clients)]))


def report(label: str, elapsed: float, target: float | None, turns: int, simpy_turn_s: float) -> bool:
    met = target is None or elapsed <= target
    mark = "" if target is None else f" ≤ {target:.3g} s" if met else f" MISSES {target:.3g} s"
    faster = simpy_turn_s / (elapsed / turns)
    print(f"| {label} | {elapsed:.4f} s{mark} | {1e9 * elapsed / turns:.0f} ns | {faster:.0f}× |", flush=True)
    return met


def growth(repeats: int) -> bool:
    """Time ÷ (n log n), which is to stay level: from 10,000 clients on, where calls cost nothing any more, no
    more than three times as much (a million no longer fits into the caches)."""
    print("\n| clients | dedicated | shared | full while filling |\n|---|---|---|---|")
    level = True
    first: list[float] = []
    for clients in (10**3, 10**4, 10**5, 10**6):
        calls = {label: call for label, call, _ in one_round(clients)}
        labels = ("dedicated links", "shared medium", "shared medium, full while filling")
        work = clients * math.log2(clients)
        costs = [1e9 * seconds(calls[label], repeats) / work for label in labels]
        print(f"| {clients:,} | " + " | ".join(f"{cost:.2f} ns" for cost in costs) + " |", flush=True)
        if clients < 10**4:
            continue
        first = first or costs
        level &= all(cost <= 3 * start for cost, start in zip(costs, first, strict=True))
    print("(time ÷ n log₂ n: level)" if level else "(time ÷ n log₂ n: MISSES, it grows)")
    return level


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    return 0 if run(options.clients, options.repeats) else 1


def run(clients: int, repeats: int) -> bool:
    """Measure and print everything; whether all targets are met."""
    simpy_turn_s = seconds(lambda: in_simpy(500), 3) / 500
    print(f"SimPy: {1e6 * simpy_turn_s:.0f} µs a turn (shared medium, 500 clients)\n")
    slower = max(1.0, REFERENCE / max(timeouts(100_000) for _ in range(3)))
    print(f"Targets: times {slower:.2f}, as much as this core is slower than the one they are told for\n")
    print("| a round | time | a turn | faster than SimPy |\n|---|---|---|---|")
    met = True
    for label, call, target in one_round(clients):
        scaled = None if target is None else slower * target * clients / 1e6
        met &= report(label, seconds(call, repeats), scaled, clients, simpy_turn_s)
    turns = 3 * len(RATES_BPS) * 2000 * 10
    label = "2,000 rounds × 10 clients × 20 rates × 3 kinds of link"
    met &= report(label, seconds(many_rounds, 3), slower, turns, simpy_turn_s)
    label = "2,000 rounds × 10 clients × 20 rates, as slsim replay does it"
    met &= report(label, seconds(replay, 3), slower, turns // 3, simpy_turn_s)
    return met & growth(repeats)


if __name__ == "__main__":
    sys.exit(main())
