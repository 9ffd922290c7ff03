"""The table of runs, one row a case: accuracies, what the target cost, speed-up, traffic multiplier."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from slsim.analysis.runs import Lost, Run, Timed, seconds_at
from slsim.analysis.target import Outcome, held
from slsim.saved import SERIES
from slsim.scenario import Case, Scenario, full_label, setting_labels
from slsim.scenario.axes import Axis, axes

FAILED = "failed"  # the status of a case that is no run
CODEC = "codec"
LINKS = ("uplink", "downlink")


def runs_table(cases: Sequence[Run | Lost]) -> pd.DataFrame:
    """One row a case, those that failed too, without numbers.

    `setting` is what cases are called that differ in their seed alone, `conditions` what a case is called
    without its codec: settings of the same conditions can be compared. Each swept number has a column, named
    with its unit, and beside it one such as `uplink_bps_series`, which has each case's label without that
    number: the settings of one series differ in nothing else.
    """
    table = pd.DataFrame([_row(case) for case in cases])
    found = axes(_cases(cases))
    own: dict[str, Sequence[Any]] = {CODEC: _codec_labels(cases), "conditions": _conditions(cases)}
    numbers = {axis.key for axis in found}
    own |= {
        key if "." in key else f"{key}.*": [full_label(case.values[key]) for case in cases]
        for key in (cases[0].values if cases else ())
        if key not in numbers and key not in (CODEC, "codec.uplink")
    }
    for axis in found:
        own[axis.column] = [axis.value(case) for case in _cases(cases)]
        own[axis.column + SERIES] = series_labels(cases, axis)
    for place, (column, values) in enumerate(own.items(), 3):
        if column in table:
            del table[column]
        table.insert(place, column, list(values))
    return table


def _cases(cases: Sequence[Run | Lost]) -> list[Case]:
    return [Case(case.values, case.scenario) for case in cases]


def series_labels(cases: Sequence[Run | Lost], axis: Axis) -> list[str]:
    """What each case is called without the number of an axis."""
    return _labels_without(cases, axis.key)


def _labels_without(cases: Sequence[Run | Lost], key: str) -> list[str]:
    kept = [
        Case({one: value for one, value in case.values.items() if not _is_of(one, key)}, case.scenario)
        for case in cases
    ]
    alike = [json.dumps(dict(case.values), sort_keys=True, default=str) for case in kept]
    first = dict(zip(reversed(alike), reversed(kept), strict=True))  # one scenario for all that are alike
    return setting_labels([first[text] for text in alike])


def _conditions(cases: Sequence[Run | Lost]) -> list[str]:
    """What is swept beside the codec, and its value in each case."""
    return [
        ", ".join(
            f"{key}={full_label(value)}" for key, value in case.values.items() if not _is_of(key, CODEC)
        )
        for case in cases
    ]


def _is_of(key: str, table: str) -> bool:
    return key == table or key.startswith(f"{table}.")


def _row(case: Run | Lost) -> dict[str, Any]:
    """One case; what a target costs that was not reached, or that there is not, is NaN: `target_state` tells
    these apart, `target_reason` says why."""
    rates = {f"{link}_bps": _rate_bps(case.scenario, link) for link in LINKS}
    who = {"run": case.label, "setting": case.setting, "seed": case.scenario.seed}
    if isinstance(case, Lost):
        texts = dict.fromkeys(("target_state", "target_reason", "baseline"), "")
        return {**who, "status": FAILED, "failure": case.reason, **texts, **rates, "training": case.training}
    run, recording, target, outcome = case, case.recording, case.target, case.outcome
    last = recording.evaluations[-1] if recording.evaluations else None
    return {
        **who,
        "status": recording.status,
        "failure": "",
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
        "speed_up": speed_up(run, run.timed),
        **{f"speed_up_{name}": speed_up(run, timed) for name, timed in run.supposed.items()},
        "compression_ratio": compression_ratio(run.sent),
        "rounds": recording.num_rounds,
        "makespan_s": run.timeline.makespan_s,
        "uplink_bytes": int(_at(run.sent, "uplink_bytes", -1)),
        "downlink_bytes": int(_at(run.sent, "downlink_bytes", -1)),
        **rates,
        "training": run.training,
    }


def _rate_bps(scenario: Scenario, link: str) -> float:
    """The rate of all clients' links in that direction (bit/s); NaN where it is a trace, or theirs differ."""
    rate = getattr(scenario.network, link)
    return rate if isinstance(rate, float) else math.nan


def _at(sent: pd.DataFrame, column: str, round_: int) -> float:
    return float(sent[column].to_numpy()[round_])


def _costs_of_target(run: Run, outcome: Outcome) -> dict[str, float]:
    """Rounds, seconds and bytes to the target, and of each how much lies between the evaluation at which it
    was reached and the one before (`evaluation_step_…`): no difference below that was measured."""
    ends = (outcome.round, outcome.round_before)
    up, down = ([_at(run.sent, f"{link}_bytes", end) for end in ends] for link in LINKS)
    both = [up[0] + down[0], up[1] + down[1]]
    at_s = [seconds_at(run.timeline.round_ends_s, end) for end in ends]
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
    baseline_bytes = _at(run.baseline_sent, "activation_bytes", rounds[0])
    own_bytes = _at(run.sent, "activation_bytes", rounds[1])
    return baseline_bytes / own_bytes if own_bytes else math.nan


def speed_up(run: Run, timed: Timed) -> float:
    """Seconds that the baseline needed to the target ÷ those that this run needed, on the same devices and
    links; NaN where one of the two never reached it."""
    rounds = rounds_of_both(run)
    if rounds is None or timed.baseline_s is None:
        return math.nan
    own_s = seconds_at(timed.ends_s, rounds[1])
    return seconds_at(timed.baseline_s, rounds[0]) / own_s if own_s else math.nan


def compression_ratio(sent: pd.DataFrame) -> float:
    """Raw ÷ encoded bytes of all activations sent, headers included; NaN when none was sent."""
    raw, encoded = (_at(sent, column, -1) for column in ("raw_activation_bytes", "activation_bytes"))
    return raw / encoded if encoded else math.nan


def _codec_labels(cases: Sequence[Run | Lost]) -> list[str]:
    """Each case's uplink codec, with every parameter by name where two codecs would be called the same."""
    choices = [case.scenario.codec.uplink for case in cases]
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
