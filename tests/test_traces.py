"""Rate traces: what the files of the field say in each of their forms, and what is said of a damaged one."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest

from slsim import traces
from slsim.traces import Form, Opportunities, Trace, TraceError


@pytest.fixture
def write(tmp_path: Path):
    def to_file(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


def refusal(path: Path, period_s: float | None = None, **form: object) -> str:
    with pytest.raises(TraceError) as caught:
        traces.read(path, period_s, Form(**form))
    return str(caught.value)


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


SAME = Trace((0.0, 12.5), (20e6, 3e6), math.inf)


@pytest.mark.parametrize(
    "text",
    [
        "time_s,rate\r\n0,20 Mbps\r\n12.5,3 Mbps\r\n",
        "time_s,rate\r0,20 Mbps\r12.5,3 Mbps",
        "\ufefftime_s,rate\n0,20 Mbps\n12.5,3 Mbps\n",
        "time_s,rate\n0,20 Mbps\n\n12.5,3 Mbps\n  \n\n",
        "# measured in the tram\n\ntime_s,rate\n0,20 Mbps\n# a stop\n12.5,3 Mbps\n",
        "time_s;rate\n0;20 Mbps\n12,5;3 Mbps\n",
        "sep=;\ntime_s;rate_mbps\n0;20,0\n12,5;3\n",
        "time_s\trate\n0\t20 Mbps\n12.5\t3 Mbps\n",
        "time_s  rate\n0  20 Mbps\n12.5  3 Mbps\n",
        "time_s , rate\n 0 , 20 Mbps \n 12.5 , 3 Mbps,\n",
        '"time_s","rate"\n"0","20 Mbps"\n"12.5","3 Mbps"\n',
        "0,20 Mbps\n12.5,3 Mbps\n",
        "t (s),DL throughput [Mbit/s]\n0,20\n12.5,3\n",
        "Time (ms),rate_kbps\n0,20000\n12500,3000\n",
        "timestamp,x,Throughput_Mbps\n7,a,20\n19.5,b,3\n",
        "seconds,rate_MBps\n0,2.5\n12.5,0.375\n",
        "10:20:17,20 Mbps\n10:20:29.5,3 Mbps\n",
        "23:59:50 20 Mbps\n".replace(" 20", ",20") + "00:00:02.5,3 Mbps\n",
        "time,rate_mbps\n2019.11.21_10.20.17,20\n2019.11.21_10.20.29.5,3\n",
        "time,rate_mbps\n2019-11-21T10:20:17Z,20\n2019-11-21T12:20:29.500+02:00,3\n",
        "time\trate_mbps\n2019-11-21 23:59:50\t20\n2019-11-22 00:00:02,5\t3\n",
        "timestamp,rate_mbps\n1574331617000,20\n1574331629500,3\n",
    ],
)
def test_ways_to_write_one_table(write, text: str) -> None:
    assert traces.read(write("a.csv", text)) == SAME
    assert traces.read(write("a.csv", text), None, Form("csv")) == SAME


def test_encodings_that_spreadsheets_write(write) -> None:
    text = "time_s,rate_mbps\n# Straßenbahn\n0,20\n12.5,3\n"
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        assert traces.read(write("a.csv", text.encode(encoding))) == SAME


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_seconds_and_megabits(write, separator: str) -> None:
    """As Pensieve has them: no header, and any time to begin with; a rate of 0 is an outage."""
    text = f"185.0{separator}0.5\n190.0{separator}0.0\n195.5{separator}1.25\n"
    expected = Trace((0.0, 5.0, 10.5), (0.5e6, 0.0, 1.25e6), math.inf)
    assert traces.read(write("fcc.log", text)) == expected
    assert traces.read(write("fcc.log", text), None, Form("seconds-mbps")) == expected
    assert traces.read(write("fcc.csv", text.replace(separator, ",")), None, Form("seconds-mbps")) == expected
    kilo = Form("seconds-mbps", unit="kbps")
    assert traces.read(write("fcc.log", text), None, kilo).rates_bps == (500.0, 0.0, 1250.0)


def test_rates_that_may_not_be_megabits_are_asked_about(write) -> None:
    path = write("log", "0 1380494\n1 1134654\n")
    assert "is the rate 1,380,494 in Mbit/s? If so, give format = 'seconds-mbps'" in refusal(path)
    assert traces.read(path, None, Form(unit="bps")).rates_bps == (1380494.0, 1134654.0)


WIDE = """protocol,seq_num,Sprint_throughput_mbps,TMobile_throughput_mbps
TCP,0,25.5,145
TCP,1,65,0.0
TCP,4,108,88
"""


def test_one_column_of_several(write) -> None:
    """5Gophers: seconds are missing, in which the rate before holds."""
    path = write("5gophers.csv", WIDE)
    for name in ("TMobile_throughput_mbps", "tmobile_throughput_mbps"):
        trace = traces.read(path, None, Form(column=name))
        assert trace == Trace((0.0, 1.0, 4.0), (145e6, 0.0, 88e6), math.inf)
    message = refusal(path)
    assert (
        "line 1: several columns may be the rate; give column = one of Sprint_throughput_mbps, TMob"
        in message
    )
    assert "no column 'x'; there are: protocol, seq_num, Sprint_" in refusal(path, column="x")


UCC = """Timestamp,Operatorname,DL_bitrate,UL_bitrate
2019.11.21_10.20.17,B,37,8
2019.11.21_10.20.20,B,0,0
2019.11.21_10.20.20,B,85,25
2019.11.21_10.21.00,B,0,2
"""


def test_kilobits_of_the_ucc_data_set_and_the_same_second_twice(write) -> None:
    """Of lines with the same time the mean counts."""
    path = write("ucc.csv", UCC)
    up = traces.read(path, None, Form(column="UL_bitrate"))
    assert up == Trace((0.0, 3.0, 43.0), (8e3, 12.5e3, 2e3), math.inf)
    down = traces.read(path, 44.0, Form(column="DL_bitrate"))
    assert down == Trace((0.0, 3.0, 43.0), (37e3, 42.5e3, 0.0), 44.0)


def test_units_and_columns_that_a_table_does_not_tell(write) -> None:
    path = write("own.csv", "when,speed,load\n0,20,1\n12500,3,2\n")
    form = Form(time="when", column="speed", unit="Mbit/s", time_unit="ms")
    assert traces.read(path, None, form) == SAME
    assert "no column is known to be the time; give time = one of when, speed, load" in refusal(path)
    assert "no column is known to be the rate; give column" in refusal(path, time="when")
    message = refusal(path, time="when", column="speed")
    assert "line 2: '20' has no unit" in message
    assert "or give unit = 'Mbps' or another" in message


def test_only_lines_that_are_meant(write) -> None:
    """Lumos5G: several runs in one file, and Mbit/s that no name tells."""
    path = write("lumos.csv", "run_num,seq_num,nr,Throughput\n1,1,x,20\n1,2,x,7\n2,1,x,30\n2,2,x,9\n")
    trace = traces.read(path, None, Form(where=(("run_num", 2),)))
    assert trace == Trace((0.0, 1.0), (30e6, 9e6), math.inf)
    assert "line 4: time goes back: '1' comes after '2'" in refusal(path)
    assert "there is nothing where {'run_num': 3}" in refusal(path, where=(("run_num", 3),))
    short = write("short.csv", "seq_num,rate_mbps,run_num\n1,20\n1,30,2\n")
    assert traces.read(short, None, Form(where=(("run_num", 2),))).rates_bps == (30e6,)
    assert "there is no column 'run'" in refusal(path, where=(("run", 3),))


def test_a_mahimahi_file_lists_opportunities(write) -> None:
    """At 2 ms one packet, at 4 ms two, at 5 ms one; then from the start."""
    trace = traces.read(write("cellular.up", "2\n4\n4\n5\n"))
    assert trace == Opportunities((2, 4, 4, 5))
    assert [trace.time_s(number) for number in range(6)] == [0.002, 0.004, 0.004, 0.005, 0.007, 0.009]
    assert trace.mean_bps == pytest.approx(4 * 12_000 / 0.005)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m", "104\n209\n314\n"),
        ("m", "104\r\n\r\n209\r\n# tunnel\r\n314\r\n\r\n"),
        ("m", "\ufeff104\n209\n314"),
        ("m", "104 209 314\n"),
        ("m.csv", "104\n209\n314\n"),
        ("m.up", "104 209\n314\n"),
        ("m.down", "104\n209\n314\n"),
    ],
)
def test_ways_to_write_one_list(write, name: str, text: str) -> None:
    assert traces.read(write(name, text)) == Opportunities((104, 209, 314))
    assert traces.read(write(name, text), None, Form("mahimahi")) == Opportunities((104, 209, 314))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "# nothing\n\n", "is empty"),
        ("a.csv", "time_s,rate\n", "is empty: there is nothing but a header"),
        ("a.csv", "time_s,rate\n0,1 Mbps\n1,\n", "line 3: a hole: a time and a rate are due, found '1,'"),
        ("a.csv", "time_s,rate\n0,1 Mbps\n\n2\n", "line 4: a hole"),
        (
            "a.csv",
            "time_s,rate\n0,1 Mbps\n2,1 Mbps\n1,2 Mbps\n",
            "line 4: time goes back: '1' comes after '2'",
        ),
        ("a.csv", "time_s,rate\n0,0 Mbps\n1,0 bps\n", "every rate is 0, so that nothing could ever pass"),
        (
            "a.csv",
            "time_s,rate\n0,1 Mbps\n2,1 Mbps\n4,0 bps\n",
            "line 4: the last rate is 0 bit/s and would hold for ever; give a period after which the trace "
            "starts again, such as period = '6 s'",
        ),
        ("a.csv", "time_s,rate_bps\n0,0\n1,1e-9\n", "every rate is below 1 bit/s"),
        ("a.csv", "time_s,rate\n0,10\n", "line 2: '10' has no unit"),
        ("a.csv", "time_s,rate\n0,-1 Mbps\n", "line 2: '-1 Mbps': a bandwidth must be at least 0"),
        ("a.csv", "time_s,rate_mbps\n0,1\n1,-1\n", "line 3: '-1': a rate must be from 0 to 1000 Tbps"),
        ("a.csv", "time_s,rate_mbps\n0,1\n1,1e300\n", "line 3: '1e300': a rate must be from 0 to 1000 Tbps"),
        ("a.csv", "time_s,rate_mbps\n0,1\n1,nan\n", "line 3: 'nan' is not a bandwidth"),
        ("a.csv", "time_s,rate\n0,1 mb/s\n", "line 2: 'mb/s' is not a clear unit of bandwidth"),
        (
            "a.csv",
            "time_s,rate\n0,1 Mbps\nnan,1 Mbps\n",
            "line 3: 'nan' is not a time; allowed: seconds, 2019-",
        ),
        ("a.csv", "time_s,rate\n0,1 Mbps\nx,1 Mbps\n", "line 3: 'x' is not a time"),
        ("a.csv", "time,rate\n10:20:17,1 Mbps\n10:99,1 Mbps\n", "line 3: '10:99' is not a time"),
        ("a.csv", "time,rate\n2019-13-41 10:20:17,1 Mbps\n", "line 2: '2019-13-41 10:20:17' is not a time"),
        ("a.csv", "0,1 Mbps,7\n", "line 1: a header must name the 3 columns"),
        ("a.csv", "time_s;rate_mbps\n0;1.234,5\n", "line 2: '1.234,5' is not a bandwidth"),
        ("a.csv", "0,1.5\n1,2.5\n", "line 1: '1.5' has no unit; write for example '100 Mbps', or give unit"),
        ("device.json", '{"1": {"computation": 30, "communication": 500}}', "is JSON, which is not read"),
        ("a.csv", b"time_s,rate\n0,1 Mb\0ps\n", "line 2: there is a NUL character: the file is not text"),
        ("m", "1\n2.5\n", "line 2: '2.5' is not a whole number of milliseconds"),
        ("m", "1\n5\n3\n", "line 3: time goes back: 3 comes after 5"),
        ("m", "-1\n", "line 1: '-1': a time must be at least 0"),
        ("m", "1\n" + "9" * 400 + "\n", "line 2: '99999"),
        ("m", "0\n0\n", "line 2: the last millisecond must be above 0"),
    ],
)
def test_a_damaged_trace_is_refused(write, name: str, text: str, message: str) -> None:
    found = refusal(write(name, text))
    assert message in found
    assert name in found
    assert len(found) < 600


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_field_of_any_length_is_refused_in_one_line(write, quote: str) -> None:
    path = write("a.csv", f"time_s,rate\n0,{quote}{'9' * 200_000}{quote}\n")
    found = refusal(path)
    assert "line 2: " in found
    assert len(found) < 400


def test_a_file_that_has_changed_is_read_again(write) -> None:
    path = write("a.csv", "time_s,rate\n0,1 Mbps\n")
    first = traces.read(path)
    assert traces.read(path) is first
    write("a.csv", "time_s,rate\n0,2.5 Mbps\n")
    assert traces.read(path).rates_bps == (2.5e6,)


def test_a_file_that_is_too_large_is_refused(write, monkeypatch) -> None:
    monkeypatch.setattr("slsim.traces.text.MAX_BYTES", 2**20)
    path = write("m", b"1\n" * 600_000)
    assert "has 1 MiB; at most 1 MiB are read" in refusal(path)


def test_changes_are_countable(write) -> None:
    lines = "".join(f"{k}e-9,{1 + k % 2} Mbps\n" for k in range(100))
    assert "changes 100 times in 9.9e-08 s; at most 10,000 times a second" in refusal(write("a.csv", lines))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "none.csv cannot be read: No such file"),
        ("", "it is not a file"),
        ("a\0b", "there is a NUL character in it"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    assert message in refusal(tmp_path / name)


def test_a_period_must_lie_after_the_last_time(write) -> None:
    path = write("a.csv", "time_s,rate\n0,1 Mbps\n4,2 Mbps\n")
    assert "goes on to 4 s, so it cannot start again after 4 s" in refusal(path, 4.0)
    assert "a Mahimahi file, which says itself" in refusal(write("m", "1\n"), 4.0)


def test_a_folder_of_traces_is_in_order_and_without_documents(write, tmp_path: Path) -> None:
    for name in ("b.log", "a.csv", "README.md", ".hidden", "LICENSE"):
        write(name, "0 1\n")
    (tmp_path / "sub").mkdir()
    assert [file.name for file in traces.files_at(tmp_path)] == ["a.csv", "b.log"]
    assert traces.files_at(tmp_path / "a.csv") == [tmp_path / "a.csv"]
    with pytest.raises(TraceError, match="has no traces in it"):
        traces.files_at(tmp_path / "sub")
