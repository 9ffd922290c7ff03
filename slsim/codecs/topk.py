"""What the top-k codecs share: k, the scope, and how masks and kept values lie in the body."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec, check_finite, check_received
from slsim.codecs.coder import Mask
from slsim.codecs.format import Rng, Values
from slsim.codecs.lossless import Segment
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Scope, Shape, kept_elements, packed_bytes, parts
from slsim.codecs.symbols import NO_FLOATS, Symbols, unpacked
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

Bytes = NDArray[np.uint8]
Positions = NDArray[np.uint32]


def check_marked(marked: int, kept: Values) -> None:
    """Raises `CodecError` unless a mask marks as many elements as were sent."""
    if marked != kept.size:
        raise CodecError(
            f"the mask marks {marked} elements and {kept.size} were sent: the payload is damaged"
        )


class TopK(Codec):
    """Keeps k = max(1, floor((1 - sparsity) · d)) elements exactly, whose places a mask tells; with a
    sparsity of 1 none.

    With scope "tensor" d counts the whole tensor, with "sample" each sample is encoded alone. Body: the
    masks of all parts, `mask_bits` an element, each part's rounded up to whole bytes; then the kept values
    of all parts, in order, as float32.
    """

    checks_finite = True

    sparsity: float = Field(
        0.95875, strict=True, ge=0, le=1, description="The share of the elements that is dropped."
    )
    scope: Scope = Field(
        "tensor", description="Whether the top is that of the whole tensor, or of each sample."
    )

    @property
    def mask_bits(self) -> int:
        """Bits of mask an element."""
        return 1

    def _parts(
        self, content: memoryview, shape: Shape, out: Values
    ) -> Iterator[tuple[Bytes, Values, Values]]:
        """Mask, kept values and place in `out` of each part."""
        count, size = parts(shape, self.scope)
        mask_bytes, k = packed_bytes(size, self.mask_bits), kept_elements(self.sparsity, size)
        body = np.frombuffer(content, np.uint8)
        kept = np.frombuffer(content, "<f4", count * k, count * mask_bytes).astype(np.float32)
        check_received(kept, self)
        for part in range(count):
            mask = body[part * mask_bytes : (part + 1) * mask_bytes]
            yield mask, kept[part * k : (part + 1) * k], out[part * size : (part + 1) * size]

    @property
    def keeps_part(self) -> bool:
        return True

    def kept(self, payload: Payload) -> Mask:
        """The elements that the mask does not give the code 0."""
        count, size = parts(payload.shape, self.scope)
        mask_bytes = packed_bytes(size, self.mask_bits)
        masks = np.frombuffer(self.unpack(payload), np.uint8)[: count * mask_bytes]
        codes = [unpacked(mask, size, self.mask_bits) for mask in masks.reshape(count, mask_bytes)]
        return (np.array(codes, np.uint8) > 0).reshape(payload.shape)

    def num_kept(self, shape: Shape) -> tuple[int, int, int]:
        count, size = parts(shape, self.scope)
        k = count * kept_elements(self.sparsity, size)
        return k, k, k if self.mask_bits == 1 else math.prod(shape)

    def level_symbols(self, content: memoryview, shape: Shape) -> Symbols:
        parts_sent = list(self._parts(content, shape, np.empty(math.prod(shape), np.float32)))
        levels = [unpacked(mask, out.size, self.mask_bits) for mask, _, out in parts_sent]
        kept = [floats for _, floats, _ in parts_sent]
        beside = len(content) - sum(mask.size + 4 * floats.size for mask, floats, _ in parts_sent)
        if not parts_sent:
            return Symbols(np.zeros(0, np.uint8), NO_FLOATS, beside)
        return Symbols(np.concatenate(levels), np.concatenate(kept), beside)

    def body_bytes(self, shape: Shape) -> int:
        count, size = parts(shape, self.scope)
        return count * (packed_bytes(size, self.mask_bits) + 4 * kept_elements(self.sparsity, size))

    def size_formula(self, shape: Shape) -> str:
        count, size = parts(shape, self.scope)
        bits = "" if self.mask_bits == 1 else f"{self.mask_bits}·"
        one = f"ceil({bits}d / 8) + 4·{kept_elements(self.sparsity, size):,}"
        return one if self.scope == "tensor" else f"{count}·({one.replace('d', 'd/n')})"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        count, size = parts(shape, self.scope)
        masks = Segment.of_codes(shape, self.mask_bits, count)
        values = 4 * count * kept_elements(self.sparsity, size)
        return [masks, Segment(values, width=4), Segment(num_bytes - masks.num_bytes - values)]

    def bytes_touched(self) -> tuple[float, float]:
        written = self.mask_bits / 8 + 4 * (1 - self.sparsity)
        return 8 + written, 4 + written  # selection, then the mask; mask to values


class MaskedK(TopK):
    """A `TopK` whose mask is one bit an element: unmarked elements decode to 0. A subclass selects."""

    @abstractmethod
    def keep(self, values: Values, k: int, rng: Rng) -> tuple[Values, Positions]:
        """The k values of one part that are kept, in order, and their positions. Refuses NaN and infinity."""

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        count, size = parts(shape, self.scope)
        k = kept_elements(self.sparsity, size)
        masks, kept = np.empty((count, packed_bytes(size, 1)), np.uint8), np.empty((count, k), "<f4")
        for part, mask in enumerate(masks):
            kept[part], places = self.keep(values[part * size : (part + 1) * size], k, rng)
            kernels.pack_marks(places, mask)
        return masks.tobytes() + kept.tobytes()

    @abstractmethod
    def mark_rows(self, rows: torch.Tensor, k: int, rngs: Sequence[Rng]) -> torch.Tensor:
        """`keep` for several parts, a row each, by torch operations: a mask of the k that are kept."""

    def scale(self, size: int, k: int) -> float:
        """What kept values of a part of `size` elements are multiplied by."""
        del size, k
        return 1.0

    def encode_rows(self, rows: torch.Tensor, shape: Shape, rngs: Sequence[Rng]) -> list[bytes]:
        from slsim.codecs import device

        count, size = parts(shape, self.scope)
        k = kept_elements(self.sparsity, size)
        own = rows.view(-1, size)  # each client's parts, concatenated
        mask = self.mark_rows(own, k, [rng for rng in rngs for _ in range(count)])
        kept = (device.take(own, mask, k) * self.scale(size, k)).view(len(rows), -1)
        finite = device.are_finite(rows) & device.are_finite(kept)
        fetched = device.fetch(len(rows), finite, device.pack(mask, 1), kept)
        check_finite(bool(fetched[0].all()), self)
        return [masks.tobytes() + values.tobytes() for masks, values in zip(*fetched[1:], strict=True)]

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        out = np.empty(math.prod(shape), np.float32)
        for mask, kept, part in self._parts(content, shape, out):
            marked = kernels.unpack_table(mask, np.zeros(2, np.float32), 1, part, kept)
            check_marked(marked, kept)
        return out
