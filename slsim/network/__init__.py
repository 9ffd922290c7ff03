"""Links, and the transfers that share them: how long do these bytes take?

A `Network` is a pure-fluid model: a transfer waits the latency of its route, then flows at its max-min fair
share of the links until its last byte has arrived. Rates are in bit/s, times in seconds, sizes in bytes.
What needs SimPy is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from slsim import lazy
from slsim.network.links import Link, LinkUsage, RateChange, Sharing, Transfer

if TYPE_CHECKING:
    from slsim.network.flows import Flows
    from slsim.network.network import Network

__all__ = ["Flows", "Link", "LinkUsage", "Network", "RateChange", "Sharing", "Transfer"]

__getattr__ = lazy.attributes(__name__, {"flows": ("Flows",), "network": ("Network",)})
