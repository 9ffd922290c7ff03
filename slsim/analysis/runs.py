"""A run: a case of a study with what was learned and when. Its curve, and what it sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from slsim.analysis.target import Outcome, Target, target_of
from slsim.clock import Timeline
from slsim.devices import Assumptions
from slsim.recording import ACTIVATIONS, Recording
from slsim.scenario import Scenario

SUPPOSED: Mapping[str, Assumptions] = {  # to see how far a result depends on what devices are said to cost
    "if_cheap": Assumptions(overhead=0.0, codecs=0.5),
    "if_dear": Assumptions(overhead=2.0, codecs=2.0),
}


@dataclass(frozen=True)
class Timed:
    """When a run's rounds ended, and those of its baseline on the same devices and links; None where there
    is no baseline, or no time for it on these devices."""

    timeline: Timeline
    baseline: Timeline | None


@dataclass(frozen=True)
class Run:
    """One case of a study with its training and its time: a row of the summary.

    `baseline` is the recording of the same setting uncompressed in both directions, None where the study
    has none: its target, traffic multiplier and speed-up are all over that one. `supposed` has the times
    under the assumptions of `SUPPOSED`, by name, where they were asked for.
    """

    label: str
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

    @property
    def target(self) -> Target:
        """What is aimed at, or why nothing is."""
        return target_of(self.scenario.training, self.recording.test_set, self.baseline)

    @property
    def outcome(self) -> Outcome:
        """Whether, and where, this run reached its target."""
        return self.target.outcome(self.recording)

    @property
    def baseline_outcome(self) -> Outcome | None:
        """Whether, and where, the baseline reached this run's target; None without a baseline."""
        return self.target.outcome(self.baseline) if self.baseline else None


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


def seconds_at(timeline: Timeline, round_: int) -> float:
    """Simulated time (s) at which a round was over; 0 for round 0."""
    return float(timeline.round_ends_s[round_ - 1]) if round_ else 0.0


def curve(run: Run) -> pd.DataFrame:
    """One row an evaluation: accuracies over rounds, epochs, simulated seconds and bytes so far."""
    evaluations = run.recording.evaluations
    rounds = [evaluation.round for evaluation in evaluations]
    sent = run.sent.iloc[rounds].reset_index(drop=True)
    return pd.DataFrame(
        {
            "run": run.label,
            "round": rounds,
            "epoch": [evaluation.epoch for evaluation in evaluations],
            "sim_s": [seconds_at(run.timeline, number) for number in rounds],
            "uplink_bytes": sent["uplink_bytes"],
            "downlink_bytes": sent["downlink_bytes"],
            "accuracy": [evaluation.accuracy for evaluation in evaluations],
            "accuracy_without_codec": [evaluation.accuracy_without_codec for evaluation in evaluations],
            "training_loss": [evaluation.training_loss for evaluation in evaluations],
        }
    )


def curves(runs: Sequence[Run]) -> pd.DataFrame:
    """The curves of all runs, concatenated."""
    return pd.concat([curve(run) for run in runs], ignore_index=True)


def measurements(runs: Sequence[Run]) -> pd.DataFrame:
    """What hooks measured, one row a number: run, round, client, part, quantity, value (`Measurement`).
    Without rows where no scenario has hooks."""
    found = [{"run": run.label, **asdict(one)} for run in runs for one in run.recording.measurements]
    return pd.DataFrame(found, columns=["run", "round", "client", "part", "quantity", "value"])
