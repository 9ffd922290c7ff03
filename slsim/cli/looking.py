"""Commands that look at parts: components, the format of scenarios, codecs, partitions, this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slsim.cli.app import app
from slsim.cli.options import Json, Output, Quiet, Results, Settings, asked_for, console
from slsim.registry import registry_of


class Kind(StrEnum):
    """What `slsim list` lists; the registry's kind is the same word without the s."""

    adapters = "adapters"
    codecs = "codecs"
    models = "models"
    data = "data"
    devices = "devices"
    protocols = "protocols"
    transports = "transports"
    hooks = "hooks"


@app.command()
def errors(
    scenario: Annotated[Path, typer.Argument(help="A scenario file; its first setting is trained.")],
    settings: Settings = None,
    results: Results = Path("results"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a network, then compare codecs on its activations: error, bytes, and how few could be enough."""
    asked = asked_for(scenario, settings)
    from slsim.report.codec_errors import print_errors
    from slsim.study.codec_errors import beaten, codec_errors

    output = Output(quiet, as_json)
    with output.progress() as tell:
        table, folder = codec_errors(asked, results, tell)
    output.show(lambda: {"errors": table}, lambda console: print_errors(console, table, beaten(table)))
    output.say(f"Table and figures: {folder.path}")


@app.command()
def partition(
    scenario: Annotated[Path, typer.Argument(help="A scenario file; its first setting counts.")],
    settings: Settings = None,
    results: Results = Path("results"),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Show which client holds which training samples, as table and picture, without training."""
    asked = asked_for(scenario, settings)
    from slsim.report.sharing import print_partition
    from slsim.study.sharing import share_out

    table, folder = share_out(asked, results)
    output = Output(quiet, as_json)
    output.show(lambda: {"partition": table}, lambda console: print_partition(console, table))
    output.say(f"Table and figure: {folder.path}")


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
    as_json: Json = False,
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
    shown = Output(json=as_json)
    shown.say(calibration.heading(device))
    shown.show(
        lambda: device.model_dump(mode="json"),
        lambda console: console.print(*calibration.tables(device), sep="\n"),
    )
    if unsteady := calibration.unsteady(device):
        shown.say(f"Unsteady, measure again on an idle machine: {', '.join(unsteady)}")
    shown.say(f'Device file: {output}; a scenario uses it by device = "{output}"')


@app.command(name="list")
def list_components(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; all, when left out.")] = None,
    as_json: Json = False,
) -> None:
    """List codecs, models, data sets, devices, protocols, transports and hooks, with their parameters; of
    `models` alone, what each cut sends too."""
    from slsim.report.tables import print_components, print_models

    if as_json:
        Output(json=True).show(lambda: _listed([kind] if kind else list(Kind)), lambda _: None)
        return
    if kind is Kind.models:
        print_models(console, registry_of("model"))
        return
    for listed in [kind] if kind else Kind:
        name = listed.value.removesuffix("s")
        print_components(console, name, registry_of(name))


def _listed(kinds: Sequence[Kind]) -> dict[str, Any]:
    """Every component of these kinds: its name, its parameters with their defaults, one line about it."""
    found = {kind.value: registry_of(kind.value.removesuffix("s")) for kind in kinds}
    return {
        kind: [
            {"name": name, "parameters": entry.parameters(), "summary": entry.summary}
            for name, entry in ((name, registry.entry(name)) for name in registry.names())
        ]
        for kind, registry in found.items()
    }


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
    as_json: Json = False,
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
    shown = Output(json=as_json)
    shown.show(lambda: found, lambda console: print_validation(console, found))
    if output:
        save(found, output)
        shown.say(f"Measurements: {output}")
