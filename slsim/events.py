"""What happens while a study is trained, as plain values: the progress display, trackers and tests are all
told the same events.

Whoever wants to know is a callable that takes an event (`Tell`). Trainings may run in other processes, and on
other machines: an event holds nothing but numbers, texts and tables of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from slsim.recording import Evaluation, Status


@dataclass(frozen=True)
class Planned:
    """The trainings that a study needs, by label, and how many of them run at a time."""

    trainings: tuple[str, ...]
    workers: int = 1


@dataclass(frozen=True)
class Reused:
    """A training is there already. It was finished earlier, or just now by another process
    (`by_another`)."""

    label: str
    by_another: bool = False


@dataclass(frozen=True)
class Waiting:
    """Another process trains just that; it is waited for."""

    label: str


@dataclass(frozen=True)
class Started:
    """A training begins, of so many rounds, `done` of which a checkpoint had. `learning` is all that is
    learned from (`Scenario.learning_table`)."""

    label: str
    rounds: int
    done: int = 0
    learning: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StepDone:
    """So many optimizer steps are done, within a round that has several."""

    label: str
    steps: int


@dataclass(frozen=True)
class RoundDone:
    """So many rounds are done; the test accuracy (0 … 1) of the last evaluation, None before the first."""

    label: str
    rounds: int
    accuracy: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """A training was evaluated, when it had sent so many bytes up and down."""

    label: str
    evaluation: Evaluation
    uplink_bytes: int
    downlink_bytes: int


@dataclass(frozen=True)
class Saved:
    """A checkpoint was saved."""

    label: str


@dataclass(frozen=True)
class Finished:
    """A training is finished and saved; it took so many seconds of real time."""

    label: str
    status: Status
    wall_s: float


@dataclass(frozen=True)
class Failed:
    """A training failed; the others go on."""

    label: str
    reason: str


@dataclass(frozen=True)
class Notice:
    """Something that a user should know, in one line."""

    text: str


Event: TypeAlias = (
    Planned
    | Reused
    | Waiting
    | Started
    | StepDone
    | RoundDone
    | Evaluated
    | Saved
    | Finished
    | Failed
    | Notice
)
Tell: TypeAlias = Callable[[Event], object]


def silent(event: Event) -> None:
    """Tell nobody."""
    del event
