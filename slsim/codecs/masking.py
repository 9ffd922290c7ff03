"""A coder whose sender lets gradients through only where something was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim.codecs.coder import Coder, Crossing, Mask, Samples
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    import torch

    from slsim.codecs.base import Codec, Rng


class MaskingCoder(Coder):
    """Codes as its codec does; an element that was not sent has the gradient 0, for nothing depends on it."""

    def __init__(self, codec: Codec) -> None:
        assert codec.keeps_part
        self._codec = codec

    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        del samples, given
        return self._codec.encode(x, rng)

    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        del samples, given
        return self._codec.decode(payload, shape)

    arrival = decode

    def kept(self, payload: Payload) -> Mask | None:
        return self._codec.kept(payload)

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        import torch

        assert sent.kept is not None
        return gradient * torch.from_numpy(sent.kept)
