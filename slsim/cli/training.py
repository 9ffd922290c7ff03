"""Commands that train, or say what training takes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from slsim.cli.app import app
from slsim.cli.options import (
    AnyVersion,
    Device,
    Json,
    Output,
    Quiet,
    Results,
    Scenario,
    Settings,
    Workers,
    asked_for,
    error_console,
    exit_with,
)
from slsim.cli.studies import tables_of, wrong_in


class Cluster(StrEnum):
    """What `slsim run --on` trains on."""

    ray = "ray"


@app.command()
def run(
    scenario: Scenario,
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
    any_version: AnyVersion = False,
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
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what a scenario needs, time it on its network, and write table, records and figures."""
    for option, given in (("--only", only is not None), ("--any-version", any_version)):
        if fresh and given:
            raise typer.BadParameter("does not go with --fresh", param_hint=option)
    limit = {} if max_steps is None else {"training.max_rounds": max_steps}
    called = {} if name is None else {"name": name}
    asked = asked_for(scenario, settings, {**limit, **called})
    from slsim.report.study_tables import print_study
    from slsim.report.trackers import trackers_for, tracking
    from slsim.study import Staffing, conduct, conduct_only
    from slsim.study.placing import folder_for

    output = Output(quiet, as_json)
    trackers = trackers_for(asked.name, folder_for(asked, results).path, tensorboard, mlflow)
    if only is not None:
        with output.progress() as shown, tracking(shown, *trackers) as tell:
            done = conduct_only(asked, results, only, any_version=any_version, tell=tell, device=device)
        output.show(lambda: done, lambda console: console.print(str(done), soft_wrap=True, highlight=False))
        return
    staffing = Staffing(device, workers, on="ray" if on else None, share=share)
    with output.progress() as shown, tracking(shown, *trackers) as tell:
        study = conduct(asked, results, fresh=fresh, any_version=any_version, tell=tell, staffing=staffing)
    output.show(lambda: tables_of(study), lambda console: print_study(console, study.tables))
    exit_with(wrong_in(study))


@app.command()
def plan(
    scenario: Scenario,
    settings: Settings = None,
    results: Results = Path("results"),
    measure: Annotated[
        bool, typer.Option(help="Take a few steps of each kind of training to see how long they last.")
    ] = True,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Print an array job for sbatch instead, a training a task.")
    ] = False,
    any_version: AnyVersion = False,
    device: Device = "cpu",
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Say what a study takes before anything runs: trainings, bytes, bottlenecks, time, memory, disk."""
    asked = asked_for(scenario, settings)
    from slsim.report.plans import print_plan, slurm_script
    from slsim.study import Staffing, foresee

    staffing = Staffing(device, workers)
    with Console(stderr=True).status("Looking at sizes …") as status:

        def tell(label: str) -> None:
            status.update(Text(f"Measuring {label} …"))

        forecast = foresee(
            asked, results, measured=measure, any_version=any_version, staffing=staffing, tell=tell
        )
    if not slurm:
        Output(json=as_json).show(lambda: forecast, lambda console: print_plan(console, forecast))
    elif not forecast.left:
        error_console().print("Nothing is left to train: slsim run plays the clocks and writes the tables")
    else:
        command = ["slsim", "run", str(scenario), *(f"--set={text}" for text in settings or ())]
        command += [] if results == Path("results") else [f"--results={results}"]
        command += [] if device == "cpu" else [f"--device={device}"]
        command += ["--any-version"] if any_version else []
        sys.stdout.write(slurm_script(forecast, command, Path.cwd(), gpu=device != "cpu"))
        for problem in dict.fromkeys(one.problem for one in forecast.left if one.problem):
            error_console().print(problem)
