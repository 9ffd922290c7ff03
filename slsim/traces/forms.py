"""The forms of traces, and what is made of each.

- `csv`: a table with a time and a rate in each line, and other columns beside them; a header names them. A
  rate has its unit beside it ("20 Mbps"), in the column's name (`TMobile_throughput_mbps`), in `Form.unit`,
  or, where a public data set has none, in `_KNOWN_UNITS`.
- `seconds-mbps`: a time in seconds and a rate in Mbit/s, without a header: Pensieve, and what was made for
  it (Norway, FCC, Belgium, Oboe, Puffer).
- `mahimahi`: the milliseconds at which 1,500 bytes may pass (`Opportunities`).

In the first two, times count from the first line; of lines with equal times the mean rate counts; between
lines the rate above holds. A rate of 0 is an outage.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from slsim.errors import UnitError
from slsim.traces.text import Table, TraceError, is_value, short
from slsim.traces.times import seconds
from slsim.traces.values import Opportunities, Trace
from slsim.units import DURATION, RATE, Quantity

FORMATS = ("csv", "seconds-mbps", "mahimahi")
_RATE_OR_0 = replace(RATE, zero_allowed=True)
_TIME_NAMES = re.compile(r"(?i)(time|timestamp|times|t|ts|date|datetime|seconds|sec|s|ms|elapsed|seq_?num)")
_RATE_NAMES = re.compile(r"(?i).*(throughput|bit_?rate|bandwidth|bps|bit/s|bits/s).*|rate.*")
_KNOWN_UNITS = {"dl_bitrate": 1e3, "ul_bitrate": 1e3}  # UCC 4G and 5G: kbit/s
_UNIT_AT_END = re.compile(r"(.*?)(?:^|[\s_(\[-]+)([A-Za-zµ][A-Za-zµ/]*)[)\]]?")
_MOST_CHANGES_PER_S = 10_000
_MOST_MBPS = 10_000  # more than any trace in this form has: then it may be bit/s
_LONGEST_MS = round(1000 * DURATION.high)


Where = tuple[tuple[str, str | int | float], ...]


@dataclass(frozen=True)
class Form:
    """What a file does not say itself: its format, if it cannot be told; which columns; their units; which
    lines (those with these values in these columns)."""

    format: str | None = None
    column: str | None = None
    time: str | None = None
    unit: str | None = None
    time_unit: str | None = None
    where: Where = ()


def read(path: Path, period_s: float | None = None, form: Form = Form()) -> Trace | Opportunities:
    """The trace in `path`; `period_s` (s) is after what time one of rates starts again (None: never; then
    the last rate holds). Raises `TraceError` for a file that is missing, damaged or of an unknown form.

    The cases of a sweep read the same files: a file that has not changed is read once.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return _read(path, period_s, form)  # which says what is wrong
    return _known(path, period_s, form, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=128)
def _known(
    path: Path, period_s: float | None, form: Form, changed_ns: int, size: int
) -> Trace | Opportunities:
    del changed_ns, size  # of the key
    return _read(path, period_s, form)


def _read(path: Path, period_s: float | None, form: Form) -> Trace | Opportunities:
    table = Table.read(path)
    name = form.format or _guess(table, form)
    if name == "mahimahi":
        if period_s is not None:
            raise TraceError(f"the trace {path} is a Mahimahi file, which says itself when it starts again")
        return _mahimahi(table)
    places, times_s, rates_bps = (_seconds_mbps if name == "seconds-mbps" else _csv)(table, form)
    return _trace(table, places, times_s, rates_bps, period_s)


def _guess(table: Table, form: Form) -> str:
    """The form of a table whose content leaves no doubt. Raises `TraceError` where it does."""
    first = table.cells(0)
    if first[0].startswith(("{", "[")):
        raise TraceError(
            f"the trace {table.path} is JSON, which is not read (FedScale's files are); write a table of "
            "times and rates instead"
        )
    if table.path.suffix.lower() in (".up", ".down") or (
        len(first) == 1 and is_value(first[0]) and table.separator is None
    ):
        return "mahimahi"
    if table.separator is None and len(table.lines) == 1 and len(first) > 2 and all(map(str.isdigit, first)):
        return "mahimahi"
    by_space = table.separator in (None, "\t")
    if len(first) == 2 and by_space and form.unit is None and table.number(first[1]) is not None:
        return "seconds-mbps"
    return "csv"


def _seconds_mbps(table: Table, form: Form) -> tuple[Sequence[int], list[float], list[float]]:
    scale = _rate_unit(form.unit or "Mbps")
    rows = []
    places = range(len(table.lines))
    for place in places:
        rows.append(table.cells(place))
        if len(rows[-1]) != 2:
            found = short(table.lines[place])
            raise table.wrong(place, f"a time in seconds and a rate in Mbit/s are due, found {found}")
    rates = [_rate(table, place, row[1], scale) for place, row in zip(places, rows, strict=True)]
    highest = max(rates)
    if form.format is None and highest > _MOST_MBPS * scale:
        raise table.wrong(
            rates.index(highest),
            f"is the rate {highest / scale:,.0f} in Mbit/s? If so, give format = 'seconds-mbps'; if not, "
            "unit = 'bps' or another",
        )
    return places, seconds(table, places, [row[0] for row in rows], _time_unit(form.time_unit)), rates


def _csv(table: Table, form: Form) -> tuple[Sequence[int], list[float], list[float]]:
    header = table.cells(0)
    has_header = not any(is_value(cell) for cell in header)
    if has_header:
        time, rate = _columns(table, header, form)
    elif form.column or form.time or form.where:
        raise table.wrong(0, f"a header with the names of the columns is due, found {short(table.lines[0])}")
    else:
        header, (time, rate) = ["", ""], (0, 1)
    scale = _rate_unit(form.unit) if form.unit else _unit_of(header[rate], RATE)
    if scale is None:
        scale = _KNOWN_UNITS.get(header[rate].lower())
        scale = 1e6 if scale is None and _is_lumos(header, rate) else scale
    unit_s = _time_unit(form.time_unit) or _unit_of(header[time], DURATION)
    places, cells, rates_bps = [], [], []
    for place in range(has_header, len(table.lines)):
        row = table.cells(place, len(header))
        row += [""] * (len(header) - len(row))
        if form.where and not _is_meant(table, header, row, form.where):
            continue
        if not row[time] or not row[rate]:
            raise table.wrong(place, f"a hole: a time and a rate are due, found {short(table.lines[place])}")
        if not has_header and any(row[2:]):
            raise table.wrong(
                place, f"a header must name the {len(row)} columns of {short(table.lines[place])}"
            )
        places.append(place)
        cells.append(row[time])
        rates_bps.append(_rate(table, place, row[rate], scale))
    if not places:
        which = f" where {dict(form.where)}" if form.where else " but a header"
        raise TraceError(f"the trace {table.path} is empty: there is nothing{which}")
    return places, seconds(table, places, cells, unit_s), rates_bps


def _columns(table: Table, header: list[str], form: Form) -> tuple[int, int]:
    """Which columns are the time and the rate: those that are named, or the only ones that can be."""
    times = [i for i, name in enumerate(header) if _TIME_NAMES.fullmatch(_without_unit(name))]
    time = _named(table, header, form.time) if form.time else _only(table, header, times, "time", "time")
    others = [i for i in range(len(header)) if i != time]
    if form.column:
        return time, _named(table, header, form.column)
    rates = others if len(others) == 1 else [i for i in others if _RATE_NAMES.fullmatch(header[i])]
    return time, _only(table, header, rates, "rate", "column")


def _only(table: Table, header: list[str], places: list[int], what: str, key: str) -> int:
    if len(places) == 1:
        return places[0]
    several = f"several columns may be the {what}" if places else f"no column is known to be the {what}"
    names = ", ".join(header[i] for i in places or range(len(header)))
    raise table.wrong(0, f"{several}; give {key} = one of {names[:500]}")


def _named(table: Table, header: list[str], name: str) -> int:
    lowered = [one.lower() for one in header]
    if name.lower() not in lowered:
        raise table.wrong(0, f"there is no column {short(name)}; there are: {', '.join(header)[:500]}")
    return header.index(name) if name in header else lowered.index(name.lower())


def _is_meant(table: Table, header: list[str], row: list[str], where: Where) -> bool:
    cells = [(row[_named(table, header, name)], value) for name, value in where]
    return all(cell == str(value) or table.number(cell) == value for cell, value in cells)


def _is_lumos(header: list[str], rate: int) -> bool:
    """Lumos5G: Mbit/s, and only its other columns tell."""
    return header[rate] == "Throughput" and {"run_num", "seq_num"} <= set(header)


def _without_unit(name: str) -> str:
    match = _UNIT_AT_END.fullmatch(name)
    return match[1] if match and match[1] and _unit_of(name, DURATION) is not None else name


def _unit_of(name: str, quantity: Quantity) -> float | None:
    """The unit that a column's name ends in: "rate_mbps", "t (ms)"."""
    match = _UNIT_AT_END.fullmatch(name)
    try:
        return quantity.unit_value(match[2]) if match else None
    except UnitError:
        return None


def _rate_unit(unit: str) -> float:
    return RATE.unit_value(unit)


def _time_unit(unit: str | None) -> float | None:
    return DURATION.unit_value(unit) if unit else None


def _rate(table: Table, place: int, cell: str, scale: float | None) -> float:
    """A cell in bit/s: a number in the column's unit, or with a unit of its own."""
    number = table.number(cell)
    if number is not None and scale is not None:
        if not 0 <= number * scale <= RATE.high:
            raise table.wrong(place, f"{short(cell)}: a rate must be from 0 to {RATE.format(RATE.high)}")
        return number * scale
    try:
        return _RATE_OR_0.parse(cell)
    except UnitError as error:
        hint = "" if number is None else ", or give unit = 'Mbps' or another"
        raise table.wrong(place, f"{error}{hint}") from None


def _trace(
    table: Table, places: Sequence[int], times_s: list[float], rates_bps: list[float], period_s: float | None
) -> Trace:
    """Lines as a trace. Raises `TraceError` for a link that would be dead for ever."""
    path, last_s = table.path, times_s[-1]
    times, rates = _merged(times_s, rates_bps)
    if max(rates) < RATE.low:
        most = "below 1 bit/s" if any(rates) else "0"
        raise TraceError(f"the trace {path}: every rate is {most}, so that nothing could ever pass")
    if period_s is None and rates[-1] < RATE.low:
        steps_s = sorted(after - before for before, after in itertools.pairwise(times)) or [1.0]
        proposed_s = last_s + steps_s[len(steps_s) // 2]
        raise table.wrong(
            places[-1],
            f"the last rate is {rates[-1]:g} bit/s and would hold for ever; give a period after which the "
            f"trace starts again, such as period = '{proposed_s:g} s', or add a line",
        )
    if period_s is not None and last_s >= period_s:
        raise TraceError(
            f"the trace {path} goes on to {last_s:g} s, so it cannot start again after {period_s:g} s"
        )
    if len(times) > 1 and len(times) > 1 + _MOST_CHANGES_PER_S * (period_s or last_s):
        raise TraceError(
            f"the trace {path} changes {len(times):,} times in {period_s or last_s:g} s; at most "
            f"{_MOST_CHANGES_PER_S:,} times a second are simulated"
        )
    return Trace(times, rates, math.inf if period_s is None else period_s)


def _merged(times_s: list[float], rates_bps: list[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Each time once, with the mean of its rates."""
    times, totals, counts = [times_s[0]], [0.0], [0]
    for time_s, rate_bps in zip(times_s, rates_bps, strict=True):
        if time_s != times[-1]:
            times.append(time_s)
            totals.append(0.0)
            counts.append(0)
        totals[-1] += rate_bps
        counts[-1] += 1
    return tuple(times), tuple(total / count for total, count in zip(totals, counts, strict=True))


def _mahimahi(table: Table) -> Opportunities:
    times_ms: list[int] = []
    for place, line in enumerate(table.lines):
        for word in line.split():
            try:
                time_ms = int(word)
            except ValueError:
                raise table.wrong(place, f"{short(word)} is not a whole number of milliseconds") from None
            if not 0 <= time_ms <= _LONGEST_MS:
                raise table.wrong(place, f"{short(word)}: a time must be at least 0 and at most 100 years")
            if times_ms and time_ms < times_ms[-1]:
                raise table.wrong(place, f"time goes back: {time_ms} comes after {times_ms[-1]}")
            times_ms.append(time_ms)
    if times_ms[-1] == 0:
        raise table.wrong(-1, "the last millisecond must be above 0: it is the trace's length")
    return Opportunities(tuple(times_ms))
