"""What a codec says of itself: its sizes, its two conversions, what it costs, which coders it makes.

A scheme's file overrides what is here; what slsim does with it is `base.py`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from slsim.codecs.coder import Mask
from slsim.codecs.lossless import Segment
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape
from slsim.codecs.symbols import Symbols
from slsim.registry import Component

if TYPE_CHECKING:
    import torch

Values: TypeAlias = NDArray[np.float32]
Content: TypeAlias = "bytes | memoryview"  # of single bytes
Rng: TypeAlias = np.random.Generator | None


class Format(Component, ABC):
    """A codec's parameters and format. Three methods are abstract: `encode_values`, `decode_values` and
    `body_bytes`; all others have an answer that fits a codec without memory that sends something of each
    element. `Codec` has the contract."""

    accepts_non_finite: ClassVar[bool] = False
    checks_finite: ClassVar[bool] = False  # True: the codec refuses NaN and infinity by itself, both ways
    sender_decodes: ClassVar[bool] = False
    learns_from: ClassVar[Literal["loss", "true logits"]] = "loss"
    remembers_samples: ClassVar[bool] = False

    lossless: Literal["zstd", "context"] | None = Field(
        None,
        description="A lossless stage behind the codec: zstd, adaptive coding in context, or nothing.",
    )
    zstd_level: int | None = Field(
        None, strict=True, ge=1, le=19, description="The level of zstd, which is 1 where this is left out."
    )

    correction: float | None = Field(
        None,
        strict=True,
        gt=0,
        le=10**6,
        description="The sender adds this many times the codec's error, what it sent less what arrived, to "
        "the gradient that returns (FedLite). Nothing is added where it is left out.",
    )

    @model_validator(mode="after")
    def _level_needs_zstd(self) -> Self:
        if self.zstd_level is not None and self.lossless != "zstd":
            raise ValueError('zstd_level is set, but lossless is not "zstd"')
        return self

    @property
    def needs_own_rows(self) -> bool:
        """Whether each sample must have a row of its own: it is remembered, or goes with its label."""
        return self.remembers_samples or self.learns_from == "true logits"

    @property
    def keeps_part(self) -> bool:
        """Whether it sends a part of the elements, so that their gradients alone may return ("masked")."""
        return False

    def kept(self, payload: Payload) -> Mask | None:
        """Which elements `payload` has, a mask of the tensor's shape; None unless the codec sends a part."""
        del payload
        return None

    def num_kept(self, shape: Shape) -> tuple[int, int, int]:
        """The least number of elements of a tensor of `shape` that are sent, the usual one, and the most."""
        elements = math.prod(shape)
        return elements, elements, elements

    def update_bytes(self, shape: Shape) -> tuple[int, int]:
        """The bytes of what the receiver's coder tells the sender after a mini-batch of `shape`, and of what
        the sender's tells the receiver; 0 where it tells nothing."""
        del shape
        return 0, 0

    @property
    def varies(self) -> bool:
        """Whether a payload's size depends on the data in a way that its own flag does not tell."""
        return self.lossless is not None

    @abstractmethod
    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> Content:
        """Side information and body of `values` (flat, finite)."""

    @abstractmethod
    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        """The values, flat float32, which may lie in `content`. Raises `CodecError` when the content
        contradicts itself."""

    @abstractmethod
    def body_bytes(self, shape: Shape) -> int:
        """The nominal size: the body's length in bytes for a tensor of `shape`."""

    def size_formula(self, shape: Shape) -> str:
        """`body_bytes` as a reader would write it, with d for the number of elements."""
        return f"{self.body_bytes(shape):,}"

    def bytes_touched(self) -> tuple[float, float]:
        """Bytes of memory read and written per element, encoding and decoding, without the lossless stage:
        what it costs on an accelerator, and on a processor too where `core_seconds` is not known. Zeros say
        that there is nothing to do. A codec that says neither is measured when a training begins."""
        return 8.0, 8.0

    def core_seconds(self, shape: Shape) -> tuple[float, float] | None:
        """Seconds that encoding and decoding a tensor of `shape` take on the core of reference (see
        docs/costs.md), without the lossless stage. None: not known; those of the codecs that ship are in
        `costs.toml`."""
        del shape
        return None

    @property
    def draws(self) -> bool:
        """Whether encoding with a generator draws from it; if not, it need not be given one."""
        return True

    @property
    def side_bytes(self) -> int:
        """How many bytes at the content's beginning are side information, and count as header."""
        return 0

    def encode_rows(self, rows: torch.Tensor, shape: Shape, rngs: Sequence[Rng]) -> list[bytes] | None:
        """`encode_values` of several tensors of `shape`, a row each, by torch operations on the accelerator
        where they live: the same bytes. None: they are brought to the host and encoded there."""
        del rows, shape, rngs
        return None

    def level_symbols(self, content: memoryview, shape: Shape) -> Symbols | None:
        """What `content` says (see `Symbols`), for the limits that `slsim errors` shows. None: the decoded
        values tell, which fits formats with one table of levels for the whole tensor."""
        del content, shape
        return None

    def extra_bytes(self, shape: Shape) -> int:
        """The most by which a body may exceed `body_bytes`; 0 unless the size depends on the data."""
        del shape
        return 0

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        """How the lossless stage cuts a content of `num_bytes`, in order; one segment when all is alike. The
        stage "context" gains by what a `Segment` says of its items."""
        del shape
        return [Segment(num_bytes)]
