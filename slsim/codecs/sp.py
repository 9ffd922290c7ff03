"""`sp`: top-k sparsification with a position mask."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec, Values, register
from slsim.codecs.kernels import kept_elements, pack, packed_bytes, scatter, top_k, unpack
from slsim.errors import CodecError


def pack_kept(values: Values, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bytes:
    """A bit an element that tells whether it is kept, then the kept values as float32, in order."""
    return pack(mask.astype(np.uint8), 1) + values[mask].astype("<f4", copy=False).tobytes()


def unpack_kept(body: memoryview, num_elements: int, k: int) -> Values:
    """The inverse of `pack_kept`. Raises `CodecError` unless exactly k positions are marked."""
    mask_bytes = packed_bytes(num_elements, 1)
    mask = unpack(body[:mask_bytes], 1, num_elements).astype(np.bool_)
    if np.count_nonzero(mask) != k:
        raise CodecError(f"the mask marks {np.count_nonzero(mask)} elements and {k} were sent: it is damaged")
    return scatter(mask, np.frombuffer(body[mask_bytes:], dtype="<f4"))


@register("sp")
class SP(Codec):
    """Top-k sparsification: the k elements of largest magnitude, the others decode to 0.

    k = floor((1 - sparsity) · d) over the whole tensor; among equals the first are kept; k = 0 sends a
    mask alone. Body: ceil(d / 8) bytes of mask and 4k of float32 values.
    """

    sparsity: float = Field(
        0.95875, strict=True, ge=0, le=1, description="share of the elements that is dropped"
    )

    def encode_values(self, values: Values, rng: np.random.Generator | None) -> tuple[bytes, bytes]:
        del rng
        return b"", pack_kept(values, top_k(np.abs(values), kept_elements(self.sparsity, values.size)))

    def decode_values(self, body: memoryview, num_elements: int, side: bytes) -> Values:
        del side
        return unpack_kept(body, num_elements, kept_elements(self.sparsity, num_elements))

    def body_bytes(self, num_elements: int) -> int:
        return packed_bytes(num_elements, 1) + 4 * kept_elements(self.sparsity, num_elements)

    def size_formula(self, num_elements: int) -> str:
        return f"ceil(d / 8) + 4·{kept_elements(self.sparsity, num_elements):,}"

    def bytes_touched(self) -> tuple[float, float]:
        written = 1 / 8 + 4 * (1 - self.sparsity)
        return 8 + written, 4 + written  # selection, then the mask; mask to values
