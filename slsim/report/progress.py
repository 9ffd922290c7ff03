"""Progress of a study on the terminal: bars with time left, or plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from slsim.recording import Status
from slsim.report.terminal import say


class TerminalProgress:
    """A study's observer that draws a bar a training; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rounds"),
            TextColumn("{task.fields[accuracy]}", markup=False),
            TimeRemainingColumn(),
            console=console,
        )
        self._all: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TerminalProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def study_planned(self, trainings: Sequence[str]) -> None:
        for label in trainings:
            self._tasks[label] = self._progress.add_task(label, start=False, total=None, accuracy="waiting")

    def training_reused(self, label: str) -> None:
        self._progress.update(self._task(label), total=1, completed=1, accuracy="finished earlier, reused")

    def training_started(self, label: str, rounds: int) -> None:
        task = self._task(label)
        self._progress.update(task, total=rounds, accuracy="")
        self._progress.start_task(task)

    def step_finished(self, label: str, steps: int) -> None:
        self._progress.update(self._task(label), accuracy=f"{steps:,} steps")

    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None:
        shown = "" if accuracy is None else f"accuracy {100 * accuracy:.1f} %"
        self._progress.update(self._task(label), completed=rounds_done, accuracy=shown)

    def training_finished(self, label: str, status: Status, wall_s: float) -> None:
        if status == "diverged":
            self._progress.update(self._task(label), accuracy=f"diverged after {wall_s:.0f} s")

    def notice(self, text: str) -> None:
        say(self._progress.console, text)

    def training_failed(self, label: str, reason: str) -> None:
        del reason  # it is told at the end, below the bars
        self._progress.update(self._task(label), accuracy="failed")

    def _task(self, label: str) -> TaskID:
        return self._tasks[label]


class PlainProgress:
    """A study's observer that prints a line for each evaluation's accuracy and each training's end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rounds = 0
        self._quarters = 0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def study_planned(self, trainings: Sequence[str]) -> None:
        self._print(f"{len(trainings)} trainings: {', '.join(trainings)}")

    def training_reused(self, label: str) -> None:
        self._print(f"{label}: finished earlier, reused")

    def training_started(self, label: str, rounds: int) -> None:
        self._rounds, self._quarters = rounds, 0
        self._print(f"{label}: {rounds} rounds")

    def step_finished(self, label: str, steps: int) -> None:
        pass

    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None:
        quarter = 4 * rounds_done // self._rounds
        if quarter > self._quarters:
            self._quarters = quarter
            shown = "" if accuracy is None else f", accuracy {100 * accuracy:.1f} %"
            self._print(f"{label}: {rounds_done} of {self._rounds} rounds{shown}")

    def training_finished(self, label: str, status: Status, wall_s: float) -> None:
        self._print(f"{label}: {status} after {wall_s:.1f} s")

    def notice(self, text: str) -> None:
        self._print(text)

    def training_failed(self, label: str, reason: str) -> None:
        self._print(f"{label}: failed: {reason}")

    def _print(self, line: str) -> None:
        say(self._console, line)


def progress(console: Console) -> TerminalProgress | PlainProgress:
    """Bars on a terminal, lines elsewhere."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)
