"""Checks as they are printed: a line a group, what failed in full, and everything when asked."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from slsim.report.verdicts import print_checks, summary
from slsim.verdict import Check

CHECKS = [
    Check("bytes of qu", True, "3 = 3", group="bytes of messages"),
    Check("bytes of [/b]", False, "[bold] = 1", "[/]", group="bytes of messages"),
    Check("traffic multiplier of ms", True, "9 = 9", "above its ratio", group="traffic multipliers"),
    Check("bytes of ms", True, "4 = 4", group="bytes of messages"),
]


def printed(*, verbose: bool = False) -> list[str]:
    file = io.StringIO()
    print_checks(Console(file=file, width=40, color_system=None), CHECKS, verbose=verbose)
    return file.getvalue().splitlines()


def test_a_group_is_a_line_and_what_failed_is_printed_in_full_and_as_it_is() -> None:
    assert printed() == [
        "FAIL bytes of messages: 3 checks, 1 failed",
        "FAIL bytes of [/b]",
        "       [bold] = 1",
        "       [/]",
        "ok   traffic multipliers: 1 check, 1 with a note, which --verbose shows",
        "4 checks, 1 failed",
    ]


def test_verbose_prints_every_check_with_its_arithmetic_and_its_note() -> None:
    lines = printed(verbose=True)
    assert lines[:2] == ["ok   bytes of qu", "       3 = 3"]
    assert lines[-4:] == [
        "ok   traffic multiplier of ms",
        "       9 = 9",
        "       above its ratio",
        "4 checks, 1 failed",
    ]
    assert len(lines) == 4 * 2 + 2 + 1  # two have a note; the sum


@pytest.mark.parametrize(
    ("passed", "unread", "word"), [(True, False, "ok"), (True, True, "unread"), (False, True, "FAIL")]
)
def test_what_nobody_has_read_is_told_apart(passed: bool, unread: bool, word: str) -> None:
    check = Check("490×", passed, "", unread=unread)
    assert check.verdict == word
    assert ("unread" in summary([check])) == (word == "unread")
