"""What a check found, of a study or of a published claim: its verdict, with the arithmetic behind it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check: what was checked, whether it holds, its arithmetic, and what to note. Checks of one `group`
    are told together. What is `unread` was computed from parameters that nobody has read in the paper: it is
    shown, and contradicts nothing."""

    subject: str
    passed: bool
    arithmetic: str
    note: str = ""
    group: str = ""
    unread: bool = False

    @property
    def verdict(self) -> str:
        """One word: "ok", "FAIL" or "unread"."""
        return "FAIL" if not self.passed else "unread" if self.unread else "ok"
