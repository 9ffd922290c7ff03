"""`ms`: mask-encoded sparsification."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec, Values, register
from slsim.codecs.kernels import kept_elements, pack, packed_bytes, top_k, unpack
from slsim.errors import CodecError


@register("ms")
class MS(Codec):
    """Mask-encoded sparsification: the top k exactly, all others as levels below the smallest of them.

    *Mask-Encoded Sparsification* (ECAI 2024), Algorithm 1. The mask has `bits` bits an element: all
    ones marks a top element, whose float32 value follows; any other code n stands for the level
    n · Top_min / (2^bits - 1), the largest not above the value. Made for activations after a ReLU: a
    negative element below the top decodes to 0, one among the top (by magnitude) keeps its sign.

    k = floor((1 - sparsity) · d) over the whole tensor. Ties at Top_min: the first k are the top, the
    others take the level below. With k = 0 or Top_min = 0 everything outside the top decodes to 0.
    Body: ceil(bits · d / 8) bytes of mask and 4k of values.
    """

    sparsity: float = Field(
        0.99, strict=True, ge=0, le=1, description="share of the elements sent as a level only"
    )
    bits: int = Field(2, strict=True, ge=1, le=8, description="bits of mask an element; 1 is plain top-k")

    def encode_values(self, values: Values, rng: np.random.Generator | None) -> tuple[bytes, bytes]:
        del rng
        top = top_k(np.abs(values), kept_elements(self.sparsity, values.size))
        kept = values[top].astype("<f4", copy=False)
        levels = self._levels(kept)
        codes = np.searchsorted(levels[1:], values, side="right").astype(np.uint8)
        if not levels.any():
            codes[:] = 0
        codes[top] = 2**self.bits - 1
        return b"", pack(codes, self.bits) + kept.tobytes()

    def decode_values(self, body: memoryview, num_elements: int, side: bytes) -> Values:
        del side
        mask_bytes = packed_bytes(num_elements, self.bits)
        codes = unpack(body[:mask_bytes], self.bits, num_elements)
        kept = np.frombuffer(body[mask_bytes:], dtype="<f4")
        top = codes == 2**self.bits - 1
        if np.count_nonzero(top) != kept.size:
            raise CodecError(
                f"the mask marks {np.count_nonzero(top)} elements, {kept.size} were sent: it is damaged"
            )
        values: Values = np.append(self._levels(kept), np.float32(0))[codes]
        values[top] = kept
        return values

    def _levels(self, kept: Values) -> Values:
        """What the codes 0 … 2^bits - 2 stand for, ascending: the encoder compares against these."""
        top_min = np.abs(kept).min() if kept.size else np.float32(0)
        steps = np.arange(2**self.bits - 1, dtype=np.float64)
        levels: Values = (steps * float(top_min) / (2**self.bits - 1)).astype(np.float32)
        return levels

    def body_bytes(self, num_elements: int) -> int:
        return packed_bytes(num_elements, self.bits) + 4 * kept_elements(self.sparsity, num_elements)

    def size_formula(self, num_elements: int) -> str:
        return f"ceil({self.bits}·d / 8) + 4·{kept_elements(self.sparsity, num_elements):,}"

    def bytes_touched(self) -> tuple[float, float]:
        written = self.bits / 8 + 4 * (1 - self.sparsity)
        return 8 + written, 4 + written  # selection, then the mask; mask to values
