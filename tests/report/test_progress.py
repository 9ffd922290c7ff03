"""Progress: bars with time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from slsim.report.progress import PlainProgress, TerminalProgress, progress


def told(console: Console) -> str:
    """Tells the console's observer of two trainings, one of them finished earlier."""
    assert isinstance(console.file, io.StringIO)
    with progress(console) as observer:
        observer.study_planned(["identity", "ms 0.99 2"])
        observer.training_reused("identity")
        observer.training_started("ms 0.99 2", rounds=8)
        for done in range(1, 9):
            observer.step_finished("ms 0.99 2", 1000 * done)
            observer.round_finished("ms 0.99 2", done, accuracy=0.5 if done >= 4 else None)
        observer.training_finished("ms 0.99 2", "diverged", wall_s=2.0)
    return console.file.getvalue()


def test_plain_lines_are_few_and_complete() -> None:
    console = Console(file=io.StringIO(), width=40)
    assert isinstance(progress(console), PlainProgress)
    assert told(console).splitlines() == [
        "2 trainings: identity, ms 0.99 2",
        "identity: finished earlier, reused",
        "ms 0.99 2: 8 rounds",
        "ms 0.99 2: 2 of 8 rounds",
        "ms 0.99 2: 4 of 8 rounds, accuracy 50.0 %",
        "ms 0.99 2: 6 of 8 rounds, accuracy 50.0 %",
        "ms 0.99 2: 8 of 8 rounds, accuracy 50.0 %",
        "ms 0.99 2: diverged after 2.0 s",
    ]


def test_a_terminal_gets_bars_with_accuracy_and_time_left() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    assert isinstance(progress(console), TerminalProgress)
    text = told(console)
    assert "8/8" in text
    assert "finished earlier, reused" in text
    assert "diverged after 2 s" in text
    assert "0:00:00" in text


def test_labels_with_brackets_are_shown_as_they_are() -> None:
    for terminal in (False, True):
        console = Console(file=io.StringIO(), width=100, force_terminal=terminal)
        with progress(console) as observer:
            observer.study_planned(["x[/b]"])
            observer.training_started("x[/b]", rounds=2)
        assert isinstance(console.file, io.StringIO)
        assert "x[/b]" in console.file.getvalue()


def test_a_terminal_shows_the_steps_of_a_long_round() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with progress(console) as observer:
        observer.study_planned(["fedavg"])
        observer.training_started("fedavg", rounds=2)
        observer.step_finished("fedavg", 1234)
    assert isinstance(console.file, io.StringIO)
    assert "1,234 steps" in console.file.getvalue()
