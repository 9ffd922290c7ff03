"""Progress of a study: one bar for all of it and one for each training that runs, or plain lines where there
is no terminal. Both are told events (`slsim.events`), and say the same."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from slsim.events import (
    Evaluated,
    Event,
    Failed,
    Finished,
    Notice,
    Planned,
    Reused,
    RoundDone,
    Started,
    StepDone,
    Waiting,
)
from slsim.report.terminal import listed, say
from slsim.units import DURATION

QUARTERS = 4  # lines of a training's progress, where there is no terminal


class Tally:
    """How far a study is: which trainings are done, how much of those that run, and the time left."""

    def __init__(self) -> None:
        self.planned = self.workers = self.reused = self.done = 0
        self.place: dict[str, int] = {}  # of each training that began: the how-manieth it is
        self.rounds: dict[str, int] = {}  # of those that run
        self._shares: dict[str, float] = {}
        self._begun: dict[str, float] = {}  # the share that was there when it began
        self._started_s: float | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case Planned(trainings, workers):
                self.planned, self.workers = len(trainings), workers
            case Reused():
                self.reused += 1
            case Started(label, rounds, done):
                self._started_s = self._started_s or time.monotonic()
                self.place.setdefault(label, self.reused + len(self.place) + 1)
                self.rounds[label] = rounds
                self._shares[label] = self._begun[label] = done / rounds
            case RoundDone(label, rounds) if label in self.rounds:
                self._shares[label] = rounds / self.rounds[label]
            case Evaluated(label, evaluation) if label in self.rounds:
                self._shares[label] = evaluation.round / self.rounds[label]
            case Finished(label) | Failed(label):
                self.done += 1
                self._shares[label] = 1.0
                self.rounds.pop(label, None)

    @property
    def total(self) -> int:
        """Trainings that are to be done here."""
        return max(0, self.planned - self.reused)

    @property
    def completed(self) -> float:
        """Of these, how many are done, with the parts of those that run."""
        return sum(self._shares.values())

    def left_s(self) -> float | None:
        """Seconds that the rest will take, at the pace so far; None where nothing is known yet."""
        done = self.completed - sum(self._begun.values())
        if self._started_s is None or done <= 0:
            return None
        return (time.monotonic() - self._started_s) / done * max(0.0, self.total - self.completed)

    def of(self, label: str) -> str:
        """ "training 3 of 12"."""
        return f"training {self.place.get(label, self.reused + self.done)} of {self.planned}"


class TerminalProgress:
    """Draws a bar for the study and one for each training that runs; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[shown]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._tally = Tally()
        self._all: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalProgress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for label in list(self._tasks):
            self._remove(label)
        self.bars.stop()

    def __call__(self, event: Event) -> None:
        self._tally(event)
        match event:
            case Planned(trainings):
                self._all = self.bars.add_task("all trainings", total=len(trainings), shown="")
            case Waiting(label):
                self._say(f"{label}: another run trains it; it is waited for")
            case Started(label, rounds, done):
                self._remove(label)
                self._tasks[label] = self.bars.add_task(label, total=rounds, completed=done, shown="")
            case StepDone(label, steps) if label in self._tasks:
                self.bars.update(self._tasks[label], shown=f"{steps:,} steps")
            case RoundDone(label, rounds, accuracy) if label in self._tasks:
                self._show(label, rounds, accuracy)
            case Evaluated(label, evaluation) if label in self._tasks:
                self._show(label, evaluation.round, evaluation.accuracy)
            case Finished(label, status, wall_s):
                self._remove(label)
                if status == "diverged":
                    self._say(f"{label}: diverged after {DURATION.pretty(wall_s)}")
            case Failed(label):
                self._remove(label)
                self._say(f"{label}: failed; the reason is below the tables")
            case Notice(text):
                self._say(text)
        if self._all is not None:
            reused = f", {self._tally.reused} were there" if self._tally.reused else ""
            shown = f"{self._tally.done} of {self._tally.total} done{reused}"
            self.bars.update(self._all, total=self._tally.total, completed=self._tally.completed, shown=shown)

    def _say(self, text: str) -> None:
        say(self.bars.console, text)

    def _show(self, label: str, rounds: int, accuracy: float | None) -> None:
        shown = f"{rounds:,}/{self._tally.rounds[label]:,} rounds"
        shown += "" if accuracy is None else f", {100 * accuracy:.1f} %"
        self.bars.update(self._tasks[label], completed=rounds, shown=shown)

    def _remove(self, label: str) -> None:
        if label in self._tasks:
            self.bars.remove_task(self._tasks.pop(label))


class PlainProgress:
    """Prints a line for each training's begin and end, and a few in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tally = Tally()
        self._quarters: dict[str, int] = {}

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, event: Event) -> None:
        self._tally(event)
        tally = self._tally
        match event:
            case Planned(trainings, workers):
                at_a_time = f", {workers} at a time" if workers > 1 else ""
                what = "training" if len(trainings) == 1 else "trainings"
                self._say(f"{len(trainings)} {what}{at_a_time}: {listed(trainings)}")
            case Reused(label, by_another):
                self._say(f"{label}: finished {'by another run' if by_another else 'earlier, reused'}")
            case Waiting(label):
                self._say(f"{label}: another run trains it; it is waited for")
            case Started(label, rounds, done):
                self._quarters[label] = QUARTERS * done // rounds
                resumed = f", {done} of them from a checkpoint" if done else ""
                self._say(f"{tally.of(label)}: {label}, {rounds} rounds{resumed}")
            case RoundDone(label, rounds, accuracy) if label in tally.rounds:
                self._say_quarter(label, rounds, accuracy)
            case Evaluated(label, evaluation) if label in tally.rounds:
                self._say_quarter(label, evaluation.round, evaluation.accuracy)
            case Finished(label, status, wall_s):
                self._say(f"{label}: {status} after {wall_s:.1f} s; {self._left()}")
            case Failed(label, reason):
                self._say(f"{label}: failed: {reason}; {self._left()}")
            case Notice(text):
                self._say(text)

    def _say_quarter(self, label: str, rounds: int, accuracy: float | None) -> None:
        planned = self._tally.rounds[label]
        quarter = QUARTERS * rounds // planned
        if quarter > self._quarters[label]:
            self._quarters[label] = quarter
            shown = "" if accuracy is None else f", accuracy {100 * accuracy:.1f} %"
            self._say(f"{label}: {rounds} of {planned} rounds{shown}")

    def _left(self) -> str:
        done = f"{self._tally.done} of {self._tally.total} done"
        left = self._tally.left_s()
        return f"{done}, {DURATION.pretty(left)} left" if left else done

    def _say(self, line: str) -> None:
        say(self._console, line)


def progress(console: Console) -> TerminalProgress | PlainProgress:
    """Bars on a terminal and in a notebook, lines elsewhere."""
    return TerminalProgress(console) if console.is_terminal or console.is_jupyter else PlainProgress(console)
