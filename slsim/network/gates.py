"""Opportunity links: bytes pass at single instants, not at a rate.

At each opportunity the transfers that wait at the link divide its bytes max-min fairly, in whole bits. A
transfer passes the opportunity links of its route in their order; what has passed the last of them flows on
over the route's other links, at a rate. So an opportunity link never limits a flow that is on its way: it
says how many bits of the flow may be on their way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from slsim.network.state import FlowState, LinkState
from slsim.traces import Opportunities

_SLACK_S = 1e-9  # times are floats: whoever comes so much later than an opportunity still uses it


class Gate:
    """What an opportunity link may let pass at this instant. `is_awaited`: an event is scheduled for the
    next opportunity."""

    __slots__ = ("_instant_s", "_next", "_open_bits", "_opportunities", "is_awaited")

    def __init__(self, opportunities: Opportunities) -> None:
        self._opportunities = opportunities
        self._next = 0  # the first opportunity that has not been used or lost
        self._instant_s = -1.0
        self._open_bits = 0  # at _instant_s
        self.is_awaited = False

    def next_s(self) -> float:
        """When the first opportunity is after those of this instant, in seconds."""
        return self._opportunities.time_s(self._next)

    def let_pass(self, link: LinkState, now_s: float) -> list[FlowState]:
        """The flows of `link` that get further at this instant, which `LinkState.passed` counts."""
        self._open(now_s)
        waiting = [flow for flow in link.flowing if link.wanted(flow)]
        further = []
        for flow, bits in zip(
            waiting, shared([link.wanted(f) for f in waiting], self._open_bits), strict=True
        ):
            if bits:
                self._open_bits -= bits
                link.let_pass(flow, bits)
                further.append(flow)
        return further

    def _open(self, now_s: float) -> None:
        if now_s != self._instant_s:
            self._instant_s, self._open_bits = now_s, 0
        slack_s = max(_SLACK_S, 4 * math.ulp(now_s))
        self._next = max(self._next, self._opportunities.first_from(now_s - slack_s))
        while self.next_s() <= now_s + slack_s:
            self._open_bits += 8 * self._opportunities.num_bytes
            self._next += 1


def shared(wanted: Sequence[int], bits: int) -> Iterable[int]:
    """Max-min fair shares of `bits`, in whole bits, for those who want so many."""
    shares = [0] * len(wanted)
    left = len(wanted)
    for place in sorted(range(len(wanted)), key=wanted.__getitem__):
        shares[place] = min(wanted[place], bits // left)
        bits -= shares[place]
        left -= 1
    return shares
