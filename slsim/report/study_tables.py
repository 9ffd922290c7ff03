"""A study's tables, in memory or as they are saved, and the study printed from them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from slsim.report.answers import print_answers
from slsim.report.breakdowns import print_breakdown
from slsim.report.network_use import print_shared_links
from slsim.report.terminal import say
from slsim.results import StudyFolder

if TYPE_CHECKING:
    import pandas as pd


PRINTED = ("summary", "breakdown", "crossovers", "links")
LATER = ("links",)  # studies of older versions have none


@dataclass(frozen=True)
class Tables:
    """All that is printed of a study, None for a table that cannot be read. `notes` are on how numbers came
    about; `path` is where its files are, None where there are none."""

    summary: pd.DataFrame | None
    breakdown: pd.DataFrame | None
    crossovers: pd.DataFrame | None
    links: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    path: Path | None = None

    @classmethod
    def of(cls, folder: StudyFolder, tables: Mapping[str, pd.DataFrame] | None = None) -> Tables:
        """Those that a study saved: of `tables` those that are there, by name, or else all. Raises
        `StudyError` where one that is due is missing or damaged."""
        due = [name for name in PRINTED if name not in LATER or folder.has_table(name)]
        found = {name: folder.load_table(name) for name in due} if tables is None else tables
        summary, breakdown, crossovers, links = map(found.get, PRINTED)
        return cls(summary, breakdown, crossovers, links, _notes(folder.load_manifest()), folder.path)


def _notes(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What a manifest says of how numbers came about, what failed, and what the clock found wrong."""
    notes, alarms = manifest.get("notes", []), manifest.get("alarms", {})
    told = [str(note) for note in notes] if isinstance(notes, list) else []
    told += [f"{label}: {alarm}" for label, alarm in alarms.items()] if isinstance(alarms, dict) else []
    return tuple(told)


def print_study(console: Console, tables: Tables, *, brief: bool = False) -> None:
    """What a study answers and, unless `brief`, where an average round's seconds go, notes on how the numbers
    came about, and where its files are."""
    codecs: dict[str, str] = {}
    if tables.summary is not None:
        print_answers(console, tables.summary, tables.crossovers)
        codecs = dict(zip(tables.summary["setting"], tables.summary["codec"], strict=True))
    if not brief:
        if tables.breakdown is not None:
            print_breakdown(console, tables.breakdown, codecs)
        if tables.links is not None:
            print_shared_links(console, tables.links)
        for note in tables.notes:
            say(console, note)
    if tables.path is not None:
        say(console, f"Tables, records and figures: {tables.path}")
