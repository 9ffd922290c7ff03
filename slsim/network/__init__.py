"""Links, and the transfers that share them: how long do these bytes take?

A `Network` is a pure-fluid model: a transfer waits the latency of its route, then flows at its max-min fair
share of the links until its last byte has arrived. Rates are in bit/s, times in seconds, sizes in bytes.
"""

from slsim.network.flows import Flows
from slsim.network.links import Link, LinkUsage, RateChange, Sharing, Transfer
from slsim.network.network import Network

__all__ = ["Flows", "Link", "LinkUsage", "Network", "RateChange", "Sharing", "Transfer"]
