"""The names of what is sent and done: message kinds, phases, and the group of each phase.

Both are open sets: a protocol may send a kind, or spend time in a phase, that is not listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

ACTIVATIONS, LABELS, GRADIENTS = "activations", "labels", "gradients"
FEATURES, FEATURE_GRADIENTS = "features", "feature gradients"  # between the server and a head on the client
WEIGHTS = "weights"
STATISTICS = "statistics"  # beside weights: what is no weight (running statistics, counters), exactly
CLIENT_GRADIENTS = "client gradients"  # of the clients' own weights, exchanged to be averaged
CODEC_UPDATES = "codec updates"  # what one end of a codec has learned and tells the other

# Which of a scenario's codecs carries a message, by its kind. Other kinds are sent as they are.
CODEC_OF: Mapping[str, str] = {
    ACTIVATIONS: "uplink",
    GRADIENTS: "downlink",
    FEATURES: "head_downlink",
    FEATURE_GRADIENTS: "head_uplink",
    WEIGHTS: "weights",
    CLIENT_GRADIENTS: "weights",
}

# What returns, by what was sent: gradients of tensors that crossed.
SENT_BEFORE: Mapping[str, str] = {GRADIENTS: ACTIVATIONS, FEATURE_GRADIENTS: FEATURES}
FROM_SERVER = (GRADIENTS, FEATURES)  # of the kinds that cross the cut; the others come from clients

SERVER = -1  # in place of a client's number


class Phase(NamedTuple):
    """What a client's time is spent on, and the group that a bottleneck is named after."""

    name: str
    group: str


CLIENT_FORWARD = Phase("client forward", "devices")
ENCODE = Phase("encode", "devices")
UPLINK = Phase("uplink", "uplink")
SERVER_WAIT = Phase("server wait", "server")
SERVER_COMPUTE = Phase("server compute", "server")
DOWNLINK = Phase("downlink", "downlink")
DECODE = Phase("decode", "devices")
CLIENT_BACKWARD = Phase("client backward", "devices")
HEAD = Phase("head", "devices")
ALL_REDUCE = Phase("all-reduce", "peers")
PEER_WAIT = Phase("peer wait", "peers")  # for a step of another client
BARRIER_WAIT = Phase("barrier wait", "")  # nothing is done: it is never a bottleneck

PHASES = (  # in every table, in this order; other phases follow
    CLIENT_FORWARD,
    ENCODE,
    UPLINK,
    SERVER_WAIT,
    SERVER_COMPUTE,
    DOWNLINK,
    DECODE,
    CLIENT_BACKWARD,
    BARRIER_WAIT,
)
GROUPS = ("devices", "uplink", "server", "downlink")  # of these phases; other groups follow


def phase_column(phase: str) -> str:
    """Name the table column of the seconds in a phase.

    >>> phase_column("client forward")
    'client_forward_s'
    """
    return f"{phase.replace(' ', '_')}_s"
