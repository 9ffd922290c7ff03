"""What codecs with a quantizer that the sender learns have in common."""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import TrainingDiverged

LARGEST = float(np.finfo(np.float32).max)


class LearnedQuantizer(Codec):
    """Codes of `bits` bits, whose levels are side information of each payload and are learned by the gradient
    of what was sent."""

    bits: int = Field(3, strict=True, ge=1, le=8, description="The number of bits an element.")
    learning_rate: float = Field(
        0.01, strict=True, ge=0, le=10**6, description="The learning rate of the levels; with 0 they stay."
    )

    def paired(self, other: Codec) -> Codec:
        del other
        raise ValueError(
            f"{type(self).__name__} learns from the gradient of what it sent, and what returns has none; it "
            "is for activations and features, so give the way back another codec, such as qu"
        )

    @property
    def draws(self) -> bool:
        return False

    def body_bytes(self, shape: Shape) -> int:
        return packed_bytes(math.prod(shape), self.bits)

    def size_formula(self, shape: Shape) -> str:
        del shape
        return f"ceil({self.bits}·d / 8)"

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8
        return 4 + written, 4 + written

    def gradient_bytes_touched(self) -> tuple[float, float]:
        return 20.0, 0.0  # gradient and tensor are read to pull back and to learn, a gradient is written


def learned(parameter: str, value: float) -> float:
    """A learned parameter as it travels, a float32. Raises `TrainingDiverged` where it is NaN or infinite."""
    if not math.isfinite(value):
        raise TrainingDiverged(f"the learned {parameter} became {value}")
    return float(np.float32(min(max(value, -LARGEST), LARGEST)))
