"""[network] of a scenario: the links between the clients and the server, and what runs over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from slsim import traces
from slsim.errors import FaultsError, UnitError
from slsim.registry import faults_of
from slsim.scenario.choice import Table, TransportChoice, beside_scenario
from slsim.traces import Trace
from slsim.units import RATE, Duration, Rate, Size


class LinkClass(Table):
    """The access links of a share of the clients, in one direction."""

    rate: Rate | None = Field(None, description="the same at all times; or a trace:")
    trace: str | None = Field(None, description="a CSV or Mahimahi file of rates over time")
    period: Duration | None = Field(None, description="after which a CSV trace starts again")
    shift: Duration | None = Field(None, description="client k starts k times that into the trace")
    latency: Duration | None = Field(None, description="one way; left out: the network's")
    share: float = Field(1.0, strict=True, gt=0, le=1, description="of the clients; all add up to 1")

    @model_validator(mode="after")
    def _rate_or_trace(self) -> LinkClass:
        if (self.rate is None) == (self.trace is None):
            raise ValueError("a link has either a rate or a trace")
        if self.trace is None and (self.period is not None or self.shift is not None):
            raise ValueError("period and shift are of a trace")
        self.read_trace()
        return self

    def read_trace(self) -> Trace | None:
        """Its rates over time, None where the rate is constant. Raises `TraceError`."""
        return traces.read(Path(self.trace), self.period) if self.trace is not None else None


LinkRate = float | tuple[LinkClass, ...]


def _link_rate(value: object, info: ValidationInfo) -> LinkRate:
    """`"100 Mbps"`, `{ trace = "lte.csv" }`, or a list of `{ rate or trace, share }`."""
    if isinstance(value, (str, int, float)):
        return RATE.parse(value)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise UnitError(f"{value!r} is not a bandwidth; write for example {RATE.example!r}")
    classes = [_link_class(item, index, len(value), info) for index, item in enumerate(value)]
    total = sum(one.share for one in classes)
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares must add up to 1, they add up to {total:g}")
    if len(classes) == 1 and classes[0] == LinkClass(rate=RATE.format(classes[0].rate or 1)):
        assert classes[0].rate is not None
        return classes[0].rate
    return tuple(classes)


def _link_class(value: object, index: int, count: int, info: ValidationInfo) -> LinkClass:
    if not isinstance(value, dict):
        raise ValueError(f"each must be a table such as {{ rate = '5 Mbps', share = 0.3 }}, found {value!r}")
    if isinstance(value.get("trace"), str):
        value = {**value, "trace": str(beside_scenario(value["trace"], info))}
    try:
        return LinkClass.model_validate(value)
    except ValidationError as error:
        place = f"[{index}]" if count > 1 else ""
        raise FaultsError(fault.under(place) for fault in faults_of(error, LinkClass)) from None


def _link_rate_table(value: LinkRate) -> Any:
    if isinstance(value, float):
        return RATE.format(value)
    tables = [one.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for one in value]
    return tables if len(tables) > 1 else tables[0]


_LINK_CLASS_SCHEMA = LinkClass.model_json_schema()
_RATES_SCHEMA = [
    TypeAdapter(Rate).json_schema(),
    _LINK_CLASS_SCHEMA,
    {"type": "array", "items": _LINK_CLASS_SCHEMA, "minItems": 1},
]
AccessRate = Annotated[
    LinkRate,
    BeforeValidator(_link_rate),
    PlainSerializer(_link_rate_table),
    WithJsonSchema({"anyOf": _RATES_SCHEMA}),
]


class TreeLevel(Table):
    """One level of a tree between the clients and the server: access points, or what is behind them."""

    count: int = Field(strict=True, ge=1, description="how many; those below are dealt out to them in turn")
    rate: Rate = Field(description="of each, to the level above, or of its medium")
    latency: Duration = Field(default="0 s", validate_default=True, description="one way")
    duplex: Literal["full", "half"] = Field(
        "full", description="both directions at once, or one medium for both, as Wi-Fi is"
    )


class FramingTable(Table):
    """Every `segment` bytes of a payload travel with `header` bytes; "none" is a header of 0."""

    segment: int = Field(1448, strict=True, ge=1, description="bytes of a payload in one packet")
    header: int = Field(66, strict=True, ge=0, description="bytes of Ethernet, IP and TCP header on each")


class JitterTable(Table):
    """Access links' rates vary: every `every` each is drawn anew, evenly from rate × (1 ± `spread`)."""

    spread: float = Field(strict=True, gt=0, lt=1, description="0.2: between 80 % and 120 % of the rate")
    every: Duration = Field(description="how often")

    @model_validator(mode="after")
    def _takes_time(self) -> JitterTable:
        if not self.every:
            raise ValueError("every must be more than 0 s")
        return self


def _tree(value: object) -> object:
    """One level may stand without the list."""
    return [value] if isinstance(value, dict) else value


def _framing(value: object) -> object:
    return {"header": 0} if value == "none" else value


class NetworkTable(Table):
    """[network]: the links between the clients and the server, and what runs over them."""

    uplink: AccessRate = Field(
        default="100 Mbps", validate_default=True, description="client → server: a rate, a trace, or classes"
    )
    downlink: AccessRate = Field(default="100 Mbps", validate_default=True, description="server → client")
    latency: Duration = Field(default="2 ms", validate_default=True, description="one way")
    sharing: Literal["dedicated", "shared", "fifo"] = Field(
        "dedicated",
        description="an uplink and a downlink for each client; or one of each for all, shared fairly, or by "
        "one transfer at a time",
    )
    medium: Rate | None = Field(
        None, description="one half-duplex medium that every transfer crosses, up or down, as in a Wi-Fi cell"
    )
    access_points: Annotated[tuple[TreeLevel, ...], BeforeValidator(_tree)] = Field(
        (), description="a tree between clients and server: its levels, from the clients upward"
    )
    ingress: Rate | None = Field(None, description="of the server, shared by all uploads")
    egress: Rate | None = Field(None, description="of the server, shared by all downloads")
    transport: TransportChoice = Field(
        default="fluid", validate_default=True, description="what the links are used by"
    )
    framing: Annotated[FramingTable, BeforeValidator(_framing)] = Field(
        default_factory=dict, validate_default=True, description='headers on the wire, or "none"'
    )
    burst: Size = Field(
        default="0 B",
        validate_default=True,
        description="what an access link lets pass at once after it was idle, as a shaper's bucket does",
    )
    jitter: JitterTable | None = Field(None, description="seeded variation of the access links' rates")
    loss: float = Field(
        0.0, strict=True, ge=0, lt=1, description="share of packets lost: caps each transfer's rate"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkTable:
        one_for_all = self.sharing != "dedicated"
        for name in ("uplink", "downlink"):
            classes = self.access(name)
            if one_for_all and len(classes) > 1:
                raise ValueError(f'classes of {name}s need sharing = "dedicated": a shared link is one link')
            if self.jitter and any(one.trace for one in classes):
                raise ValueError(f"jitter varies a constant rate; the {name} follows a trace")
            if self.loss and any(not self.latency_s(one) for one in classes):
                raise ValueError(
                    f"loss needs a latency above 0 s on every {name}: the rate that TCP keeps up under loss "
                    "is a segment a round trip, times 1.22 / √loss"
                )
        return self

    def access(self, name: Literal["uplink", "downlink"] | str) -> tuple[LinkClass, ...]:
        """The classes of access links of a direction, "uplink" or "downlink"."""
        value: LinkRate = getattr(self, name)
        return (LinkClass(rate=RATE.format(value)),) if isinstance(value, float) else value

    def latency_s(self, link: LinkClass) -> float:
        """One way, in seconds."""
        return self.latency if link.latency is None else link.latency


def only_rates(values: Sequence[object]) -> bool:
    """Whether all of these values of `uplink` or `downlink`, as a scenario writes them, are plain rates."""
    return all(isinstance(value, str) and _is_rate(value) for value in values)


def _is_rate(text: str) -> bool:
    try:
        RATE.parse(text)
    except UnitError:
        return False
    return True
