"""The summary: one row a run. Accuracies, what the target cost, traffic multiplier, speed-up, sizes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from slsim.analysis.links import SWEEPABLE, rate_bps, series_labels, swept_links
from slsim.analysis.runs import Run, seconds_at
from slsim.analysis.target import Outcome, held
from slsim.clock import Timeline
from slsim.scenario import full_label


def summarise(runs: Sequence[Run]) -> pd.DataFrame:
    """The summary: one row a run. Where a link's rate varies, a column such as `uplink_series` has each
    run's label without that rate: the runs of one series differ in nothing else."""
    table = pd.DataFrame([summary_row(run) for run in runs])
    table.insert(1, "codec", _codec_labels(runs))
    for link in swept_links(runs):
        table[f"{link}_series"] = series_labels(runs, link)
    return table


def summary_row(run: Run) -> dict[str, Any]:
    """One run as a row of the summary. What a target costs that was not reached, or that there is not, is
    NaN: `target_state` tells these apart, `target_reason` says why."""
    recording, target, outcome = run.recording, run.target, run.outcome
    last = recording.evaluations[-1] if recording.evaluations else None
    swept = {key: full_label(value) for key, value in run.values.items()}
    return {
        "run": run.label,
        **{key: value for key, value in swept.items() if key != "codec.uplink"},
        "status": recording.status,
        "best_accuracy": max((one.accuracy for one in recording.evaluations), default=math.nan),
        "held_accuracy": held(recording, target.window),
        "final_accuracy": last.accuracy if last else math.nan,
        "final_accuracy_without_codec": last.accuracy_without_codec if last else math.nan,
        "target_accuracy": target.accuracy,
        "target_window": target.window,
        "target_state": outcome.state,
        "target_reason": outcome.reason,
        **_costs_of_target(run, outcome),
        "baseline": run.baseline_training,
        "traffic_multiplier": traffic_multiplier(run),
        "speed_up": speed_up(run, run.timeline, run.baseline_timeline),
        **{
            f"speed_up_{name}": speed_up(run, timed.timeline, timed.baseline)
            for name, timed in run.supposed.items()
        },
        "compression_ratio": compression_ratio(run.sent),
        "rounds": recording.num_rounds,
        "makespan_s": run.timeline.makespan_s,
        "uplink_bytes": int(run.sent["uplink_bytes"].iloc[-1]),
        "downlink_bytes": int(run.sent["downlink_bytes"].iloc[-1]),
        **{f"{link}_bps": rate_bps(run.scenario, link) for link in SWEEPABLE},
        "training": run.training,
    }


def _costs_of_target(run: Run, outcome: Outcome) -> dict[str, float]:
    """Rounds, seconds and bytes to the target, and of each how much lies between the evaluation at which it
    was reached and the one before (`evaluation_step_…`): no difference below that was measured."""
    ends = (outcome.round, outcome.round_before)
    sent = run.sent.iloc[list(ends)]
    up, down = sent["uplink_bytes"].to_list(), sent["downlink_bytes"].to_list()
    both = [up[0] + down[0], up[1] + down[1]]
    at_s = [seconds_at(run.timeline, end) for end in ends]
    costs = {
        "rounds_to_target": ends[0],
        "time_to_target_s": at_s[0],
        "bytes_to_target": both[0],
        "uplink_bytes_to_target": up[0],
        "downlink_bytes_to_target": down[0],
        "evaluation_step_rounds": ends[0] - ends[1],
        "evaluation_step_s": at_s[0] - at_s[1],
        "evaluation_step_bytes": both[0] - both[1],
    }
    return {name: float(value) if outcome.is_reached else math.nan for name, value in costs.items()}


def rounds_of_both(run: Run) -> tuple[int, int] | None:
    """Rounds to the target of the baseline, and of this run; None unless both reached it."""
    baseline, own = run.baseline_outcome, run.outcome
    both = baseline is not None and baseline.is_reached and own.is_reached
    return (baseline.round, own.round) if baseline and both else None


def traffic_multiplier(run: Run) -> float:
    """Uplink activation bytes that the baseline needed to the target ÷ those that this run needed, as in
    the paper's Table 1; NaN where one of the two never reached it, or this run sends no activations."""
    rounds = rounds_of_both(run)
    if rounds is None or run.baseline_sent is None:
        return math.nan
    baseline_bytes = float(run.baseline_sent["activation_bytes"].iloc[rounds[0]])
    own_bytes = float(run.sent["activation_bytes"].iloc[rounds[1]])
    return baseline_bytes / own_bytes if own_bytes else math.nan


def speed_up(run: Run, timeline: Timeline, baseline: Timeline | None) -> float:
    """Seconds that the baseline needed to the target ÷ those that this run needed, on the same devices and
    links; NaN where one of the two never reached it."""
    rounds = rounds_of_both(run)
    if rounds is None or baseline is None:
        return math.nan
    own_s = seconds_at(timeline, rounds[1])
    return seconds_at(baseline, rounds[0]) / own_s if own_s else math.nan


def compression_ratio(sent: pd.DataFrame) -> float:
    """Raw ÷ encoded bytes of all activations sent, headers included; NaN when none was sent."""
    raw, encoded = sent.iloc[-1][["raw_activation_bytes", "activation_bytes"]]
    return float(raw / encoded) if encoded else math.nan


def _codec_labels(runs: Sequence[Run]) -> list[str]:
    """Each run's uplink codec, with every parameter by name where two codecs would be called the same."""
    choices = [run.scenario.codec.uplink for run in runs]
    tables = [json.dumps(choice.table(), sort_keys=True) for choice in choices]
    names = dict(zip(tables, (choice.label for choice in choices), strict=True))
    labels = list(names.values())
    return [
        choice.label if labels.count(choice.label) == 1 else _in_full(choice.table()) for choice in choices
    ]


def _in_full(table: Mapping[str, Any]) -> str:
    return " ".join(
        [str(table["name"]), *(f"{key}={value}" for key, value in table.items() if key != "name")]
    )
