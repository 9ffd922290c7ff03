"""Protocols: how a round learns, and how the same round plays on the clock."""

from slsim.protocols.base import Protocol, register, registry
from slsim.protocols.splitfed import SplitFed
from slsim.protocols.stage import Cast, Process, Span, Stage

create = registry.create

__all__ = ["Cast", "Process", "Protocol", "Span", "SplitFed", "Stage", "create", "register", "registry"]
