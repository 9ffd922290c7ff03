"""What a study will take, as plain values: its trainings, its clocks, bytes, time, memory and disk."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["finished", "begun", "to do"]


@dataclass(frozen=True)
class Bounds:
    """Bytes: the nominal size, the least and the most. They are equal unless the size depends on data."""

    nominal: int = 0
    least: int = 0
    most: int = 0

    @property
    def is_fixed(self) -> bool:
        """Whether the size is known to the byte."""
        return self.least == self.most

    def plus(self, other: Bounds) -> Bounds:
        """Both together."""
        return Bounds(self.nominal + other.nominal, self.least + other.least, self.most + other.most)


@dataclass(frozen=True)
class CaseForecast:
    """A case on its clock, for one round: bytes of all clients up and down, in so many mini-batches (`steps`)
    of one client; the compression ratio of the activations and the least that it can be, NaN where none
    travel; the round's simulated seconds, and the group of phases that takes most of them, with its share.
    `training` is the number of its training. `problem` says why something is not known (NaN, 0 steps)."""

    label: str
    training: int
    up: Bounds = Bounds()
    down: Bounds = Bounds()
    steps: int = 0
    ratio: float = math.nan
    least_ratio: float = math.nan
    round_s: float = math.nan
    bottleneck: str = ""
    share: float = math.nan
    problem: str = ""


@dataclass(frozen=True)
class TrainingForecast:
    """A training: what it is called, what is there of it, and what is left to do.

    `rounds` are those of the whole training, at most so many where something may end it earlier
    (`may_stop`), and `done` those that a checkpoint has. `wall_s` are the expected real seconds that are
    left; NaN where nothing was measured. `memory_bytes` is the peak of the process that trains, measured
    where `memory_measured`. `disk_bytes` are what the recording will take, `checkpoint_bytes` what its
    checkpoint takes until then. `needs` is the number of the training that must be finished before this one
    begins. `problem` says what is missing.
    """

    number: int
    label: str
    state: State
    threads: int
    rounds: int = 0
    done: int = 0
    may_stop: bool = False
    wall_s: float = math.nan
    memory_bytes: float = math.nan
    memory_measured: bool = False
    disk_bytes: float = math.nan
    checkpoint_bytes: float = math.nan
    needs: int | None = None
    problem: str = ""

    @property
    def is_left(self) -> bool:
        """Whether there is something to do."""
        return self.state != "finished"


@dataclass(frozen=True)
class Forecast:
    """A whole study, whose results go to `folder`: its trainings by number, and its cases, of several seeds
    the first. It has so many `runs`, played on so many different `clocks`.

    `wall_s` are the expected real seconds of all trainings that are left with `workers` at a time; NaN where
    one of them is not known. `notes` say how the numbers came about.
    """

    name: str
    folder: Path
    trainings: tuple[TrainingForecast, ...]
    cases: tuple[CaseForecast, ...]
    runs: int
    clocks: int
    workers: int
    wall_s: float = math.nan
    notes: tuple[str, ...] = ()

    @property
    def left(self) -> tuple[TrainingForecast, ...]:
        """The trainings that are not finished."""
        return tuple(one for one in self.trainings if one.is_left)
