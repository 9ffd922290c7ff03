"""Tables of studies that nobody ran, made of rows of the table of runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from slsim.analysis import crossovers, summarise
from slsim.report.study_tables import Tables
from slsim.scenario.axes import Axis
from slsim.units import RATE

MISSED = {"target_state": "not reached", "target_reason": "below it at all 24 evaluations"}
COSTS = (
    *("rounds_to_target", "time_to_target_s", "bytes_to_target"),
    *("uplink_bytes_to_target", "downlink_bytes_to_target"),
    *("evaluation_step_rounds", "evaluation_step_s", "evaluation_step_bytes"),
    *("traffic_multiplier", "total_multiplier", "speed_up"),
)
ACCURACIES = ("held_accuracy", "final_accuracy", "final_accuracy_without_codec")
UPLINK = Axis("network.uplink", "uplink_bps", RATE, is_whole=False, is_learned=False)


def row(codec: str, time_s: float = 3.414, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A run that reached its target at `time_s`, evaluated each millisecond and kilobyte; of a state without
    costs where `changes` say so."""
    whole = {
        "run": f"{codec}, seed {seed}",
        "setting": codec,
        "seed": seed,
        "codec": codec,
        "codec_name": codec,
        "conditions": "",
        "status": "finished",
        "failure": "",
        "held_accuracy": 0.8571,
        "final_accuracy": 0.849,
        "final_accuracy_without_codec": 0.85,
        "target_accuracy": 0.85,
        "target_window": 3,
        "target_state": "reached",
        "target_reason": "",
        "target_method": "stepped",
        "rounds_to_target": 1e6,
        "time_to_target_s": time_s,
        "bytes_to_target": 242.4e6 * time_s,
        "uplink_bytes_to_target": 16_400_000.0,
        "downlink_bytes_to_target": 226e6,
        "evaluation_step_rounds": 20.0,
        "evaluation_step_s": 0.001,
        "evaluation_step_bytes": 1e3,
        "baseline": "identity-1",
        "traffic_multiplier": 10.714 * 3.414 / time_s,
        "total_multiplier": 1.84 * 3.414 / time_s,
        "speed_up": 1.5,
        "compression_ratio": 13.766,
        "rounds": 480.0,
        "makespan_s": 10.0,
        "uplink_bytes": 20e6,
        "downlink_bytes": 300e6,
        "uplink_bps": 1e8,
        "downlink_bps": 1e8,
        "training": f"{codec}-1",
        **changes,
    }
    if whole["target_state"] != "reached":
        whole |= dict.fromkeys(COSTS, math.nan)
    if whole["target_state"] == "no target":
        whole["target_accuracy"] = math.nan
    return whole


def failed(codec: str, seed: int = 0, reason: str = "the codec is wrong") -> dict[str, Any]:
    """A run whose training failed."""
    numbers = dict.fromkeys((*ACCURACIES, "target_accuracy", "compression_ratio", "makespan_s"), math.nan)
    return row(codec, seed=seed, target_state="", status="failed", failure=reason, **numbers)


def over_seeds(codec: str, seconds: Sequence[float], **changes: Any) -> list[dict[str, Any]]:
    """A run a seed; NaN seconds: the target was not reached."""
    return [
        row(codec, time_s, seed, **({} if time_s == time_s else MISSED), **changes)
        for seed, time_s in enumerate(seconds)
    ]


def with_baseline(rows: list[dict[str, Any]], codec: str = "identity") -> list[dict[str, Any]]:
    """`rows` with the speed-ups that follow from their times: each over the same seed's, under the same
    conditions, of a codec."""
    due = {(one["seed"], one["conditions"]): one["time_to_target_s"] for one in rows if one["codec"] == codec}
    training = next(one["training"] for one in rows if one["codec"] == codec)
    return [
        one
        | {
            "speed_up": due[one["seed"], one["conditions"]] / one["time_to_target_s"],
            "baseline": training,
        }
        for one in rows
    ]


def at_rates(
    series: str, seconds: Mapping[str, float | Sequence[float]], **changes: Any
) -> list[dict[str, Any]]:
    """A run at each rate of an uplink and, of several times, a seed; NaN seconds: not reached."""
    rows = []
    for rate, times in seconds.items():
        for seed, time_s in enumerate(times if isinstance(times, Sequence) else [times]):
            own = {
                "setting": f"{series}, {rate}",
                "run": f"{series}, {rate}, seed {seed}",
                "conditions": f"network.uplink={rate}",
                "uplink_bps": RATE.parse(rate),
                "uplink_bps_series": series,
            }
            missed = {} if time_s == time_s else MISSED
            rows.append(row(series, time_s, seed, **missed, **own, **changes))
    return rows


def tables_of(rows: Sequence[Mapping[str, Any]]) -> Tables:
    """The tables of a study with these runs; no other number of an axis can be asked for."""
    summary = summarise(pd.DataFrame(rows))
    axes = [UPLINK] if "uplink_bps_series" in summary else []
    found = crossovers(summary, axes, lambda *_: None)
    return Tables(summary, pd.DataFrame(), found)
