"""Progress: bars with time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re

from rich.console import Console

from slsim.events import (
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
from slsim.report.progress import PlainProgress, Tally, TerminalProgress, progress


def told(console: Console) -> str:
    """Tells the console's display of three trainings, one of them finished earlier."""
    assert isinstance(console.file, io.StringIO)
    with progress(console) as tell:
        tell(Planned(("identity, seed 0", "ms, seed 0", "ms, seed 1"), workers=2))
        tell(Reused("identity, seed 0"))
        tell(Started("ms, seed 0", 8))
        tell(Started("ms, seed 1", 8, done=2))
        for done in range(1, 9):
            tell(StepDone("ms, seed 0", 1000 * done))
            tell(RoundDone("ms, seed 0", done, accuracy=0.5 if done >= 4 else None))
        if isinstance(tell, TerminalProgress):
            tell.bars.refresh()
        tell(Finished("ms, seed 0", "diverged", wall_s=2.0))
        tell(Failed("ms, seed 1", "ValueError: no"))
    return console.file.getvalue()


def test_plain_lines_are_few_and_complete() -> None:
    console = Console(file=io.StringIO(), width=40)
    assert isinstance(progress(console), PlainProgress)
    lines = [re.sub(r", [^,]* left$", ", … left", line) for line in told(console).splitlines()]
    assert lines == [
        '3 trainings, 2 at a time: "identity, seed 0", "ms, seed 0" and "ms, seed 1"',
        "identity, seed 0: finished earlier, reused",
        "training 2 of 3: ms, seed 0, 8 rounds",
        "training 3 of 3: ms, seed 1, 8 rounds, 2 of them from a checkpoint",
        "ms, seed 0: 2 of 8 rounds",
        "ms, seed 0: 4 of 8 rounds, accuracy 50.0 %",
        "ms, seed 0: 6 of 8 rounds, accuracy 50.0 %",
        "ms, seed 0: 8 of 8 rounds, accuracy 50.0 %",
        "ms, seed 0: diverged after 2.0 s; 1 of 2 done, … left",
        "ms, seed 1: failed: ValueError: no; 2 of 2 done",
    ]


def test_a_terminal_has_a_bar_for_the_study_and_one_for_each_training() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    assert isinstance(progress(console), TerminalProgress)
    text = told(console)
    assert "8/8 rounds, 50.0 %" in text
    assert "ms, seed 0: diverged after 2 s" in text
    assert "ms, seed 1: failed" in text
    assert "2 of 2 done, 1 were there" in text


def test_labels_with_brackets_are_shown_as_they_are() -> None:
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=100, force_terminal=terminal)
        with progress(console) as tell:
            tell(Planned(("x[/b]",)))
            tell(Started("x[/b]", 2))
            tell(RoundDone("x[/b]", 1))
            tell(Notice("[bold]so[/bold]"))
        assert isinstance(console.file, io.StringIO)
        assert "x[/b]" in console.file.getvalue()
        assert "[bold]so[/bold]" in console.file.getvalue()


def test_a_terminal_shows_the_steps_of_a_long_round() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with progress(console) as tell:
        tell(Planned(("fedavg",)))
        tell(Started("fedavg", 2))
        tell(StepDone("fedavg", 1234))
        assert isinstance(tell, TerminalProgress)
        tell.bars.refresh()
    assert isinstance(console.file, io.StringIO)
    assert "1,234 steps" in console.file.getvalue()


def test_the_time_left_is_that_of_the_whole() -> None:
    tally = Tally()
    for event in (Planned(("a", "b", "c", "d"), 2), Reused("a"), Started("b", 10), Started("c", 10, done=5)):
        tally(event)
    assert tally.left_s() is None  # nothing was done yet
    tally(RoundDone("b", 5))
    assert (tally.total, tally.completed) == (3, 1.0)
    left = tally.left_s()
    assert left is not None
    tally(Finished("b", "finished", 1.0))
    tally(Finished("c", "finished", 1.0))
    sooner = tally.left_s()
    assert sooner is not None
    assert (tally.total, tally.completed) == (3, 2.0)


def test_who_is_waited_for_is_said() -> None:
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=100, force_terminal=terminal)
        with progress(console) as tell:
            tell(Planned(("identity",)))
            tell(Waiting("identity"))
        assert isinstance(console.file, io.StringIO)
        assert "identity: another run trains it; it is waited for" in console.file.getvalue()
