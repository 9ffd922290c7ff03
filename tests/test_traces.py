"""Rate traces: what a file says, and what is said of a damaged one."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from slsim import traces
from slsim.traces import Trace, TraceError


@pytest.fixture
def write(tmp_path: Path):
    def to_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return to_file


def test_a_csv_trace_holds_its_last_rate(write) -> None:
    trace = traces.read(write("a.csv", "time_s,rate\n0,20 Mbps\n12.5,3 Mbps\n"))
    assert trace == Trace((0.0, 12.5), (20e6, 3e6), math.inf)
    assert list(trace.changes()) == [(0.0, 20e6), (12.5, 3e6)]


def test_a_csv_trace_may_give_plain_bits_a_second(write) -> None:
    assert traces.read(write("a.csv", "time_s,rate_bps\n0,2e7\n1,500\n")).rates_bps == (2e7, 500.0)


def test_a_csv_trace_starts_again_after_its_period(write) -> None:
    trace = traces.read(write("a.csv", "time_s,rate\n0,1 Mbps\n4,2 Mbps\n"), period_s=10)
    assert list(itertools.islice(trace.changes(), 5)) == [
        (0.0, 1e6),
        (4.0, 2e6),
        (10.0, 1e6),
        (14.0, 2e6),
        (20.0, 1e6),
    ]


def test_a_trace_can_be_entered_later(write) -> None:
    trace = traces.read(write("a.csv", "time_s,rate\n0,1 Mbps\n4,2 Mbps\n"), period_s=10)
    assert list(itertools.islice(trace.changes(shift_s=15), 4)) == [
        (0.0, 2e6),
        (5.0, 1e6),
        (9.0, 2e6),
        (15.0, 1e6),
    ]


def test_a_mahimahi_file_passes_1500_bytes_at_each_of_its_milliseconds(write) -> None:
    """At 2 ms one packet, at 4 ms two, at 5 ms one; then from the start."""
    trace = traces.read(write("cellular.up", "2\n4\n4\n5\n"))
    assert trace == Trace((0.0, 0.002, 0.004), (6e6, 12e6, 12e6), 0.005)
    passed, bits = [], 0.0
    steps = itertools.pairwise(itertools.islice(trace.changes(), 7))
    for (begin_s, rate_bps), (end_s, _) in steps:
        bits += rate_bps * (end_s - begin_s)
        passed.append(round(bits / 12_000, 9))
    assert passed == [1, 3, 4, 5, 7, 8]


def test_what_may_pass_at_millisecond_0_passes_where_the_file_starts_again(write) -> None:
    assert traces.read(write("m", "0\n5\n10\n")) == Trace((0.0, 0.005), (2.4e6, 4.8e6), 0.01)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "must begin with the line time_s,rate or time_s,rate_bps"),
        ("a.csv", "0,1 Mbps\n", "must begin with the line"),
        ("a.csv", "time_s,rate\n", "is empty"),
        ("a.csv", "time_s,rate\n0,1 Mbps\n1,\n", "line 3: a hole: a time and a rate are due, found '1,'"),
        ("a.csv", "time_s,rate\n0,1 Mbps\n\n2,1 Mbps\n", "line 3: a hole"),
        ("a.csv", "time_s,rate\n1,1 Mbps\n", "line 2: a hole: nothing is said of the time from 0 s to 1 s"),
        ("a.csv", "time_s,rate\n0,1 Mbps\n2,1 Mbps\n1,2 Mbps\n", "line 4: time goes back: 1 comes after 2"),
        ("a.csv", "time_s,rate\n0,1 Mbps\n0,2 Mbps\n", "line 3: time goes back: 0 comes after 0"),
        ("a.csv", "time_s,rate\n0,0 Mbps\n", "line 2: '0 Mbps': a bandwidth must be more than 0"),
        ("a.csv", "time_s,rate\n0,10\n", "line 2: '10' has no unit"),
        ("a.csv", "time_s,rate\n0,1 Mbps\nnan,1 Mbps\n", "line 3: 'nan': a time must be at least 0"),
        ("a.csv", "time_s,rate\n0,1 Mbps\nx,1 Mbps\n", "line 3: 'x' is not a time in seconds"),
        ("m", "", "is empty"),
        ("m", "1\n\n3\n", "line 2: a hole: a millisecond is due"),
        ("m", "1\n5\n3\n", "line 3: time goes back: 3 comes after 5"),
        ("m", "1\n2.5\n", "line 2: '2.5' is not a whole number of milliseconds"),
        ("m", "-1\n", "line 1: '-1': a time must be at least 0"),
        ("m", "0\n0\n", "line 2: the last millisecond must be above 0"),
    ],
)
def test_a_damaged_trace_is_refused(write, name: str, text: str, message: str) -> None:
    with pytest.raises(TraceError) as caught:
        traces.read(write(name, text))
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none\.csv cannot be read: No such file"):
        traces.read(tmp_path / "none.csv")


def test_a_period_must_lie_after_the_last_time(write) -> None:
    path = write("a.csv", "time_s,rate\n0,1 Mbps\n4,2 Mbps\n")
    with pytest.raises(TraceError, match="goes on to 4 s, so it cannot start again after 4 s"):
        traces.read(path, period_s=4)
    with pytest.raises(TraceError, match="a Mahimahi file, which says itself"):
        traces.read(write("m", "1\n"), period_s=4)
