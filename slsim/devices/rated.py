"""Devices by their rated figures: a peak speed, the share of it that training reaches, and a memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from slsim.devices.base import Assumptions, Device, Floats, Work
from slsim.units import Compute, MemoryRate


class Rated(Device):
    """A device by its rated speeds: the model's arithmetic at a share of the peak; codecs by the seconds that
    they take on a core (processors), or by their memory traffic (accelerators, and where no seconds are
    known). What is not known to run on an accelerator, a lossless stage among it, runs on a core beside it.
    """

    peak: Compute = Field(description="The peak speed.")
    efficiency: float = Field(
        0.3, strict=True, gt=0, le=1, description="The share of the peak that training reaches."
    )
    backward_efficiency: float | None = Field(
        None,
        strict=True,
        gt=0,
        le=1,
        description="The share of the peak that backward passes reach. It is the same where "
        "this is left out.",
    )
    memory: MemoryRate = Field(description="The memory bandwidth.")
    core: float = Field(
        1.0,
        strict=True,
        gt=0,
        description="How fast one of its cores is. The core of reference, on which codecs were "
        "measured, is 1.",
    )
    accelerator: bool = Field(
        False, strict=True, description="Whether codecs run on the accelerator and not on a core."
    )

    def piece_seconds(self, work: Work) -> Floats:
        backward = work.part.endswith("backward") and self.backward_efficiency
        arithmetic_s = work.flops / (self.peak * (backward or self.efficiency))
        return arithmetic_s + self._coding_s(work) + work.lossless_s / self.core

    def _coding_s(self, work: Work) -> Floats:
        """Seconds of a codec: by memory traffic where its core seconds are not known, and on accelerators."""
        by_memory = np.isnan(work.core_s) | (self.accelerator & (work.memory_bytes > 0))
        seconds: Floats = np.where(by_memory, work.memory_bytes / self.memory, work.core_s / self.core)
        return seconds

    def under(self, assumptions: Assumptions) -> Rated:
        changed: dict[str, Any] = {
            "overhead": self.overhead * assumptions.overhead,
            "memory": self.memory / assumptions.codecs,
            "core": self.core / assumptions.codecs,
        }
        return self.model_copy(update=changed)
