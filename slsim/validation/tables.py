"""What a validation found, on the terminal and in files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slsim import atomic
from slsim.atomic import describing_disk_errors
from slsim.units import DURATION, RATE, SIZE
from slsim.validation.comparison import Comparison, Experiment, Kind, Validation
from slsim.validation.markdown import LINKS, error, markdown

TITLES: Mapping[Kind, str] = {
    "transfers": "Transfers over real TCP ({}), until the last one's last byte",
    "round": "Whole rounds of split learning ({}), until the last client's end",
    "delayed": "Fresh connections ({}) over a path with delay, until the last byte",
}
Column = Callable[[Comparison], str]


def print_validation(console: Console, validation: Validation) -> None:
    """Transfers, rounds, and transfers over delay: measurements beside the clock's answers."""
    for kind, title in TITLES.items():
        found = validation.of(kind)
        for congestion in dict.fromkeys(one.experiment.congestion for one in found):
            rows = [one for one in found if one.experiment.congestion == congestion]
            _print(console, title.format(congestion), _columns(kind, rows), rows)
    manifest = validation.manifest
    console.print(
        f"Median of {manifest['repeats']} measurements; spread: (longest - shortest) ÷ median; "
        f"error: predicted ÷ measured - 1. "
        f"Linux {manifest['kernel']}, {manifest['shaper']}, round trip "
        f"{DURATION.pretty(manifest['round_trip_s'])}; the kernel's default congestion control is "
        f"{manifest['default_congestion']}.",
        highlight=False,
        soft_wrap=True,
    )
    busy, cpus = manifest["load_average_before"], manifest["cpus"]
    if busy and busy[0] > cpus / 2:
        console.print(f"The machine was busy: load {busy[0]:.1f} on {cpus} processors.", highlight=False)


def _columns(kind: Kind, rows: Sequence[Comparison]) -> dict[str, Column]:
    """What a table of that kind shows, by heading."""
    fluid = {row.experiment: row for row in rows if row.transport == "fluid"}
    rate: dict[str, Column] = {"rate": lambda row: RATE.pretty(row.experiment.rate_bps)}
    own: dict[Kind, dict[str, Column]] = {
        "transfers": {"transfers": lambda row: _sizes(row.experiment)},
        "round": {
            "round": lambda row: row.experiment.label,
            "links": lambda row: LINKS[row.experiment.links],
        },
        "delayed": {
            "one way": lambda row: DURATION.pretty(row.experiment.delay_s),
            "transfer": lambda row: _sizes(row.experiment),
        },
    }
    results: dict[str, Column] = {
        "measured": lambda row: DURATION.pretty(row.median_s, 4),
        "spread": lambda row: f"{100 * row.spread:.1f} %",
        "predicted": lambda row: DURATION.pretty(row.predicted_s, 4),
        "error": error,
    }
    if kind == "delayed":
        del results["spread"]
        results["fluid"] = lambda row: error(fluid[row.experiment])
    return {**rate, **own[kind], **results}


def _sizes(experiment: Experiment) -> str:
    return f"{experiment.flows} × {SIZE.pretty(experiment.num_bytes)}"


def _print(console: Console, title: str, columns: Mapping[str, Column], rows: Iterable[Comparison]) -> None:
    """Where the clock answered for both transports, tcp has the row and fluid a column of it."""
    table = Table(title=title, title_justify="left")
    for heading in columns:
        left = heading in ("rate", "transfers", "round", "links", "one way", "transfer")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        if row.transport == "tcp" or "fluid" not in columns:
            table.add_row(*(Text(column(row)) for column in columns.values()))
    console.print(table)


def make_folder(folder: Path) -> None:
    """Makes the folder that `save` writes into, before anything is measured. Raises StudyError when it
    cannot be."""
    with describing_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def save(validation: Validation, folder: Path) -> None:
    """Writes `clock.csv` (a row a comparison), `measurements.csv` (a row a measurement), `manifest.json`, and
    `tables.md`, as the documentation has them, into `folder`, which exists. Raises StudyError when the disk
    does not play along."""
    clock, raw = [], []
    for found in validation.comparisons:
        key = {**asdict(found.experiment), "transport": found.transport}
        shortest_s, longest_s = min(found.measured_s), max(found.measured_s)
        measured = {"median_s": found.median_s, "shortest_s": shortest_s, "longest_s": longest_s}
        clock.append({**key, **measured, "predicted_s": found.predicted_s, "error": found.error})
        for number, seconds in enumerate(found.measured_s, start=1):
            raw.append({**key, "repeat": number, "measured_s": seconds})
    files = {
        "clock.csv": _csv(clock),
        "measurements.csv": _csv(raw),
        "manifest.json": json.dumps(validation.manifest, indent=2) + "\n",
        "tables.md": markdown(validation),
    }
    with describing_disk_errors(folder):
        for name, text in files.items():
            atomic.write(folder / name, text)


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
