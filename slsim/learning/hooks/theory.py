"""`theory`: the quantities of the theory in *Mask-Encoded Sparsification* (ECAI 2024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.learning.hooks.base import Hook, Row

if TYPE_CHECKING:
    from slsim.learning.hooks.look import Look


class Theory(Hook):
    """Gradient errors, their bounds, biases and alpha, as in the theory of *Mask-Encoded Sparsification*.

    `gradient_errors.py` says what each quantity is, of the activations and of the client's and the server's
    gradients. Needs second derivatives of every layer; raises `DataError` where a layer has none.
    """

    needs_shared_weights: ClassVar[bool] = True

    draws: int = Field(
        64,
        strict=True,
        ge=8,
        le=10**6,
        description="The number of draws of the codec that biases are estimated from.",
    )

    def measure(self, look: Look) -> Iterator[Row]:
        from slsim.learning.hooks.gradient_errors import quantities

        yield from quantities(look, self.draws)
