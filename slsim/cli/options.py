"""Options that several commands have, and where their output goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from slsim.events import Tell
    from slsim.scenario import Plan

EXIT_CHECK_FAILED, EXIT_BAD_INPUT = 1, 2
console = Console(markup=False, emoji=False)  # what is printed may be a user's: shown as it is

StudyPath = Annotated[Path, typer.Argument(help="A results folder, such as results/quickstart.")]
Scenario = Annotated[Path, typer.Argument(help="A scenario file, such as scenarios/quickstart.toml.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the scenario. Several values are a sweep over them: KEY=A,B,C, the key again, "
        'or a range, KEY="1 Mbps .. 1 Gbps / 20".',
    ),
]
Device = Annotated[
    str, typer.Option(help="Where torch computes: cpu, or cuda, whose GPUs share the trainings.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="How many trainings run at a time. Left out, one for each core, or each GPU."
    ),
]
AnyVersion = Annotated[
    bool,
    typer.Option("--any-version", help="Use finished trainings again whichever version of slsim made them."),
]
Results = Annotated[Path, typer.Option(help="The folder in which results folders are made.")]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run code that the study itself names, a .py, where the clock needs it."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print the tables as JSON, with every row and column, for programs.")
]


def asked_for(scenario: Path, settings: list[str] | None, more: Mapping[str, Any] | None = None) -> Plan:
    """The plan of a scenario file with what --set says, and `more` (dotted key → value) that is set too."""
    from slsim import scenario as scenarios
    from slsim.scenario.settings import parse_settings

    return scenarios.load(scenario, {**parse_settings(settings), **(more or {})})


@dataclass(frozen=True)
class Output:
    """What a command prints: tables for readers, or the same as JSON, or nothing."""

    quiet: bool = False
    json: bool = False

    def show(self, value: Callable[[], Any], render: Callable[[Console], object]) -> None:
        """Print a result: by `render`, or `value()` as JSON."""
        if self.json:
            from slsim.report.as_json import as_json

            sys.stdout.write(as_json(value()) + "\n")
        elif not self.quiet:
            render(console)

    def say(self, line: str) -> None:
        """Print a line for readers as it is."""
        if not (self.quiet or self.json):
            console.print(line, soft_wrap=True, highlight=False)

    def progress(self) -> AbstractContextManager[Tell]:
        """What is told of trainings: beside JSON it goes to the standard error."""
        from slsim.events import silent
        from slsim.report.progress import progress

        if self.quiet:
            return nullcontext(silent)
        return progress(Console(stderr=True, markup=False, emoji=False) if self.json else console)


def error_console() -> Console:
    """The standard error, on which lines are shown as they are."""
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def exit_with(errors: Sequence[str]) -> None:
    """Print each line as an error, and exit with status 1 where there is one."""
    for line in errors:
        error_console().print(line)
    if errors:
        raise typer.Exit(EXIT_CHECK_FAILED)
