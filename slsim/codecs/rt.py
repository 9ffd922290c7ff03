"""`rt`: randomized top-k."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec, Values, register
from slsim.codecs.kernels import kept_elements, packed_bytes, top_k
from slsim.codecs.sp import pack_kept, unpack_kept


@register("rt")
class RT(Codec):
    """Randomized top-k: each of k draws takes one of the top k, or with probability alpha one of the rest.

    Uniform inside each group, without replacement (Zheng et al., IJCAI 2023); without a generator, as
    at inference, it is plain top-k. k and the body are those of `sp`: ceil(d / 8) + 4k bytes. Unlike there,
    the top is taken over the whole tensor, not per sample, and the gradient that returns is not masked.
    """

    sparsity: float = Field(
        0.95875, strict=True, ge=0, le=1, description="share of the elements that is dropped"
    )
    alpha: float = Field(0.1, strict=True, ge=0, le=1, description="probability that a draw leaves the top k")

    def encode_values(self, values: Values, rng: np.random.Generator | None) -> tuple[bytes, bytes]:
        k = kept_elements(self.sparsity, values.size)
        mask = top_k(np.abs(values), k)
        if rng is not None and k:
            top, rest = np.flatnonzero(mask), np.flatnonzero(~mask)
            from_rest = min(int(rng.binomial(k, self.alpha)), rest.size)
            mask[rng.choice(top, size=from_rest, replace=False)] = False
            mask[rng.choice(rest, size=from_rest, replace=False)] = True
        return b"", pack_kept(values, mask)

    def decode_values(self, body: memoryview, num_elements: int, side: bytes) -> Values:
        del side
        return unpack_kept(body, num_elements, kept_elements(self.sparsity, num_elements))

    def body_bytes(self, num_elements: int) -> int:
        return packed_bytes(num_elements, 1) + 4 * kept_elements(self.sparsity, num_elements)

    def size_formula(self, num_elements: int) -> str:
        return f"ceil(d / 8) + 4·{kept_elements(self.sparsity, num_elements):,}"

    def bytes_touched(self) -> tuple[float, float]:
        written = 1 / 8 + 4 * (1 - self.sparsity)
        return 12 + written, 4 + written  # selection, the draw over the rest, the mask; mask to values
