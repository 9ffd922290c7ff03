"""[network] of a scenario: the links between the clients and the server, and what runs over them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from slsim.scenario.choice import Table, TransportChoice
from slsim.scenario.rates import (
    SHORTEST_STEP_S,
    AccessRate,
    Latency,
    LinkClass,
    LinkRate,
    RateOrTrace,
    RateTable,
)
from slsim.units import DURATION, RATE, Duration, Size

LARGEST_LOSS = 0.1


class TreeLevel(Table):
    """One level of a tree between the clients and the server: access points, or what is behind them."""

    count: int = Field(
        strict=True,
        ge=1,
        le=100_000,
        description="How many there are. Those below are dealt out to them in turn.",
    )
    rate: RateOrTrace = Field(
        description="The rate of each, to the level above or of its medium, or a trace."
    )
    latency: Latency = Field(
        default="0 s", validate_default=True, description="The latency of every access link, one way."
    )
    duplex: Literal["full", "half"] = Field(
        "full", description="Whether both directions are served at once, or by one medium, as in Wi-Fi."
    )


class FramingTable(Table):
    """Every `segment` bytes of a payload travel with `header` bytes; "none" is a header of 0."""

    segment: int = Field(
        1448, strict=True, ge=1, le=65_535, description="The number of bytes of a payload in one packet."
    )
    header: int = Field(
        66,
        strict=True,
        ge=0,
        le=65_535,
        description="The number of bytes of the headers of Ethernet, IP and TCP on each packet.",
    )


class JitterTable(Table):
    """Access links' rates vary: every `every` each is drawn anew, evenly from rate × (1 ± `spread`)."""

    spread: float = Field(
        strict=True, gt=0, lt=1, description="How far rates vary: 0.2 is from 80 % to 120 % of the rate."
    )
    every: Duration = Field(description="How often rates are drawn anew.")

    @model_validator(mode="after")
    def _takes_time(self) -> JitterTable:
        if not self.every:
            raise ValueError("every must be more than 0 s")
        if self.every < SHORTEST_STEP_S:
            raise ValueError(
                f"every {DURATION.format(self.every)} each access link would be drawn {1 / self.every:,.0f} "
                "times a simulated second; at most a thousand are simulated: 1 ms or more"
            )
        return self


def _tree(value: object) -> object:
    """One level may stand without the list."""
    return [value] if isinstance(value, dict) else value


def _framing(value: object) -> object:
    return {"header": 0} if value == "none" else value


class NetworkTable(Table):
    """[network]: the links between the clients and the server, and what runs over them."""

    uplink: AccessRate = Field(
        default="100 Mbps",
        validate_default=True,
        description="The links from each client to the server: a rate, a trace, or classes.",
    )
    downlink: AccessRate = Field(
        default="100 Mbps", validate_default=True, description="The links from the server to each client."
    )
    latency: Latency = Field(
        default="2 ms", validate_default=True, description="The latency of every access link, one way."
    )
    sharing: Literal["dedicated", "shared", "fifo"] = Field(
        "dedicated",
        description="Whether each client has an uplink and a downlink of its own, or all share "
        "one of each, fairly or by one transfer at a time.",
    )
    medium: RateOrTrace | None = Field(
        None,
        description="A half-duplex medium that every transfer crosses, up or down, as in a "
        "Wi-Fi cell: a rate or a trace.",
    )
    access_points: Annotated[tuple[TreeLevel, ...], BeforeValidator(_tree)] = Field(
        (), description="A tree between clients and server: its levels, from the clients upward."
    )
    ingress: RateOrTrace | None = Field(
        None, description="The rate of the server's own link that all uploads share."
    )
    egress: RateOrTrace | None = Field(
        None, description="The rate of the server's own link that all downloads share."
    )
    transport: TransportChoice = Field(
        default="fluid", validate_default=True, description="The transport that uses the links."
    )
    framing: Annotated[FramingTable, BeforeValidator(_framing)] = Field(
        default_factory=dict, validate_default=True, description='The headers on the wire, or "none".'
    )
    burst: Size = Field(
        default="0 B",
        validate_default=True,
        description="The bytes that an access link lets pass at once after it was idle, as a "
        "shaper's bucket does.",
    )
    jitter: JitterTable | None = Field(None, description="A seeded variation of the access links' rates.")
    loss: float = Field(
        0.0,
        strict=True,
        ge=0,
        description="The share of packets that are lost, up to 0.1. It limits each transfer's rate.",
    )

    @field_validator("loss")
    @classmethod
    def _is_small(cls, loss: float) -> float:
        """Mathis et al. derive their formula for small losses, without timeouts; Padhye et al. (SIGCOMM 1998)
        measure that timeouts rule from a few percent on."""
        if loss > LARGEST_LOSS:
            raise ValueError(
                f"{loss!r} must be at most {LARGEST_LOSS:g}: what TCP keeps up is computed by a formula for "
                "small losses (Mathis et al. 1997), which leaves out the timeouts that rule beyond"
            )
        return loss

    @model_validator(mode="after")
    def _fits_together(self) -> NetworkTable:
        self._check_one_link_ones()
        one_for_all = self.sharing != "dedicated"
        for name in ("uplink", "downlink"):
            classes = self.access(name)
            if one_for_all and len(classes) > 1:
                raise ValueError(f'classes of {name}s need sharing = "dedicated": a shared link is one link')
            if self.burst and not all(one.has_rates for one in classes):
                raise ValueError(f"burst is of a shaper with a rate; the {name} follows a Mahimahi trace")
            if self.jitter and any(one.trace for one in classes):
                raise ValueError(f"jitter varies a constant rate; the {name} follows a trace")
            if self.loss and any(not self.latency_s(one) for one in classes):
                raise ValueError(
                    f"loss needs a latency above 0 s on every {name}: the rate that TCP keeps up under loss "
                    "is a segment a round trip, times 1.22 / √loss"
                )
        return self

    def _check_one_link_ones(self) -> None:
        """A folder of traces is dealt out, so it needs several links."""
        alone = {name: getattr(self, name) for name in ("medium", "ingress", "egress")}
        if self.sharing != "dedicated":
            alone |= {name: one for name in ("uplink", "downlink") for one in self.access(name)}
        for name, one in alone.items():
            if isinstance(one, RateTable) and len(one.files()) > 1:
                raise ValueError(f"{name} is one link, so it follows one trace: name one file of {one.trace}")

    def files(self) -> list[Path]:
        """Every file that this network reads (its traces), in order of first mention."""
        ends = (self.medium, self.ingress, self.egress, *(level.rate for level in self.access_points))
        tables = [*self.access("uplink"), *self.access("downlink")]
        tables += [one for one in ends if isinstance(one, RateTable)]  # type: ignore[misc]
        return list(dict.fromkeys(file for one in tables for file in one.files()))

    def access(self, name: Literal["uplink", "downlink"] | str) -> tuple[LinkClass, ...]:
        """The classes of access links of a direction, "uplink" or "downlink"."""
        value: LinkRate = getattr(self, name)
        return _one_class(value) if isinstance(value, float) else value

    def latency_s(self, link: LinkClass) -> float:
        """One way, in seconds."""
        return self.latency if link.latency is None else link.latency


@cache
def _one_class(rate_bps: float) -> tuple[LinkClass, ...]:
    return (LinkClass(rate=RATE.format(rate_bps)),)
