"""Protocols: how a round learns, and how the same round plays on the clock."""

from slsim.protocols.base import Protocol, Synchronous, register, registry
from slsim.protocols.fedavg import FedAvg
from slsim.protocols.sequential import Centralized, Sequential
from slsim.protocols.splitfed import SplitFed, SplitFedV2
from slsim.protocols.stage import Cast, Due, Process, Span, Stage
from slsim.protocols.steps import PHASES, Compute, Download, Phase, Serve, Step, Upload, Workload

create = registry.create

__all__ = [
    "PHASES",
    "Cast",
    "Centralized",
    "Compute",
    "Download",
    "Due",
    "FedAvg",
    "Phase",
    "Process",
    "Protocol",
    "Sequential",
    "Serve",
    "Span",
    "SplitFed",
    "SplitFedV2",
    "Stage",
    "Step",
    "Synchronous",
    "Upload",
    "Workload",
    "create",
    "register",
    "registry",
]
