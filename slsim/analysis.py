"""From recordings and timelines to tables: curves, time and bytes to the target, traffic multipliers.

Nothing here trains or simulates; the tables are what is saved and what every figure is drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from slsim.protocols.steps import CULPRITS, PHASES, phase_column
from slsim.recording import ACTIVATIONS, Recording
from slsim.scenario import Scenario, full_label
from slsim.simulation import Timeline


@dataclass(frozen=True)
class Run:
    """One case of a study with its training and its time: a row of the summary."""

    label: str
    values: Mapping[str, Any]
    scenario: Scenario
    training: str
    recording: Recording
    timeline: Timeline
    baseline: Recording | None
    sent: pd.DataFrame  # `cumulative` of the recording
    baseline_sent: pd.DataFrame | None

    @property
    def target(self) -> float:
        """The target accuracy as a number; "baseline" is the best that the uncompressed run reached."""
        margin = self.scenario.training.target_margin
        if margin is None:
            return float(self.scenario.training.target_accuracy)
        return best_accuracy(self.baseline) - margin if self.baseline else math.nan


def best_accuracy(recording: Recording) -> float:
    """The best test accuracy of a training, through its codec; NaN when it was never evaluated."""
    return max((evaluation.accuracy for evaluation in recording.evaluations), default=math.nan)


def cumulative(recording: Recording) -> pd.DataFrame:
    """For each round (index, from 0: before the first), bytes sent so far: `uplink_bytes`,
    `downlink_bytes`, and of the activations `activation_bytes` and `raw_activation_bytes`."""
    activations = [
        [message for turn in record.turns for message in turn.messages if message.kind == ACTIVATIONS]
        for record in recording.rounds
    ]
    columns = {
        "uplink_bytes": [record.num_bytes("up") for record in recording.rounds],
        "downlink_bytes": [record.num_bytes("down") for record in recording.rounds],
        "activation_bytes": [sum(message.num_bytes for message in messages) for messages in activations],
        "raw_activation_bytes": [sum(message.raw_bytes for message in messages) for messages in activations],
    }
    return pd.DataFrame({name: np.cumsum([0, *values]) for name, values in columns.items()})


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
            "sim_s": run.timeline.round_ends_s[[number - 1 for number in rounds]] if rounds else [],
            "uplink_bytes": sent["uplink_bytes"],
            "downlink_bytes": sent["downlink_bytes"],
            "accuracy": [evaluation.accuracy for evaluation in evaluations],
            "accuracy_without_codec": [evaluation.accuracy_without_codec for evaluation in evaluations],
            "training_loss": [evaluation.training_loss for evaluation in evaluations],
        }
    )


def probes(runs: Sequence[Run]) -> pd.DataFrame:
    """What probes found, one row a number: run, round, client, part, quantity, value (`Measurement`). Without
    rows where no scenario asked."""
    found = [{"run": run.label, **asdict(one)} for run in runs for one in run.recording.probes]
    return pd.DataFrame(found, columns=["run", "round", "client", "part", "quantity", "value"])


def rounds_to(recording: Recording, target: float) -> float:
    """The round after which `target` was first reached, in evaluated rounds; inf when it never was."""
    reached = (evaluation.round for evaluation in recording.evaluations if evaluation.accuracy >= target)
    return next(reached, math.inf)


def summary_row(run: Run) -> dict[str, Any]:
    """One run as a row of the summary. Costs of a target never reached are inf, its multiplier is 0."""
    sent = run.sent
    rounds = rounds_to(run.recording, run.target)
    reached = math.isfinite(rounds)
    at_target = sent.iloc[int(rounds)] if reached else pd.Series(math.inf, index=sent.columns)
    last = run.recording.evaluations[-1] if run.recording.evaluations else None
    swept = {key: full_label(value) for key, value in run.values.items()}
    return {
        "run": run.label,
        "codec": run.scenario.codec.uplink.label,
        **{key: value for key, value in swept.items() if key != "codec.uplink"},
        "status": run.recording.status,
        "accuracy": best_accuracy(run.recording),
        "final_accuracy": last.accuracy if last else math.nan,
        "final_accuracy_without_codec": last.accuracy_without_codec if last else math.nan,
        "target_accuracy": run.target,
        "rounds_to_target": rounds,
        "time_to_target_s": float(run.timeline.round_ends_s[int(rounds) - 1]) if reached else math.inf,
        "bytes_to_target": float(at_target["uplink_bytes"] + at_target["downlink_bytes"]),
        "uplink_bytes_to_target": float(at_target["uplink_bytes"]),
        "downlink_bytes_to_target": float(at_target["downlink_bytes"]),
        "traffic_multiplier": traffic_multiplier(run),
        "compression_ratio": compression_ratio(sent),
        "rounds": len(run.recording.rounds),
        "makespan_s": run.timeline.makespan_s,
        "uplink_bytes": int(sent["uplink_bytes"].iloc[-1]),
        "downlink_bytes": int(sent["downlink_bytes"].iloc[-1]),
        "training": run.training,
    }


def traffic_multiplier(run: Run) -> float:
    """Uplink activation bytes that the baseline needed to the target ÷ those that this run needed, as in
    the paper's Table 1; 0 when this run never reached it, NaN without a baseline, when that never did, or
    when this run sends no activations."""
    if run.baseline is None or run.baseline_sent is None:
        return math.nan
    baseline_rounds, rounds = rounds_to(run.baseline, run.target), rounds_to(run.recording, run.target)
    if not math.isfinite(baseline_rounds):
        return math.nan
    if not math.isfinite(rounds):
        return 0.0
    needed = run.sent["activation_bytes"].iloc[int(rounds)]
    if not needed:
        return math.nan
    return float(run.baseline_sent["activation_bytes"].iloc[int(baseline_rounds)]) / float(needed)


def compression_ratio(sent: pd.DataFrame) -> float:
    """Raw ÷ encoded bytes of all activations sent, headers included; NaN when none was sent."""
    raw, encoded = sent.iloc[-1][["raw_activation_bytes", "activation_bytes"]]
    return float(raw / encoded) if encoded else math.nan


def summarise(runs: Sequence[Run]) -> pd.DataFrame:
    """The summary: one row a run."""
    return pd.DataFrame([summary_row(run) for run in runs])


def curves(runs: Sequence[Run]) -> pd.DataFrame:
    """The curves of all runs, one below the other."""
    return pd.concat([curve(run) for run in runs], ignore_index=True)


def breakdown(runs: Sequence[Run]) -> pd.DataFrame:
    """Where the seconds of an average round go: one row a run, a column a phase (of the average client; they
    add up to `round_s`), and the bottleneck: what the client that the round waited for, the last at the
    barrier, spent most of its time on, and the share of the round that it did."""
    return pd.DataFrame([_breakdown_row(run) for run in runs])


def _breakdown_row(run: Run) -> dict[str, Any]:
    average, critical = run.timeline.average_round(), run.timeline.critical_round()
    shares = {name: sum(critical[phase] for phase in phases) for name, phases in CULPRITS.items()}
    bottleneck = max(shares, key=shares.__getitem__)
    total_s = sum(critical.values())
    return {
        "run": run.label,
        **{phase_column(phase): average[phase] for phase in PHASES},
        "round_s": sum(average.values()),
        "bottleneck": bottleneck if total_s else "none",
        "bottleneck_share": shares[bottleneck] / total_s if total_s else 0.0,
    }
