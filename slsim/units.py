"""Quantities with units: "100 Mbps" → bit/s, "5 ms" → s, and back for printing.

Prefixes are powers of ten (Mbps is 10⁶ bit/s, MB is 10⁶ bytes). A bare number where a unit is due is an
error. `Rate`, `Duration`, `Compute`, `MemoryRate`
and `Size` are the same quantities as field types of pydantic models.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from slsim.errors import UnitError

_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*")


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`did you mean "…"? ` for the allowed name most like `word`; an empty string if none is alike."""
    names = {name.lower(): name for name in allowed}
    begins = [name for name in names if len(word) > 2 and name.startswith(word.lower())]
    match = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6) or begins
    return f'did you mean "{names[match[0]]}"? ' if match else ""


def _scaled(number: str, scale: float) -> float:
    """The float nearest to number · scale: "9", 1e-3 → 0.009, whatever 9 * 1e-3 is in floats; infinity where
    it is beyond them."""
    try:
        return float(Decimal(number) * Decimal(repr(scale)))
    except ArithmeticError:  # an exponent of a million
        return math.inf


@dataclass(frozen=True)
class Quantity:
    """One kind of quantity: how it is called, its units in ascending order, and an example."""

    what: str
    units: Mapping[str, float]
    example: str
    zero_allowed: bool = False

    def parse(self, text: object) -> float:
        """The value of `text` in the base unit (bit/s, s, FLOP/s, byte/s, byte).

        Raises `UnitError` when the unit is missing or unknown, or the value is not finite, negative, or
        zero where that makes no sense.
        """
        match = _NUMBER_AND_UNIT.fullmatch(text) if isinstance(text, str) else None
        if match is None and not isinstance(text, (int, float)):
            raise UnitError(f"{text!r} is not a {self.what}; write for example {self.example!r}")
        if match is None or not match[2]:
            raise UnitError(f"{text!r} has no unit; write for example {self.example!r}")
        number, unit = match.groups()
        if unit not in self.units:
            raise UnitError(
                f"{unit!r} is not a unit of {self.what}; {nearest(unit, self.units)}"
                f"allowed: {', '.join(self.units)}"
            )
        value = _scaled(number, self.units[unit])
        if not math.isfinite(value) or value < 0 or (value == 0 and not self.zero_allowed):
            bound = "at least 0" if self.zero_allowed else "more than 0"
            raise UnitError(f"{text!r}: a {self.what} must be {bound} and finite")
        return value

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


RATE = Quantity("bandwidth", {"bps": 1.0, "kbps": 1e3, "Mbps": 1e6, "Gbps": 1e9, "Tbps": 1e12}, "100 Mbps")
DURATION = Quantity(
    "duration",
    {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "5 ms",
    zero_allowed=True,
)
COMPUTE = Quantity(
    "computing speed",
    {"FLOPS": 1.0, "kFLOPS": 1e3, "MFLOPS": 1e6, "GFLOPS": 1e9, "TFLOPS": 1e12, "PFLOPS": 1e15},
    "11 TFLOPS",
)
MEMORY_RATE = Quantity(
    "memory bandwidth", {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12}, "51.2 GB/s"
)
SIZE = Quantity("size", {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}, "4 MB", zero_allowed=True)


def _field(quantity: Quantity) -> tuple[Any, ...]:
    units = "|".join(re.escape(unit) for unit in quantity.units)
    schema = {
        "type": "string",
        "pattern": rf"^\s*[0-9.eE+_-]+\s*({units})\s*$",
        "examples": [quantity.example],
        "description": f"A {quantity.what} with its unit: {', '.join(quantity.units)}",
    }
    return (BeforeValidator(quantity.parse), PlainSerializer(quantity.format), WithJsonSchema(schema))


Rate = Annotated[float, *_field(RATE)]
Duration = Annotated[float, *_field(DURATION)]
Compute = Annotated[float, *_field(COMPUTE)]
MemoryRate = Annotated[float, *_field(MEMORY_RATE)]
Size = Annotated[float, *_field(SIZE)]
