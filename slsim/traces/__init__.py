"""Rate traces: how fast a link was at which time, read from a file and checked whole.

Two formats. CSV: a header line, then a time in seconds and a rate on each line (or rates in bit/s without
a unit, below the header `time_s,rate_bps`),

    time_s,rate
    0,20 Mbps
    12.5,3 Mbps

where the last rate holds for ever, unless the trace starts again after a given period. Mahimahi (Netravali
et al., USENIX ATC 2015): on each line the millisecond at which 1500 bytes may pass; the file starts again
at the time of its last line.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from slsim.errors import SlsimError, UnitError
from slsim.traces.values import Opportunities, Trace
from slsim.units import RATE

__all__ = ["Opportunities", "Trace", "TraceError", "read"]
CSV_HEADERS = (["time_s", "rate"], ["time_s", "rate_bps"])  # rates with their unit, or plain in bit/s
MAHIMAHI_BYTES = 1500  # that may pass at each of a file's milliseconds
N = TypeVar("N", int, float)


class TraceError(SlsimError, ValueError):
    """A trace file that cannot be read: which file, which line, what is wrong with it."""


def read(path: Path, period_s: float | None = None) -> Trace:
    """The trace in `path`: CSV where the name ends in ".csv", else Mahimahi. `period_s` (s) is after what
    time a CSV trace starts again. Raises `TraceError` for a file that is missing or damaged."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TraceError(f"the trace {path} cannot be read: {reason}") from None
    if path.suffix.lower() == ".csv":
        return _csv(path, text, math.inf if period_s is None else period_s)
    if period_s is not None:
        raise TraceError(f"the trace {path} is a Mahimahi file, which says itself when it starts again")
    return _mahimahi(path, text)


def _csv(path: Path, text: str, period_s: float) -> Trace:
    rows = list(csv.reader(text.splitlines()))
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header not in CSV_HEADERS:
        allowed = " or ".join(",".join(names) for names in CSV_HEADERS)
        raise TraceError(f"the trace {path} must begin with the line {allowed}")
    unit = " bps" if header[1].endswith("_bps") else ""
    times_s, rates_bps = [], []
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != 2 or not all(cell.strip() for cell in row):
            raise _wrong(path, number, f"a hole: a time and a rate are due, found {','.join(row)!r}")
        times_s.append(_number(path, number, row[0], float))
        try:
            rates_bps.append(RATE.parse(row[1].strip() + unit))
        except UnitError as error:
            raise _wrong(path, number, str(error)) from None
    _check_times(path, times_s, first_line=2)
    if times_s[0] != 0:
        raise _wrong(path, 2, f"a hole: nothing is said of the time from 0 s to {times_s[0]:g} s")
    if times_s[-1] >= period_s:
        raise TraceError(
            f"the trace {path} goes on to {times_s[-1]:g} s, so it cannot start again after {period_s:g} s"
        )
    return Trace(tuple(times_s), tuple(rates_bps), period_s)


def _mahimahi(path: Path, text: str) -> Trace:
    """Between two milliseconds that let bytes pass, these flow evenly: at each, exactly as many have."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise _wrong(path, number, "a hole: a millisecond is due, the line is empty")
    times_ms = [_number(path, number, line, int) for number, line in enumerate(lines, start=1)]
    _check_times(path, [float(time_ms) for time_ms in times_ms], first_line=1, strictly=False)
    if times_ms[-1] == 0:
        raise _wrong(path, len(lines), "the last millisecond must be above 0: it is the trace's length")
    period_ms = times_ms[-1]
    # What may pass at 0 passes when the file starts again; so it belongs to the end of the gap before.
    passes = sorted(time_ms or period_ms for time_ms in times_ms)
    starts_s, rates_bps, before_ms = [], [], 0
    for time_ms, group in itertools.groupby(passes):
        bits = 8 * MAHIMAHI_BYTES * len(list(group))
        starts_s.append(before_ms / 1000)
        rates_bps.append(1000 * bits / (time_ms - before_ms))
        before_ms = time_ms
    return Trace(tuple(starts_s), tuple(rates_bps), period_ms / 1000)


def _number(path: Path, line: int, text: str, kind: Callable[[str], N]) -> N:
    try:
        value = kind(text.strip())
    except ValueError:
        what = "a whole number of milliseconds" if kind is int else "a time in seconds"
        raise _wrong(path, line, f"{text.strip()!r} is not {what}") from None
    if not (math.isfinite(value) and value >= 0):
        raise _wrong(path, line, f"{text.strip()!r}: a time must be at least 0 and finite")
    return value


def _check_times(path: Path, times: Sequence[float], first_line: int, strictly: bool = True) -> None:
    if not times:
        raise TraceError(f"the trace {path} is empty")
    for number, (before, after) in enumerate(itertools.pairwise(times), start=first_line + 1):
        if after < before or (strictly and after == before):
            raise _wrong(path, number, f"time goes back: {after:g} comes after {before:g}")


def _wrong(path: Path, line: int, message: str) -> TraceError:
    return TraceError(f"the trace {path}, line {line}: {message}")
