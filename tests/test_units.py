"""Quantities with units: what is read, what is written, what is refused."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from slsim.errors import SlsimError, UnitError
from slsim.units import (
    COMPUTE,
    DURATION,
    MEMORY_RATE,
    RATE,
    SIZE,
    Compute,
    Duration,
    MemoryRate,
    Rate,
    nearest,
)

QUANTITIES = {"rate": RATE, "duration": DURATION, "compute": COMPUTE, "memory": MEMORY_RATE, "size": SIZE}
EVERY_QUANTITY = pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
PROPERTY = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("quantity", "text", "value"),
    [
        (RATE, "1 bps", 1.0),
        (RATE, "1 kbps", 1_000.0),
        (RATE, "100 Mbps", 100_000_000.0),
        (RATE, "2.5 Gbps", 2_500_000_000.0),
        (RATE, "1 Tbps", 1e12),
        (DURATION, "0 s", 0.0),
        (DURATION, "5 ms", 0.005),
        (DURATION, "2 s", 2.0),
        (DURATION, "1.5 min", 90.0),
        (DURATION, "2 h", 7_200.0),
        (COMPUTE, "3 FLOPS", 3.0),
        (COMPUTE, "3 kFLOPS", 3e3),
        (COMPUTE, "3 MFLOPS", 3e6),
        (COMPUTE, "48 GFLOPS", 48e9),
        (COMPUTE, "11 TFLOPS", 11e12),
        (COMPUTE, "2 PFLOPS", 2e15),
        (MEMORY_RATE, "7 B/s", 7.0),
        (MEMORY_RATE, "7 kB/s", 7e3),
        (MEMORY_RATE, "7 MB/s", 7e6),
        (MEMORY_RATE, "51.2 GB/s", 51.2e9),
        (MEMORY_RATE, "7 TB/s", 7e12),
        (SIZE, "0 B", 0.0),
        (SIZE, "4 kB", 4e3),
        (SIZE, "4 MB", 4e6),
        (SIZE, "4 GB", 4e9),
        (SIZE, "4 TB", 4e12),
    ],
)
def test_a_decimal_prefix_is_a_power_of_ten(quantity, text, value):
    assert quantity.parse(text) == value


@pytest.mark.parametrize(
    ("quantity", "texts", "value"),
    [
        (RATE, "100 Mbit/s, 100 Mb/s, 100 mbps, 100 mbit/s, 100MBit/s, 100 MBIT/s, 100 Mbits/sec", 100e6),
        (RATE, "100 megabit/s, 100 Megabits per second, 100 Mbit / s, 0.1 gbps, 100000 Kbps", 100e6),
        (RATE, "12.5 MB/s, 12.5 MBps, 12.5MByte/s, 12.5 Mbytes/s, 12.5 megabytes per second", 100e6),
        (RATE, "5 kb/s, 5 Kb/s, 5 kbit/s, .625 KB/s, .625 kBps, 625 B/s, 625 bytes/second", 5e3),
        (RATE, "8 Kibit/s, 8 Kibps, 1 KiB/s, 1 KiBps, 1 KiByte/s", 8192.0),
        (RATE, "1 GiB/s, 1024 MiB/s, 8 Gibit/s", 2.0**33),
        (RATE, "1 Pbps, 1 petabit/s", 1e15),
        (MEMORY_RATE, "51.2 GB/s, 51.2 GBps, 409.6 Gbit/s", 51.2e9),
        (MEMORY_RATE, "2 GiB/s", 2.0**31),
        (SIZE, "4 MiB, 4096 KiB, 32 Mibit", 2.0**22),
        (SIZE, "200 kB, 200 KB, 200000 bytes, 200000 Byte, 200 kilobytes, 1600 kbit", 200e3),
        (COMPUTE, "11 TFLOP/s, 11 TFlops, 11 tflops, 11 teraflops", 11e12),
        (DURATION, "5 us, 5 \u00b5s, 5 \u03bcs, 5 usec, 5 microseconds, 5000 nanoseconds", 5e-6),
        (DURATION, "90 s, 90 sec, 90 seconds, 1.5 min, 1.5 minutes, 90000 msec, .025 hours", 90.0),
        (DURATION, "2 d, 2 days, 48 h, 48 hr", 172_800.0),
    ],
)
def test_every_clear_spelling_of_a_unit_has_its_value(quantity, texts, value):
    for text in texts.split(", "):
        assert quantity.parse(text) == pytest.approx(value, rel=1e-15), text


@pytest.mark.parametrize(
    ("quantity", "units", "bits", "in_bytes"),
    [
        (RATE, "mb/s MBPS mB/s mBps Mb/S", "Mbit/s", "MB/s"),
        (RATE, "gb/s GBPS", "Gbit/s", "GB/s"),
        (RATE, "KBPS kBPS", "kbit/s", "kB/s"),
        (MEMORY_RATE, "gb/s", "Gbit/s", "GB/s"),
        (SIZE, "Mb mb mB", "Mbit", "MB"),
        (SIZE, "Kib kib", "Kibit", "KiB"),
    ],
)
def test_a_spelling_that_is_used_for_bits_and_for_bytes_is_refused_with_both(quantity, units, bits, in_bytes):
    for unit in units.split():
        with pytest.raises(UnitError, match=f"write '{bits}' or '{in_bytes}' ") as caught:
            quantity.parse(f"12 {unit}")
        assert f"'{unit}' is not a clear unit of {quantity.what}" in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("250 us", 250e-6), ("40 ns", 40e-9)])
def test_small_durations(text, value):
    assert DURATION.parse(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["100 Mbps", "100Mbps", "  100   Mbps ", "+100 Mbps", "1e2 Mbps", "1E+2 Mbps", "100.0 Mbps"]
)
def test_ways_to_write_a_number(text):
    assert RATE.parse(text) == 100e6


def test_a_number_may_be_grouped():
    assert RATE.parse("1_000 kbps") == 1e6


@pytest.mark.parametrize("number", [100, 100.0, 0, -1, math.nan, math.inf])
def test_a_bare_number_has_no_unit(number):
    with pytest.raises(UnitError, match=r"has no unit; write for example '100 Mbps'"):
        RATE.parse(number)


@EVERY_QUANTITY
def test_a_text_without_a_unit_is_refused_with_an_example(quantity):
    with pytest.raises(UnitError, match=f"'100' has no unit; write for example '{quantity.example}'"):
        quantity.parse("100")


@EVERY_QUANTITY
def test_the_example_in_a_message_is_right(quantity):
    assert quantity.parse(quantity.example) > 0


@pytest.mark.parametrize(
    ("quantity", "text", "unit", "meant"),
    [
        (RATE, "100 Mbsp", "Mbsp", "Mbps"),
        (DURATION, "5 MS", "MS", "ms"),
        (COMPUTE, "11 TFLOP", "TFLOP", "TFLOPS"),
        (MEMORY_RATE, "51.2 GBs", "GBs", "GB/s"),
    ],
)
def test_an_unknown_unit_is_answered_with_the_nearest(quantity, text, unit, meant):
    with pytest.raises(UnitError) as caught:
        quantity.parse(text)
    assert f"'{unit}' is not a unit of {quantity.what}" in str(caught.value)
    assert f'did you mean "{meant}"?' in str(caught.value)
    assert f"allowed: {', '.join(quantity.units)}" in str(caught.value)


def test_a_unit_like_none_is_answered_with_all_of_them():
    with pytest.raises(UnitError) as caught:
        RATE.parse("100 furlongs")
    assert "did you mean" not in str(caught.value)
    assert "allowed: bps, kbps, Mbps, Gbps, Tbps" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["-1 Mbps", "0 Mbps", "1e400 Mbps", "1e999999 Mbps", "1e-308 bps", "0.9 bps", "1001 Tbps"]
)
def test_a_rate_has_bounds_which_the_error_names(text):
    bounds = "a bandwidth must be more than 0 and finite: from 1 bps to 1000 Tbps"
    with pytest.raises(UnitError, match=re.escape(f"'{text}': {bounds}")):
        RATE.parse(text)


@pytest.mark.parametrize("text", ["-1 ms", "1e400 s", "-1e400 s", "101000 d", "1e-16 s"])
def test_a_duration_has_bounds_which_the_error_names(text):
    bounds = "a duration must be at least 0 and finite: 0, or from 1e-15 s to 876000 h"
    with pytest.raises(UnitError, match=re.escape(f"'{text}': {bounds}")):
        DURATION.parse(text)


@EVERY_QUANTITY
@pytest.mark.parametrize("exponent", ["9" * 20, "-" + "9" * 20, "999999"])
def test_an_exponent_out_of_all_proportion_is_out_of_bounds(quantity, exponent):
    unit = next(iter(quantity.units))
    with pytest.raises(UnitError, match=f"a {quantity.what} must be"):
        quantity.parse(f"1e{exponent} {unit}")


@EVERY_QUANTITY
def test_a_text_of_any_length_is_refused_at_once_and_not_repeated(quantity):
    for text in ("9" * 200_000 + " s", f"1e{'9' * 400} s", "1 " + "s" * 10**6, "1 x" * 10**5):
        with pytest.raises(UnitError, match="characters is not a") as caught:
            quantity.parse(text)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("quantity", [COMPUTE, MEMORY_RATE])
def test_a_speed_is_more_than_zero(quantity):
    unit = next(iter(quantity.units))
    with pytest.raises(UnitError, match=f"a {quantity.what} must be more than 0 and finite"):
        quantity.parse(f"0 {unit}")


@pytest.mark.parametrize("value", ["inf Mbps", "nan Mbps", "", "Mbps", "fast", None, [100], b"100 Mbps"])
def test_what_is_no_quantity_is_refused_with_an_example(value):
    with pytest.raises(UnitError, match=r"is not a bandwidth; write for example '100 Mbps'"):
        RATE.parse(value)


def test_a_unit_error_is_a_value_error_and_one_of_ours():
    assert issubclass(UnitError, SlsimError)
    assert issubclass(UnitError, ValueError)


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (RATE, 100e6, "100 Mbps"),
        (RATE, 1e9, "1 Gbps"),
        (RATE, 999e6, "999 Mbps"),
        (RATE, 0.5, "0.5 bps"),
        (RATE, 12_345_678.0, "12.345678 Mbps"),
        (DURATION, 0.0, "0 s"),
        (DURATION, 0.005, "5 ms"),
        (DURATION, 90.0, "1.5 min"),
        (DURATION, 7_200.0, "2 h"),
        (COMPUTE, 35.6e12, "35.6 TFLOPS"),
        (MEMORY_RATE, 51.2e9, "51.2 GB/s"),
        (SIZE, 0.0, "0 B"),
        (SIZE, 1_500_000.0, "1.5 MB"),
    ],
)
def test_a_value_is_written_in_the_largest_unit_that_leaves_one(quantity, value, text):
    assert quantity.format(value) == text


@EVERY_QUANTITY
@PROPERTY
@given(data=st.data())
def test_reading_what_was_written_gives_exactly_the_value(quantity, data):
    value = data.draw(st.floats(quantity.low, quantity.high))
    assert quantity.parse(quantity.format(value)) == value


@EVERY_QUANTITY
@PROPERTY
@given(data=st.data())
def test_writing_what_was_read_keeps_exactly_the_value(quantity, data):
    unit = data.draw(st.sampled_from(sorted(quantity.units)))
    number = data.draw(st.decimals(min_value=1, max_value=1000, places=3).map(str))
    value = quantity.parse(f"{number} {unit}")
    assert value == pytest.approx(float(number) * quantity.units[unit], rel=1e-15)
    assert quantity.parse(quantity.format(value)) == value


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (RATE, 100e6, "100 Mbps"),
        (RATE, 1_234_567, "1.23 Mbps"),
        (RATE, 999.4e6, "999 Mbps"),
        (RATE, 5e15, "5,000 Tbps"),
        (RATE, 0.25, "0.25 bps"),
        (DURATION, 0.0051234, "5.12 ms"),
        (DURATION, 59.0, "59 s"),
        (DURATION, 60.0, "1 min"),
        (DURATION, 100.0, "1.67 min"),
        (DURATION, 36e6, "10,000 h"),
        (SIZE, 401_408, "401 kB"),
        (SIZE, 0, "0 B"),
    ],
)
def test_pretty_is_the_largest_fitting_unit_rounded(quantity, value, text):
    assert quantity.pretty(value) == text


def test_pretty_takes_a_number_of_figures():
    assert RATE.pretty(12_345_678, digits=5) == "12.346 Mbps"


def test_pretty_does_not_fall_below_a_unit_by_a_rounding_error():
    just_below = math.nextafter(1e-3, 0)
    assert DURATION.pretty(just_below) == "1 ms"


class Box(BaseModel):
    rate: Rate
    duration: Duration
    compute: Compute
    memory: MemoryRate


TEXTS = {"rate": "20 Mbps", "duration": "5 ms", "compute": "11 TFLOPS", "memory": "51.2 GB/s"}


def test_quantities_as_fields_are_read_and_written():
    box = Box.model_validate(TEXTS)
    assert (box.rate, box.duration, box.compute, box.memory) == (20e6, 0.005, 11e12, 51.2e9)
    assert box.model_dump(mode="json") == TEXTS


@pytest.mark.parametrize("name", TEXTS)
def test_a_field_without_its_unit_is_an_error(name):
    with pytest.raises(ValidationError, match="has no unit"):
        Box.model_validate({**TEXTS, name: 100})


@pytest.mark.parametrize(("field", "quantity"), [("rate", RATE), ("duration", DURATION)])
def test_the_schema_of_a_field_accepts_what_is_written(field, quantity):
    pattern = Box.model_json_schema()["properties"][field]["pattern"]
    for unit in quantity.units:
        assert re.search(pattern, f"1.5 {unit}")
    assert not re.search(pattern, "1.5")
    assert not re.search(pattern, "1.5 furlongs")


@pytest.mark.parametrize(
    ("word", "hint"), [("sparsitty", 'did you mean "sparsity"? '), ("SPARSITY", 'did you mean "sparsity"? ')]
)
def test_nearest_names_the_name_most_like_the_word(word, hint):
    assert nearest(word, ["bits", "sparsity"]) == hint


def test_nearest_is_silent_when_nothing_is_alike():
    assert nearest("qqq", ["bits", "sparsity"]) == ""


@pytest.mark.parametrize(("text", "value"), [("9 ms", 0.009), ("43 ms", 0.043), ("0.3 us", 3e-7)])
def test_a_value_is_the_nearest_float(text, value):
    assert DURATION.parse(text) == value


@pytest.mark.parametrize("text", ["1__0 Mbps", "1_ Mbps", "_1 Mbps"])
def test_grouping_underscores_stand_between_digits(text):
    with pytest.raises(UnitError):
        RATE.parse(text)


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        (RATE, 999.9e6, "1 Gbps"),
        (RATE, 999.4e6, "999 Mbps"),
        (DURATION, 0.9997, "1 s"),
        (RATE, 5e15, "5,000 Tbps"),
    ],
)
def test_pretty_rounds_into_the_next_unit(quantity, value, text):
    assert quantity.pretty(value) == text


def test_numpy_floats_are_formatted_like_floats():
    assert DURATION.format(np.float64(0.12345678901234568)) == "0.12345678901234568 s"


@pytest.mark.parametrize(
    ("unit", "hint"),
    [("MB", "'MB/s' is 8 Mbps;"), ("GiB", "'GiB/s' is 8.589934592 Gbps;"), ("Mbsp", 'did you mean "Mbps"?')],
)
def test_a_size_where_a_rate_is_due_is_told_with_the_value_that_it_would_have_a_second(
    unit: str, hint: str
) -> None:
    with pytest.raises(UnitError) as caught:
        RATE.parse(f"5 {unit}")
    assert hint in str(caught.value)
