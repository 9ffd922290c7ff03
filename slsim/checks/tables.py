"""Are the tables that a study saved those that its recordings give?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from slsim.checks.lines import RELATIVE_TOLERANCE, first_lines
from slsim.verdict import Check

Tables = Mapping[str, pd.DataFrame]

KEYS = {"runs": "run", "summary": "setting"}  # what tells the rows of a table apart; of others their order
TABLES = "tables"  # the group of these checks


def check_tables(computed: Tables, saved: Tables) -> Iterator[Check]:
    """Every saved table against the one that was computed from the recordings: a check a row where rows have
    a name, else one for the table."""
    for name, table in saved.items():
        if name in KEYS:
            yield from _check_named(name, KEYS[name], computed[name], table)
        else:
            yield _check_ordered(name, computed[name], table)


def _check_named(name: str, key: str, computed: pd.DataFrame, saved: pd.DataFrame) -> Iterator[Check]:
    for position, label in enumerate(computed[key]):
        rows = saved[saved[key] == label]
        subject = f"{name}.csv, {label}"
        if len(rows) != 1:
            yield Check(subject, False, f"{len(rows)} rows of that {key}, expected 1", group=TABLES)
            continue
        wrong = _differences(rows.iloc[0].to_dict(), computed.iloc[position].to_dict())
        arithmetic = f"{len(computed.columns)} columns compared with the recording"
        yield Check(subject, not wrong, arithmetic, first_lines(wrong), group=TABLES)


def _check_ordered(name: str, computed: pd.DataFrame, saved: pd.DataFrame) -> Check:
    subject = f"{name}.csv"
    if len(saved) != len(computed):
        return Check(subject, False, f"{len(saved):,} rows, expected {len(computed):,}", group=TABLES)
    rows = zip(saved.to_dict("records"), computed.to_dict("records"), strict=True)
    wrong = [
        f"row {number}: {line}"
        for number, (found, due) in enumerate(rows, 1)
        for line in _differences(found, due)
    ]
    arithmetic = f"{len(computed):,} rows of {len(computed.columns)} columns compared with the recordings"
    return Check(subject, not wrong, arithmetic, first_lines(wrong), group=TABLES)


def _differences(saved: Mapping[Any, Any], computed: Mapping[Any, Any]) -> list[str]:
    """A line for each column whose value is another one."""
    return [
        f"{column}: {found} saved, {due} from the recording"
        for column, due in computed.items()
        if not _equal(found := saved.get(column, "nothing"), due)
    ]


def _equal(saved: Any, computed: Any) -> bool:
    """Whether a value read from a CSV file is what was written, as a number where both are, else as text."""
    try:
        numbers = float(saved), float(computed)
    except ValueError:
        return str(saved) == str(computed)
    return math.isclose(*numbers, rel_tol=RELATIVE_TOLERANCE) or all(map(math.isnan, numbers))
