"""Devices as measured: a TOML file that `slsim calibrate` writes, read back as seconds.

A scenario names the file, `device = "laptop.toml"`; its content becomes the component's parameters, so that
a resolved scenario holds the times themselves and no longer needs the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from slsim import atomic
from slsim.devices.base import Device, Floats, Part, Work
from slsim.errors import Fault, FaultsError, SlsimError
from slsim.own_code import without_folder
from slsim.registry import faults_of, registry_of
from slsim.units import DURATION, Duration

FORMAT = 1
CUTS = ("cut", "head_cut")
MARK = "# Written by `slsim calibrate`"
HEADER = (
    MARK + "; a scenario uses it by this file's name: device = {name}\n"
    "# Halves: seconds a sample, of a whole mini-batch's pass. Codecs: seconds an element.\n"
    "# The median of the repeats; a spread is the distance between their quartiles.\n\n"
)
FLOPS_TOLERANCE = 0.01  # of the FLOPs a sample: the same model on the same images, whoever counts


def _written(seconds: float) -> str:
    """A time in the file: nanoseconds too where there is less than one."""
    text = f"{seconds * 1e9:.6g} ns"
    return text if 0 < seconds < 1e-9 and DURATION.parse(text) == seconds else DURATION.format(seconds)


Time = Annotated[Duration, PlainSerializer(_written)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Circumstances(_Table):
    """[measured]: when, where and on what. Nothing here is counted with; it is for the reader."""

    date: str
    processor: str
    threads: int = Field(strict=True, ge=1, description="of torch")
    torch: str
    slsim: str
    batch_size: int = Field(strict=True, ge=1)
    image_shape: tuple[int, int, int] = Field(description="channels, height, width")
    classes: int = Field(strict=True, ge=1)
    repeats: int = Field(strict=True, ge=1)


class HalfTime(_Table):
    """One pass through one half of the model, for one sample."""

    seconds: Time
    spread: Time
    flops: float = Field(ge=0, description="floating-point operations, to tell other images apart")


class CodecTime(_Table):
    """One codec, for one element, with the parameters that it was measured with."""

    encode: Time
    encode_spread: Time
    decode: Time
    decode_spread: Time
    parameters: dict[str, Any]


def _names_a_model(table: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(table.get("name"), str) or not isinstance(table.get("cut"), (str, int)):
        raise ValueError("must have the model's name and its cut, as a scenario's [model] has them")
    return table


class Measured(Device):
    """A machine as `slsim calibrate` measured it: seconds for one model at one cut, and for its codecs.

    Times are taken to grow with samples and elements, whatever the mini-batch; a codec's times are taken to
    hold for its other parameters too, but not for another lossless stage. Asked for another model, cut or
    codec it is a fault, never another one's time; and so are FLOPs that tell of other images.
    """

    format: Literal[1]
    measured: Circumstances
    model: Annotated[dict[str, Any], AfterValidator(_names_a_model)]
    client_forward: HalfTime
    client_backward: HalfTime
    server_forward: HalfTime
    server_backward: HalfTime
    codecs: dict[str, CodecTime]

    def piece_seconds(self, work: Work) -> Floats:
        if work.part == "encode" or work.part == "decode":
            time = self._codec(work.codec)
            if time is None:
                raise FaultsError([self._unknown_codec(work.codec)])
            return work.elements * (time.encode if work.part == "encode" else time.decode)
        half: HalfTime | None = getattr(self, _field(work.part), None)
        if half is None:
            raise FaultsError([_unmeasured(work.part)])
        self._check_flops(work, half)
        return work.samples * half.seconds

    def _check_flops(self, work: Work, half: HalfTime) -> None:
        """Raises `FaultsError` where the work is not that of the samples this file was measured on."""
        import numpy as np

        expected = np.multiply(work.samples, half.flops)
        if (np.abs(work.flops - expected) > FLOPS_TOLERANCE * expected).any():
            shape = "×".join(map(str, self.measured.image_shape))
            message = (
                f"{work.part} was measured on images of {shape} with {self.measured.classes} classes, "
                f"{half.flops:,.0f} FLOPs a sample; the scenario's have another number: calibrate with its "
                "image shape and classes"
            )
            raise FaultsError([Fault("", message)])

    def faults(self, duties: Mapping[Part, Mapping[str, Any]]) -> list[Fault]:
        found: dict[Fault, None] = {}  # each once, in order
        for part, table in duties.items():
            if part in ("encode", "decode"):
                fault = self._codec_fault(table)
            else:
                fault = self._half_fault(part, table)
            if fault:
                found[fault] = None
        return list(found)

    def _half_fault(self, part: Part, table: Mapping[str, Any]) -> Fault | None:
        if not hasattr(self, _field(part)):
            return _unmeasured(part)
        if part.startswith("server") and table.get("head_cut") is not None:
            message = "was measured with a head on the server, the scenario has it on the clients"
            return Fault("", f"{message}; use a rated device, or one that is timed")
        if table.get("adapter") is not None:
            message = "was measured without an adapter, and the scenario has one"
            return Fault("", f"{message}; use a rated device, or one that is timed")
        return self._model_fault(table)

    def _model_fault(self, table: Mapping[str, Any]) -> Fault | None:
        if _model(table) == _model(self.model) and (
            table["cut"] == self.model["cut"] or _layers(table) == _layers(self.model)
        ):
            return None
        message = f"was measured with {_in_words(self.model)}, the scenario has {_in_words(table)}"
        settings = (f" --set {key}={value}" for key, value in table.items() if key not in ("name", *CUTS))
        command = f"slsim calibrate --model {table['name']} --cut {table['cut']}{''.join(settings)}"
        return Fault("", f"{message}; `{command}` measures that")

    def _codec_fault(self, table: Mapping[str, Any]) -> Fault | None:
        name = table["name"]
        time = self._codec(name)
        if time is None:
            return self._unknown_codec(name)
        asked, known = _lossless(table), _lossless(time.parameters)
        if asked != known:
            message = f'the codec "{name}" was measured with {known} behind it, the scenario has {asked}'
            return Fault("", f"{message}; calibrate with --codec '{{ name = \"{name}\", lossless = … }}'")
        return None

    def _codec(self, name: str) -> CodecTime | None:
        """The times of a codec; of one's own, wherever its file lies."""
        wanted = without_folder(name)
        return next((time for known, time in self.codecs.items() if without_folder(known) == wanted), None)

    def _unknown_codec(self, name: str) -> Fault:
        known = ", ".join(sorted(self.codecs))
        return Fault("", f'has no times for the codec "{name}", only for: {known}; calibrate with it too')


def _field(part: str) -> str:
    return part.replace(" ", "_")


def _unmeasured(part: str) -> Fault:
    return Fault("", f"was not measured for {part}; use a rated device, or one that is timed")


def _model(table: Mapping[str, Any]) -> dict[str, Any]:
    """The model's name and parameters, wherever the file of one's own lies."""
    params = {key: value for key, value in table.items() if key not in CUTS}
    return {**params, "name": without_folder(table["name"])}


def _layers(table: Mapping[str, Any]) -> Any:
    """The layers on the client, where the model can tell."""
    params = {key: value for key, value in table.items() if key not in ("name", *CUTS)}
    try:
        return registry_of("model").create(table["name"], **params).client_layers(table["cut"])
    except (SlsimError, ValueError):  # a model of another installation
        return table["cut"]


def _in_words(table: Mapping[str, Any]) -> str:
    params = ", ".join(f"{key} = {value}" for key, value in table.items() if key not in ("name", *CUTS))
    return f"{table['name']}{f' ({params})' if params else ''} cut at {table['cut']}"


def _lossless(params: Mapping[str, Any]) -> str:
    stage = params.get("lossless")
    if stage == "zstd":
        return f"zstd {params.get('zstd_level') or 1}"
    return stage or "no lossless stage"


def read(path: Path) -> dict[str, Any]:
    """The content of the device file at `path`, checked. Raises `FaultsError` with every fault of it."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        message = f"cannot be read ({error.strerror}); `slsim calibrate --output` writes such a file"
        raise FaultsError([Fault("", f"{path}: {message}")]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FaultsError([Fault("", f"{path} is not TOML: {error}")]) from None
    if content.get("format") != FORMAT:
        found = f"format {content['format']!r}" if "format" in content else "no format"
        message = f"is no device file of format {FORMAT}, it says {found}; `slsim calibrate` writes them"
        raise FaultsError([Fault("", f"{path} {message}")])
    try:
        Measured.model_validate(content)
    except ValidationError as error:
        raise FaultsError(Fault("", f"{path}: {fault}") for fault in faults_of(error, Measured)) from None
    return content


def save(device: Measured, path: Path) -> None:
    """Write the device file whole or not at all. Raises `FaultsError` when it cannot be written."""
    import tomli_w

    content = device.model_dump(mode="json", exclude={"overhead"})
    try:
        path.parent.stat()  # a folder that is not there is a mistake, not to be made
        atomic.write(path, HEADER.format(name=f'"{path.name}"') + tomli_w.dumps(content))
    except OSError as error:
        raise FaultsError([Fault("", f"{path} cannot be written: {error.strerror}")]) from None
