"""A run: a case of a study with what was learned and when; its curve, what it sent, where its time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slsim.analysis.target import Outcome, Target, target_of
from slsim.clock import Timeline
from slsim.devices import Assumptions
from slsim.recording import ACTIVATIONS, Recording
from slsim.recording.kinds import phase_column
from slsim.scenario import Scenario

SUPPOSED: Mapping[str, Assumptions] = {  # to see how far a result depends on what devices are said to cost
    "if_cheap": Assumptions(overhead=0.0, codecs=0.5),
    "if_dear": Assumptions(overhead=2.0, codecs=2.0),
}


@dataclass(frozen=True)
class Timed:
    """When a run's rounds ended (s, from 0), and those of its baseline on the same devices and links; None
    where there is no baseline, or no time for it on these devices."""

    ends_s: NDArray[np.float64]
    baseline_s: NDArray[np.float64] | None


@dataclass(frozen=True, repr=False)
class Run:
    """One case of a study with its training and its time: a row of the table of runs. `setting` is what runs
    are called that differ in their seed alone.

    `baseline` is the recording of the same setting uncompressed in both directions, None where the study
    has none: its target, traffic multiplier and speed-up are all over that one. `supposed` has the times
    under the assumptions of `SUPPOSED`, by name, where they were asked for.
    """

    label: str
    setting: str
    values: Mapping[str, Any]
    scenario: Scenario
    training: str
    recording: Recording
    timeline: Timeline
    baseline: Recording | None
    sent: pd.DataFrame  # `cumulative` of the recording
    baseline_sent: pd.DataFrame | None
    baseline_timeline: Timeline | None = None
    baseline_training: str = ""
    supposed: Mapping[str, Timed] = field(default_factory=dict)

    def __repr__(self) -> str:
        """In a line: what it is called, how its target ended, how long it took."""
        took = f"{self.recording.num_rounds} rounds in {self.timeline.makespan_s:.6g} s"
        return f"<Run {self.label!r}: {self.recording.status}, {took}, target {self.outcome.state}>"

    @property
    def timed(self) -> Timed:
        """When its rounds ended, and those of its baseline."""
        baseline = self.baseline_timeline
        return Timed(self.timeline.round_ends_s, None if baseline is None else baseline.round_ends_s)

    @property
    def seed(self) -> int:
        """What its random draws derive from."""
        return self.scenario.seed

    @cached_property
    def target(self) -> Target:
        """What is aimed at, or why nothing is."""
        return target_of(self.scenario.training, self.recording.test_set, self.baseline)

    @cached_property
    def outcome(self) -> Outcome:
        """Whether, and where, this run reached its target."""
        return self.target.outcome(self.recording)

    @cached_property
    def baseline_outcome(self) -> Outcome | None:
        """Whether, and where, the baseline reached this run's target; None without a baseline."""
        return self.target.outcome(self.baseline) if self.baseline else None


@dataclass(frozen=True)
class Lost:
    """A case that is no run: its training failed, or its clock, for that reason."""

    label: str
    setting: str
    values: Mapping[str, Any]
    scenario: Scenario
    training: str
    reason: str


def cumulative(recording: Recording) -> pd.DataFrame:
    """For each round (index, from 0: before the first), bytes sent so far: over `uplink_bytes`,
    `downlink_bytes`, and of the activations `activation_bytes` and `raw_activation_bytes`. A message between
    clients counts both ways."""
    steps = recording.steps
    activations = steps.sent(ACTIVATIONS)
    columns = {
        "uplink_bytes": steps.total("num_bytes", steps.crosses("uplink")),
        "downlink_bytes": steps.total("num_bytes", steps.crosses("downlink")),
        "activation_bytes": steps.total("num_bytes", activations),
        "raw_activation_bytes": steps.total("raw_bytes", activations),
    }
    return pd.DataFrame({name: recording.totals(values) for name, values in columns.items()})


def seconds_at(ends_s: NDArray[np.float64], round_: int) -> float:
    """Simulated time (s) at which a round was over, of rounds that ended then; 0 for round 0."""
    return float(ends_s[round_ - 1]) if round_ else 0.0


def curves(runs: Sequence[Run]) -> pd.DataFrame:
    """One row an evaluation and run: accuracies over rounds, epochs, simulated seconds and bytes so far."""
    parts = [_curve(run) for run in runs]
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in _CURVE})


_CURVE = (
    *("run", "setting", "seed", "round", "epoch", "sim_s", "uplink_bytes", "downlink_bytes"),
    *("accuracy", "accuracy_without_codec", "training_loss"),
)


def _curve(run: Run) -> dict[str, NDArray[Any]]:
    found = run.recording.evaluations
    rounds = np.array([one.round for one in found], np.int64)
    columns = {name: np.full(len(found), value, object) for name, value in named(run).items()}
    columns["seed"] = columns["seed"].astype(np.int64)
    columns |= {"round": rounds, "sim_s": np.concatenate([[0.0], run.timeline.round_ends_s])[rounds]}
    columns |= {name: run.sent[name].to_numpy()[rounds] for name in ("uplink_bytes", "downlink_bytes")}
    measured = ("epoch", "accuracy", "accuracy_without_codec", "training_loss")
    return columns | {name: np.array([getattr(one, name) for one in found], float) for name in measured}


def measurements(runs: Sequence[Run]) -> pd.DataFrame:
    """What hooks measured, one row a number: run, setting, seed, and the fields of `Measurement`. Without
    rows where no scenario has hooks."""
    found = [{**named(run), **asdict(one)} for run in runs for one in run.recording.measurements]
    columns = ["run", "setting", "seed", "round", "client", "part", "quantity", "value"]
    return pd.DataFrame(found, columns=columns)


def timeline(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run and round: when the round ended (`end_s`), how long it took (`round_s`), and the seconds
    of its average client in each phase, which add up to `round_s`."""
    return pd.concat([_rounds(run) for run in runs], ignore_index=True) if runs else pd.DataFrame()


def _rounds(run: Run) -> pd.DataFrame:
    times = run.timeline
    seconds = times.mean_rounds()
    phases = {phase_column(phase.name): seconds[:, at] for at, phase in enumerate(times.phases)}
    number = range(1, len(times.round_ends_s) + 1)
    ends = {"round": number, "end_s": times.round_ends_s, "round_s": times.durations_s}
    return pd.DataFrame({**named(run), **ends, **phases})


def named(run: Run) -> dict[str, Any]:
    """The columns that say whose a row is."""
    return {"run": run.label, "setting": run.setting, "seed": run.seed}
