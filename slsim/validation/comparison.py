"""What a validation finds: measurements of each experiment beside what the clock says."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["transfers", "round", "delayed"]
Links = Literal["own", "fair", "fifo"]
"""Who has which link: each client its own; all one, where each has a queue and these are served in turn; or
all one, with one queue."""


@dataclass(frozen=True)
class Experiment:
    """One thing that was done over real TCP, again and again.

    `flows` transfers of `num_bytes` each at once; or a round of `flows` clients that exchange `num_bytes`
    in all, which `label` names; or a transfer over a path of `delay_s` one way (s).
    """

    kind: Kind
    rate_bps: float
    congestion: str
    flows: int
    num_bytes: int
    label: str = ""
    links: Links = "fifo"
    delay_s: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """An experiment, its measurements and the clock's answer with that transport, in seconds."""

    experiment: Experiment
    measured_s: tuple[float, ...]
    predicted_s: float
    transport: Literal["fluid", "tcp"] = "fluid"

    @property
    def median_s(self) -> float:
        return statistics.median(self.measured_s)

    @property
    def spread(self) -> float:
        """(longest - shortest) / median."""
        return (max(self.measured_s) - min(self.measured_s)) / self.median_s

    @property
    def error(self) -> float:
        """predicted / measured - 1."""
        return self.predicted_s / self.median_s - 1


@dataclass(frozen=True)
class Validation:
    """Everything that was found, and what it may depend on."""

    comparisons: tuple[Comparison, ...]
    manifest: Mapping[str, Any]

    def of(self, kind: Kind) -> list[Comparison]:
        """Those of one kind, in the order in which they were measured."""
        return [found for found in self.comparisons if found.experiment.kind == kind]
