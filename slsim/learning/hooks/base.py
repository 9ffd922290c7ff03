"""The contract of a hook: it looks at a training after a round, and writes rows; and the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from slsim.learning.hooks.look import Look

Row = tuple[str, str, float]  # part, quantity, value


class Hook(Component, ABC):
    """Measures something after a round, without changing what is learned. A subclass is final.

    Before the first round and after every `every` rounds `measure` is given a `Look` at the mini-batch that
    comes next. It gives rows: of what (`part`: "activations", "client", "server", …), which quantity, and its
    value; values that are not finite are left out. `needs_shared_weights` says that clients must hold the
    same weights after each round's one step, `needs_own_rows` that each sample must cross in a row of its
    own, which not every adapter gives it.

    Example:
        >>> class Spread(Hook):
        ...     def measure(self, look):
        ...         yield "activations", "deviation", float(look.activations.std())
    """

    needs_shared_weights: ClassVar[bool] = False
    needs_own_rows: ClassVar[bool] = False

    every: int = Field(
        1, strict=True, ge=1, le=10**9, description="The number of rounds from one measurement to the next."
    )

    @abstractmethod
    def measure(self, look: Look) -> Iterable[Row | Any]:
        """Give rows of (part, quantity, value)."""


registry: Registry[Hook] = Registry("hook", Hook)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
