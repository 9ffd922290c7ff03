"""`dsq`: differentiable soft quantization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.coder import Coder, Crossing, State
from slsim.codecs.format import Rng, Values
from slsim.codecs.learned import LearnedQuantizer, learned
from slsim.codecs.lossless import Segment
from slsim.codecs.self_describing import SelfDescribing
from slsim.codecs.sizes import Shape, chunks
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

RANGE_BYTES = 8  # l and u, float32
SHARPEST, SOFTEST = 1e-4, 0.5  # of alpha
Doubles = NDArray[np.float64]


class DSQ(LearnedQuantizer):
    """Differentiable soft quantization: levels over a learned range, and a soft staircase's gradients.

    Gong et al., *Differentiable Soft Quantization*, ICCV 2019 (arXiv 1908.05033). Forward is hard: values are
    clipped to l … u and take the nearest of 2^bits levels, Δ = (u - l) / (2^bits - 1) apart; half way up.
    Backward, the stretch between two levels is a tanh, l + Δ (i + (φ + 1) / 2) with φ = s tanh(k (z - m)),
    m its middle, s = 1 / (1 - α) and k = ln(2 / α - 1) / Δ: the smaller α, the sharper the step.

    The sender's coder learns l, u and α, a client's own, by the gradients of that staircase; outside of the
    range the gradient is that of the bound, and that of z is 0. l and u travel in each payload as 8 bytes of
    side information; α does not, as decoding needs it not. Without a coder that has learned, l and u are the
    tensor's minimum and maximum. Body: ceil(bits · d / 8).

    From programs of others, not checked against the paper's text: α begins at 0.2 and stays between 0.0001
    and 0.5. Chosen here: l and u begin as minimum and maximum of the first mini-batch; the learning rate is
    that of `lsq`; plain gradient descent, without the paper's penalty on α; one update leaves at least half
    of the range; the clients' parameters are not averaged.
    """

    alpha: float = Field(
        0.2,
        strict=True,
        ge=SHARPEST,
        le=SOFTEST,
        description="How soft the staircase is at first: the smaller, the closer to steps.",
    )

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return DSQCoder(self)

    @property
    def top(self) -> int:
        """The number of stretches between levels, 2^bits - 1."""
        return (1 << self.bits) - 1

    @property
    def side_bytes(self) -> int:
        return RANGE_BYTES

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del shape, rng
        return self.quantized(values, *extent(values))

    def quantized(self, values: Values, low: float, high: float) -> bytes:
        """Side information and body of `values` over the range `low` to `high`."""
        codes = np.zeros(values.size + 8, np.uint8)  # the packing rounds up to eight codes
        for chunk in chunks(values.size):
            codes[chunk] = np.floor(self.places(values[chunk], low, high).clip(0, self.top) + 0.5)
        packed = kernels.pack_codes(codes, values.size, self.bits)
        return np.array([low, high], "<f4").tobytes() + packed.tobytes()

    def places(self, values: Values, low: float, high: float) -> Doubles:
        """Where values lie, in stretches from `low`."""
        above: Doubles = values - np.float64(low)
        if high > low:
            return above * (self.top / (high - low))
        return np.where(above == 0, 0.0, np.copysign(np.inf, above))

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        low, high = np.frombuffer(content, "<f4", 2).tolist()
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise CodecError("a range is not finite, or ends before it begins: the payload is damaged")
        levels = np.linspace(low, high, self.top + 1).astype(np.float32)
        out = np.empty(math.prod(shape), np.float32)
        kernels.unpack_table(np.frombuffer(content, np.uint8, offset=RANGE_BYTES), levels, self.bits, out)
        return out

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del shape
        return [Segment(RANGE_BYTES, width=4), Segment(num_bytes - RANGE_BYTES)]


def extent(values: Values) -> tuple[float, float]:
    """Minimum and maximum, 0 where there are no values."""
    low, high = kernels.extent(values) if values.size else (0.0, 0.0)
    return float(low), float(high)


@dataclass(frozen=True)
class Slopes:
    """The derivatives of the soft staircase, for each value: by the value itself, by l, u and α."""

    value: Doubles
    low: Doubles
    high: Doubles
    alpha: Doubles


def slopes(places: Doubles, top: int, stretch: float, alpha: float) -> Slopes:
    """The derivatives where values lie at `places`, in stretches of `stretch` from l; u is at `top`."""
    inside = (places >= 0) & (places <= top)
    within = places.clip(0, top)
    stretches = np.minimum(np.floor(within), top - 1)
    middle = within - stretches - 0.5
    scale, sharpness = 1 / (1 - alpha), math.log(2 / alpha - 1)
    bend = np.tanh(sharpness * middle)
    steepness = 1 - bend**2
    value = np.where(inside, scale * sharpness * steepness / 2, 0.0)
    height = np.where(inside, stretches + (scale * bend + 1) / 2, within)
    by_alpha = scale**2 * bend - scale * steepness * middle * 2 / (alpha * (2 - alpha))
    return Slopes(
        value,
        low=((top - height) - value * (top - within)) / top,
        high=(height - value * within) / top,
        alpha=np.where(inside, stretch / 2 * by_alpha, 0.0),
    )


class DSQCoder(SelfDescribing[DSQ]):
    """Encodes over the range that it learned; the receiver's does nothing but decode."""

    def __init__(self, codec: DSQ) -> None:
        super().__init__(codec)
        self.range: tuple[float, float] | None = None
        self.alpha = learned("softness", codec.alpha)

    def content(self, values: Values, shape: Shape) -> bytes:
        del shape
        low_high = extent(values) if self.range is None else self.range
        if not self.is_frozen:
            self.range = low_high
        return self.codec.quantized(values, *low_high)

    def _slopes(self, sent: Crossing) -> Slopes:
        assert sent.values is not None
        assert self.range is not None
        (low, high), top = self.range, self.codec.top
        return slopes(self.codec.places(sent.values.numpy(), low, high), top, (high - low) / top, self.alpha)

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        import torch

        return gradient * torch.from_numpy(self._slopes(sent).value.astype(np.float32))

    def learn(self, gradient: torch.Tensor, sent: Crossing) -> None:
        if sent.values is None or self.range is None:  # at the receiver
            return
        found, rate = self._slopes(sent), self.codec.learning_rate
        low, high, alpha = (
            before - rate * float((slope * gradient.numpy()).sum())
            for before, slope in (
                (self.range[0], found.low),
                (self.range[1], found.high),
                (self.alpha, found.alpha),
            )
        )
        self.range = _apart(learned("lower bound", low), learned("upper bound", high), *self.range)
        self.alpha = learned("softness", min(max(alpha, SHARPEST), SOFTEST))

    def state(self) -> State:
        import torch

        if self.range is None:
            return {}
        return {"range and softness": torch.tensor([*self.range, self.alpha], dtype=torch.float32)}

    def restore(self, state: Mapping[str, Any]) -> None:
        if state:
            low, high, self.alpha = state["range and softness"].tolist()
            self.range = low, high


def _apart(low: float, high: float, low_before: float, high_before: float) -> tuple[float, float]:
    """A range around the same middle that is at least half as wide as it was before."""
    middle, half = (low + high) / 2, max(high - low, (high_before - low_before) / 2) / 2
    return learned("lower bound", middle - half), learned("upper bound", middle + half)
