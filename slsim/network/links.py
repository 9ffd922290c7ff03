"""What a network is described with: links, transfers, rate changes; and what a link has carried.

All of them are plain, frozen values, checked when they are made. Units: bits a second, seconds, bytes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from slsim.errors import NetworkError
from slsim.traces import Opportunities

Sharing = Literal["fair", "per_flow", "fifo"]
"""How the transfers on one link divide its rate; see `Link`."""


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a connection, or a medium that both directions contend for.

    `rate_bps` is in bit/s, `latency_s` is the one-way delay in seconds. `sharing` says who gets the rate:

    - `"fair"`: the transfers in flight share it max-min fairly;
    - `"per_flow"`: every transfer may use all of it, whatever the others do;
    - `"fifo"`: one transfer at a time, in the order in which they arrived at their route.

    `burst_bytes` is the bucket of a token-bucket shaper, such as Linux's tc tbf: full at time 0, it fills at
    the link's rate while the link is idle. A transfer that enters it takes the tokens that are
    there, up to its size: so many bytes of it this link does not limit.

    With `opportunities` the link has no rate (`rate_bps` is then their mean, for whoever wants to know):
    bytes pass at these instants only, up to so many at each, divided fairly among the transfers that wait or
    given to the first of them (`"fifo"`). A transfer passes the opportunity links of its route in their
    order, then flows over the other links, at most as far as it has passed.

    `role` says what the link is for, such as "uplink" (see `topology.build`); the model does not look at it.

    Raises NetworkError for a rate that is not > 0 and finite, a latency or a burst that is negative or not
    finite, an empty name, an unknown `sharing`, or opportunities with a burst or with `"per_flow"`.

    Example:
        >>> Link("cell", rate_bps=54e6, latency_s=0.002, sharing="fifo").role
        ''
    """

    name: str
    rate_bps: float
    latency_s: float = 0.0
    sharing: Sharing = "fair"
    burst_bytes: float = 0.0
    opportunities: Opportunities | None = None
    role: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise NetworkError("name(='') of a link must not be empty: routes refer to links by name.")
        check_rate("rate_bps", self.rate_bps, f"link {self.name!r}")
        _check_seconds("latency_s", self.latency_s, f"link {self.name!r}")
        if self.sharing not in get_args(Sharing):
            allowed = ", ".join(repr(sharing) for sharing in get_args(Sharing))
            raise NetworkError(f"sharing(={self.sharing!r}) of link {self.name!r} must be one of {allowed}.")
        if not (self.burst_bytes >= 0 and math.isfinite(self.burst_bytes)):
            raise NetworkError(
                f"burst_bytes(={self.burst_bytes!r}) of link {self.name!r} must be >= 0 bytes and finite."
            )
        if self.opportunities and (self.burst_bytes or self.sharing == "per_flow"):
            raise NetworkError(
                f"opportunities of link {self.name!r} go with sharing 'fair' or 'fifo', and without a burst."
            )


@dataclass(frozen=True, slots=True)
class Transfer:
    """One payload that crosses the links of `route`, in this order, and is sent at `start_s` (seconds).

    `rate_cap_bps` (bit/s) is the fastest this transfer can go on any link; None is no cap.

    Raises NetworkError for an empty route, a link that occurs twice in it, a number of bytes that is not a
    whole number >= 0, a start that is negative or not finite, or a cap that is not > 0 and finite.

    Example:
        >>> Transfer(route=("client 3", "cell"), num_bytes=62_742, start_s=0.5).rate_cap_bps is None
        True
    """

    route: tuple[str, ...]
    num_bytes: int
    start_s: float = 0.0
    rate_cap_bps: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "route", _checked_route(self.route))
        object.__setattr__(self, "num_bytes", self._checked_num_bytes())
        _check_seconds("start_s", self.start_s, f"the transfer over {self.route}")
        if self.rate_cap_bps is not None:
            check_rate("rate_cap_bps", self.rate_cap_bps, f"the transfer over {self.route}")

    def _checked_num_bytes(self) -> int:
        try:
            num_bytes = operator.index(self.num_bytes)
        except TypeError:
            num_bytes = -1
        if num_bytes < 0:
            raise NetworkError(
                f"num_bytes(={self.num_bytes!r}) of the transfer over {self.route} "
                "must be a whole number >= 0."
            )
        return num_bytes


@dataclass(frozen=True, slots=True)
class RateChange:
    """From `time_s` (seconds) on, the link named `link` has the rate `rate_bps` (bit/s).

    A rate of 0 is an outage: transfers on the link stand still until its rate changes again. Raises
    NetworkError for a time that is negative or not finite, or a rate that is not >= 0 and finite.

    Example:
        >>> RateChange(time_s=12.5, link="cell", rate_bps=0.0)  # an outage
        RateChange(time_s=12.5, link='cell', rate_bps=0.0)
    """

    time_s: float
    link: str
    rate_bps: float

    def __post_init__(self) -> None:
        _check_seconds("time_s", self.time_s, f"a rate change of link {self.link!r}")
        if not (self.rate_bps >= 0 and math.isfinite(self.rate_bps)):
            raise NetworkError(
                f"rate_bps(={self.rate_bps!r}) of the rate change of link {self.link!r} at {self.time_s} s "
                "must be >= 0 bit/s and finite."
            )


@dataclass(frozen=True, slots=True)
class LinkUsage:
    """What one link has done so far.

    `num_bytes` it has carried (a fraction while a byte is on its way), and `busy_s`, the seconds in which
    at least one transfer was under way on it, outages and waiting for opportunities included.
    `capacity_bytes` is what it could have carried in these seconds: its rate times their number (on a
    per-flow link, for every transfer), and the tokens taken from its bucket; of opportunities, what
    transfers have used of them. So `num_bytes` is at most that, and as much where no other limit holds its
    transfers.
    """

    num_bytes: float
    busy_s: float
    capacity_bytes: float


def check_link_exists(name: str, links: Collection[str], where: str) -> None:
    """Raise NetworkError unless `links`, the names of a network's links, has `name`.

    `where` says what refers to the link; it goes into the message.
    """
    if name in links:
        return
    close = get_close_matches(str(name), links, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    known = ", ".join(repr(link) for link in list(links)[:10]) + (", ..." if len(links) > 10 else "")
    raise NetworkError(
        f"link(={name!r}) of {where} is not in the network.{hint} Its {len(links)} links: {known}"
    )


def check_change(change: RateChange, links: Mapping[str, Link]) -> None:
    """Raise NetworkError unless `change` is of one of `links`, a network's by name, that has a rate."""
    check_link_exists(change.link, links, f"the rate change at {change.time_s} s")
    if links[change.link].opportunities:
        raise NetworkError(
            f"link(={change.link!r}) of the rate change at {change.time_s} s has opportunities, and no rate."
        )


def _checked_route(route: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(route, str):
        raise NetworkError(f"route(={route!r}) must be a tuple of link names, such as ({route!r},).")
    route = tuple(route)
    if not route:
        raise NetworkError("route(=()) must have at least one link.")
    for link in route:
        if route.count(link) > 1:
            raise NetworkError(f"route(={route}) must cross no link twice, but {link!r} is repeated.")
    return route


def check_rate(field: str, rate_bps: float, where: str) -> None:
    """Raise NetworkError unless `rate_bps` is > 0 and finite; it is the `field` of `where`."""
    if not (rate_bps > 0 and math.isfinite(rate_bps)):
        raise NetworkError(f"{field}(={rate_bps!r}) of {where} must be > 0 bit/s and finite.")


def _check_seconds(field: str, seconds: float, where: str) -> None:
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise NetworkError(f"{field}(={seconds!r}) of {where} must be >= 0 s and finite.")
