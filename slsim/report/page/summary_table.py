"""The summary on a page: a row a setting, and what each column means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slsim.analysis import FAILED, NOT_REACHED
from slsim.report.notes import PERCENT, most_seeds
from slsim.report.page.cells import MOST_ROWS, Cell, Heading, Table, number, share, some, some_of, word
from slsim.report.scales import Scale
from slsim.report.terminal import three_figures, times
from slsim.units import DURATION, SIZE

if TYPE_CHECKING:
    import pandas as pd

MULTIPLIERS = (
    ("activations up", "traffic_multiplier", "Bytes of activations up"),
    ("all up", "uplink_multiplier", "All bytes up, labels, weights and statistics too,"),
    ("both ways", "total_multiplier", "All bytes up and down"),
)

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class _Column:
    """A heading, and what stands below it in the row of a setting."""

    heading: Heading
    cell: Callable[[Row], Cell]


def summary_table(summary: pd.DataFrame) -> Table:
    """The summary: accuracies as means with intervals, costs of the target as medians with ranges, ratios as
    geometric means with intervals; in bold what is significantly better than every other codec's."""
    columns = [column for column in _columns(summary) if column is not None]
    places = some(summary["codec"].to_list(), MOST_ROWS)
    rows = [[column.cell(row) for column in columns] for row in summary.iloc[places].to_dict("records")]
    return Table(
        "The summary: a row a setting",
        [column.heading for column in columns],
        rows,
        some_of(len(rows), len(summary), "settings", "summary.csv"),
    )


def _columns(summary: pd.DataFrame) -> list[_Column | None]:
    return [
        _Column(Heading("setting", about="The codec, and what is swept beside it.", is_number=False), _named),
        *_accuracies(summary),
        *_costs(summary),
        _pays(summary),
        *_ratios(summary),
    ]


def _accuracies(summary: pd.DataFrame) -> list[_Column]:
    several = most_seeds(summary) > 1
    mean = f"Mean over seeds, with half of its {PERCENT} % interval." if several else "Of its one seed."
    return [
        _accuracy("best test accuracy", "held_accuracy", f"The highest that others confirmed. {mean}"),
        _accuracy("last accuracy", "final_accuracy", f"Test accuracy at the last evaluation. {mean}"),
        _accuracy("target", "target_accuracy", "The test accuracy that is aimed at."),
    ]


def _costs(summary: pd.DataFrame) -> list[_Column]:
    several = most_seeds(summary) > 1
    time, size = Scale.of(summary["time_to_target_s"], DURATION), Scale.of(summary["bytes_to_target"], SIZE)
    median = " Median over seeds, with their range." if several else ""
    bold = " Bold: significantly less than every other codec's." if several else ""
    rounds = Heading("rounds to target", about=f"Rounds until the target was reached.{median}")
    return [
        _cost("time to target", "time_to_target_s", time, "best_time", f"Simulated time.{median}{bold}"),
        _cost("bytes to target", "bytes_to_target", size, "best_bytes", f"Up and down.{median}{bold}"),
        _Column(
            rounds,
            lambda row: number(row["rounds_to_target"], _cost_text(row, _count(row["rounds_to_target"]))),
        ),
    ]


def _ratios(summary: pd.DataFrame) -> list[_Column | None]:
    several = most_seeds(summary) > 1
    mean = f" Geometric mean over seeds, with its {PERCENT} % interval." if several else ""
    over = "that the baseline needed to the target ÷ its own"
    return [
        _ratio(summary, "speed-up", "speed_up", f"The baseline's time to the target ÷ its own.{mean}"),
        *(
            _ratio(summary, f"traffic multiplier, {counted}", column, f"{what} {over}.{mean}")
            for counted, column, what in MULTIPLIERS
        ),
        _bd_rate(summary),
        _ratio(
            summary,
            "compression ratio",
            "compression_ratio",
            "Raw bytes of the activations up ÷ those that were sent, of the whole training.",
        ),
    ]


def _named(row: Row) -> Cell:
    seeds, reached = int(row["seeds"]), int(row["reached"])
    return Cell(str(row["setting"]), str(row["setting"]), f"{reached} of {seeds} reached" * (seeds > 1))


def _accuracy(name: str, column: str, about: str) -> _Column:
    ends = [f"{column}_low", f"{column}_high"]
    return _Column(
        Heading(name, "%", about),
        lambda row: share(row[column], *(row.get(end, math.nan) for end in ends)),
    )


def _cost(name: str, column: str, scale: Scale, best: str, about: str) -> _Column:
    """What the target cost; in bold where that is significantly less than every other codec's."""

    def cell(row: Row) -> Cell:
        text = _cost_text(row, scale.text(row[column]))
        below = range_text(row, column, scale) if text == scale.text(row[column]) else ""
        return number(row[column], text, below, is_bold=bool(row[best]))

    return _Column(Heading(name, scale.unit, about), cell)


def range_text(row: Row, column: str, scale: Scale) -> str:
    """The range of a median over seeds: "2.97–4.45"; empty where there is none, or no width."""
    least, most = (row.get(f"{column}_{end}", math.nan) for end in ("least", "most"))
    if math.isnan(least) or math.isnan(most) or math.isinf(least):
        return ""
    text = scale.between(least, most)
    return "" if text == scale.text(row[column]) else text


def _cost_text(row: Row, text: str) -> str:
    return str(row["target_state"]) if row["target_state"] in (FAILED, NOT_REACHED) else text


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "–"


def _ratio(summary: pd.DataFrame, name: str, column: str, about: str) -> _Column | None:
    if column not in summary:
        return None
    return _Column(Heading(name, "×", about), lambda row: number(row[column], *ratio_texts(row, column)))


def ratio_texts(row: Row, column: str) -> tuple[str, str]:
    """A ratio and its interval: "9.59" and "6.15–14.96"."""
    text = times(row[column]).removesuffix("×")
    low, high = (row.get(f"{column}_{end}", math.nan) for end in ("low", "high"))
    if math.isnan(low):
        return text, ""
    ends = [three_figures(low), three_figures(high)]
    return text, "" if ends[0] == ends[1] else "–".join(ends)


def _pays(summary: pd.DataFrame) -> _Column | None:
    if not summary["pays"].isin(["yes", "no", "unclear"]).any():
        return None
    about = "Whether it reaches the target at least 5 % sooner than the baseline, significantly."
    return _Column(Heading("pays", about=about, is_number=False), lambda row: word(row["pays"] or "–"))


def _bd_rate(summary: pd.DataFrame) -> _Column | None:
    if "bd_rate" not in summary:
        return None

    def cell(row: Row) -> Cell:
        value, low, high = (row.get(f"bd_rate{end}", math.nan) for end in ("", "_low", "_high"))
        below = "" if math.isnan(low) or low == high else f"{_signed(low)} … {_signed(high)}"
        return number(value, "–" if math.isnan(value) else _signed(value), below)

    about = (
        "How many more bytes both ways than the baseline for the same accuracy, on average over accuracies."
    )
    return _Column(Heading("BD-rate", "%", about), cell)


def _signed(value: float) -> str:
    text = f"{100 * value:+.0f}".replace("-", "−")
    return "0" if text[1:] == "0" else text
