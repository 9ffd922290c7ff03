"""Devices by their rated figures: a peak speed, the share of it that training reaches, and a memory."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from slsim.devices.base import Assumptions, Device, Number, Work
from slsim.units import Compute, MemoryRate


class Rated(Device):
    """A device by its rated speeds: arithmetic at a share of the peak, then the memory traffic."""

    peak: Compute = Field(description="peak speed in FLOP/s")
    efficiency: float = Field(
        0.3, strict=True, gt=0, le=1, description="share of the peak that training reaches"
    )
    memory: MemoryRate = Field(description="memory bandwidth in bytes/s")

    def piece_seconds(self, work: Work) -> Number:
        return work.flops / (self.peak * self.efficiency) + work.memory_bytes / self.memory

    def under(self, assumptions: Assumptions) -> Rated:
        changed: dict[str, Any] = {
            "overhead": self.overhead * assumptions.overhead,
            "memory": self.memory / assumptions.codecs,
        }
        return self.model_copy(update=changed)
