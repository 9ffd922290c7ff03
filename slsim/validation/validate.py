"""`validate`: every experiment, measured and predicted."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from slsim.units import DURATION, RATE, SIZE
from slsim.validation.comparison import Comparison, Experiment, Links, Validation
from slsim.validation.lab import SHAPER, Lab
from slsim.validation.measure import Bench
from slsim.validation.predict import Round, arrivals_s, delayed_arrival_s, own_rounds

CUBIC = "cubic"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured, `repeats` times each: every one of `sizes` (bytes), alone and more `flows` at once,
    over all of `rates_bps` (bit/s), where it takes no longer than `longest_s`; then rounds; then, over
    paths of `delays_s` one way, `delayed_sizes` at `delayed_rates_bps`."""

    rates_bps: tuple[float, ...]
    sizes: tuple[int, ...]
    flows: tuple[int, ...] = (1, 10)
    repeats: int = 3
    longest_s: float = 9.0
    default_congestion_too: bool = True
    delays_s: tuple[float, ...] = ()
    delayed_rates_bps: tuple[float, ...] = (20e6, 100e6)
    delayed_sizes: tuple[int, ...] = (100_000, 400_000, 1_000_000)


FULL = Plan((10e6, 50e6, 100e6), (10_000, 100_000, 1_000_000, 10_000_000))
QUICK = Plan((50e6,), (100_000, 1_000_000), longest_s=2.0, default_congestion_too=False)
DELAYS_S = (0.005, 0.020, 0.050)


def validate(plan: Plan, rounds: Sequence[Round] = (), tell: Tell = lambda _: None) -> Validation:
    """Builds the network, measures, predicts, and takes everything down again.

    Without any `rounds`, slsim's own are played. `tell` hears what is being done.

    Raises ValidationError when this machine cannot do it, KeyboardInterrupt or SystemExit when it was told
    to stop; nothing is left behind then.
    """
    load_before = os.getloadavg() if hasattr(os, "getloadavg") else ()
    comparisons: list[Comparison] = []
    with Lab(plan.rates_bps[0]) as lab:
        bench = Bench(lab)
        for congestion in _congestions(bench, plan):
            runner = _Runner(lab, bench, plan, congestion, bench.round_trip_s(), tell)
            for rate_bps in plan.rates_bps:
                comparisons += runner.transfers(rate_bps)
                for one in rounds or own_rounds():
                    comparisons += runner.rounds(one, rate_bps)
        manifest = _manifest(bench, plan, load_before)
    for delay_s in plan.delays_s:
        with Lab(plan.rates_bps[0], delay_s) as lab:
            comparisons += _delayed(lab, Bench(lab), plan, delay_s, tell)
    return Validation(tuple(comparisons), manifest)


def _congestions(bench: Bench, plan: Plan) -> list[str]:
    """cubic, for which slsim's clock is meant, and what the kernel would take if that is another."""
    found = [CUBIC] if bench.can_use(CUBIC) else []
    if bench.default_congestion not in found and (plan.default_congestion_too or not found):
        found.append(bench.default_congestion)
    return found


@dataclass(frozen=True)
class _Runner:
    """Experiments over a path without delay, with one congestion control."""

    lab: Lab
    bench: Bench
    plan: Plan
    congestion: str
    round_trip_s: float
    tell: Tell

    def transfers(self, rate_bps: float) -> Iterator[Comparison]:
        self.lab.shape(rate_bps)
        for flows in self.plan.flows:
            for num_bytes in self.plan.sizes:
                predicted_s = arrivals_s(flows, num_bytes, rate_bps, self.round_trip_s / 2)[-1]
                if predicted_s > self.plan.longest_s:
                    continue
                experiment = Experiment("transfers", rate_bps, self.congestion, flows, num_bytes)
                self.tell(described(experiment))
                measured_s = [
                    self.bench.transfer(flows, num_bytes, self.congestion)[-1]
                    for _ in range(self.plan.repeats)
                ]
                yield Comparison(experiment, tuple(measured_s), predicted_s)

    def rounds(self, asked: Round, rate_bps: float) -> Iterator[Comparison]:
        """The round over a link for each client, over one that all share fairly, and over one whose packets
        wait in one queue, of which the clock knows nothing."""
        turns = asked.turns()
        num_bytes = sum(turn.up_bytes + turn.down_bytes for turn in turns)
        first = Experiment("round", rate_bps, self.congestion, len(turns), num_bytes, asked.label)
        for links in get_args(Links):
            experiment = replace(first, links=links)
            sharing = "dedicated" if links == "own" else "shared"
            predicted_s = asked.over(rate_bps, self.round_trip_s / 2, sharing).makespan_s()
            self.lab.shape(rate_bps, links, len(turns))
            self.tell(described(experiment))
            measured_s = [
                self.bench.round(turns, asked.slots, self.congestion) for _ in range(self.plan.repeats)
            ]
            yield Comparison(experiment, tuple(measured_s), predicted_s)


def _delayed(lab: Lab, bench: Bench, plan: Plan, delay_s: float, tell: Tell) -> Iterator[Comparison]:
    """Single messages over fresh connections: with slow start, and as a fluid."""
    for congestion in _congestions(bench, plan)[:1]:
        for rate_bps in plan.delayed_rates_bps:
            lab.shape(rate_bps)
            round_trip_s = bench.round_trip_s()
            for num_bytes in plan.delayed_sizes:
                experiment = Experiment("delayed", rate_bps, congestion, 1, num_bytes, delay_s=delay_s)
                tell(described(experiment))
                measured_s = [bench.transfer(1, num_bytes, congestion)[-1] for _ in range(plan.repeats)]
                predicted_s = delayed_arrival_s(num_bytes, rate_bps, round_trip_s)
                yield Comparison(experiment, tuple(measured_s), predicted_s, "tcp")
                predicted_s = arrivals_s(1, num_bytes, rate_bps, round_trip_s / 2)[0]
                yield Comparison(experiment, tuple(measured_s), predicted_s, "fluid")


def described(experiment: Experiment) -> str:
    """An experiment in a few words."""
    flows = f"{experiment.flows} × {SIZE.pretty(experiment.num_bytes)}"
    what = {
        "transfers": flows,
        "round": f"a round, {experiment.label}, links: {experiment.links}",
        "delayed": f"{flows} over {DURATION.pretty(experiment.delay_s)}",
    }[experiment.kind]
    return f"{RATE.pretty(experiment.rate_bps)}, {experiment.congestion}: {what}"


def _manifest(bench: Bench, plan: Plan, load_before: Sequence[float]) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "default_congestion": bench.default_congestion,
        "shaper": f"tbf rate R {SHAPER}",
        "round_trip_s": bench.round_trip_s(),
        "repeats": plan.repeats,
        "load_average_before": list(load_before),
        "cpus": os.cpu_count(),
        "versions": {
            "slsim": importlib.metadata.version("slsim"),
            "python": platform.python_version(),
        },
    }
