"""What a codec does: activations → bytes → activations, coders; and the registry. `format.py` has what it
says of itself.

This room works on numpy arrays and touches torch only at its edge, so that naming, checking and
listing codecs costs no torch import.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np

from slsim.boundary import is_outside
from slsim.codecs import contract, lossless
from slsim.codecs.coder import Coder, Stateless
from slsim.codecs.format import Content, Format, Rng, Values
from slsim.codecs.lossless import Stage
from slsim.codecs.payload import FIXED_BYTES, MAX_HEADER_BYTES, Payload, header, read_varint, varint
from slsim.codecs.sizes import Shape
from slsim.codecs.symbols import Symbols, of_values
from slsim.errors import CodecError, Fault
from slsim.registry import Registry

if TYPE_CHECKING:
    import torch

MOST_SIDE_BYTES = MAX_HEADER_BYTES - FIXED_BYTES


class Codec(Format):
    """Activations ⇄ bytes. One codec a file; a subclass is final and frozen, its fields are its parameters.

    Contract. `encode` takes a float32 tensor of any shape and layout and gives a `Payload`; `decode`
    gives a float32 tensor of that shape, in row-major layout, on the CPU. NaN and infinity are refused
    both ways, unless the codec says that it carries them (`identity`). A codec is pure: all randomness
    comes from `rng`, and without one it does what it does at inference. The decoder's gradient is taken
    as identity (MS, Section 4).

    A payload's content is `side_bytes` of side information, which count as header, and a body of exactly
    `body_bytes(shape)`, the nominal size, plus at most `extra_bytes(shape)` that only some data need. With
    `lossless` the content travels compressed, and decodes to the same tensor bit by bit.

    A subclass writes the three abstract methods. They see flat float32 arrays in row-major order, which a
    third party's codec cannot write to, and may trust them: dtype, finiteness and lengths are checked here.
    So is what they give: `CodecError` names the codec and the method that broke the contract. A codec must
    not seed or draw from global random generators; torch's is put back where one was seeded.

    A codec is frozen. What a scheme remembers or learns is in its coders, one at each end of each client's
    link (`coder`, see `Coder`); `encode` and `decode` are then those of a coder that was just made. What else
    a scheme is: `sender_decodes` says that the sender decodes its own payloads, which takes its time;
    `learns_from` which gradient the receiver's coder learns from, that of the loss or that of the true class'
    logits; `remembers_samples` that a sample's tensor is remembered, so that it must come again as it was.

    Example:
        >>> import torch
        >>> from slsim.codecs import Payload, create
        >>> codec = create("ms", sparsity=0.99, bits=2)
        >>> activations = torch.linspace(0, 1, 10_000).reshape(10, 1_000)
        >>> payload = codec.encode(activations)
        >>> payload.num_bytes, codec.num_bytes((10, 1_000))
        (2911, 2911)
        >>> codec.decode(Payload.from_bytes(payload.to_bytes())).shape
        torch.Size([10, 1000])
    """

    def coder(self, beside: Coder | None = None) -> Coder:
        """Make one end of a client's link. At the server `beside` is the coder of the first client in the
        same direction, with which it may share what it remembers; None for the first, and at clients."""
        del beside
        return Stateless(self)

    @property
    def is_stateless(self) -> bool:
        """Whether its coders do to a tensor what the codec does, and nothing to the gradient that returns."""
        return type(self).coder is Codec.coder

    def gradient_bytes_touched(self) -> tuple[float, float]:
        """Bytes of memory read and written per element of a gradient that returned, beside decoding it: by
        the sender's coder, which pulls it back and learns, and by the receiver's, which learns. Zeros say
        that there is nothing to do; what a correction takes is added to them. Unless a codec says otherwise
        its coders read the gradient and what was sent, and who pulls back writes another one. Of the codecs
        that ship the seconds that this takes a core are in `costs.toml` too."""
        coder = type(self.coder())
        learns, pulls = coder.learn is not Coder.learn, coder.pull_back is not Coder.pull_back
        return 12.0 * (learns or pulls), 8.0 * learns

    def paired(self, other: Codec) -> Codec:
        """The codec beside the one of the other direction: what returns may depend on what was sent. Raises
        `ValueError` where they do not fit."""
        del other
        return self

    def faults(self) -> list[Fault]:
        """What a codec of a third party says of its cost and what makes no sense; asked before anything runs.
        slsim's own have none."""
        if not is_outside(type(self)):
            return []
        from slsim.codecs.costs import declared, gradient_cost_of

        try:
            declared(self, (2, 3, 4, 4))
            gradient_cost_of(self, (2, 3, 4, 4), sparse=False)
        except CodecError as error:
            return [Fault("", str(error))]
        return []

    def encode(self, activations: torch.Tensor, rng: Rng = None) -> Payload:
        """`activations` (float32, any shape) as a payload. Raises `CodecError` on another dtype, or on NaN
        and infinity where the codec cannot carry them."""
        shape, flat = tuple(activations.shape), self._row_major(activations).view(-1)
        encode = self._encode_here if on_host(flat) else self._encode_there
        return encode(flat[None], shape, [rng])[0]

    def encode_with(self, content_of: Callable[[Values], Content], activations: torch.Tensor) -> Payload:
        """`encode`, with what `content_of` gives for the values (flat, finite) in place of `encode_values`:
        for a coder that encodes by what it remembers. Raises `CodecError` as `encode` does."""
        values: Values = self._row_major(activations).view(-1).cpu().numpy()
        if not self.accepts_non_finite:
            check_finite(bool(np.isfinite(values).all()), self)
        return self.pack(content_of(values), tuple(activations.shape))

    def _row_major(self, activations: torch.Tensor) -> torch.Tensor:
        if str(activations.dtype) != "torch.float32":
            raise CodecError(f"codecs take float32 tensors, this one is {activations.dtype}")
        return activations.detach().contiguous()

    def _encode_here(self, rows: torch.Tensor, shape: Shape, rngs: Sequence[Rng]) -> list[Payload]:
        """Tensors of `shape`, a row each, on the host or brought there."""
        values: Values = rows.cpu().numpy()
        if not (self.accepts_non_finite or self.checks_finite):
            check_finite(bool(np.isfinite(values).all()), self)
        pairs = zip(values, rngs, strict=True)
        return [self.pack(self.encode_values(own, shape, rng), shape) for own, rng in pairs]

    def _encode_there(self, rows: torch.Tensor, shape: Shape, rngs: Sequence[Rng]) -> list[Payload]:
        """Tensors of `shape`, a row each, on an accelerator."""
        contents = self.encode_rows(rows, shape, rngs) if rows.numel() else None
        if contents is None:
            return self._encode_here(rows, shape, rngs)
        return [self.pack(content, shape) for content in contents]

    def pack(self, content: Content, shape: Shape) -> Payload:
        """A content of a tensor of `shape` as a payload, through the lossless stage. Raises `CodecError` for
        a content that is shorter or longer than the codec's sizes say."""
        nominal, most = self._nominal(shape), self._most_extra(shape)
        content = contract.content(self, content, nominal, most)
        extra = len(content) - nominal
        if self.lossless:
            content = self._compress(content, shape, extra)
        return Payload.build(shape, self.fingerprint, content, extra > 0, self.side_bytes)

    def encode_many(
        self, activations: torch.Tensor, sizes: Sequence[int], rngs: Sequence[Rng] | None = None
    ) -> list[Payload]:
        """Clients' slices of one tensor, `sizes` samples each along the first dimension, in one call; on an
        accelerator it waits once for all that are of one size."""
        whole, sample = self._row_major(activations), tuple(activations.shape[1:])
        left = iter(rngs if rngs is not None else [None] * len(sizes))
        payloads, start = [], 0
        for size, alike in groupby(sizes):
            count = len(list(alike))
            rows = whole[start : start + count * size].reshape(count, -1)
            encode = self._encode_here if on_host(whole) else self._encode_there
            payloads += encode(rows, (size, *sample), list(islice(left, count)))
            start += count * size
        return payloads

    def decode(self, payload: Payload, shape: Shape | None = None) -> torch.Tensor:
        """The tensor that `payload` holds. With `shape`, what the receiver expects, any other is refused
        before anything is allocated. Raises `CodecError` when it is damaged or another codec's."""
        import torch

        values = self._decoded_values(payload, shape)
        writable = values if values.flags.writeable else values.copy()
        return torch.from_numpy(writable.reshape(payload.shape))

    def decode_many(self, payloads: Sequence[Payload], shapes: Sequence[Shape]) -> torch.Tensor:
        """Several clients' tensors, concatenated, as `encode_many` took them; `shapes` are what the
        receiver expects, alike but for the first dimension. Raises `CodecError` as `decode` does."""
        import torch

        parts = [self._decoded_values(*pair) for pair in zip(payloads, shapes, strict=True)]
        samples = sum(shape[0] for shape in shapes)
        return torch.from_numpy(np.concatenate(parts).reshape(samples, *shapes[0][1:]))

    def symbols(self, payload: Payload) -> Symbols:
        """What `payload` says; its header is side information. Raises `CodecError` as `decode` does."""
        values = self._decoded_values(payload, None)
        own = self.level_symbols(self.unpack(payload), payload.shape)
        found = of_values(values) if own is None else contract.symbols(self, own, payload.shape)
        return replace(found, side_bytes=found.side_bytes + payload.content_start)

    def unpack(self, payload: Payload, shape: Shape | None = None) -> memoryview:
        """The content of a payload, decompressed, of a length that the codec's sizes allow. Raises
        `CodecError` where it is damaged, another codec's, or not of the `shape` that is expected."""
        if payload.fingerprint != self.fingerprint:
            raise CodecError(f"this payload was not made by {self!r}; decode with the codec that encoded it")
        if shape is not None and payload.shape != tuple(shape):
            raise CodecError(
                f"a tensor of shape {tuple(shape)} is expected, the payload says {payload.shape}"
            )
        return self._checked_content(payload)

    def _decoded_values(self, payload: Payload, shape: Shape | None) -> Values:
        """The values, flat; perhaps in the payload's own memory."""
        try:
            values = self.decode_values(self.unpack(payload, shape), payload.shape)
        except MemoryError as error:
            raise CodecError(f"a tensor of shape {payload.shape} does not fit into memory") from error
        values = contract.values(self, values, payload.shape)
        if self.accepts_non_finite:
            return values
        if is_outside(type(self)) and not np.isfinite(values).all():
            raise contract.broken(self, "decode_values", "gave NaN or infinity")
        if not self.checks_finite:
            check_received(values, self)
        return values

    def _checked_content(self, payload: Payload) -> memoryview:
        """The content, decompressed, of a length that the shape allows."""
        nominal = self._nominal(payload.shape)
        content = payload.content
        extra = len(content) - nominal
        if self.lossless:
            content, extra = self._decompress(content, payload.shape, nominal)
        if not 0 <= extra <= self._most_extra(payload.shape) or payload.extended != (extra > 0):
            raise CodecError(
                f"a tensor of shape {payload.shape} takes {nominal} bytes after the header, "
                f"this payload has {nominal + extra}"
            )
        return content

    def _compress(self, content: Content, shape: Shape, extra: int) -> bytes:
        segments = self.segments(shape, len(content))
        return varint(extra) + lossless.compress(content, segments, self._stage)

    def _decompress(self, data: memoryview, shape: Shape, nominal: int) -> tuple[memoryview, int]:
        extra, start = read_varint(data, 0, len(data))
        if extra > self._most_extra(shape):
            return data, extra
        segments = self.segments(shape, nominal + extra)
        return memoryview(lossless.decompress(data[start:], segments, self._stage)), extra

    @property
    def _stage(self) -> Stage:
        assert self.lossless
        return lossless.stage(self.lossless, self.zstd_level)

    @cached_property
    def fingerprint(self) -> int:
        """Tells payloads of another codec, or of other parameters, apart (uint32)."""
        params = self.model_dump(mode="json", exclude_none=True, exclude={"zstd_level", "correction"})
        identity = json.dumps([type(self).__name__, params], sort_keys=True)
        return zlib.crc32(identity.encode())

    def num_bytes(self, shape: Shape) -> int:
        """The nominal size of a payload of `shape`, header included, before any lossless stage."""
        nominal = self._nominal(shape)
        return len(header(shape, 0, self.side_bytes)) + nominal

    def _nominal(self, shape: Shape) -> int:
        """`side_bytes` and `body_bytes`, checked."""
        side = contract.size(self, "side_bytes", self.side_bytes, MOST_SIDE_BYTES)
        return side + contract.size(self, "body_bytes", self.body_bytes(shape))

    def _most_extra(self, shape: Shape) -> int:
        """`extra_bytes`, checked."""
        return contract.size(self, "extra_bytes", self.extra_bytes(shape))

    def extra(self, payload: Payload) -> int:
        """By how many bytes `payload` exceeds the nominal size; 0 where sizes vary, which have none."""
        return 0 if self.varies else payload.num_bytes - self.num_bytes(payload.shape)

    def size_bounds(self, shape: Shape) -> tuple[int, int]:
        """The least and the most that a payload of `shape` may measure; equal unless data matter."""
        low = self.num_bytes(shape)
        high = low + self._most_extra(shape)
        if not self.lossless:
            return low, high
        lengths = 1 + len(self.segments(shape, high))
        return len(header(shape, 0)), high + lengths * lossless.LENGTH_BYTES

    def nominal_ratio(self, shape: Shape) -> float:
        """The format's own compression ratio: float32 bytes ÷ nominal bytes, header left out."""
        raw, body = 4 * math.prod(shape), self.body_bytes(shape)
        return raw / body if body else math.inf if raw else 1.0


def on_host(tensor: torch.Tensor) -> bool:
    """Whether the kernels can reach it."""
    return tensor.device.type == "cpu"


def check_finite(finite: bool, codec: Codec) -> None:
    """Raises `CodecError` when an encoder saw NaN or infinity."""
    if not finite:
        raise CodecError(f"{type(codec).__name__} cannot encode NaN or infinity; did training diverge?")


def check_received(values: Values, codec: Codec) -> None:
    """Raises `CodecError` when what was received holds NaN or infinity."""
    if not np.isfinite(values).all():
        raise CodecError(f"{type(codec).__name__} never sends NaN or infinity: the payload is damaged")


registry: Registry[Codec] = Registry("codec", Codec)  # type: ignore[type-abstract]  # only used as a bound
register = registry.register
