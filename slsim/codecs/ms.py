"""`ms`: mask-encoded sparsification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import check_finite, check_received
from slsim.codecs.format import Rng, Values
from slsim.codecs.sizes import Shape, chunks, kept_elements, packed_bytes, parts
from slsim.codecs.topk import Bytes, TopK, check_marked
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

    from slsim.codecs.kernels import Selection


class MS(TopK):
    """Mask-encoded sparsification: the top k exactly, all others as levels below the smallest of them.

    *Mask-Encoded Sparsification* (ECAI 2024), Algorithm 1. The mask has `bits` bits an element: all
    ones marks a top element, whose float32 value follows; any other code n stands for the level
    n · Top_min / (2^bits - 1), Top_min being the smallest magnitude of the top. `rounding`:

    - "floor" (Algorithm 1): the largest level not above the magnitude;
    - "nearest" (the authors' program): the nearest level, never as high as Top_min;
    - "centroid": codes as for "floor", but each stands for the mean of its elements, sent along as float32.

    Codes are compared with the decoder's own float32 levels, so encoding a decoded tensor gives the same
    tensor. Ties at Top_min: the first k are the top, the others take the level below. Top_min = 0 and a
    sparsity of 1 leave one level for everything outside the top: 0, or with "centroid" the mean.

    Body: ceil(bits · d / 8) bytes of mask and 4k of values; with "centroid" 4 · (2^bits - 1) more a part;
    and, only when an element between 0 and the top is negative, a bit of sign for each one there.
    """

    sparsity: float = Field(
        0.99, strict=True, ge=0, le=1, description="The share of the elements that are sent as a level only."
    )
    bits: int = Field(
        2, strict=True, ge=1, le=8, description="The bits of mask an element. With 1 it is plain top-k."
    )
    rounding: Literal["floor", "nearest", "centroid"] = Field(
        "floor", description="Which level a value between two levels takes."
    )

    @property
    def draws(self) -> bool:
        return False

    @property
    def mask_bits(self) -> int:
        return self.bits

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del rng
        count, size = parts(shape, self.scope)
        k, mask_bytes = kept_elements(self.sparsity, size), packed_bytes(size, self.bits)
        masks, kept = np.empty((count, mask_bytes), np.uint8), np.empty((count, k), "<f4")
        means, tops = [], []
        for part, mask in enumerate(masks):
            own = values[part * size : (part + 1) * size]
            top = kernels.select(own, k)
            check_finite(top.finite, self)
            edges = self._edges(top.threshold)
            kernels.pack_levels(own, edges, top.threshold, top.split, self.bits, mask)
            kept[part] = top.kept
            tops.append((own, edges, top))
            if self.rounding == "centroid":
                means.append(self._means(own, mask))
        signs = self._signs(tops) if any(top.negative for _, _, top in tops) else []
        signs = signs if any(map(any, signs)) else []
        return b"".join([masks.tobytes(), kept.tobytes(), *means, *signs])

    def encode_rows(self, rows: torch.Tensor, shape: Shape, rngs: Sequence[Rng]) -> list[bytes] | None:
        """For levels that need no means; "centroid" is for the host, where sums have one order."""
        from slsim.codecs import device

        del rngs
        if self.rounding == "centroid":
            return None
        count, size = parts(shape, self.scope)
        k = kept_elements(self.sparsity, size)
        own = rows.view(-1, size)  # each client's parts, concatenated
        top = device.top_k(own, k)
        codes = device.level_codes(own, self._edges_there(top.threshold), top, self.bits)
        between = (codes > 0) & ~top.mask
        signed = (between & (own < 0)).view(len(rows), -1).any(dim=1)
        mask, kept = device.pack(codes, self.bits), device.take(own, top.mask, k)
        fetched = device.fetch(len(rows), device.are_finite(rows), signed, mask, kept)
        check_finite(bool(fetched[0].all()), self)
        contents = [masks.tobytes() + values.tobytes() for masks, values in zip(*fetched[2:], strict=True)]
        for client in np.flatnonzero(fetched[1]).tolist():  # rare: not after a ReLU
            mine = slice(client * count, (client + 1) * count)
            contents[client] += self._signs_there(own[mine], between[mine])
        return contents

    def _edges_there(self, threshold: torch.Tensor) -> torch.Tensor:
        """`_edges` of each row."""
        from slsim.codecs import device

        levels = device.levels(threshold, self._levels)
        edges = levels[:, 1:]
        if self.rounding == "nearest":
            edges = ((edges.double() + levels[:, :-1]) / 2).float()
        return edges.where((threshold > 0) & threshold.isfinite(), math.inf)

    def _signs_there(self, own: torch.Tensor, between: torch.Tensor) -> bytes:
        """`_signs` of one client's parts; how many there are is known only then."""
        from slsim.codecs import device

        return b"".join(
            device.fetch(1, device.pack((part < 0)[there][None], 1))[0].tobytes()
            for part, there in zip(own, between, strict=True)
        )

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        out = np.empty(math.prod(shape), np.float32)
        body = np.frombuffer(content, np.uint8)
        start = self.body_bytes(shape)
        signs, used = body[start:], 0
        means = body[start - parts(shape, self.scope)[0] * self._means_bytes : start].view("<f4")
        for number, (mask, kept, part) in enumerate(self._parts(content, shape, out)):
            sent = means[number * self._levels : (number + 1) * self._levels]
            levels = sent if self.rounding == "centroid" else self._stands_for(kept)
            check_received(levels, self)
            levels = levels.astype(np.float32)
            check_marked(kernels.unpack_levels(mask, levels, kept, self.bits, part), kept)
            if signs.size and self.bits > 1:
                signed = kernels.apply_signs(mask, self.bits, signs[used:], part)
                used += packed_bytes(signed, 1)
        if used != signs.size:
            raise CodecError(
                f"the mask asks for {used} bytes of signs, {signs.size} were sent: the payload is damaged"
            )
        return out

    @property
    def _levels(self) -> int:
        """How many codes stand for a level: all but all ones."""
        return (1 << self.bits) - 1

    @property
    def _means_bytes(self) -> int:
        return 4 * self._levels if self.rounding == "centroid" else 0

    def _stands_for(self, kept: Values) -> Values:
        """What the codes 0 … 2^bits - 2 stand for, ascending from 0, when no means are sent."""
        top_min = float(np.abs(kept).min()) if kept.size else 0.0
        levels: Values = (np.arange(self._levels) * top_min / self._levels).astype(np.float32)
        return levels

    def _edges(self, top_min: np.float32) -> Values:
        """The magnitudes from which on the codes 1 … 2^bits - 2 are taken; inf where Top_min leaves none."""
        if not 0 < top_min < np.inf:
            return np.full(self._levels - 1, np.inf, np.float32)
        levels = self._stands_for(np.array([top_min]))
        if self.rounding == "nearest":
            return ((levels[1:].astype(np.float64) + levels[:-1]) / 2).astype(np.float32)
        return levels[1:]

    def _means(self, values: Values, mask: Bytes) -> bytes:
        """The mean of each level's elements: of their magnitudes, except for level 0, which has no signs."""
        table = np.arange(1 << self.bits, dtype=np.float32)
        sums, counts = np.zeros(table.size), np.zeros(table.size, np.int64)
        for chunk in chunks(values.size):
            packed = mask[chunk.start * self.bits // 8 : packed_bytes(chunk.stop, self.bits)]
            codes, own = np.empty(chunk.stop - chunk.start, np.float32), values[chunk]
            kernels.unpack_table(packed, table, self.bits, codes)
            indices = codes.astype(np.intp)
            sums += np.bincount(indices, np.where(indices == 0, own, np.abs(own)), table.size)
            counts += np.bincount(indices, minlength=table.size)
        means = sums[: self._levels] / np.maximum(counts[: self._levels], 1)
        return means.astype("<f4").tobytes()

    def _signs(self, tops: list[tuple[Values, Values, Selection]]) -> list[bytes]:
        """The packed signs of each part's elements that lie between 0 and the top."""
        if self.bits == 1:
            return []
        packed = (
            kernels.collect_signs(values, edges[0], top.threshold, top.split)[1]
            for values, edges, top in tops
        )
        return [signs.tobytes() for signs in packed]

    def body_bytes(self, shape: Shape) -> int:
        return super().body_bytes(shape) + parts(shape, self.scope)[0] * self._means_bytes

    def extra_bytes(self, shape: Shape) -> int:
        count, size = parts(shape, self.scope)
        return count * packed_bytes(size, 1) if self.bits > 1 else 0

    def size_formula(self, shape: Shape) -> str:
        means = parts(shape, self.scope)[0] * self._means_bytes
        return super().size_formula(shape) + (f" + {means:,}" if means else "")
