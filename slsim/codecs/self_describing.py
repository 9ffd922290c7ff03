"""Coders whose payloads say all that the receiver needs: only the sender remembers or learns."""

from __future__ import annotations

import math
from abc import abstractmethod
from copy import copy
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from slsim.codecs.base import Codec
from slsim.codecs.coder import Coder, Crossing, Samples
from slsim.codecs.format import Content, Rng, Values
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape
from slsim.errors import TrainingDiverged

if TYPE_CHECKING:
    import torch

OwnCodec = TypeVar("OwnCodec", bound=Codec)
LARGEST = float(np.finfo(np.float32).max)


class SelfDescribing(Coder, Generic[OwnCodec]):
    """A coder that encodes by what it remembers, and says in each payload what that was.

    So a payload decodes alone, by the codec; the receiver's coder remembers nothing, and neither end tells
    the other anything. A subclass writes `content`, and remembers there only where it is not `is_frozen`; it
    replaces what it remembers and never changes it in place, so that a copy is frozen.
    """

    def __init__(self, codec: OwnCodec) -> None:
        self.codec = codec
        self.is_frozen = False

    @abstractmethod
    def content(self, values: Values, shape: Shape) -> Content:
        """Side information and body of `values` (flat, finite), as the codec decodes them."""

    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        del rng, samples, given
        shape = tuple(x.shape)
        return self.codec.encode_with(lambda values: self.content(values, shape), x)

    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        del samples, given
        return self.codec.decode(payload, shape)

    arrival = decode

    def frozen(self) -> SelfDescribing[OwnCodec]:
        other = copy(self)
        other.is_frozen = True
        return other


def learned(parameter: str, value: float) -> float:
    """A learned parameter as it travels, a float32. Raises `TrainingDiverged` where it is NaN or infinite."""
    if not math.isfinite(value):
        raise TrainingDiverged(f"the learned {parameter} became {value}")
    return float(np.float32(min(max(value, -LARGEST), LARGEST)))


def returns_nothing(title: str) -> ValueError:
    """The error that a codec cannot learn on the way back, where no gradient of what it sent returns."""
    return ValueError(
        f"{title} learns from the gradient of what it sent, and what returns has none; it is for activations "
        "and features, so give the way back another codec, such as qu"
    )
