"""`delta`: the change of each sample since it was last sent (AQ-SGD)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from slsim.codecs.base import Codec, check_finite
from slsim.codecs.coder import Coder, Crossing, Samples, State
from slsim.codecs.format import Rng, Values
from slsim.codecs.inner import InnerCodec, decoded
from slsim.codecs.lossless import Segment
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

NOT_REMEMBERED = "the payload has changes of samples that are not remembered here"
SLACK = 8  # bytes by which a part of a mini-batch may cost more than its share


class Delta(Codec):
    """AQ-SGD: the change of each sample's activations since it was last sent, quantized.

    Wang et al., *Fine-tuning Language Models over Slow Networks using Activation Quantization with
    Guarantees*, NeurIPS 2022 (arXiv 2206.01299).
    Both ends remember a tensor m of each sample of the training set. A sample that comes for the first time
    is sent in full, as float32, and m is that; later Q(z - m) is sent, and m becomes m + Q(z - m) at both
    ends. Samples of the test set are not remembered: they are sent in full. Q is `codec`; the authors' is a
    uniform quantizer of 4 bits on the way up and of 8 on the way down, where nothing is remembered (`qu`).
    Whose range they take is not known; here it is each sample's. Random augmentation makes another sample of
    each, so that changes are as large as the samples.

    Content: the rows of new samples as they are, 4 bytes an element, then those of the others through `codec`
    as one tensor. A mini-batch takes what `codec` takes at the least, and 4d bytes at the most, whatever
    share of it is new. What is remembered is 4 bytes an element of each sample that a client has sent, at
    either end.
    """

    sender_decodes: ClassVar[bool] = True
    remembers_samples: ClassVar[bool] = True
    checks_finite = True

    codec: InnerCodec = Field(
        default={"name": "qu", "bits": 4, "scope": "sample"},
        validate_default=True,
        description="The codec of the changes.",
    )

    @property
    def draws(self) -> bool:
        return self.codec.draws

    @property
    def varies(self) -> bool:
        return True

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return _DeltaCoder(self)

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del shape, rng
        check_finite(bool(np.isfinite(values).all()), self)
        return values.astype("<f4", copy=False).tobytes()

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        if len(content) != 4 * math.prod(shape):
            raise CodecError(NOT_REMEMBERED)
        values = np.frombuffer(content, "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise CodecError("a sample that is sent in full is not finite: the payload is damaged")
        return values

    def body_bytes(self, shape: Shape) -> int:
        return min(self._both(shape))

    def extra_bytes(self, shape: Shape) -> int:
        return abs(self._both(shape)[0] - self._both(shape)[1]) + SLACK

    def _both(self, shape: Shape) -> tuple[int, int]:
        """Bytes of a mini-batch that is new, and of one that is remembered."""
        return 4 * math.prod(shape), self.codec.side_bytes + self.codec.body_bytes(shape)

    def core_seconds(self, shape: Shape) -> tuple[float, float]:
        from slsim.codecs.costs import around

        return around("change", shape, self.codec, shape)

    def size_formula(self, shape: Shape) -> str:
        return f"{self.codec.size_formula(shape)}, or 4·d for new samples"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del shape
        return [Segment(num_bytes)]


class _DeltaCoder(Coder):
    """Remembers each sample as it arrived; `frozen` reads alone."""

    def __init__(
        self, codec: Delta, memory: dict[int, Values] | None = None, is_frozen: bool = False
    ) -> None:
        self._codec = codec
        self._memory: dict[int, Values] = {} if memory is None else memory
        self._is_frozen = is_frozen
        self._arrived: torch.Tensor | None = None

    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        import torch

        del given
        known, remembered = self._known(samples, tuple(x.shape))
        values: Values = x.numpy()
        check_finite(bool(np.isfinite(values).all()), self._codec)
        new, change = np.ascontiguousarray(values[~known]), values[known] - remembered
        payload = self._codec.codec.encode(torch.from_numpy(change), rng)
        self._arrived = self._joined(known, new, remembered + self._codec.codec.decode(payload).numpy())
        self._remember(samples, self._arrived)
        content = new.astype("<f4").tobytes() + (bytes(payload.content) if known.any() else b"")
        return self._codec.pack(content, tuple(x.shape))

    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        del given
        known, remembered = self._known(samples, shape)
        content = self._codec.unpack(payload, shape)
        rows = (len(known) - int(known.sum()), *shape[1:]) if shape else ()
        full = content[: 4 * math.prod(rows)]
        new = self._codec.decode_values(full, rows).reshape(rows)
        if known.any():
            changes = (int(known.sum()), *shape[1:])
            remembered = remembered + decoded(self._codec.codec, content[len(full) :], changes).numpy()
        elif len(content) != len(full):
            raise CodecError(NOT_REMEMBERED)
        arrived = self._joined(known, new, remembered)
        self._remember(samples, arrived)
        return arrived

    def arrival(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        del payload, shape, samples, given
        assert self._arrived is not None, "nothing was encoded"
        return self._arrived

    def _known(self, samples: Samples | None, shape: Shape) -> tuple[Any, Values]:
        """Which rows are remembered, and what is."""
        count = shape[0] if shape else 0
        numbers = [] if samples is None else samples.tolist()
        known = np.array([number in self._memory for number in numbers] or [False] * count, np.bool_)
        kept = [self._memory[number] for number in numbers if number in self._memory]
        return known, np.stack(kept) if kept else np.zeros((0, *shape[1:]), np.float32)

    def _joined(self, known: Any, new: Values, others: Values) -> torch.Tensor:
        import torch

        out = np.empty((len(known), *new.shape[1:]), np.float32)
        out[~known], out[known] = new, others
        return torch.from_numpy(out)

    def _remember(self, samples: Samples | None, arrived: torch.Tensor) -> None:
        if samples is not None and not self._is_frozen:
            self._memory.update(zip(samples.tolist(), arrived.numpy().copy(), strict=True))

    def frozen(self) -> Coder:
        return _DeltaCoder(self._codec, self._memory, is_frozen=True)

    def state(self) -> State:
        import torch

        if not self._memory:
            return {}
        return {
            "samples": torch.tensor(list(self._memory), dtype=torch.int64),
            "memory": torch.from_numpy(np.stack(list(self._memory.values()))),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._memory = {}
        if state:
            rows = state["memory"].numpy().copy()
            self._memory.update(zip(state["samples"].tolist(), rows, strict=True))
