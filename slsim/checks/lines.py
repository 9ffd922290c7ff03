"""What checks have in common: tolerances, and how many lines a check tells."""

from __future__ import annotations

from collections.abc import Sequence

RELATIVE_TOLERANCE = 1e-9  # of times and bytes that must be equal
SHOWN_LINES = 5


def first_lines(lines: Sequence[str]) -> str:
    """The first of the lines, and how many more there are."""
    shown = "\n".join(lines[:SHOWN_LINES])
    return shown + (f"\n… and {len(lines) - SHOWN_LINES} more" if len(lines) > SHOWN_LINES else "")
