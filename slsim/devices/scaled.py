"""A device as it would be if some of what is assumed about it were otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from slsim.devices.base import Device, Number, Work
from slsim.units import DURATION


@dataclass(frozen=True)
class Supposition:
    """Factors on what a device is assumed to cost: its fixed cost each time that it is set to work, and the
    time that its codecs take."""

    name: str
    overhead: float
    codecs: float

    def of(self, device: Device) -> Device:
        """That device under this supposition."""
        overhead = DURATION.format(self.overhead * device.overhead)
        return Scaled(overhead=overhead, device=device, codecs=self.codecs)


SUPPOSITIONS = (
    Supposition("if_cheap", overhead=0.0, codecs=0.5),
    Supposition("if_dear", overhead=2.0, codecs=2.0),
)


class Scaled(Device):
    """Another device, whose codecs take `codecs` times as long."""

    device: Device
    codecs: float

    def piece_seconds(self, work: Work) -> Number:
        seconds = self.device.piece_seconds(work)
        return self.codecs * seconds if work.part in ("encode", "decode") else seconds
