"""What a protocol tells while it learns: a round is over, or training may be interrupted here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slsim.recording.steps import Rows


@dataclass(frozen=True)
class Round:
    """A round that is over, and the steps that were done in it."""

    rows: Rows


@dataclass(frozen=True)
class Pause:
    """A place within a round at which training can be interrupted: `state` gives all that the protocol needs
    to resume the round here, as tensors and plain values."""

    state: Callable[[], dict[str, Any]]
