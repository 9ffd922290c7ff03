"""The swept numbers of a plan: what a time to target, a speed-up or a crossover may be drawn over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slsim.errors import UnitError
from slsim.scenario.keys import value_at
from slsim.scenario.plan import Case
from slsim.units import COMPUTE, DURATION, MEMORY_RATE, RATE, SIZE, Quantity, number_and_unit

SUFFIXES: tuple[tuple[Quantity, str], ...] = (
    (RATE, "bps"),
    (DURATION, "s"),
    (SIZE, "bytes"),
    (COMPUTE, "flops"),
    (MEMORY_RATE, "bytes_per_s"),
)


@dataclass(frozen=True)
class Axis:
    """A swept key whose value is a plain number, or a quantity, in every case.

    `column` is what tables call it, with the suffix of its unit: "uplink_bps". `is_whole` says that all its
    values are whole numbers, `is_learned` that another value needs another training.
    """

    key: str
    column: str
    quantity: Quantity | None = field(hash=False)
    is_whole: bool
    is_learned: bool

    def value(self, case: Case) -> float:
        """The number in a case, in base units (bit/s, s, byte, FLOP/s, byte/s)."""
        given = (
            case.values[self.key] if self.key in case.values else value_at(case.scenario.table(), self.key)
        )
        return float(given) if self.quantity is None else self.quantity.parse(given)

    def pretty(self, value: float) -> str:
        """`value` for a reader: "287 Mbps", "0.05"."""
        if self.quantity is not None:
            return self.quantity.pretty(value)
        return f"{value:,.0f}" if self.is_whole and value == int(value) else f"{value:.4g}"

    def text(self, value: float) -> str | float | int:
        """`value` as a scenario file writes it."""
        if self.quantity is not None:
            return self.quantity.format(value)
        return round(value) if self.is_whole else value


def axes(cases: Sequence[Case]) -> tuple[Axis, ...]:
    """The axes of `cases`, in the order of their sweep. A key is none where one value is the same in all of
    them, a component, a table, a trace or text without a number."""
    keys = cases[0].values if cases else ()
    found = (_axis(key, [case.values.get(key) for case in cases], cases[0]) for key in keys)
    return tuple(axis for axis in found if axis is not None)


def _axis(key: str, values: Sequence[Any], case: Case) -> Axis | None:
    quantity = None
    if not all(map(_is_number, values)):
        quantity = quantity_of(values)
        if quantity is None:
            return None
    axis = Axis(
        key,
        _column(key, quantity),
        quantity,
        is_whole=all(isinstance(value, int) for value in values),
        is_learned=_is_in(case.scenario.learning_table(), key),
    )
    numbers = {float(value) if quantity is None else quantity.parse(value) for value in values}
    return axis if len(numbers) > 1 else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def quantity_of(values: Sequence[object]) -> Quantity | None:
    """The quantity that all `values` are of, in units as a resolved scenario writes them, or None."""
    found = [number_and_unit(value) if isinstance(value, str) else None for value in values]
    units = [one[1] if one else None for one in found]
    for quantity, _ in SUFFIXES:
        if all(unit in quantity.units for unit in units):
            try:
                for value in values:
                    quantity.parse(value)
            except UnitError:
                return None
            return quantity
    return None


def _column(key: str, quantity: Quantity | None) -> str:
    name = key.removeprefix("network.").replace(".", "_").replace("-", "_")
    suffix = next((suffix for other, suffix in SUFFIXES if other is quantity), None)
    return name if suffix is None else f"{name}_{suffix}"


def _is_in(table: Mapping[str, Any], key: str) -> bool:
    try:
        value_at(table, key)
    except (KeyError, TypeError):
        return False
    return True
