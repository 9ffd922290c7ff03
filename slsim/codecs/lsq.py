"""`lsq`: learned step size quantization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from slsim.codecs import kernels
from slsim.codecs.coder import Coder, Crossing, State
from slsim.codecs.format import Rng, Values
from slsim.codecs.learned import LARGEST, LearnedQuantizer, learned
from slsim.codecs.self_describing import SelfDescribing
from slsim.codecs.sizes import Shape, chunks
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

STEP_BYTES = 4  # float32
SMALLEST = float(np.finfo(np.float32).tiny)


class LSQ(LearnedQuantizer):
    """Learned step size quantization: whole multiples of a step that the sender learns.

    Esser et al., *Learned Step Size Quantization*, ICLR 2020 (arXiv 1902.08153). q = round(z / s), no less
    than -Q_N and no more than Q_P; ẑ = s · q. Without `signed`, as the paper has it for activations, Q_N = 0
    and Q_P = 2^bits - 1, and negative numbers become 0: choose it where the cut follows a ReLU. With `signed`
    Q_N = 2^(bits - 1) and Q_P = Q_N - 1.

    The sender's coder learns s, a client's own, by the gradient that returns (Eq. 3): ∂ẑ/∂s is
    round(z / s) - z / s between the bounds, and the bound itself outside. Its sum with the gradient is scaled
    by 1 / √(N · Q_P), N the features, which are the elements of a sample (Section 2.2). s begins as
    2⟨|z|⟩ / √Q_P of the first mini-batch (Section 2.1), or as 1 where that is 0. The gradient of z is that of
    ẑ between the bounds, and 0 outside (Eq. 5). The step travels in each payload: 4 bytes of side
    information. Without a coder that has learned, each tensor has the step of a first mini-batch.
    Body: ceil(bits · d / 8).

    From memory of the paper and from programs of others, not checked against its text: the learning rate,
    0.01, is the paper's for 2 to 4 bits. Chosen here: plain gradient descent on s (the paper trains s as its
    weights, with momentum, weight decay and a schedule); one update leaves at least half of the step, so that
    it stays positive; the clients' steps are not averaged.
    """

    signed: bool = Field(
        False, strict=True, description="Whether there are levels below 0. Without, as after a ReLU."
    )

    @model_validator(mode="after")
    def _has_levels_above_zero(self) -> LSQ:
        if self.signed and self.bits == 1:
            raise ValueError("with signed, 1 bit has no level above 0; give 2 bits or more")
        return self

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return LSQCoder(self)

    @property
    def lowest(self) -> int:
        """-Q_N."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """Q_P."""
        return self.lowest + (1 << self.bits) - 1

    @property
    def side_bytes(self) -> int:
        return STEP_BYTES

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del shape, rng
        return self.quantized(values, self.first_step(values))

    def first_step(self, values: Values) -> float:
        """The step that begins with these values, a float32."""
        total = sum(float(np.abs(values[chunk]).sum(dtype=np.float64)) for chunk in chunks(values.size))
        step = learned("step", 2 * total / max(values.size, 1) / math.sqrt(self.highest))
        return step if step > 0 else 1.0

    def quantized(self, values: Values, step: float) -> bytes:
        """Side information and body of `values` by `step`."""
        codes = np.zeros(values.size + 8, np.uint8)  # the packing rounds up to eight codes
        for chunk in chunks(values.size):
            rounded = np.rint(values[chunk] / np.float64(step))
            codes[chunk] = np.clip(rounded, self.lowest, self.highest) - self.lowest
        packed = kernels.pack_codes(codes, values.size, self.bits)
        return np.array(step, "<f4").tobytes() + packed.tobytes()

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        step = float(np.frombuffer(content, "<f4", 1)[0])
        if not 0 < step < math.inf:
            raise CodecError(f"a step of {step} is none: the payload is damaged")
        levels = np.clip(step * np.arange(self.lowest, self.highest + 1), -LARGEST, LARGEST)
        out = np.empty(math.prod(shape), np.float32)
        codes = np.frombuffer(content, np.uint8, offset=STEP_BYTES)
        kernels.unpack_table(codes, levels.astype(np.float32), self.bits, out)
        return out


class LSQCoder(SelfDescribing[LSQ]):
    """Encodes by the step that it learned; the receiver's does nothing but decode."""

    def __init__(self, codec: LSQ) -> None:
        super().__init__(codec)
        self.step: float | None = None

    def content(self, values: Values, shape: Shape) -> bytes:
        del shape
        step = self.codec.first_step(values) if self.step is None else self.step
        if not self.is_frozen:
            self.step = step
        return self.codec.quantized(values, step)

    def _ratio(self, sent: Crossing) -> NDArray[np.float64]:
        """z / s of what was sent."""
        assert sent.values is not None
        assert self.step is not None
        ratio: NDArray[np.float64] = sent.values.numpy() / np.float64(self.step)
        return ratio

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        import torch

        ratio = self._ratio(sent)
        between = (self.codec.lowest < ratio) & (ratio < self.codec.highest)
        return gradient.where(torch.from_numpy(between), torch.zeros(()))

    def learn(self, gradient: torch.Tensor, sent: Crossing) -> None:
        if sent.values is None or self.step is None:  # at the receiver
            return
        ratio, low, high = self._ratio(sent), self.codec.lowest, self.codec.highest
        inside = (low < ratio) & (ratio < high)
        slopes = np.where(inside, np.rint(ratio) - ratio, np.clip(ratio, low, high))
        features = math.prod(sent.values.shape[1:])
        scale = 1 / math.sqrt(max(features, 1) * high)
        slope = scale * float((slopes * gradient.numpy()).sum())
        moved = learned("step", self.step - self.codec.learning_rate * slope)
        self.step = max(moved, self.step / 2, SMALLEST)

    def state(self) -> State:
        import torch

        return {} if self.step is None else {"step": torch.tensor(self.step, dtype=torch.float32)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.step = float(state["step"]) if state else None
