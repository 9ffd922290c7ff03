"""The table of runs, one row a case: accuracies, what the target cost, speed-up, traffic multiplier."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from slsim.analysis.frontier import COUNTED, bd_rate, staircase
from slsim.analysis.runs import Lost, Run, Timed, seconds_at
from slsim.analysis.target import Outcome, held
from slsim.saved import SERIES
from slsim.scenario import Case, Scenario, codec_labels, full_label, setting_labels
from slsim.scenario.axes import Axis, axes

FAILED = "failed"  # the status of a case that is no run
CODEC = "codec"
LINKS = ("uplink", "downlink")
HOLDERS = ("client", "server")  # of what codecs keep in memory
ACCOUNTINGS = {  # of traffic multipliers, by column: which bytes count
    "traffic_multiplier": ("activation_bytes",),
    "uplink_multiplier": ("uplink_bytes",),
    "total_multiplier": ("uplink_bytes", "downlink_bytes"),
}
BD_RATES = {"bd_rate": "total", "bd_rate_uplink": "uplink"}  # columns, and what counts (see `frontier`)


def runs_table(cases: Sequence[Run | Lost]) -> pd.DataFrame:
    """One row a case, those that failed too, without numbers.

    `setting` is what cases are called that differ in their seed alone, `conditions` what a case is called
    without its codec: settings of the same conditions can be compared. Each swept number has a column, named
    with its unit, and beside it one such as `uplink_bps_series`, which has each case's label without that
    number: the settings of one series differ in nothing else.
    """
    table = pd.DataFrame([_row(case) for case in cases])
    rates = bd_rates(cases)
    if "compression_ratio" in table:
        for place, name in enumerate(rates, list(table).index("compression_ratio")):
            table.insert(place, name, rates[name])
    found = axes(_cases(cases))
    own: dict[str, Sequence[Any]] = {
        CODEC: codec_labels([case.scenario.scheme for case in cases]),
        "conditions": _conditions(cases),
    }
    numbers = {axis.key for axis in found}
    own["codec_name"] = [case.scenario.scheme.name for case in cases]
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


def bd_rates(cases: Sequence[Run | Lost]) -> dict[str, list[float]]:
    """BD-rates of each case over its baseline, of what is sent both ways and up alone: NaN without one. Cases
    of the same trainings, which differ in their times, have the same."""
    known: dict[tuple[str, str, int, str], float] = {}

    def rate(case: Run | Lost, counted: str) -> float:
        if isinstance(case, Lost) or case.baseline is None or case.baseline_sent is None:
            return math.nan
        window = case.target.window
        key = (case.training, case.baseline_training, window, counted)
        if key not in known:
            columns = COUNTED[counted]
            own = staircase(case.recording, case.sent, window, columns)
            known[key] = bd_rate(own, staircase(case.baseline, case.baseline_sent, window, columns))
        return known[key]

    return {column: [rate(case, counted) for case in cases] for column, counted in BD_RATES.items()}


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
    """What is swept beside codecs and adapters, and its value in each case."""
    return [
        ", ".join(
            f"{key}={full_label(value)}"
            for key, value in case.values.items()
            if not (_is_of(key, CODEC) or _is_of(key, "model.adapter"))
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
        texts = dict.fromkeys(("target_state", "target_reason", "target_method", "baseline"), "")
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
        "target_method": target.method,
        "target_state": outcome.state,
        "target_reason": outcome.reason,
        **_costs_of_target(run, outcome),
        "baseline": run.baseline_training,
        **{name: traffic_multiplier(run, what) for name, what in ACCOUNTINGS.items()},
        "speed_up": speed_up(run, run.timed),
        **{f"speed_up_{name}": speed_up(run, timed) for name, timed in run.supposed.items()},
        "compression_ratio": compression_ratio(run.sent),
        "rounds": recording.num_rounds,
        "makespan_s": run.timeline.makespan_s,
        "uplink_bytes": int(_at(run.sent, "uplink_bytes", -1)),
        "downlink_bytes": int(_at(run.sent, "downlink_bytes", -1)),
        **{f"kept_{where}_bytes": getattr(recording.kept, where) for where in HOLDERS},
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
    ends_s = run.timeline.round_ends_s

    def both(round_: int) -> float:
        return sum(_at(run.sent, f"{link}_bytes", round_) for link in LINKS)

    found = {
        "rounds_to_target": outcome.rounds,
        "time_to_target_s": outcome.cost(lambda round_: seconds_at(ends_s, round_)),
        "bytes_to_target": outcome.cost(both),
        **{f"{link}_bytes_to_target": _sent_by(run.sent, outcome, [f"{link}_bytes"]) for link in LINKS},
        "evaluation_step_rounds": outcome.round - outcome.round_before,
        "evaluation_step_s": seconds_at(ends_s, outcome.round) - seconds_at(ends_s, outcome.round_before),
        "evaluation_step_bytes": both(outcome.round) - both(outcome.round_before),
    }
    return {name: float(value) if outcome.is_reached else math.nan for name, value in found.items()}


def outcomes_of_both(run: Run) -> tuple[Outcome, Outcome] | None:
    """Where the baseline reached the target, and where this run did; None unless both reached it."""
    baseline, own = run.baseline_outcome, run.outcome
    return (baseline, own) if baseline and baseline.is_reached and own.is_reached else None


def traffic_multiplier(run: Run, counted: Sequence[str] = ("activation_bytes",)) -> float:
    """Bytes that the baseline needed to the target ÷ those that this run needed, of the columns of
    `cumulative` that are `counted`: left out, activations on their way up, as in the paper's Table 1. NaN
    where one of the two never reached the target, or this run sends nothing that counts."""
    both = outcomes_of_both(run)
    if both is None or run.baseline_sent is None:
        return math.nan
    own_bytes = _sent_by(run.sent, both[1], counted)
    return _sent_by(run.baseline_sent, both[0], counted) / own_bytes if own_bytes else math.nan


def _sent_by(sent: pd.DataFrame, outcome: Outcome, columns: Sequence[str]) -> float:
    """Bytes that were sent until the target was reached, of several columns."""
    return outcome.cost(lambda round_: sum(_at(sent, column, round_) for column in columns))


def speed_up(run: Run, timed: Timed) -> float:
    """Seconds that the baseline needed to the target ÷ those that this run needed, on the same devices and
    links; NaN where one of the two never reached it."""
    both, baseline_s = outcomes_of_both(run), timed.baseline_s
    if both is None or baseline_s is None:
        return math.nan
    own_s = both[1].cost(lambda round_: seconds_at(timed.ends_s, round_))
    return both[0].cost(lambda round_: seconds_at(baseline_s, round_)) / own_s if own_s else math.nan


def compression_ratio(sent: pd.DataFrame) -> float:
    """Raw ÷ encoded bytes of all activations sent, headers included; NaN when none was sent."""
    raw, encoded = (_at(sent, column, -1) for column in ("raw_activation_bytes", "activation_bytes"))
    return raw / encoded if encoded else math.nan
