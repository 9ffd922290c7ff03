"""Checks on the terminal: a line a group, and in full what failed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from slsim.report.terminal import say
from slsim.verdict import Check

COLOURS = {"ok": "green", "FAIL": "red", "unread": "yellow"}


def print_checks(console: Console, checks: Sequence[Check], *, verbose: bool = False) -> None:
    """How many checks of each group there are; each that failed in full. With `verbose` each in full."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.group, []).append(check)
    for group, own in groups.items():
        failed = [check for check in own if not check.passed]
        if not verbose:
            _print_group(console, group, own, failed)
        for check in own if verbose else failed:
            print_in_full(console, check)
    say(console, summary(checks))


def _print_group(console: Console, group: str, own: Sequence[Check], failed: Sequence[Check]) -> None:
    noted = sum(bool(check.note) for check in own if check.passed)
    unread = sum(check.verdict == "unread" for check in own)
    told = [f"{group or 'other'}: {_checks(len(own))}"]
    told += [f"{len(failed)} failed"] if failed else []
    told += [f"{unread} unread"] if unread else []
    told += [f"{noted} with a note, which --verbose shows"] if noted else []
    console.print(verdict("FAIL" if failed else "ok"), Text(", ".join(told)), soft_wrap=True)


def print_in_full(console: Console, check: Check) -> None:
    """A check's verdict, its arithmetic, and its note."""
    console.print(verdict(check.verdict), Text(check.subject), soft_wrap=True)
    for line in f"{check.arithmetic}\n{check.note}".strip().splitlines():
        say(console, f"       {line}")


def verdict(word: str) -> Text:
    """A verdict in its colour, as wide as the widest but "unread"."""
    return Text(f"{word:<4}", COLOURS[word])


def summary(checks: Sequence[Check]) -> str:
    """ "92 checks, 0 failed, 1 unread"."""
    unread = sum(check.verdict == "unread" for check in checks)
    failed = sum(not check.passed for check in checks)
    return f"{_checks(len(checks))}, {failed} failed" + (f", {unread} unread" if unread else "")


def _checks(count: int) -> str:
    return f"{count:,} check" if count == 1 else f"{count:,} checks"
