"""A study's tables, in memory or as they are saved, and the study printed from them alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from slsim.report.answers import print_answers, print_summary
from slsim.report.breakdowns import print_breakdown
from slsim.report.terminal import say
from slsim.results import StudyFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tables:
    """All that is printed of a study. `notes` are on how numbers came about; `path` is where its files are,
    None where there are none."""

    summary: pd.DataFrame
    breakdown: pd.DataFrame
    crossovers: pd.DataFrame
    notes: tuple[str, ...] = ()
    path: Path | None = None

    @classmethod
    def of(cls, folder: StudyFolder) -> Tables:
        """Those that a study saved. Raises `StudyError` where one is missing or damaged."""
        summary, breakdown, crossovers = map(folder.load_table, ("summary", "breakdown", "crossovers"))
        return cls(summary, breakdown, crossovers, _notes(folder.load_manifest()), folder.path)


def _notes(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What a manifest says of how numbers came about, what failed, and what the clock found wrong."""
    notes, alarms = manifest.get("notes", []), manifest.get("alarms", {})
    told = [str(note) for note in notes] if isinstance(notes, list) else []
    told += [f"{label}: {alarm}" for label, alarm in alarms.items()] if isinstance(alarms, dict) else []
    return tuple(told)


def print_study(console: Console, study: StudyFolder | Tables, *, brief: bool = False) -> None:
    """What a study answers and, unless `brief`, where an average round's seconds go, notes on how the numbers
    came about, and where its files are."""
    tables = Tables.of(study) if isinstance(study, StudyFolder) else study
    print_answers(console, tables.summary, tables.crossovers)
    if not brief:
        print_breakdown(
            console,
            tables.breakdown,
            dict(zip(tables.summary["setting"], tables.summary["codec"], strict=True)),
        )
        for note in tables.notes:
            say(console, note)
    if tables.path is not None:
        say(console, f"Tables, records and figures: {tables.path}")


def print_saved(console: Console, tables: Mapping[str, pd.DataFrame], folder: StudyFolder) -> None:
    """A study as it is saved, of which `tables` could be read (`study.integrity`)."""
    summary, codecs = tables.get("summary"), dict[str, str]()
    if summary is not None:
        codecs = dict(zip(summary["setting"], summary["codec"], strict=True))
        if "crossovers" in tables:
            print_answers(console, summary, tables["crossovers"])
        else:
            print_summary(console, summary)
    if "breakdown" in tables:
        print_breakdown(console, tables["breakdown"], codecs)
    for note in _notes(folder.load_manifest()):
        say(console, note)
    say(console, f"Tables, records and figures: {folder.path}")
