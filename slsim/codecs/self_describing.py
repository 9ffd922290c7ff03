"""Coders whose payloads say all that the receiver needs: only the sender remembers or learns."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import TYPE_CHECKING, Generic, TypeVar

from slsim.codecs.base import Codec
from slsim.codecs.coder import Coder, Crossing, Samples
from slsim.codecs.format import Content, Rng, Values
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    import torch

OwnCodec = TypeVar("OwnCodec", bound=Codec)


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
