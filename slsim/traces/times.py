"""Times as traces have them (numbers, dates with a time, times of day), in seconds from the first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from slsim.traces.text import Table, short

_CLOCK = re.compile(r"(\d{1,2}):(\d\d):(\d\d(?:[.,]\d+)?)")
_DATE = re.compile(
    r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:T|_|\s+)(\d{1,2})[.:-](\d\d)[.:-](\d\d(?:[.,]\d+)?)"
    r"\s*(?:(Z|UTC)|([+-]\d\d):?(\d\d))?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86_400.0
_UNIX = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # numbers so large count ns, µs and ms since 1970
ALLOWED = "seconds, 2019-11-21T10:20:17, 2019.11.21_10.20.17 or 10:20:17"


def seconds(table: Table, places: Sequence[int], cells: Sequence[str], unit_s: float | None) -> list[float]:
    """The times in `cells`, from lines at `places`, in seconds from the first of them.

    `unit_s` is what a plain number counts; None: seconds, or where it can only be a time since 1970, the
    fraction of a second that leads to our century. Times of day go on over midnight. Raises `TraceError` for
    what is no time, and for a time before the one above it.
    """
    parse = next((one for one in (_of_day, _of_date) if one(cells[0]) is not None), None)
    if parse is None:
        scale = unit_s if unit_s is not None else _unix_unit_s(table.number(cells[0]))
        values = [table.number(cell) for cell in cells]
    else:
        scale, values = 1.0, [parse(cell) for cell in cells]
    times_s: list[float] = []
    day_s = 0.0
    for place, cell, value in zip(places, cells, values, strict=True):
        if value is None:
            raise table.wrong(
                place, f"{short(cell)} is not a time; allowed: {ALLOWED}, as the first line has it"
            )
        assert values[0] is not None
        time_s = (value - values[0]) * scale + day_s
        if times_s and time_s < times_s[-1]:
            if parse is _of_day and times_s[-1] - time_s > _DAY_S / 2:
                day_s += _DAY_S
                time_s += _DAY_S
            else:
                above = cells[len(times_s) - 1]
                raise table.wrong(place, f"time goes back: {short(cell)} comes after {short(above)}")
        times_s.append(time_s)
    return times_s


def _unix_unit_s(first: float | None) -> float:
    return next((unit_s for least, unit_s in _UNIX if abs(first or 0.0) >= least), 1.0)


def _of_day(cell: str) -> float | None:
    match = _CLOCK.fullmatch(cell)
    if match is None:
        return None
    return 3600.0 * int(match[1]) + 60.0 * int(match[2]) + float(match[3].replace(",", "."))


def _of_date(cell: str) -> float | None:
    match = _DATE.fullmatch(cell)
    if match is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    try:
        whole = datetime(year, month, day, hour, minute, tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    offset = timedelta(hours=int(match[8]), minutes=int(match[8][0] + match[9])) if match[8] else timedelta()
    return (whole - offset).total_seconds() + float(match[6].replace(",", "."))
