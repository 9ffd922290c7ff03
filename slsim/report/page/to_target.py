"""What each series needs to the target at each value of the slider: the table beside it, and a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from slsim.analysis import AS_STATED, REACHED
from slsim.report.page.moments import Moments, Row, Scales, screen_number
from slsim.report.page.summary_table import range_text, ratio_texts
from slsim.report.scales import Scale


def answers(moments: Moments, name: str, scales: Scales) -> dict[str, Any]:
    """What a series needs to the target at each value: the table beside the slider, and a line."""
    rows = moments.rows[name]
    return {
        "cells": [_cells(row, scales.cost) for row in rows],
        "to_target": [
            screen_number(row["time_to_target_s"] / scales.cost.size) if row and _reached(row) else None
            for row in rows
        ],
        "least": [_end(row, "least", scales) for row in rows],
        "most": [_end(row, "most", scales) for row in rows],
        "crossings": _crossings(moments, name, scales),
    }


def _end(row: Row | None, end: str, scales: Scales) -> float | None:
    return screen_number(row[f"time_to_target_s_{end}"] / scales.cost.size) if row and _reached(row) else None


def _cells(row: Row | None, scale: Scale) -> list[str | int]:
    """A row of the table beside the slider: time, its range, speed-up, its interval, 1 where it is bold."""
    if row is None:
        return ["–", "", "–", "", 0]
    ratio, interval = ratio_texts(row, "speed_up")
    is_there = _reached(row)
    return [
        scale.text(row["time_to_target_s"]) if is_there else row["target_state"],
        range_text(row, "time_to_target_s", scale) if is_there else "",
        f"{ratio}×" if ratio != "–" else ratio,
        interval,
        int(row["best_time"]),
    ]


def _reached(row: Row) -> bool:
    return bool(row["target_state"] == REACHED and math.isfinite(row["time_to_target_s"]))


def order(series: Sequence[dict[str, Any]], place: int) -> list[int]:
    """The series by their times at a value, the fastest first, those that missed the target last."""
    times = [one["to_target"][place] for one in series]
    return sorted(range(len(times)), key=lambda number: math.inf if times[number] is None else times[number])


def _crossings(moments: Moments, name: str, scales: Scales) -> list[list[float | None]]:
    """Where a series stops paying, or begins to, as far as that is known and, of several seeds, significant:
    the value of the slider, and the time to the target there."""
    if moments.slider is None:
        return []
    own = moments.slider.crossings.get((name, AS_STATED), [])
    sure = [row["value"] for row in own if row["seeds"] == 1 or row["significant"]]
    pairs = zip(moments.values, moments.rows[name], strict=True)
    known = [(value, row["time_to_target_s"]) for value, row in pairs if row and _reached(row)]
    if not known:
        return []
    return [
        [
            screen_number(value / scales.axis.size),
            screen_number(_between(value, *zip(*known, strict=True)) / scales.cost.size),
        ]
        for value in sure
        if not math.isnan(value)
    ]


def _between(value: float, values: Sequence[float], times: Sequence[float]) -> float:
    """The time at a value between others, on the line that is drawn: over logarithms where that can be."""
    if min(values) > 0 and min(times) > 0:
        return float(np.exp(np.interp(math.log(value), np.log(values), np.log(times))))
    return float(np.interp(value, values, times))
