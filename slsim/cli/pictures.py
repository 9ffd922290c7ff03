"""Commands that draw: figures, a page, a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slsim.cli.app import app
from slsim.cli.options import Output, Quiet, StudyPath, Trust, exit_with
from slsim.errors import SlsimError


@app.command()
def plot(
    study: StudyPath,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="pdf, png or svg; again for another. Left out: png, svg."),
    ] = None,
    width: Annotated[
        str | None, typer.Option(help='How wide it is printed: "3.3in", "84mm", "8.4cm". Left out: 7 in.')
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A figure, such as accuracy_over_time; again for another."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="A folder for the files, not the study's figures.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Draw a study's figures again from its saved tables, in the size and format for print."""
    from slsim.report.figures import draw, inches, known_formats
    from slsim.results import StudyFolder

    kinds, width_in = known_formats(formats or ()), inches(width)
    folder, damaged = StudyFolder.shown(study), list[SlsimError]()
    place = output or folder.figures
    for name in draw(folder, damaged.append, only=only or (), width_in=width_in, formats=kinds, output=place):
        Output(quiet).say(str(place / name))
    exit_with(list(dict.fromkeys(map(str, damaged))))


@app.command()
def report(
    study: StudyPath,
    output: Annotated[
        Path | None, typer.Option(help="The HTML file; report.html in the study, when left out.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="What the slider moves through; network.uplink, when left out."),
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES",
            help="Its values, as --set takes them; when left out, those that the study sweeps, or else "
            '"1 Mbps .. 1 Gbps / 20".',
        ),
    ] = None,
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Write one HTML file that opens without a network: tables, curves, and a slider that times every curve
    again and shows who is fastest."""
    from slsim.study import reporting

    with Console(stderr=True).status("Timing the recordings again …"):
        path, missing = reporting.report(study, output, reporting.Asked(over, rates), trust=trust)
    Output(quiet).say(str(path))
    exit_with(missing)


@app.command()
def trace(
    study: StudyPath,
    run: Annotated[
        str, typer.Option(metavar="LABEL", help="A run as in runs.csv, or a part that only one run has.")
    ] = "",
    rounds: Annotated[
        str, typer.Option(metavar="FROM:TO", help="Which rounds, counted from 0: 0:3, 5: or 5.")
    ] = "0:3",
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("trace.json"),
    trust: Trust = False,
    quiet: Quiet = False,
) -> None:
    """Write who does what when in some rounds of a run, as a trace for https://ui.perfetto.dev."""
    from slsim.study import open_study

    events = open_study(study, trust=trust).trace(run, rounds, output)["traceEvents"]
    Output(quiet).say(f"Trace: {output}, {len(events):,} events; open it at https://ui.perfetto.dev")
