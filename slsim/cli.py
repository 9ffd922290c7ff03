"""The command line: one short function a command. What a command does is in the rooms below.

Heavy imports are inside the commands: `slsim --help`, `slsim list` and a faulty scenario answer at once.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from slsim.boundary import told
from slsim.errors import SlsimError
from slsim.interruption import EXIT_INTERRUPTED, interrupted
from slsim.registry import registry_of
from slsim.threads import spin_briefly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slsim.study import Study
    from slsim.verdict import Check

EXIT_CHECK_FAILED, EXIT_BAD_INPUT = 1, 2

app = typer.Typer(
    help="How long and how many bytes until a split-learning model is this accurate, "
    "on these links, with this codec.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(markup=False, emoji=False)  # what is printed may be a user's: shown as it is


class Kind(StrEnum):
    """What `slsim list` lists; the registry's kind is the same word without the s."""

    codecs = "codecs"
    models = "models"
    data = "data"
    devices = "devices"
    protocols = "protocols"
    transports = "transports"
    hooks = "hooks"


class Cluster(StrEnum):
    """What `slsim run --on` trains on."""

    ray = "ray"


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


def _print_version(asked: bool) -> None:
    if asked:
        from slsim.results import CODE, environment

        versions = environment()["versions"]
        console.print(f"slsim {versions['slsim']} (code {versions[CODE]})", highlight=False)
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version, and which code."
    ),
]


@app.callback()
def options(version: Version = False) -> None:
    """The options that stand before a command."""
    del version  # it has been printed by now


StudyPath = Annotated[Path, typer.Argument(help="A results folder, such as results/quickstart.")]
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
    typer.Option("--workers", min=1, help="Trainings at a time; left out: one for each core, or each GPU."),
]


Results = Annotated[Path, typer.Option(help="Where results folders are made.")]


Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run code that the study itself names, a .py, where the clock needs it."),
]


@app.command()
def run(
    scenario: Annotated[Path, typer.Argument(help="A scenario file, such as scenarios/quickstart.toml.")],
    settings: Settings = None,
    results: Results = Path("results"),
    name: Annotated[
        str | None, typer.Option(help="The study's name, and its folder's, if not the scenario's.")
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Train again what is finished already; interrupted, run without it to resume."
        ),
    ] = False,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="End every training after so many rounds.")
    ] = None,
    device: Device = "cpu",
    workers: Workers = None,
    only: Annotated[
        int | None,
        typer.Option(
            "--only",
            metavar="K",
            min=1,
            help="Do training K of `slsim plan` and nothing else: no tables, no figures.",
        ),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard's files too, into the study's folder.")
    ] = False,
    mlflow: Annotated[
        bool,
        typer.Option(
            "--mlflow", help="Log to MLflow too: to $MLFLOW_TRACKING_URI, or else to sqlite:///mlflow.db."
        ),
    ] = False,
    on: Annotated[
        Cluster | None, typer.Option("--on", help="Train on this cluster's machines, not on this one.")
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="With --on, where its machines do not see the results folder: a place that they all see, "
            "such as s3://bucket/slsim.",
        ),
    ] = None,
) -> None:
    """Train what a scenario needs, time it on its network, and write table, records and figures."""
    from slsim import scenario as scenarios
    from slsim.scenario.settings import parse_settings

    limit = {} if max_steps is None else {"training.max_rounds": max_steps}
    called = {} if name is None else {"name": name}
    asked = scenarios.load(scenario, {**parse_settings(settings), **limit, **called})
    from slsim.report.progress import progress
    from slsim.report.study_tables import print_study
    from slsim.report.trackers import trackers_for, tracking
    from slsim.study import Staffing, conduct, conduct_only
    from slsim.study.placing import folder_for

    if only is not None and fresh:
        raise typer.BadParameter("does not go with --fresh", param_hint="--only")
    trackers = trackers_for(asked.name, folder_for(asked, results).path, tensorboard, mlflow)
    if only is not None:
        with progress(console) as shown, tracking(shown, *trackers) as tell:
            done = conduct_only(asked, results, only, tell=tell, device=device)
        console.print(str(done), soft_wrap=True, highlight=False)
        return
    staffing = Staffing(device, workers, on="ray" if on else None, share=share)
    with progress(console) as shown, tracking(shown, *trackers) as tell:
        study = conduct(asked, results, fresh=fresh, tell=tell, staffing=staffing)
    print_study(console, study.tables)
    _tell_what_is_wrong(study)


@app.command()
def plan(
    scenario: Annotated[Path, typer.Argument(help="A scenario file, such as scenarios/quickstart.toml.")],
    settings: Settings = None,
    results: Results = Path("results"),
    measure: Annotated[
        bool, typer.Option(help="Take a few steps of each kind of training to see how long they last.")
    ] = True,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Print an array job for sbatch instead, a training a task.")
    ] = False,
    device: Device = "cpu",
    workers: Workers = None,
) -> None:
    """Say what a study takes before anything runs: trainings, bytes, bottlenecks, time, memory, disk."""
    from slsim import scenario as scenarios
    from slsim.scenario.settings import parse_settings

    asked = scenarios.load(scenario, parse_settings(settings))
    from slsim.report.plans import print_plan, slurm_script
    from slsim.study import Staffing, foresee

    staffing = Staffing(device, workers)
    with Console(stderr=True).status("Looking at sizes …") as status:

        def tell(label: str) -> None:
            status.update(Text(f"Measuring {label} …"))

        forecast = foresee(asked, results, measured=measure, staffing=staffing, tell=tell)
    if not slurm:
        print_plan(console, forecast)
    elif not forecast.left:
        _errors().print("Nothing is left to train: slsim run plays the clocks and writes the tables")
    else:
        command = ["slsim", "run", str(scenario), *(f"--set={text}" for text in settings or ())]
        command += [] if results == Path("results") else [f"--results={results}"]
        command += [] if device == "cpu" else [f"--device={device}"]
        sys.stdout.write(slurm_script(forecast, command, Path.cwd(), gpu=device != "cpu"))
        for problem in dict.fromkeys(one.problem for one in forecast.left if one.problem):
            _errors().print(problem)


def _tell_what_is_wrong(study: Study) -> None:
    """Exits with status 1 where a training failed or cannot be read, or the clock contradicts itself."""
    wrong = [f"failed: {failure}" for failure in study.failures]
    wrong += map(str, study.damaged)
    wrong += [f"{label}: {alarm}" for label, alarm in study.alarms.items()]
    for line in wrong:
        _errors().print(line)
    if wrong:
        raise typer.Exit(EXIT_CHECK_FAILED)


@app.command()
def replay(study: StudyPath, settings: Settings = None, trust: Trust = False) -> None:
    """Time a study's recordings again over other links, devices or targets, without training; without any
    --set, show it as it is."""
    from slsim.scenario.settings import parse_settings

    overrides = parse_settings(settings)
    from slsim import study as studies
    from slsim.report.study_tables import print_study
    from slsim.results import StudyFolder

    replayed = studies.replay(StudyFolder.open(study), overrides, trust=trust)
    print_study(console, replayed.tables)
    _tell_what_is_wrong(replayed)


@app.command()
def show(study: StudyPath) -> None:
    """Print a study's tables again, or a replay's, as they are saved; nothing else is needed."""
    from slsim.report.study_tables import Tables, print_study
    from slsim.results import StudyFolder
    from slsim.study.integrity import readable

    folder = StudyFolder.shown(study)
    tables, damaged = readable(folder)
    print_study(console, Tables.of(folder, tables))
    if "errors" in tables:
        from slsim.report.tables import print_errors
        from slsim.study.codec_errors import beaten

        print_errors(console, tables["errors"], beaten(tables["errors"]))
    if "partition" in tables:
        from slsim.report.sharing import print_partition

        print_partition(console, tables["partition"])
    for error in damaged.values():
        _errors().print(str(error))
    if damaged:
        _errors().print(f"`slsim replay {study}` prints the study from its recordings, without a run")
        raise typer.Exit(EXIT_CHECK_FAILED)


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
        print_sheet(console, sheet)
    for line in (*(sheet.notes if kind == "csv" else ()), *map(str, damaged)):
        _errors().print(line)
    if damaged:
        raise typer.Exit(EXIT_CHECK_FAILED)


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
) -> None:
    """Write who does what when in some rounds of a run, as a trace for https://ui.perfetto.dev."""
    from slsim.study import open_study

    events = open_study(study, trust=trust).trace(run, rounds, output)["traceEvents"]
    console.print(
        f"Trace: {output}, {len(events):,} events; open it at https://ui.perfetto.dev",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def clean(
    studies: Annotated[
        list[Path] | None, typer.Argument(help="Studies, or folders of them; ./results, when left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> None:
    """List what is incomplete or superseded in studies, and remove it after asking. Nothing that a living
    process holds is removed, and no finished training that a table uses."""
    from slsim.report.tables import print_leftovers
    from slsim.study.cleaning import in_use, leftovers, remove, studies_at

    folders = [folder for path in studies or [Path("results")] for folder in studies_at(path)]
    for folder in filter(in_use, folders):
        console.print(f"{folder.path} is in use: a run is training in it", soft_wrap=True, highlight=False)
    found = {folder: leftovers(folder) for folder in folders}
    print_leftovers(console, [one for listed in found.values() for one in listed])
    if not any(found.values()):
        return
    if not yes and not sys.stdin.isatty():
        console.print("Nothing was removed: there is no terminal to ask at; --yes removes it unasked")
    elif yes or typer.confirm("Remove this?"):
        removed = [one for folder, listed in found.items() for one in remove(folder, listed)]
        console.print(f"Removed {len(removed)}", highlight=False)


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
) -> None:
    """Check a study's bytes, traffic multipliers and times against their arithmetic; or, without a study,
    the figures of papers against their formats."""
    if study is None:
        if against is not None:
            raise typer.BadParameter("needs a study to put beside it", param_hint="--against")
        _check_claims(claim, trust)
        return
    if claim:
        raise typer.BadParameter("stands alone; a study is put --against a claim", param_hint="--claim")
    from slsim import claims
    from slsim.report.verdicts import print_checks
    from slsim.study import open_study

    claimed = None if against is None else claims.load(against, trust=trust)
    opened = open_study(study, trust=trust)
    checks = opened.check() + ([] if claimed is None else claims.check(claimed))
    print_checks(console, checks, verbose=verbose)
    if claimed is not None:
        from slsim.report.claims import print_beside
        from slsim.study.claimed import measured_in

        print_beside(console, claimed, measured_in(opened))
    _exit_where_failed(checks)


def _check_claims(names: list[str] | None, trust: bool) -> None:
    """Check claims by name or file; those that ship where none is named."""
    from slsim import claims
    from slsim.report.claims import print_claims

    loaded = [claims.load(name, trust=trust) for name in names or claims.shipped()]
    checked = [(claim, claims.check(claim)) for claim in loaded]
    print_claims(console, checked)
    _exit_where_failed([one for _, checks in checked for one in checks])


def _exit_where_failed(checks: Sequence[Check]) -> None:
    if not all(check.passed for check in checks):
        raise typer.Exit(EXIT_CHECK_FAILED)


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
) -> None:
    """Draw a study's figures again from its saved tables, in the size and format for print."""
    from slsim.report.figures import draw, inches, known_formats
    from slsim.results import StudyFolder

    kinds, width_in = known_formats(formats or ()), inches(width)
    folder, damaged = StudyFolder.shown(study), list[SlsimError]()
    place = output or folder.figures
    for name in draw(folder, damaged.append, only=only or (), width_in=width_in, formats=kinds, output=place):
        console.print(str(place / name), soft_wrap=True, highlight=False)
    for line in dict.fromkeys(map(str, damaged)):
        _errors().print(line)
    if damaged:
        raise typer.Exit(EXIT_CHECK_FAILED)


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
) -> None:
    """Write one HTML file that opens without a network: tables, curves, and a slider that times every curve
    again and shows who is fastest."""
    from slsim.study import reporting

    with Console(stderr=True).status("Timing the recordings again …"):
        path, missing = reporting.report(study, output, reporting.Asked(over, rates), trust=trust)
    console.print(str(path), soft_wrap=True, highlight=False)
    for line in missing:
        _errors().print(line)
    if missing:
        raise typer.Exit(EXIT_CHECK_FAILED)


@app.command()
def errors(
    scenario: Annotated[Path, typer.Argument(help="A scenario file; its first setting is trained.")],
    settings: Settings = None,
    results: Results = Path("results"),
) -> None:
    """Train a network, then compare codecs on its activations: error and bytes, with zstd and without."""
    from slsim import scenario as scenarios
    from slsim.scenario.settings import parse_settings

    asked = scenarios.load(scenario, parse_settings(settings))
    from slsim.report.progress import progress
    from slsim.report.tables import print_errors
    from slsim.study.codec_errors import beaten, codec_errors

    with progress(console) as tell:
        table, folder = codec_errors(asked, results, tell)
    print_errors(console, table, beaten(table))
    console.print(f"Table and figure: {folder.path}", highlight=False, soft_wrap=True)


@app.command()
def partition(
    scenario: Annotated[Path, typer.Argument(help="A scenario file; its first setting counts.")],
    settings: Settings = None,
    results: Results = Path("results"),
) -> None:
    """Show which client holds which training samples, as table and picture, without training."""
    from slsim import scenario as scenarios
    from slsim.scenario.settings import parse_settings

    asked = scenarios.load(scenario, parse_settings(settings))
    from slsim.report.sharing import print_partition
    from slsim.study.sharing import share_out

    table, folder = share_out(asked, results)
    print_partition(console, table)
    console.print(f"Table and figure: {folder.path}", highlight=False, soft_wrap=True)


@app.command()
def calibrate(
    model: Annotated[str, typer.Option(help="A model, such as vgg19.")],
    cut: Annotated[str, typer.Option(help="A cut of it, such as medium, or a number of layers.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the model; again for another."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples of a mini-batch.")] = 10,
    image_shape: Annotated[str, typer.Option(help="Channels x height x width.")] = "3x32x32",
    classes: Annotated[int, typer.Option(min=2, help="How many the model tells apart.")] = 10,
    codec: Annotated[
        list[str] | None,
        typer.Option(help="A codec, by name or as a scenario's table; again for another. All if left out."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measurements, of which the median is told.")] = 20,
    output: Annotated[Path, typer.Option(help="The device file to write.")] = Path("device.toml"),
) -> None:
    """Measure this machine's time for a model's halves and for codecs, as a device for scenarios."""
    from slsim import calibration
    from slsim.devices.measured import save
    from slsim.scenario.settings import parse_settings, parse_value

    request = calibration.Request(
        model=calibration.model_table(model, cut, parse_settings(settings)),
        codecs=calibration.codec_choices([parse_value(text) for text in codec or ()]),
        image_shape=calibration.image_shape(image_shape),
        classes=classes,
        batch_size=batch_size,
        repeats=repeats,
    )
    calibration.writable(output)
    with Console(stderr=True).status("Measuring; the machine should have nothing else to do …"):
        device = calibration.calibrate(request)
    save(device, output)
    console.print(calibration.heading(device), soft_wrap=True, highlight=False)
    console.print(*calibration.tables(device), sep="\n")
    if unsteady := calibration.unsteady(device):
        console.print(f"Unsteady, measure again on an idle machine: {', '.join(unsteady)}", highlight=False)
    console.print(f'Device file: {output}; a scenario uses it by device = "{output}"', soft_wrap=True)


@app.command(name="list")
def list_components(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; all, when left out.")] = None,
) -> None:
    """List codecs, models, data sets, devices, protocols, transports and hooks, with their parameters; of
    `models` alone, what each cut sends too."""
    from slsim.report.tables import print_components, print_models

    if kind is Kind.models:
        print_models(console, registry_of("model"))
        return
    for listed in [kind] if kind else Kind:
        name = listed.value.removesuffix("s")
        print_components(console, name, registry_of(name))


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from slsim.scenario.schema import json_schema

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


@app.command(name="validate-clock")
def validate_clock(
    quick: Annotated[bool, typer.Option("--quick", help="One rate and few sizes, in seconds.")] = False,
    delay: Annotated[bool, typer.Option("--delay", help="Slow start too, over paths with delay.")] = False,
    output: Annotated[Path | None, typer.Option(help="A folder for the measurements, as CSV.")] = None,
    study: Annotated[
        Path | None, typer.Option(help="Play the first round of each of its trainings, not slsim's own.")
    ] = None,
) -> None:
    """Hold the clock against real TCP between network namespaces of this machine (as root, on Linux)."""
    from dataclasses import replace

    from slsim import validation
    from slsim.validation.tables import make_folder, print_validation, save

    rounds = validation.rounds_of(study) if study else ()
    if output:
        make_folder(output)
    with Console(stderr=True).status("building the network") as status:
        plan = validation.QUICK if quick else validation.FULL
        plan = replace(plan, delays_s=validation.DELAYS_S) if delay else plan
        found = validation.validate(plan, rounds, tell=lambda line: status.update(Text(line)))
    print_validation(console, found)
    if output:
        save(found, output)
        console.print(f"Measurements: {output}", highlight=False, soft_wrap=True)


def _errors() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def main() -> None:
    """The entry point: one clear line an error, and an exit status (1: something failed, 2: bad input, 130:
    interrupted)."""
    spin_briefly()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path need not be UTF-8
    try:
        app()
    except SlsimError as error:
        _errors().print(str(error))
        sys.exit(getattr(error, "exit_status", EXIT_BAD_INPUT))
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_CHECK_FAILED)
    except KeyboardInterrupt:
        interrupted()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C, without a word
            interrupted()
        raise
    except Exception as error:  # noqa: BLE001  # the last resort
        if _was_interrupted(error):
            interrupted()
        _errors().print(_unexpected(error))
        sys.exit(EXIT_CHECK_FAILED)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: libraries make others of it, and cut imports short."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unexpected(error: Exception) -> str:
    """One line about a fault of slsim's own, with its traceback in a file."""
    reason = f"slsim failed: {told(error)}; please report it"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="slsim-", suffix=".txt", delete=False) as file:
            file.write("".join(traceback.format_exception(error)))
    except (OSError, ValueError):
        return reason
    return f"{reason}, with the file {file.name}"
