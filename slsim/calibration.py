"""Measures this machine: what a sample costs in either half of a model, and an element in every codec.

The two halves run as in training, on the CPU with torch's own number of threads, which sleep while they
wait: forward on the client; forward with the loss, and backward, on the server; backward on the client. Not
in it: loading the data, the optimizer's step. Weights and images are random; only a codec's time can depend
on that.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from rich.table import Table
from torch import nn

from slsim import codecs, seeds
from slsim.circumstances import processor_name
from slsim.codecs import Codec
from slsim.devices.measured import FORMAT, MARK, Circumstances, CodecTime, HalfTime, Measured
from slsim.errors import DataError, Fault, FaultsError
from slsim.learning.split import SplitModel, halve
from slsim.registry import faults_of
from slsim.scenario import Choice
from slsim.scenario.choice import CodecChoice
from slsim.scenario.tables import ModelTable
from slsim.units import DURATION

Clock = Callable[[], float]  # seconds

PARTS = ("client forward", "server forward", "server backward", "client backward")  # in a step's order
WARM_UPS = 2  # unmeasured, before the repeats: memory is allocated, kernels are compiled
STEADY = 0.25  # a spread above this share of the median says that the machine had other work
DIGITS = 4  # significant, of a time in the file; a measurement has no more


@dataclass(frozen=True)
class Request:
    """What to measure, checked."""

    model: ModelTable
    codecs: tuple[Choice, ...]
    image_shape: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    batch_size: int = 10
    repeats: int = 20


def model_table(name: str, cut: str, params: Mapping[str, Any]) -> ModelTable:
    """A model and its cut, as a scenario's [model] has them, without an adapter. Raises `FaultsError`."""
    if "adapter" in params:
        raise FaultsError([Fault("--set", "adapter: models are measured without one; leave it out")])
    try:
        return ModelTable.model_validate(
            {**params, "name": name, "cut": int(cut) if cut.isdecimal() else cut}
        )
    except ValidationError as error:
        raise FaultsError(faults_of(error, ModelTable), "--model") from None


def codec_choices(asked: Sequence[Any]) -> tuple[Choice, ...]:
    """The codecs asked for, each a name or a table as in a scenario; every registered one with its default
    parameters when none is (those of the paper's comparison), save those that cannot do without. Raises
    `FaultsError`."""
    adapter: TypeAdapter[Choice] = TypeAdapter(CodecChoice)
    choices: dict[str, Choice] = {}
    for value in asked or _without_required_parameters():
        try:
            choice = adapter.validate_python(value)
        except ValidationError as error:
            raise FaultsError(faults_of(error, ModelTable), "--codec") from None
        if choice.name in choices:
            raise FaultsError([Fault("", f'"{choice.name}" is given twice; one file has one')], "--codec")
        choices[choice.name] = choice
    return tuple(choices.values())


def _without_required_parameters() -> Iterator[str]:
    for name in codecs.registry.names():
        entry = codecs.registry.entry(name)
        if not any(
            info.is_required() and key not in entry.defaults for key, info in entry.cls.model_fields.items()
        ):
            yield name


def image_shape(text: str) -> tuple[int, int, int]:
    """`"3x32x32"` as (channels, height, width). Raises `DataError`."""
    sides = [int(side) for side in text.lower().replace("×", "x").split("x") if side.strip().isdecimal()]
    if len(sides) != 3 or min(sides) < 1 or text.lower().replace("×", "x").count("x") != 2:
        raise DataError(f"--image-shape: {text!r} is not channels x height x width, such as 3x32x32")
    return sides[0], sides[1], sides[2]


def calibrate(asked: Request, clock: Clock = time.perf_counter) -> Measured:
    """Measures, which takes a few seconds for a small model. Raises `DataError` where the model does not take
    such images."""
    model = asked.model.component.create()
    halves = halve(model, asked.model.cut, asked.image_shape, asked.classes, seed=0)
    generator = torch.Generator().manual_seed(seeds.integer(0, "calibration"))
    images = torch.randn(asked.batch_size, *asked.image_shape, generator=generator)
    labels = torch.randint(asked.classes, (asked.batch_size,), generator=generator)
    times = _halves(halves, images, labels, asked.repeats, clock) / asked.batch_size
    with torch.no_grad():
        activations = halves.client(images)
    flops = (
        halves.client_flops.forward,
        halves.server_flops.forward,
        halves.server_flops.backward,
        halves.client_flops.backward,
    )
    return Measured.model_validate(
        {
            "format": FORMAT,
            "measured": _circumstances(asked),
            "model": asked.model.model_dump(mode="json", exclude_none=True),
            **{
                part.replace(" ", "_"): _half_time(column, f)
                for part, column, f in zip(PARTS, times.T, flops, strict=True)
            },
            "codecs": {c.name: _codec_time(c, activations, asked.repeats, clock) for c in asked.codecs},
        }
    )


def _halves(
    halves: SplitModel, images: torch.Tensor, labels: torch.Tensor, repeats: int, clock: Clock
) -> NDArray[np.float64]:
    """Seconds of a mini-batch, [repeats, 4]: client forward, server forward, server backward, client
    backward."""
    marks = np.empty((WARM_UPS + repeats, 5))
    for row in marks:
        halves.client.zero_grad()
        halves.server.zero_grad()
        row[0] = clock()
        activations = halves.client(images)
        row[1] = clock()
        received = activations.detach().requires_grad_()
        loss = nn.functional.cross_entropy(halves.server(received), labels)
        row[2] = clock()
        loss.backward()
        row[3] = clock()
        activations.backward(received.grad)
        row[4] = clock()
    seconds: NDArray[np.float64] = np.diff(marks[WARM_UPS:], axis=1)
    return seconds


def _codec(codec: Codec, activations: torch.Tensor, repeats: int, clock: Clock) -> NDArray[np.float64]:
    """Seconds of one client's message, [repeats, 2]: encode, decode. Random codecs draw as in training."""
    rng = seeds.generator(0, "calibration")
    marks = np.empty((WARM_UPS + repeats, 3))
    for row in marks:
        row[0] = clock()
        payload = codec.encode(activations, rng)
        row[1] = clock()
        codec.decode(payload, tuple(activations.shape))
        row[2] = clock()
    seconds: NDArray[np.float64] = np.diff(marks[WARM_UPS:], axis=1)
    return seconds


def _half_time(seconds: NDArray[np.float64], flops: float) -> HalfTime:
    median, spread = _median_and_spread(seconds)
    return HalfTime(seconds=median, spread=spread, flops=flops)


def _codec_time(choice: Choice, activations: torch.Tensor, repeats: int, clock: Clock) -> CodecTime:
    seconds = _codec(choice.create(), activations, repeats, clock) / activations.numel()
    (encode, encode_spread), (decode, decode_spread) = map(_median_and_spread, seconds.T)
    return CodecTime(
        encode=encode,
        encode_spread=encode_spread,
        decode=decode,
        decode_spread=decode_spread,
        parameters=dict(choice.params),
    )


def _median_and_spread(seconds: NDArray[np.float64]) -> tuple[str, str]:
    """With their units, as the file has them; the spread is the distance between the quartiles."""
    low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return _rounded(median), _rounded(high - low)


def _rounded(seconds: float) -> str:
    return DURATION.format(float(f"{seconds:.{DIGITS}g}") if seconds >= DURATION.low else 0.0)


def _circumstances(asked: Request) -> Circumstances:
    return Circumstances(
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        processor=processor_name(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        slsim=importlib.metadata.version("slsim"),
        batch_size=asked.batch_size,
        image_shape=asked.image_shape,
        classes=asked.classes,
        repeats=asked.repeats,
    )


def writable(path: Path) -> Path:
    """`path`, if a device file may be written there: asked before minutes are spent. Raises `FaultsError`."""
    fault = None
    if path.suffix != ".toml":
        fault = "must end in .toml: that is how a scenario tells a device file from a device's name"
    elif not path.parent.is_dir():
        fault = f"there is no folder {path.parent}"
    elif path.exists() and not (path.is_file() and path.read_bytes().startswith(MARK.encode())):
        fault = "is there already and no device file; give another name"
    if fault:
        raise FaultsError([Fault("", f"{path} {fault}")], "--output")
    return path


def heading(device: Measured) -> str:
    """What was measured, and on what."""
    on = device.measured
    shape = "×".join(map(str, on.image_shape))
    return (
        f"{device.model['name']} cut at {device.model['cut']}, images of {shape}, {on.classes} classes, "
        f"mini-batches of {on.batch_size}; median of {on.repeats}\n"
        f"{on.processor}, {on.threads} threads, torch {on.torch}"
    )


def unsteady(device: Measured) -> list[str]:
    """What took unlike times from one repeat to the next, as the tables call it."""
    halves = {part: getattr(device, part.replace(" ", "_")) for part in PARTS}
    times = {part: (took.seconds, took.spread) for part, took in halves.items()}
    for name, took in device.codecs.items():
        times[f"{name} encode"] = (took.encode, took.encode_spread)
        times[f"{name} decode"] = (took.decode, took.decode_spread)
    return [name for name, (seconds, spread) in times.items() if spread > STEADY * seconds]


def tables(device: Measured) -> tuple[Table, Table]:
    """What was measured, for the terminal: the halves, and the codecs."""
    halves = Table("half", "a sample", "spread", "a mini-batch", "speed")
    for part in PARTS:
        took: HalfTime = getattr(device, part.replace(" ", "_"))
        speed = f"{took.flops / took.seconds / 1e9:.3g} GFLOPS" if took.seconds else "–"
        batch_s = took.seconds * device.measured.batch_size
        halves.add_row(part, *map(DURATION.pretty, (took.seconds, took.spread, batch_s)), speed)
    of_codecs = Table("codec, an element", "encode", "spread", "decode", "spread")
    for name, times in device.codecs.items():
        label = Choice("codec", name, times.parameters).title
        seconds = (times.encode, times.encode_spread, times.decode, times.decode_spread)
        of_codecs.add_row(label, *map(DURATION.pretty, seconds))
    return halves, of_codecs
