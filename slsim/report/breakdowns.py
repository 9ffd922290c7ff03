"""Where an average round's milliseconds go, on the terminal: of each setting the mean over its seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slsim.recording.kinds import BARRIER_WAIT, phase_column
from slsim.report.swept import chosen
from slsim.report.terminal import add_row, milliseconds, say, table

if TYPE_CHECKING:
    import pandas as pd

CALLED = {"server wait": "waits for server", "barrier wait": "waits for other clients"}  # phases, for readers
SPREAD = {"round_median_s": "  median", "round_p95_s": "  95th percentile", "round_longest_s": "  longest"}
SAME = 1.005  # times the median: a longest round below that is no other to a reader
UNFAIR = 0.995  # Jain's index below which it is told
WORD = 8  # characters of a setting's column at least: "downlink"
ABREAST, MOST_LINES = 5, 30  # settings of a table; the file has all


def print_breakdown(
    console: Console, breakdown: pd.DataFrame, codecs: Mapping[str, str] | None = None
) -> None:
    """Where an average round's milliseconds go, and the bottleneck: phase by phase for a few settings, a line
    a setting for more, of each of `codecs` some."""
    settings = by_setting(breakdown)
    if len(settings) <= ABREAST:
        console.print(_phases_table(settings, console.width))
        return
    groups = [(codecs or {}).get(name, "") for name in settings["setting"]]
    places = chosen(groups, MOST_LINES)
    console.print(_groups_table(settings.iloc[places]))
    more = f"{len(places)} of {len(settings):,} settings shown. " if len(places) < len(settings) else ""
    say(console, f"{more}Phase by phase, of every run: breakdown.csv")


def by_setting(breakdown: pd.DataFrame) -> pd.DataFrame:
    """The means over the seeds of each setting; where seeds have different bottlenecks, all are named."""
    if not breakdown["setting"].duplicated().any():
        return breakdown
    grouped = breakdown.groupby("setting", sort=False)
    means = grouped.mean(numeric_only=True).reset_index()
    return means.assign(bottleneck=grouped["bottleneck"].agg(_named).to_numpy())[
        list(breakdown.drop(columns="run"))
    ]


def _named(bottlenecks: pd.Series) -> str:
    return " or ".join(name for name, _ in Counter(bottlenecks).most_common())


def _phases_table(settings: pd.DataFrame, width: int) -> Table:
    shown = table("An average round, in ms")
    wide = max(map(len, CALLED.values()))
    first = wide if (width - wide - 4) // len(settings) >= wide - 3 else wide - 5  # or its last word below
    shown.add_column("", width=first)
    each = max(WORD, (width - first - 4) // len(settings) - 3)  # beside blanks and lines
    for name in settings["setting"]:
        shown.add_column(Text(str(name)), justify="right", overflow="fold", max_width=each)
    for phase, column in phases_in(settings).items():
        add_row(shown, phase_title(phase), *map(milliseconds, settings[column]))
    shown.add_section()
    add_row(shown, "round", *map(milliseconds, settings["round_s"]))
    for column, called in _spread_in(settings).items():
        add_row(shown, called, *map(milliseconds, settings[column]))
    if "fairness" in settings and (settings["fairness"] < UNFAIR).any():
        add_row(shown, "fairness", *(f"{value:.2f}" for value in settings["fairness"]))
    add_row(shown, "bottleneck", *settings["bottleneck"])
    add_row(shown, "its share", *(f"{100 * share:.0f} %" for share in settings["bottleneck_share"]))
    return shown


def _spread_in(settings: pd.DataFrame) -> dict[str, str]:
    """The columns of how long rounds took, and what they are called, where rounds differ."""
    if any(column not in settings for column in SPREAD):
        return {}
    differ = settings["round_longest_s"] > SAME * settings["round_median_s"]
    return SPREAD if differ.any() else {}


def phase_title(phase: str) -> str:
    """What readers call a phase."""
    return CALLED.get(phase, phase)


def phases_in(breakdown: pd.DataFrame) -> dict[str, str]:
    """The phases of a breakdown and their columns, the barrier's wait last."""
    columns = list(map(str, breakdown))
    columns = [name for name in columns[: columns.index("round_s")] if name not in ("run", "setting", "seed")]
    phases = {name.removesuffix("_s").replace("_", " "): name for name in columns}
    last = phases.pop(BARRIER_WAIT.name, phase_column(BARRIER_WAIT.name))
    return {**phases, BARRIER_WAIT.name: last}


def _groups_table(settings: pd.DataFrame) -> Table:
    shown = table("An average round, in ms, and how much of it was spent on what")
    shown.add_column("setting", overflow="fold")
    columns = list(map(str, settings))
    groups = [name for name in columns[columns.index("round_s") :] if name.startswith("in_")]
    for heading in ("round", *(name.removeprefix("in_").removesuffix("_s") for name in groups)):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("bottleneck", no_wrap=True)
    for _, row in settings.iterrows():
        cells = map(milliseconds, [row["round_s"], *(row[name] for name in groups)])
        add_row(shown, str(row["setting"]), *cells, row["bottleneck"])
    return shown
