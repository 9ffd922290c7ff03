"""Protocols: scripts of who computes and sends what, in which order. They know no time."""

from typing import TYPE_CHECKING

from slsim import lazy
from slsim.protocols.base import Protocol, register, registry
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    from slsim.protocols.fedavg import FedAvg
    from slsim.protocols.sequential import Centralized, Sequential
    from slsim.protocols.splitfed import SplitFed
    from slsim.protocols.splitfed_v2 import SplitFedV2
    from slsim.protocols.u_shaped import UShaped

create = registry.create
__getattr__ = lazy.attributes(
    __name__,
    {
        "fedavg": ["FedAvg"],
        "sequential": ["Centralized", "Sequential"],
        "splitfed": ["SplitFed"],
        "splitfed_v2": ["SplitFedV2"],
        "u_shaped": ["UShaped"],
    },
)

__all__ = [
    "Centralized",
    "FedAvg",
    "Pause",
    "Protocol",
    "Round",
    "Sequential",
    "SplitFed",
    "SplitFedV2",
    "UShaped",
    "create",
    "register",
    "registry",
]
