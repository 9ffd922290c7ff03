"""Devices by explicit times: seconds per sample of a pass, per element of encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from slsim.devices.base import Device, Floats, Part, Work
from slsim.errors import Fault, FaultsError
from slsim.units import Duration


class Timed(Device):
    """Any device whose times are known: seconds per sample and pass, per element and codec call.

    A client needs `client_forward`, `client_backward`, `encode` and `decode`; a server `server_forward`,
    `server_backward`, `decode` and `encode`; with a head on the clients these need `head_forward` and
    `head_backward` too. A time that is needed and not given is an error, never 0.
    """

    client_forward: Duration | None = Field(None, description="The time per sample.")
    client_backward: Duration | None = Field(None, description="The time per sample.")
    server_forward: Duration | None = Field(None, description="The time per sample.")
    server_backward: Duration | None = Field(None, description="The time per sample.")
    head_forward: Duration | None = Field(
        None, description='The time per sample in the head on the client, of the protocol "u-shaped".'
    )
    head_backward: Duration | None = Field(None, description="The time per sample.")
    encode: Duration | None = Field(None, description="The time per element, whatever the codec.")
    decode: Duration | None = Field(None, description="The time per element, whatever the codec.")

    def piece_seconds(self, work: Work) -> Floats:
        each_s = self._each_s(work.part)
        if each_s is None:
            raise FaultsError([_missing(work.part)])
        return each_s * (work.elements if work.part in ("encode", "decode") else work.samples)

    def faults(self, duties: Mapping[Part, Mapping[str, Any]]) -> list[Fault]:
        return [_missing(part) for part in duties if self._each_s(part) is None]

    def _each_s(self, part: str) -> float | None:
        each_s: float | None = getattr(self, _key(part), None)
        return each_s


def _key(part: str) -> str:
    return part.replace(" ", "_")


def _missing(part: str) -> Fault:
    unit, example = ("element", "1 ns") if part in ("encode", "decode") else ("sample", "3 ms")
    return Fault(
        "", f'the device "timed" has no time for {part}; give {_key(part)} = "{example}", per {unit}'
    )
