"""The lines of a page, as its script reads them: accuracy over time and bytes at each value of the slider,
time to the target over these values, accuracy at equal bytes.

Numbers are rounded to what a screen shows, and of long curves a part of the evaluations is kept, so that the
page stays small whatever the study is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from slsim.report.figures.data import at_round
from slsim.report.figures.looks import codec_names
from slsim.report.page.cells import some
from slsim.report.page.colours import pens
from slsim.report.page.material import Material
from slsim.report.page.moments import Moments, Row, Scales, rounded, screen_number
from slsim.report.page.rounds import plotly_text
from slsim.report.page.to_target import answers, order
from slsim.report.page.winners import winners
from slsim.report.swept import spread

if TYPE_CHECKING:
    import pandas as pd

MOST_LINES, LEAST_LINES = 150, 6  # of a page; the tables have more
MOST_SHOWN = 12  # lines that are switched on at first
MOST_ANSWERS = 3_000  # times to the target, of all lines at all values together
MOST_TIMES = 60_000  # of all curves at all values together
LEAST_POINTS, MOST_POINTS = 10, 400  # of a curve


def lines(material: Material) -> dict[str, Any]:
    """All that the page's script needs, as plain values."""
    moments = Moments.of(material)
    scales = Scales.of(moments)
    series = _series(material, moments, scales)
    return {
        "values": moments.texts,
        "numbers": [value / scales.axis.size for value in moments.values],
        "start": moments.start,
        "axis": scales.axis_title(moments),
        "units": {
            "time": scales.time.unit,
            "uplink": scales.size.unit,
            "both": scales.both.unit,
            "cost": scales.cost.unit,
        },
        "target": _only_target(material.summary),
        "winners": [winners(moments.summary, moments.slider, value, scales.cost) for value in moments.values],
        "order": [order(series, place) for place in range(len(moments.values))],
        "series": series,
        "left_out": len(moments.rows) - len(series),
    }


def _series(material: Material, moments: Moments, scales: Scales) -> list[dict[str, Any]]:
    """What is drawn of each series, and which are switched on at first."""
    names = list(moments.rows)
    first = [next(row for row in moments.rows[name] if row is not None) for name in names]
    codecs = [str(row["codec"]) for row in first]
    most = max(LEAST_LINES, min(MOST_LINES, MOST_ANSWERS // len(moments.values)))
    kept = some(codecs, most)
    plain = dict(zip(moments.summary["setting"], codec_names(moments.summary), strict=True))
    drawn = pens([plain[row["setting"]] for row in first])
    shown = set(some([codecs[place] for place in kept], MOST_SHOWN))
    return [
        {
            "name": names[place],
            "label": plotly_text(names[place]),
            **asdict(drawn[place]),
            "shown": number in shown,
            **_curve(moments, names[place], scales, _points(moments, len(kept))),
            **answers(moments, names[place], scales),
            "frontier": _frontier(material, moments.rows[names[place]], scales),
        }
        for number, place in enumerate(kept)
    ]


def _points(moments: Moments, count: int) -> int:
    """How many evaluations of a curve are kept."""
    return min(MOST_POINTS, max(LEAST_POINTS, MOST_TIMES // (count * len(moments.values))))


def _curve(moments: Moments, name: str, scales: Scales, points: int) -> dict[str, Any]:
    """Accuracy of a series with its interval, bytes, and at each value of the slider the time; and where the
    target was reached."""
    rows = moments.rows[name]
    curves = [moments.means.get(row["setting"]) if row else None for row in rows]
    there = next((one for one in curves if one is not None), None)
    if there is None:
        return {"accuracy": [], "low": None, "high": None, "uplink": [], "both": [], "time": [], "mark": None}
    kept = spread(len(there), points)
    has_band = bool(there["low"].notna().any())
    columns = {"uplink": ("uplink_bytes", scales.size), "both": ("all_bytes", scales.both)}
    return {
        "accuracy": rounded(100 * there["accuracy"].to_numpy()[kept], 5),
        "low": rounded(100 * there["low"].clip(0, 1).to_numpy()[kept]) if has_band else None,
        "high": rounded(100 * there["high"].clip(0, 1).to_numpy()[kept]) if has_band else None,
        **{
            key: rounded(there[column].to_numpy()[kept] / scale.size) if column in there else []
            for key, (column, scale) in columns.items()
        },
        "time": [
            [] if one is None else rounded(one["sim_s"].to_numpy()[kept] / scales.time.size) for one in curves
        ],
        "mark": _mark(rows, curves, scales),
    }


def _mark(
    rows: Sequence[Row | None], curves: Sequence[pd.DataFrame | None], scales: Scales
) -> dict[str, Any] | None:
    """Where a series reached its target, at the median round; None where it did not."""
    pairs = [(row, curve) for row, curve in zip(rows, curves, strict=True) if row and curve is not None]
    if not pairs or not math.isfinite(rounds := pairs[0][0]["rounds_to_target"]):
        return None

    def at(curve: pd.DataFrame | None, column: str, size: float) -> float | None:
        if curve is None or column not in curve:
            return None
        (value,) = at_round(curve, rounds, [column])
        return screen_number(value / size)

    there = pairs[0][1]
    return {
        "accuracy": at(there, "accuracy", 0.01),
        "uplink": at(there, "uplink_bytes", scales.size.size),
        "both": at(there, "all_bytes", scales.both.size),
        "time": [at(one, "sim_s", scales.time.size) for one in curves],
    }


def _frontier(
    material: Material, rows: Sequence[Row | None], scales: Scales
) -> dict[str, list[float | None]] | None:
    """Accuracy held within budgets of bytes, of the study's first setting with the trainings of a series."""
    table, summary = material.frontier, material.summary
    trainings = {row["training"] for row in rows if row and "training" in row}
    if table is None or "training" not in summary:
        return None
    settings = summary[summary["training"].isin(trainings)]["setting"]
    own = table[table["setting"].isin(settings.head(1))]
    if own.empty:
        return None
    ends = {"accuracy": "accuracy", "low": "accuracy_low", "high": "accuracy_high"}
    return {
        "bytes": rounded(own["budget_bytes"].to_numpy() / scales.both.size),
        **{key: rounded(100 * own[column].clip(0, 1).to_numpy()) for key, column in ends.items()},
    }


def _only_target(summary: pd.DataFrame) -> float | None:
    """The target in percent, where all settings have the same."""
    distinct = summary["target_accuracy"].dropna().round(9).unique()
    return screen_number(100 * distinct[0]) if len(distinct) == 1 else None
