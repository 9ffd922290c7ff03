"""Quantities with units: "100 Mbps" → bit/s, "5 ms" → s, and back for printing.

Prefixes are powers of ten (Mbps is 10⁶ bit/s, MB is 10⁶ bytes); Ki, Mi, Gi, … are powers of 1024. Bits and
bytes have their value however they are spelled: "12.5 MB/s", "100 Mbit/s" and "100 mbps" are one bandwidth;
a spelling that people use for both ("mb/s", "MBPS") is refused. A bare number where a unit is due is an
error, and so is a value outside the bounds of its quantity. `Rate`, `Duration`, `Compute`, `MemoryRate`
and `Size` are the same quantities as field types of pydantic models.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from slsim.errors import UnitError

_NUMBER_AND_UNIT = re.compile(
    r"\s*([+-]?(?:[0-9]+(?:_[0-9]+)*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([^\W\d_].*?)?\s*"
)
_PER = re.compile(r"\s*/\s*|\s+per\s+")  # as in "bits per second"
_LONGEST = 100  # characters of a quantity, its unit included


def number_and_unit(text: str) -> tuple[str, str | None] | None:
    """Return the number and the unit of `text` as they are spelled, the unit None where there is none; None
    where `text` is no number."""
    match = _NUMBER_AND_UNIT.fullmatch(text) if len(text) <= _LONGEST else None
    return (match[1], match[2]) if match else None


def nearest(word: str, allowed: Iterable[str], shown: Mapping[str, str] | None = None) -> str:
    """`did you mean "…"? ` for the allowed name most like `word`; an empty string if none is alike. A name is
    told as `shown` has it."""
    names = {name.lower(): name for name in allowed}
    begins = [name for name in names if len(word) > 2 and name.startswith(word.lower())]
    match = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6) or begins
    if not match:
        return ""
    name = names[match[0]]
    return f'did you mean "{(shown or {}).get(name, name)}"? '


def _scaled(number: str, scale: float) -> float:
    """The float nearest to number · scale: "9", 1e-3 → 0.009, whatever 9 * 1e-3 is in floats. NaN where the
    exponent is out of all proportion."""
    try:
        return float(Decimal(number) * Decimal(repr(scale)))
    except ArithmeticError:
        return math.nan


@dataclass(frozen=True)
class Quantity:
    """One kind of quantity: how it is called, its units in ascending order, an example, and its bounds.

    `spelling` is the pattern of every unit that is read, and `scale` gives the value of one in base units;
    `units` are those that are written. `unclear` is the pattern of spellings that mean different units to
    different people.
    """

    what: str
    units: Mapping[str, float]
    example: str
    low: float
    high: float
    spelling: str
    scale: Callable[[str], float]
    unclear: str = "(?!)"
    zero_allowed: bool = False

    def parse(self, text: object) -> float:
        """The value of `text` in the base unit (bit/s, s, FLOP/s, byte/s, byte).

        Raises `UnitError` when the unit is missing, unknown or unclear, or the value is outside the bounds.

        Example:
            >>> RATE.parse("12.5 MB/s"), DURATION.parse("5 ms"), SIZE.parse("4 kB")
            (100000000.0, 0.005, 4000.0)
        """
        if isinstance(text, str) and len(text) > _LONGEST:
            raise UnitError(
                f"{text[:20]!r}… of {len(text):,} characters is not a {self.what}; "
                f"write for example {self.example!r}"
            )
        match = _NUMBER_AND_UNIT.fullmatch(text) if isinstance(text, str) else None
        if match is None and not isinstance(text, (int, float)):
            raise UnitError(f"{text!r} is not a {self.what}; write for example {self.example!r}")
        if match is None or not match[2]:
            raise UnitError(f"{text!r} has no unit; write for example {self.example!r}")
        number, unit = match[1], match[2]
        value = _scaled(number, self.unit_value(unit))
        if not (self.low <= value <= self.high or (value == 0 and self.zero_allowed)):
            least = "at least 0" if self.zero_allowed else "more than 0"
            raise UnitError(
                f"{text!r}: a {self.what} must be {least} and finite: {'0, or ' if self.zero_allowed else ''}"
                f"from {self.format(self.low)} to {self.format(self.high)}"
            )
        return value

    def unit_value(self, unit: str) -> float:
        """One `unit`, in any spelling, in base units. Raises `UnitError` for an unknown or unclear one."""
        if unit in self.units:
            return self.units[unit]
        unit_spelled = _PER.sub("/", unit)
        if re.fullmatch(self.spelling, unit_spelled):
            return self.scale(unit_spelled)
        if re.fullmatch(self.unclear, unit_spelled):
            bits, many_bytes = _both_readings(unit_spelled)
            raise UnitError(
                f"{unit!r} is not a clear unit of {self.what}: write {bits!r} or {many_bytes!r} "
                "(8 times as much), whichever is meant"
            )
        known = ", ".join(self.units)
        raise UnitError(f"{unit!r} is not a unit of {self.what}; {self._hint(unit)}allowed: {known}")

    def _hint(self, unit: str) -> str:
        """What may have been meant by `unit`: the nearest name, or the unit a second where that is other."""
        near, a_second = nearest(unit, self.units), f"{_PER.sub('/', unit)}/s"
        if re.fullmatch(self.spelling, a_second):
            value = self.format(self.scale(a_second))
            return near if value.removeprefix("1 ") in near else f"{a_second!r} is {value}; "
        return near

    def format(self, value: float) -> str:
        """`value` in the largest unit that leaves at least 1, such that `parse` gives it back exactly."""
        value = float(value)
        base = min(self.units, key=lambda unit: abs(self.units[unit] - 1))
        for unit, scale in sorted(self.units.items(), key=lambda item: -item[1]):
            text = f"{value / scale:.12g}"
            if value >= scale and _scaled(text, scale) == value:
                return f"{text} {unit}"
        return f"{value!r} {base}" if value else f"0 {base}"

    def pretty(self, value: float, digits: int = 3) -> str:
        """`value` for a reader: the largest unit that leaves at least 1, rounded to `digits` figures."""
        fitting = [unit for unit, scale in self.units.items() if value >= scale * (1 - 1e-9)]
        unit = max(fitting, key=lambda name: self.units[name], default=next(iter(self.units)))
        scaled = float(f"{value / self.units[unit]:.{digits}g}")
        if scaled < 10**digits:
            return f"{scaled:g} {unit}"
        larger = [name for name, scale in self.units.items() if scale == 1000 * self.units[unit]]
        return f"1 {larger[0]}" if larger else f"{value / self.units[unit]:,.0f} {unit}"


_DECIMAL = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_PREFIXES = {
    "": 1.0,
    **_DECIMAL,
    "K": 1e3,
    **{letter.lower(): scale for letter, scale in _DECIMAL.items()},
    **dict(zip(("kilo", "mega", "giga", "tera", "peta"), _DECIMAL.values(), strict=True)),
    **dict(zip(("Kilo", "Mega", "Giga", "Tera", "Peta"), _DECIMAL.values(), strict=True)),
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", start=1)},
}
_ANY_PREFIX = f"{'|'.join(sorted(filter(None, _PREFIXES), key=len, reverse=True))}"
_SURE_PREFIX = "[KMGTP]i|[kKMGTP]"  # before a single letter "m" is no mega
_WORD = "[Bb][Ii][Tt][Ss]?|[Bb][Yy][Tt][Ee][Ss]?"
_PER_SECOND = "(?:ps|/s|/sec|/second)"
_BITS_PER_SECOND = (
    f"(?:({_ANY_PREFIX})?({_WORD})|({_SURE_PREFIX})?(b|B)){_PER_SECOND}|([mgtp])(b)ps"  # "mbps" is common
)
_BYTES = f"({_ANY_PREFIX})?({_WORD})|({_SURE_PREFIX})?(B)"
_FLOPS = f"({_ANY_PREFIX})?[Ff][Ll][Oo][Pp](?:[Ss]|{_PER_SECOND})"
_SECONDS = {
    1e-9: "ns nsec nanosecond nanoseconds",
    1e-6: "us \u00b5s \u03bcs usec microsecond microseconds",  # both characters that look like µ
    1e-3: "ms msec millisecond milliseconds",
    1.0: "s sec secs second seconds",
    60.0: "min mins minute minutes",
    3600.0: "h hr hrs hour hours",
    86400.0: "d day days",
}
_OF_TIME = {name: scale for scale, names in _SECONDS.items() for name in names.split()}


def _bits(unit: str, pattern: str) -> float:
    """The bits in one `unit` that `pattern` matches, such as "MB/s" or "mebibytes"."""
    match = re.fullmatch(pattern, unit)
    assert match is not None
    *prefix, what = [part for part in match.groups() if part]
    is_bytes = what == "B" or what.lower().startswith("by")
    return _PREFIXES["".join(prefix)] * (8 if is_bytes else 1)


def _flops(unit: str) -> float:
    match = re.fullmatch(_FLOPS, unit)
    assert match is not None
    return _PREFIXES[match[1] or ""]


def _both_readings(unit: str) -> tuple[str, str]:
    """What an unclear unit may be: in bits, and in bytes."""
    prefix = unit[: unit.lower().index("b")].upper().replace("I", "i")
    prefix = "k" if prefix == "K" else prefix
    per_second = "" if unit.lower().endswith("b") else "/s"
    return f"{prefix}bit{per_second}", f"{prefix}B{per_second}"


RATE = Quantity(
    "bandwidth",
    {"bps": 1.0, "kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9, "Tbps": 1e12},
    "100 Mbps",
    1.0,
    1e15,
    _BITS_PER_SECOND,
    lambda unit: _bits(unit, _BITS_PER_SECOND),
    "(?i:[kmgtp]?i?b(?:ps|/s|/sec|/second))",
)
DURATION = Quantity(
    "duration",
    {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "5 ms",
    1e-15,
    100 * 365 * 24 * 3600.0,
    "|".join(_OF_TIME),
    lambda unit: _OF_TIME[unit],
    zero_allowed=True,
)
COMPUTE = Quantity(
    "computing speed",
    {"FLOPS": 1.0, "kFLOPS": 1e3, "MFLOPS": 1e6, "GFLOPS": 1e9, "TFLOPS": 1e12, "PFLOPS": 1e15},
    "11 TFLOPS",
    1.0,
    1e21,
    _FLOPS,
    _flops,
)
MEMORY_RATE = Quantity(
    "memory bandwidth",
    {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12},
    "51.2 GB/s",
    1.0,
    1e18,
    _BITS_PER_SECOND,
    lambda unit: _bits(unit, _BITS_PER_SECOND) / 8,
    RATE.unclear,
)
SIZE = Quantity(
    "size",
    {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    "4 MB",
    1.0,
    1e18,
    _BYTES,
    lambda unit: _bits(unit, _BYTES) / 8,
    "(?i:[kmgtp]?i?b)",
    zero_allowed=True,
)


QUANTITIES = (RATE, DURATION, SIZE, COMPUTE, MEMORY_RATE)


def _field(quantity: Quantity) -> tuple[Any, ...]:
    schema = {
        "type": "string",
        "pattern": rf"^\s*[0-9.eE+_-]+\s*(?:{quantity.spelling})\s*$",
        "examples": [quantity.example],
        "description": f"A {quantity.what} with its unit: {', '.join(quantity.units)} and their like.",
    }
    return (BeforeValidator(quantity.parse), PlainSerializer(quantity.format), WithJsonSchema(schema))


Rate = Annotated[float, *_field(RATE)]
Duration = Annotated[float, *_field(DURATION)]
Compute = Annotated[float, *_field(COMPUTE)]
MemoryRate = Annotated[float, *_field(MEMORY_RATE)]
Size = Annotated[float, *_field(SIZE)]
