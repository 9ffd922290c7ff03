"""What a study answers, on the terminal: accuracy, time and bytes to the target, setting by setting or over
swept numbers. Everything is printed from the saved summary, as a reader reads numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from slsim.analysis import AS_STATED, FAILED, NOT_REACHED, SUPPOSED
from slsim.report import notes
from slsim.report.scales import Scale
from slsim.report.swept import Swept, chosen, spread, swept_in
from slsim.report.terminal import between, table, three_figures, times
from slsim.units import DURATION, SIZE

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 30  # of a table; summary.csv has all
EDGES = 3  # characters of a column beside its content
NARROWEST, WIDEST = 8, 11  # characters of a name, and of a range in one line
ROOMY = 92  # characters of a terminal that has room for another column
UNIT_NAMES = {
    "ns": "nanoseconds",
    "us": "microseconds",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
}
MULTIPLIERS = ("traffic_multiplier", "total_multiplier")
NOT_REACHED_CELL = NOT_REACHED.replace(" ", "\n")

Row = Mapping[Any, Any]


def print_answers(console: Console, summary: pd.DataFrame, crossovers: pd.DataFrame | None = None) -> None:
    """The summary, or what each swept number makes of the time to the target; without the crossovers, where
    there is no table of them."""
    axes = swept_in(summary)
    if crossovers is None:
        crossovers = summary.reindex(columns=["axis", "series", "assuming"]).iloc[:0]
    if not axes:
        print_summary(console, summary)
    for axis in axes:
        print_axis(console, summary, crossovers, axis)


def print_summary(console: Console, summary: pd.DataFrame) -> None:
    """Accuracy, time and bytes to the target, and traffic multipliers, a row a setting; where there is room,
    compression ratios too."""
    several = notes.most_seeds(summary) > 1
    scales = _Scales.of(summary)
    roomy = console.width >= ROOMY
    shown = table(notes.target(summary))
    shown.add_column("codec\nreached" if several else "codec", overflow="fold", min_width=NARROWEST)
    for heading in (
        "best test\naccuracy,\nlast, %",
        f"time to\ntarget, {scales.time.unit}",
        f"bytes to\ntarget, {scales.size.unit},\nup+down",
        "traffic\nmultipl.,\nup",
        "traffic\nmultipl.,\nboth ways",
        *(["compr.\nratio"] if roomy else []),
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    rows = _some(summary, summary["codec"].to_list())
    for row in rows:
        ratio = [Text(times(row["compression_ratio"]))] if roomy else []
        shown.add_row(*(_of_seeds(row, scales) if several else _of_one(row, scales)), *ratio)
    console.print(shown)
    _print_notes(console, [*notes.of(summary), *_more(len(summary), len(rows), "settings")])


def _middles(summary: pd.DataFrame, medians: list[str], ranged: str) -> list[float]:
    """The finite numbers in columns of medians; where there is none, those of a column's ranges."""
    for columns in (medians, [f"{ranged}_least", f"{ranged}_most"]):
        values = summary[columns].to_numpy(float).ravel()
        if (finite := values[np.isfinite(values)]).size:
            break
    return [float(value) for value in finite]


@dataclass(frozen=True)
class _Scales:
    """The units of a table's seconds and bytes."""

    time: Scale
    size: Scale

    @classmethod
    def of(cls, summary: pd.DataFrame) -> _Scales:
        links = [f"{link}_bytes_to_target" for link in ("uplink", "downlink")]
        times_s = _middles(summary, ["time_to_target_s"], "time_to_target_s")
        sizes = _middles(summary, [*links, "bytes_to_target"], "bytes_to_target")
        return cls(Scale.of(times_s, DURATION), Scale.of(sizes, SIZE))


def _some(rows: pd.DataFrame, groups: Sequence[str]) -> list[Row]:
    """The rows that are shown, of each group some."""
    return list(rows.iloc[chosen(groups, MOST_ROWS)].to_dict("records"))


def _more(count: int, shown: int, what: str) -> list[str]:
    if count <= shown:
        return []
    some = "of each codec the first, the last and others between"
    return [f"{shown} of {count:,} {what} shown, {some}: all are in summary.csv."]


def _of_one(row: Row, scales: _Scales) -> list[Text]:
    """A setting of one seed."""
    return [
        Text(str(row["setting"])),
        Text(f"{_percent(row['held_accuracy'])}, {_percent(row['final_accuracy'])}"),
        Text(_cost(row, scales.time.text(row["time_to_target_s"]))),
        Text(_cost(row, _bytes(row, scales.size))),
        *(Text(_cost(row, times(row.get(name, math.nan)))) for name in MULTIPLIERS),
    ]


def _of_seeds(row: Row, scales: _Scales) -> list[Text]:
    """A setting of several seeds: means with their intervals, medians with their ranges."""
    time = _with_range(row, "time_to_target_s", scales.time.text(row["time_to_target_s"]), scales.time)
    size = _with_range(row, "bytes_to_target", _bytes(row, scales.size), scales.size)
    return [
        Text(f"{row['setting']}\n{row['reached']:.0f} of {row['seeds']:.0f}"),
        Text("\n".join(_with_interval(row, name) for name in ("held_accuracy", "final_accuracy"))),
        _in_bold(time, row["best_time"]),
        _in_bold(size, row["best_bytes"]),
        *(Text(_cost(row, _multiplier(row, name))) for name in MULTIPLIERS),
    ]


def _multiplier(row: Row, name: str) -> str:
    """A geometric mean and its interval."""
    low = row.get(f"{name}_low", math.nan)
    mean = times(row.get(name, math.nan))
    if math.isnan(low):
        return mean
    ends = [three_figures(end) for end in (low, row[f"{name}_high"])]
    return mean if ends[0] == ends[1] else f"{mean}\n{'–'.join(ends)}"


def _in_bold(text: str, is_best: bool) -> Text:
    return Text(text, style="bold" if is_best else "")


def _cost(row: Row, text: str) -> str:
    """What the target cost; or that it was not reached, by one seed, or by half of several or more."""
    if row["target_state"] == FAILED:
        return FAILED
    return NOT_REACHED_CELL if row["target_state"] == NOT_REACHED else text


def _with_range(row: Row, name: str, middle: str, scale: Scale) -> str:
    """A median and its range, such as "5.20" and "4.80–5.60"."""
    text, ends = _cost(row, middle), (row[f"{name}_least"], row[f"{name}_most"])
    if text in (FAILED, "–") or any(map(math.isnan, ends)) or ends[0] == math.inf:
        return text
    shown = scale.between(*ends)
    shown = shown if len(shown) <= WIDEST else shown.replace("–", "–\n")
    return text if shown == text else f"{text}\n{shown}"


def _with_interval(row: Row, name: str) -> str:
    """A mean share in percent, and half its interval: "85.3 ± 0.4"."""
    half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    return _percent(row[name]) + ("" if math.isnan(half) else f" ± {100 * half:.1f}")


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def _bytes(row: Row, scale: Scale) -> str:
    """Up and down: "1.24+3.00"."""
    both = [row[f"{link}_bytes_to_target"] for link in ("uplink", "downlink")]
    return "+".join(map(scale.text, both)) if all(map(math.isfinite, both)) else "–"


def print_axis(console: Console, summary: pd.DataFrame, crossovers: pd.DataFrame, axis: Swept) -> None:
    """Time to the target and speed-up by setting and swept number, at some of the numbers where there are
    many, and where each setting stops paying."""
    series = {str(name): rows for name, rows in summary.groupby(axis.series, sort=False)}
    codecs = [rows["codec"].iloc[0] for rows in series.values()]
    shown = [list(series)[place] for place in chosen(codecs, MOST_ROWS)]
    by_value = {name: _by_value(series[name], axis) for name in shown}
    scale = Scale.of(summary["time_to_target_s"], DURATION)
    ends = {name: _paying(crossovers, axis, name) for name in shown}
    values = sorted(summary[axis.column].unique().tolist())
    some = _fitting(console.width, _Cells(by_value, scale), ends, values, axis)
    printed = table(f"Time to target, in {UNIT_NAMES.get(scale.unit, scale.unit)}, by {axis.title}")
    printed.add_column("codec", overflow="fold", min_width=NARROWEST)
    for heading in (*(axis.pretty(value) for value in some), "pays"):
        printed.add_column(heading, justify="right", no_wrap=True)
    for name in shown:
        rows = by_value[name]
        cells = [_timed(rows[value], scale) if value in rows else Text() for value in some]
        printed.add_row(Text(name), *cells, Text(ends[name]))
    console.print(printed)
    lines = [
        f"{notes.target(summary)}.",
        *([notes.pays(summary)] if summary["speed_up"].notna().any() else []),
        *_sensitivity(crossovers, axis),
        *notes.of(summary, axis),
        *_more(len(series), len(shown), "rows"),
    ]
    if len(some) < len(values):
        lines.append(
            f"{len(some)} of {len(values)} values of {axis.title} shown: all are in runs.csv and summary.csv."
        )
    _print_notes(console, lines)


def _by_value(rows: pd.DataFrame, axis: Swept) -> dict[float, Row]:
    found = dict(zip(rows[axis.column].to_list(), rows.to_dict("records"), strict=True))
    assert len(found) == len(rows), f"two settings of one series at one {axis.title}"
    return found


@dataclass(frozen=True)
class _Cells:
    """The rows of a table over a swept number, by series and number."""

    rows: Mapping[str, Mapping[float, Row]]
    scale: Scale

    def at(self, value: float) -> Iterator[str]:
        """What stands in the column of a number."""
        return (_timed(row[value], self.scale).plain for row in self.rows.values() if value in row)


def _fitting(
    width: int,
    cells: _Cells,
    ends: Mapping[str, str],
    values: Sequence[float],
    axis: Swept,
) -> list[float]:
    """The ends of the values and evenly between, as many as fit beside the names."""

    def wide(texts: Iterable[str]) -> int:
        return EDGES + max((len(line) for text in texts for line in text.split("\n")), default=0)

    widths = {value: wide([axis.pretty(value), *cells.at(value)]) for value in values}
    names = min(wide(cells.rows), EDGES + 13)  # longer ones are folded
    left = width - 1 - names - wide(["pays", *ends.values()])
    for count in range(len(values), 2, -1):
        some = [values[place] for place in spread(len(values), count)]
        if sum(widths[value] for value in some) <= left:
            return some
    return [values[place] for place in spread(len(values), 2)]


def _timed(row: Row, scale: Scale) -> Text:
    """Time to the target and, below it, the speed-up, with a question mark where that may be chance."""
    text = _cost(row, scale.text(row["time_to_target_s"]))
    if text in (NOT_REACHED_CELL, FAILED):
        return Text(text)
    ratio = row["speed_up"]
    below = "" if math.isnan(ratio) else f"\n{times(ratio)}{'?' if row['pays'] == 'unclear' else ''}"
    return _in_bold(text + below, row["best_time"])


def _paying(crossovers: pd.DataFrame, axis: Swept, series: str, assuming: str = AS_STATED) -> str:
    """Where a series stops paying, or begins to: the last crossing in ascending order; "–" of a baseline."""
    rows = crossovers[
        (crossovers["axis"] == axis.column)
        & (crossovers["series"] == series)
        & (crossovers["assuming"] == assuming)
    ].to_dict("records")
    return crossing(rows[-1], axis) if rows else "–"


def crossing(row: Row, axis: Swept) -> str:
    """A row of the crossovers for a reader: "up to 287 Mbps" or "from 20 Mbps", or, of several seeds, with
    the interval below it; "unclear" where it may be chance."""
    if row["seeds"] > 1 and not row["significant"] and row["assuming"] == AS_STATED:
        return "unclear"
    if row["direction"] in ("never", "always"):
        return str(row["direction"])
    until = "from" if row["direction"] == "begins" else "up to"
    if math.isnan(row["value"]):
        return f"{until}\n{between(row['after'], row['before'], axis.pretty)}"
    value = axis.pretty(row["value"])
    interval = value if math.isnan(row["low"]) else between(row["low"], row["high"], axis.pretty)
    return f"{until}\n{value}" if interval == value else f"{until}\n{value}\n{interval}"


def _sensitivity(crossovers: pd.DataFrame, axis: Swept) -> Iterator[str]:
    """Where each series would stop paying if devices cost less, and more, than is assumed."""
    of_axis = crossovers[(crossovers["axis"] == axis.column) & crossovers["assuming"].isin(SUPPOSED)]
    found = []
    for series in of_axis["series"].unique().tolist()[:MOST_ROWS]:
        texts = [_paying(crossovers, axis, series, name).replace("\n", " ") for name in SUPPOSED]
        different = list(dict.fromkeys(texts))
        if different != ["never"] or _paying(crossovers, axis, series) != "never":
            found.append(
                f"{series} {different[0]} either way"
                if len(different) == 1
                else f"{series} {' … '.join(texts)}"
            )
    if found:
        yield f"{notes.IF_OTHERWISE} {'; '.join(found)}."


def _print_notes(console: Console, lines: Iterable[str]) -> None:
    """Each on a line of its own, wrapped between words."""
    for line in lines:
        console.print(Text(line))
