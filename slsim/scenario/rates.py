"""Rates of links in a scenario: a constant, a trace of rates over time, or classes of clients that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from slsim import traces
from slsim.errors import FaultsError, UnitError
from slsim.registry import faults_of
from slsim.scenario import shares
from slsim.scenario.choice import Table, beside_scenario
from slsim.traces import Form, Opportunities, Trace
from slsim.units import DURATION, RATE, Duration, Rate

LONGEST_LATENCY_S = 3600.0
SHORTEST_STEP_S = 1e-3  # of what happens again and again: at most a thousand events a second for each link


def _a_latency(seconds: float) -> float:
    if seconds > LONGEST_LATENCY_S:
        raise ValueError(f"a latency must be at most 1 h, found {DURATION.format(seconds)}")
    return seconds


Latency = Annotated[Duration, AfterValidator(_a_latency)]


class RateTable(Table):
    """The rate of a link: the same at all times, or from a trace."""

    rate: Rate | None = Field(
        None, description="A rate that is the same at all times. A trace may stand instead."
    )
    trace: str | None = Field(
        None,
        description="A file of rates over time, or a folder of such files, sorted by name and "
        "dealt out: client (or access point) k gets file k mod their number.",
    )
    format: Literal["csv", "seconds-mbps", "mahimahi"] | None = Field(
        None, description="The format of the trace. Left out, its content tells it."
    )
    column: str | None = Field(
        None, description="The name of the column to use, of a table with several rates."
    )
    unit: str | None = Field(
        None, description='The unit of rates in a table that does not say it, such as "kbps".'
    )
    time: str | None = Field(None, description="The name of the column of times, where it is not plain.")
    time_unit: str | None = Field(
        None, description='The unit of times in a table that does not say it, such as "ms".'
    )
    where: dict[str, str | int | float] | None = Field(
        None, description="Only lines with these values in these columns count, such as { run_num = 1 }."
    )
    period: Duration | None = Field(None, description="The time after which a trace of rates starts again.")
    shift: Duration | None = Field(
        None, description="Client (or access point) k starts k times this into the trace."
    )
    _traces: tuple[Trace | Opportunities, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _rate_or_trace(self) -> RateTable:
        if (self.rate is None) == (self.trace is None):
            raise ValueError("a link has either a rate or a trace")
        about_traces = ("format", "column", "unit", "time", "time_unit", "where", "period", "shift")
        given = [name for name in about_traces if getattr(self, name) is not None]
        if self.trace is None and given:
            raise ValueError(f"{', '.join(given)}: these are of a trace")
        if self.period is not None and self.period < SHORTEST_STEP_S:
            raise ValueError(f"period: a trace may start again after 1 ms or more, not {self.period:g} s")
        where = tuple((self.where or {}).items())
        form = Form(self.format, self.column, self.time, self.unit, self.time_unit, where)
        self._traces = tuple(traces.read(file, self.period, form) for file in self.files())
        return self

    def files(self) -> list[Path]:
        """The trace's file, or those of its folder; none where the rate is constant."""
        return traces.files_at(Path(self.trace)) if self.trace is not None else []

    @property
    def has_rates(self) -> bool:
        """Whether there is a rate at every time: no trace is of opportunities."""
        return not any(isinstance(trace, Opportunities) for trace in self._traces)

    def trace_of(self, number: int) -> Trace | Opportunities | None:
        """The trace that a client (or access point) of that number follows, as its file was when the scenario
        was read; None where the rate is constant."""
        return self._traces[number % len(self._traces)] if self._traces else None

    @property
    def best_bps(self) -> float:
        """The highest rate that it ever has, in bit/s; inf for opportunities, which take no time."""
        return max((trace.best_bps for trace in self._traces), default=self.rate or 0.0)


class LinkClass(RateTable):
    """The access links of a share of the clients, in one direction."""

    latency: Latency | None = Field(
        None, description="The latency one way. It is the network's where this is left out."
    )
    share: float | None = Field(None, strict=True, gt=0, le=1, description=shares.MEANING)


T = TypeVar("T", bound=RateTable)
LinkRate = float | tuple[LinkClass, ...]
"""Of access links: one rate for all clients, or classes of them."""


def _link_rate(value: object, info: ValidationInfo) -> LinkRate:
    """`"100 Mbps"`, `{ trace = "lte.csv" }`, or a list of `{ rate or trace, share }`."""
    if isinstance(value, (str, int, float)):
        return RATE.parse(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise UnitError(f"{value!r} is not a bandwidth; write for example {RATE.example!r}")
    places = [f"[{index}]" if len(value) > 1 else "" for index in range(len(value))]
    classes = [_rate_table(LinkClass, item, info, place) for item, place in zip(value, places, strict=True)]
    shares.check([one.share for one in classes])
    only = classes[0]
    if len(classes) == 1 and only.rate is not None and only.latency is None:
        return only.rate
    return tuple(classes)


def _rate_or_trace(value: object, info: ValidationInfo) -> float | RateTable:
    """`"100 Mbps"`, or `{ trace = "lte.csv" }`."""
    if not isinstance(value, dict):
        return RATE.parse(value)
    table = _rate_table(RateTable, value, info, "")
    return table if table.rate is None else table.rate


def _rate_table(cls: type[T], value: object, info: ValidationInfo, place: str) -> T:
    if not isinstance(value, dict):
        raise ValueError(f"each must be a table such as {{ rate = '5 Mbps', share = 0.3 }}, found {value!r}")
    if isinstance(value.get("trace"), str):
        value = {**value, "trace": str(beside_scenario(value["trace"], info))}
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise FaultsError(fault.under(place) for fault in faults_of(error, cls)) from None


def _written(value: float | RateTable) -> Any:
    if isinstance(value, float):
        return RATE.format(value)
    return value.model_dump(mode="json", exclude_none=True)


def _written_classes(value: LinkRate) -> Any:
    if isinstance(value, float):
        return RATE.format(value)
    tables = [_written(one) for one in value]
    return tables if len(tables) > 1 else tables[0]


_RATE_SCHEMA = TypeAdapter(Rate).json_schema()
_CLASS_SCHEMA = LinkClass.model_json_schema()
_CLASSES_SCHEMA = {"type": "array", "items": _CLASS_SCHEMA, "minItems": 1}
AccessRate = Annotated[
    LinkRate,
    BeforeValidator(_link_rate),
    PlainSerializer(_written_classes),
    WithJsonSchema({"anyOf": [_RATE_SCHEMA, _CLASS_SCHEMA, _CLASSES_SCHEMA]}),
]
RateOrTrace = Annotated[
    float | RateTable,
    BeforeValidator(_rate_or_trace),
    PlainSerializer(_written),
    WithJsonSchema({"anyOf": [_RATE_SCHEMA, RateTable.model_json_schema()]}),
]


def rewrite_traces(value: Any, place_of: Callable[[str], str]) -> Any:
    """`value`, any part of a scenario as its file writes it, with `place_of(trace)` for each trace that it
    names: what a study needs that carries its traces along."""
    if isinstance(value, dict):
        return {
            key: place_of(item)
            if key == "trace" and isinstance(item, str)
            else rewrite_traces(item, place_of)
            for key, item in value.items()
        }
    return [rewrite_traces(item, place_of) for item in value] if isinstance(value, list) else value


def only_rates(values: Sequence[object]) -> bool:
    """Whether all of these values of `uplink` or `downlink`, as a scenario writes them, are plain rates."""
    return all(isinstance(value, str) and _is_rate(value) for value in values)


def _is_rate(text: str) -> bool:
    try:
        RATE.parse(text)
    except UnitError:
        return False
    return True
