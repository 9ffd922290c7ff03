"""What a study answers, on the terminal: accuracy, time and bytes to the target, run by run or over the rates
of a link. Everything is printed from the saved summary, as a reader reads numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from slsim.analysis import NOT_REACHED, SUPPOSED, Link, swept_in
from slsim.report import notes
from slsim.report.terminal import add_row, duration, table, times
from slsim.units import RATE, SIZE

if TYPE_CHECKING:
    import pandas as pd


def print_answers(console: Console, summary: pd.DataFrame) -> None:
    """The summary, or what each link whose rates vary makes of the time to the target."""
    links = swept_in(summary)
    if not links:
        print_summary(console, summary)
    for link in links:
        print_link_rates(console, summary, link)


def print_summary(console: Console, summary: pd.DataFrame) -> None:
    """Accuracy, time and bytes to the target, traffic multiplier and compression ratio, a row a run."""
    shown = table(notes.target(summary))
    shown.add_column("codec", overflow="fold")
    for heading in (
        "accuracy, %\nbest, last",
        "time to\ntarget",
        "bytes to\ntarget,\nup + down",
        "uplink\nmultiplier",
        "compr.\nratio",
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    for _, row in summary.iterrows():
        add_row(
            shown,
            str(row["run"]),
            f"{_percent(row['best_accuracy'])}, {_percent(row['final_accuracy'])}",
            _cost(row, duration(row["time_to_target_s"])),
            _cost(row, _bytes(row)),
            _cost(row, times(row["traffic_multiplier"])),
            times(row["compression_ratio"]),
        )
    console.print(shown)
    _print_notes(console, notes.of(summary))


def _cost(row: pd.Series, text: str) -> str:
    """What the target cost, or that it was not reached."""
    return NOT_REACHED if row["target_state"] == NOT_REACHED else text


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def _bytes(row: pd.Series) -> str:
    """Up and down: "1.24 + 3 MB", or each with its unit where these differ."""
    columns = ("uplink_bytes_to_target", "downlink_bytes_to_target")
    if math.isnan(row[columns[0]]):
        return "–"
    (up, up_unit), (down, unit) = (SIZE.pretty(row[column]).split() for column in columns)
    return f"{up} + {down} {unit}" if up_unit == unit else f"{up} {up_unit}\n+ {down} {unit}"


def print_link_rates(console: Console, summary: pd.DataFrame, link: Link) -> None:
    """Time to the target and speed-up by run and rate of a link, and where each run stops paying."""
    rates = sorted(summary[f"{link}_bps"].unique())
    series = dict(_by_rate(summary, link))
    shown = table(f"Time to target by network.{link}")
    shown.add_column("codec", overflow="fold")
    for heading in (*map(RATE.pretty, rates), "stops\npaying at"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for label, rows in series.items():
        cells = [_timed(rows.loc[rate]) if rate in rows.index else "" for rate in rates]
        add_row(shown, label, *cells, stops_paying(rows, "speed_up").replace("beyond ", "beyond\n"))
    console.print(shown)
    pays = [notes.PAYS] if summary["speed_up"].notna().any() else []
    lines = [f"{notes.target(summary)}.", *pays, *_sensitivity(series), *notes.of(summary, link)]
    _print_notes(console, lines)


def _print_notes(console: Console, lines: Iterable[str]) -> None:
    """Each on a line of its own, wrapped between words."""
    for line in lines:
        console.print(Text(line))


def _by_rate(summary: pd.DataFrame, link: Link) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each series with its runs by rate (bit/s), ascending."""
    for label, rows in summary.groupby(f"{link}_series", sort=False):
        by_rate = rows.set_index(f"{link}_bps").sort_index()
        assert by_rate.index.is_unique, f"two runs of {label} at one rate"
        yield str(label), by_rate


def _timed(row: pd.Series) -> str:
    if row["target_state"] == NOT_REACHED:
        return NOT_REACHED.replace(" ", "\n")
    speed_up = row["speed_up"]
    return duration(row["time_to_target_s"]) + ("" if math.isnan(speed_up) else f"\n{times(speed_up)}")


def stops_paying(rows: pd.DataFrame, column: str) -> str:
    """Of a series' runs by ascending rate (bit/s), the lowest rate from which on it never pays: "never" where
    it pays at none, "beyond" the last; "–" for the baseline itself, and where there is no speed-up."""
    if (rows["training"] == rows["baseline"]).all():
        return "–"
    if (rows["target_state"] == NOT_REACHED).all():
        return "never"
    speed_ups = rows[column].dropna()
    if speed_ups.empty:
        return "–"
    paying = speed_ups.index[speed_ups >= notes.FASTER_BY]
    if paying.empty:
        return "never"
    later = rows.index[rows.index > paying[-1]]
    return f"beyond {RATE.pretty(paying[-1])}" if later.empty else RATE.pretty(later[0])


def _sensitivity(series: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Where each series would stop paying if devices cost less, and more, than is assumed."""
    found = []
    for label, rows in series.items():
        columns = [f"speed_up_{name}" for name in SUPPOSED]
        if not all(column in rows for column in columns) or rows[columns].isna().all(axis=None):
            continue
        stops = list(dict.fromkeys(stops_paying(rows, column) for column in columns))
        if stops != ["–"]:
            either = f"{stops[0]} either way" if len(stops) == 1 else " … ".join(stops)
            found.append(f"{label} {either}")
    if found:
        yield f"{notes.IF_OTHERWISE} {'; '.join(found)}."
