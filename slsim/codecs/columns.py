"""What the two stages of SplitFC share: which columns of a mini-batch are kept, and how an index tells them.

A column is one feature over the samples of a mini-batch.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.base import Codec
from slsim.codecs.coder import Coder, Crossing, Mask, Stateless
from slsim.codecs.format import Content, Rng, Values
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError

if TYPE_CHECKING:
    import torch

Positions: TypeAlias = NDArray[np.int64]
Shares: TypeAlias = NDArray[np.float64]


class Cut(NamedTuple):
    """A tensor as a matrix: samples, features, features of a channel, and how many columns are kept."""

    samples: int
    features: int
    channel: int
    kept: int


class Columns(Codec):
    """Adaptive feature-wise dropout: keep d'/R of the d' columns of a mini-batch, likelier those that spread.

    Oh et al., *SplitFC* (arXiv 2307.10805), its first stage. σ is a column's deviation after its channel was
    divided by the channel's range. A column is kept with probability π = min(1, c·σ), c such that they sum up
    to D = max(1, floor(d'/R)), and divided by π, so that the mean over draws is the tensor; where fewer than
    D spread at all, those are kept and the others are equally likely. The gradient that returns is taken at
    kept columns and divided by π. Content: an index of ceil(d'/8) bytes, then the kept columns as a subclass
    writes them.

    The paper's text was not at hand. Chosen here: exactly D columns are kept in each draw (systematic
    sampling in a random order, with the same π), not D on average, so that the size is exact. Without a
    generator, as at inference, the draw is a fixed one: a server that has learned from draws does badly with
    the columns of largest σ as they are. A matrix is one channel; a tensor of one dimension is one sample.
    R = 16 is not verified.
    """

    reduction: float = Field(
        16.0, strict=True, ge=1, description="The number of columns over the number of those kept, R."
    )

    def cut(self, shape: Shape) -> Cut:
        """How a tensor of `shape` is cut into columns; all zeros for an empty one."""
        if math.prod(shape) == 0:
            return Cut(0, 0, 0, 0)
        samples = shape[0] if len(shape) > 1 else 1
        features = math.prod(shape) // samples
        channel = math.prod(shape[2:]) if len(shape) > 2 else features
        return Cut(samples, features, channel, max(1, int(features / self.reduction)))

    def coder(self, beside: Coder | None = None) -> Coder:
        del beside
        return _ColumnsCoder(self)

    @property
    def keeps_part(self) -> bool:
        return True

    def kept(self, payload: Payload) -> Mask:
        cut = self.cut(payload.shape)
        mask = np.zeros((cut.samples, cut.features), np.bool_)
        if cut.samples:
            mask[:, self._read_index(self.unpack(payload), cut)] = True
        return mask.reshape(payload.shape)

    def num_kept(self, shape: Shape) -> tuple[int, int, int]:
        cut = self.cut(shape)
        return (cut.samples * cut.kept,) * 3

    @abstractmethod
    def encode_columns(self, columns: Values, cut: Cut) -> bytes:
        """The kept columns, [samples, kept], as `columns_bytes` bytes."""

    @abstractmethod
    def decode_columns(self, content: memoryview, cut: Cut) -> Values:
        """The columns of `encode_columns`. Raises `CodecError` when the content contradicts itself."""

    @abstractmethod
    def columns_bytes(self, cut: Cut) -> int:
        """The size of the kept columns."""

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> Content:
        cut = self.cut(shape)
        if cut.samples == 0:
            return b""
        rows = values.reshape(cut.samples, -1)
        places, shares = choose(rows, cut, rng)
        marks = np.zeros(cut.features, np.bool_)
        marks[places] = True
        with np.errstate(over="ignore"):  # told below
            columns: Values = (rows[:, places] / shares).astype(np.float32)
        if not np.isfinite(columns).all():
            raise CodecError(
                f"{type(self).__name__} cannot encode numbers this large: divided by its probability, one is "
                "beyond float32; did training diverge?"
            )
        return np.packbits(marks).tobytes() + self.encode_columns(columns, cut)

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        cut = self.cut(shape)
        out = np.zeros((cut.samples, cut.features), np.float32)
        if cut.samples:
            places = self._read_index(content, cut)
            out[:, places] = self.decode_columns(content[packed_bytes(cut.features, 1) :], cut)
        return out.reshape(-1)

    @staticmethod
    def _read_index(content: memoryview, cut: Cut) -> Positions:
        """The columns that were kept. Raises `CodecError` unless they are as many as is due."""
        marks = np.unpackbits(np.frombuffer(content, np.uint8, packed_bytes(cut.features, 1)))
        places = np.flatnonzero(marks)
        if places.size != cut.kept or places[-1] >= cut.features:
            raise CodecError(
                f"the index marks {places.size} columns and {cut.kept} were sent: the payload is damaged"
            )
        return places

    def body_bytes(self, shape: Shape) -> int:
        cut = self.cut(shape)
        return packed_bytes(cut.features, 1) + self.columns_bytes(cut)

    def bytes_touched(self) -> tuple[float, float]:
        kept = 1 / self.reduction
        return 8 + 16 * kept, 4 + 8 * kept  # moments, and the kept columns; zeros, and these

    def gradient_bytes_touched(self) -> tuple[float, float]:
        return 16.0, 0.0  # what was sent is read twice, as it was encoded

    def size_formula(self, shape: Shape) -> str:
        return f"ceil(d/n / 8) + {self.columns_bytes(self.cut(shape)):,}"


class _ColumnsCoder(Stateless):
    """An end that remembers nothing, and gives the sender the gradient of its own tensor: what returned at
    kept columns, divided by the probability of being kept, as the columns were."""

    def __init__(self, codec: Columns) -> None:
        super().__init__(codec)
        self._cut = codec.cut

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        import torch

        assert sent.values is not None
        assert sent.kept is not None
        cut = self._cut(tuple(sent.values.shape))
        if cut.samples == 0:
            return gradient
        rows = sent.values.reshape(cut.samples, -1).numpy()
        shares = probabilities(deviations(rows, cut.channel), cut.kept)
        kept = sent.kept.reshape(cut.samples, -1)[0]
        factors = np.divide(1.0, shares, out=np.zeros_like(shares), where=kept).astype(np.float32)
        return (gradient.reshape(cut.samples, -1) * torch.from_numpy(factors)).reshape(gradient.shape)


def choose(rows: Values, cut: Cut, rng: Rng) -> tuple[Positions, Shares]:
    """The columns that are kept, ascending, and with which probability each was."""
    shares = probabilities(deviations(rows, cut.channel), cut.kept)
    places = draw(shares, cut.kept, rng or np.random.default_rng(0))
    return places, shares[places]


def deviations(rows: Values, channel: int) -> Shares:
    """σ: each column's standard deviation over the range of its channel, whose features are `channel`
    neighbours; 0 where the channel is constant."""
    moments = kernels.column_moments(rows)
    by_channel = (-1, channel)
    lows, highs = moments.lows.reshape(by_channel).min(axis=1), moments.highs.reshape(by_channel).max(axis=1)
    ranges = np.repeat(np.where(highs > lows, highs - lows, np.inf), channel)
    found: Shares = np.sqrt(moments.squares / len(rows)) / ranges
    return found


def probabilities(spread: Shares, kept: int) -> Shares:
    """π = min(1, c·σ), with the sum `kept`; where fewer columns have a σ above 0, those have 1 and the others
    what is left in equal parts."""
    positive = int(np.count_nonzero(spread))
    if positive <= kept:
        rest = (kept - positive) / max(spread.size - positive, 1)
        return np.where(spread > 0, 1.0, rest)
    falling = np.sort(spread)[::-1]
    left = np.cumsum(falling[::-1])[::-1]  # the sum of a σ and all smaller ones
    certain = int(np.argmax((kept - np.arange(kept)) * falling[:kept] <= left[:kept]))  # so many have 1
    found: Shares = np.minimum(1.0, (kept - certain) / left[certain] * spread)
    found[spread > falling[certain]] = 1.0
    return found


def draw(shares: Shares, kept: int, rng: np.random.Generator) -> Positions:
    """`kept` columns, ascending, each with its probability: systematic sampling in a random order."""
    certain = np.flatnonzero(shares >= 1)
    open_ = rng.permutation(np.flatnonzero((shares > 0) & (shares < 1)))
    count = kept - certain.size
    if count <= 0:
        return certain[:kept]
    passed = np.cumsum(shares[open_])
    points = (rng.random() + np.arange(count)) * (passed[-1] / count)
    hits = np.unique(np.minimum(np.searchsorted(passed, points, side="right"), open_.size - 1))
    if hits.size < count:  # two points fell on one column, by rounding: add the likeliest of the others
        others = np.delete(np.arange(open_.size), hits)
        likeliest = np.argsort(-shares[open_[others]], kind="stable")
        hits = np.append(hits, others[likeliest[: count - hits.size]])
    return np.sort(np.concatenate([certain, open_[hits]]))
