"""Commands that answer from what is there: tables, checks, comparisons, other links."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from slsim.cli.app import app
from slsim.cli.options import (
    EXIT_CHECK_FAILED,
    Json,
    Output,
    Quiet,
    Settings,
    StudyPath,
    Trust,
    console,
    error_console,
    exit_with,
)
from slsim.errors import SlsimError
from slsim.named import chosen

if TYPE_CHECKING:
    import pandas as pd

    from slsim.report.study_tables import Tables
    from slsim.study import Study
    from slsim.verdict import Check


def tables_of(study: Study) -> dict[str, Any]:
    """All tables of a study, and the notes on how their numbers came about."""
    from slsim.study.study import SAVED

    return {**{name: getattr(study, name) for name in SAVED}, "notes": study.notes}


def wrong_in(study: Study) -> list[str]:
    """A line for each training that failed or cannot be read, and where the clock contradicts itself."""
    wrong = [f"failed: {failure}" for failure in study.failures]
    wrong += map(str, study.damaged)
    return wrong + [f"{label}: {alarm}" for label, alarm in study.alarms.items()]


@app.command()
def replay(
    study: StudyPath,
    settings: Settings = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Time a study's recordings again over other links, devices or targets, without training; without any
    --set, show it as it is."""
    from slsim.scenario.settings import parse_settings

    overrides = parse_settings(settings)
    from slsim import study as studies
    from slsim.report.study_tables import print_study
    from slsim.results import StudyFolder

    replayed = studies.replay(StudyFolder.open(study), overrides, trust=trust)
    output = Output(quiet, as_json)
    output.show(lambda: tables_of(replayed), lambda console: print_study(console, replayed.tables))
    exit_with(wrong_in(replayed))


@app.command()
def show(study: StudyPath, as_json: Json = False) -> None:
    """Print a study's tables again, or a replay's, as they are saved; nothing else is needed."""
    from slsim.report.study_tables import Tables
    from slsim.results import StudyFolder
    from slsim.study.integrity import readable

    folder = StudyFolder.shown(study)
    tables, damaged = readable(folder)
    Output(json=as_json).show(
        lambda: tables, lambda console: _print_tables(console, Tables.of(folder, tables), tables)
    )
    told = [str(error) for error in damaged.values()]
    if damaged:
        told.append(f"`slsim replay {study}` prints the study from its recordings, without a run")
    exit_with(told)


def _print_tables(console: Console, study: Tables, tables: Mapping[str, pd.DataFrame]) -> None:
    """A study's tables, and those that commands of their own have made."""
    from slsim.report.study_tables import print_study

    print_study(console, study)
    if "errors" in tables:
        from slsim.report.codec_errors import print_errors
        from slsim.study.codec_errors import beaten

        print_errors(console, tables["errors"], beaten(tables["errors"]))
    if "partition" in tables:
        from slsim.report.sharing import print_partition

        print_partition(console, tables["partition"])


@app.command()
def frontier(
    study: StudyPath,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SETTING",
            help="The setting that BD-rates are over, or a part of its name. Left out, each setting's own "
            "uncompressed run.",
        ),
    ] = None,
    counted: Annotated[
        Literal["total", "uplink"],
        typer.Option(help="Which bytes count: up and down together, or those up alone."),
    ] = "total",
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Show accuracy at equal bytes, and how many more bytes than another setting each needs (BD-rate)."""
    from slsim.report.frontiers import print_frontier
    from slsim.report.notes import BASELINE
    from slsim.study import open_study

    opened = open_study(study, trust=trust)
    table, rates = opened.accuracy_at_bytes(counted), opened.bd_rate(against, counted)
    over = chosen(against, list(rates["setting"]), "setting") if against else BASELINE
    Output(json=as_json).show(
        lambda: {"bd_rates": rates, "frontier": table},
        lambda console: print_frontier(console, table, rates, over, counted),
    )


class Layout(StrEnum):
    """The layouts of `slsim compare`."""

    settings = "settings"
    table1 = "table1"


class Value(StrEnum):
    """What `slsim compare --layout table1` shows."""

    traffic = "traffic"
    uplink = "uplink"
    total = "total"
    time = "time"
    accuracy = "accuracy"


class Format(StrEnum):
    """What a table is printed in."""

    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    html = "html"


@app.command()
def compare(
    studies: Annotated[list[Path], typer.Argument(help="Results folders, of replays too.")],
    layout: Annotated[
        Layout, typer.Option(help="A row a setting, or as in the paper: a row a data set, a column a codec.")
    ] = Layout.settings,
    value: Annotated[Value, typer.Option(help="What the paper's layout shows.")] = Value.traffic,
    format: Annotated[Format | None, typer.Option(help="Print in this format.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="A file to write; its ending says the format, unless --format does.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare any number of studies in one table, from their saved tables: nothing is trained or timed."""
    from slsim.report.formats import FORMATS, print_sheet
    from slsim.study import comparing

    damaged: list[SlsimError] = []
    kind = format.value if format else comparing.format_of(output) if output else ""
    sheet = comparing.comparison(studies, layout.value, value.value, damaged.append)
    if output:
        comparing.write(output, sheet, kind)
        console.print(f"Table: {output}", soft_wrap=True, highlight=False)
    elif kind:
        sys.stdout.write(FORMATS[kind](sheet))
    else:
        Output(json=as_json).show(lambda: sheet.data, lambda console: print_sheet(console, sheet))
    for line in sheet.notes if kind == "csv" else ():
        error_console().print(line)
    exit_with(list(map(str, damaged)))


@app.command()
def clean(
    studies: Annotated[
        list[Path] | None, typer.Argument(help="Studies, or folders of them; ./results, when left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    as_json: Json = False,
) -> None:
    """List what is incomplete or superseded in studies, and remove it after asking. Nothing that a living
    process holds is removed, and no finished training that a table uses."""
    from slsim.report.tables import print_leftovers
    from slsim.study.cleaning import in_use, leftovers, remove, studies_at

    output = Output(json=as_json)
    folders = [folder for path in studies or [Path("results")] for folder in studies_at(path)]
    for folder in filter(in_use, folders):
        output.say(f"{folder.path} is in use: a run is training in it")
    found = {folder: leftovers(folder) for folder in folders}
    every = [one for listed in found.values() for one in listed]
    output.show(lambda: every, lambda console: print_leftovers(console, every))
    if not any(found.values()):
        return
    if not yes and (as_json or not sys.stdin.isatty()):
        output.say("Nothing was removed: there is no terminal to ask at; --yes removes it unasked")
    elif yes or typer.confirm("Remove this?"):
        removed = [one for folder, listed in found.items() for one in remove(folder, listed)]
        output.say(f"Removed {len(removed)}")


Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show every check with its arithmetic, not only what failed.")
]
CLAIM = "NAME|FILE"


@app.command()
def check(
    study: Annotated[
        Path | None,
        typer.Argument(help="A results folder; left out: the published claims that ship with slsim."),
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar=CLAIM, help="Check this claim instead, such as mine.toml; again."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar=CLAIM, help="Put what the study measured beside this claim's figures."),
    ] = None,
    verbose: Verbose = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run code that the study or the claim itself names, a .py.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a study's bytes, traffic multipliers and times against their arithmetic; or, without a study,
    the figures of papers against their formats."""
    if study is None:
        if against is not None:
            raise typer.BadParameter("needs a study to put beside it", param_hint="--against")
        _check_claims(claim, trust, Output(json=as_json))
        return
    if claim:
        raise typer.BadParameter("stands alone; a study is put --against a claim", param_hint="--claim")
    from slsim import claims
    from slsim.report.verdicts import print_checks
    from slsim.study import open_study

    claimed = None if against is None else claims.load(against, trust=trust)
    opened = open_study(study, trust=trust)
    checks = opened.check() + ([] if claimed is None else claims.check(claimed))
    output = Output(json=as_json)
    output.show(lambda: checks, lambda console: print_checks(console, checks, verbose=verbose))
    if claimed is not None:
        from slsim.report.claims import print_beside
        from slsim.study.claimed import measured_in

        if not as_json:
            print_beside(console, claimed, measured_in(opened))
    _exit_where_failed(checks)


def _check_claims(names: list[str] | None, trust: bool, output: Output) -> None:
    """Check claims by name or file; those that ship where none is named."""
    from slsim import claims
    from slsim.report.claims import print_claims

    loaded = [claims.load(name, trust=trust) for name in names or claims.shipped()]
    checked = [(claim, claims.check(claim)) for claim in loaded]
    output.show(
        lambda: [one for _, checks in checked for one in checks],
        lambda console: print_claims(console, checked),
    )
    _exit_where_failed([one for _, checks in checked for one in checks])


def _exit_where_failed(checks: Sequence[Check]) -> None:
    if not all(check.passed for check in checks):
        raise typer.Exit(EXIT_CHECK_FAILED)
