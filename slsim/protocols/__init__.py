"""Protocols: how a round learns, and how the same round plays on the clock."""

from slsim.protocols.base import Protocol, Synchronous, register, registry
from slsim.protocols.splitfed import SplitFed
from slsim.protocols.stage import Cast, Process, Span, Stage
from slsim.protocols.steps import PHASES, Compute, Download, Phase, Serve, Step, Upload, Workload

create = registry.create

__all__ = [
    "PHASES",
    "Cast",
    "Compute",
    "Download",
    "Phase",
    "Process",
    "Protocol",
    "Serve",
    "Span",
    "SplitFed",
    "Stage",
    "Step",
    "Synchronous",
    "Upload",
    "Workload",
    "create",
    "register",
    "registry",
]
