"""`ics`: the channels that matter most to the server, which tells the clients which these are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs.base import Codec, check_finite, check_received
from slsim.codecs.coder import Coder, Crossing, Mask, Samples, State
from slsim.codecs.format import Rng, Values
from slsim.codecs.identity import Identity
from slsim.codecs.lossless import Segment
from slsim.codecs.masking import where_sent
from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    import torch

Channels = NDArray[np.int64]


class ICS(Codec):
    """Importance-aware channel selection (ICS, arXiv 2609.39194): N = rate · C of C channels, no index.

    The server takes the gradient of the true class' logit with respect to what it received, its mean over
    space, and averages that by class over time (`decay`); a channel's importance is the mean of its magnitude
    over the classes that were seen. It tells each client the importance of all channels, 4C bytes and a
    header, beside the gradients of each mini-batch: as it was before that mini-batch, so that no client hears
    of one that may be served later. The client keeps the N channels of largest importance, the first among
    equals (so the first N until it is told), and the server knows which. Gradients of other channels are 0:
    `downlink = "masked"` sends those of the kept ones alone.

    Body: 4 · B · N · H · W bytes, the kept channels' float32 values. N is rate · C rounded to a whole number,
    at least 1; without channels a feature is one. At inference the last importance holds. The authors' weight
    of the past could not be read: `decay` is a choice. So is the magnitude: the mean of signed gradients, in
    which classes cancel, was tried too and learned less.
    """

    sender_decodes: ClassVar[bool] = False
    learns_from: ClassVar[Literal["loss", "true logits"]] = "true logits"
    checks_finite = True

    rate: float = Field(0.2, strict=True, gt=0, le=1, description="The share of the channels that is sent.")
    decay: float = Field(
        0.9, strict=True, ge=0, lt=1, description="How much of a class' past importance stays at each step."
    )

    @property
    def draws(self) -> bool:
        return False

    @property
    def keeps_part(self) -> bool:
        return True

    def coder(self, beside: Coder | None = None) -> Coder:
        assert beside is None or isinstance(beside, _ICSCoder)
        return _ICSCoder(self, beside)

    def num_kept(self, shape: Shape) -> tuple[int, int, int]:
        _, channels, _ = _layout(shape)
        return (math.prod(shape) // max(channels, 1) * self._n(channels),) * 3

    def update_bytes(self, shape: Shape) -> tuple[int, int]:
        return Identity().num_bytes((_layout(shape)[1],)), 0

    def _n(self, channels: int) -> int:
        return min(channels, max(1, round(self.rate * channels)))

    def chosen(self, importance: Values | None, shape: Shape) -> Channels:
        """The channels that are kept, ascending."""
        channels = _layout(shape)[1]
        known = np.zeros(channels) if importance is None else importance
        return np.sort(np.argsort(-known, kind="stable")[: self._n(channels)])

    def encode_values(self, values: Values, shape: Shape, rng: Rng) -> bytes:
        del rng
        return self.encode_channels(values, shape, self.chosen(None, shape))

    def decode_values(self, content: memoryview, shape: Shape) -> Values:
        return self.decode_channels(content, shape, self.chosen(None, shape))

    def kept(self, payload: Payload) -> Mask:
        return self.mask(payload.shape, self.chosen(None, payload.shape))

    def encode_channels(self, values: Values, shape: Shape, chosen: Channels) -> bytes:
        """The values of some channels."""
        check_finite(bool(np.isfinite(values).all()), self)
        return values.reshape(_layout(shape))[:, chosen].astype("<f4", copy=False).tobytes()

    def decode_channels(self, content: memoryview, shape: Shape, chosen: Channels) -> Values:
        """The tensor, flat, of which these channels were sent. Raises `CodecError`."""
        count, _, size = layout = _layout(shape)
        kept = np.frombuffer(content, "<f4").reshape(count, len(chosen), size)
        check_received(kept, self)
        out = np.zeros(layout, np.float32)
        out[:, chosen] = kept
        return out.reshape(-1)

    def mask(self, shape: Shape, chosen: Channels) -> Mask:
        """Which elements are of these channels."""
        out = np.zeros(_layout(shape), np.bool_)
        out[:, chosen] = True
        return out.reshape(shape)

    def body_bytes(self, shape: Shape) -> int:
        return 4 * self.num_kept(shape)[1]

    def gradient_bytes_touched(self) -> tuple[float, float]:
        return 9.0, 4.0  # masked by the sender; the receiver reads the true logits' gradient

    def size_formula(self, shape: Shape) -> str:
        return f"4·d·{self._n(_layout(shape)[1])}/{_layout(shape)[1]}"

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        del shape
        return [Segment(num_bytes, width=4)]


def _layout(shape: Shape) -> tuple[int, int, int]:
    """Samples, channels, and elements of a channel."""
    count = shape[0] if shape else 1
    channels = shape[1] if len(shape) > 1 else 1
    return count, channels, math.prod(shape[2:])


class _Importance:
    """What the server knows for all clients: a mean by class, and what came in since it was last told."""

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.by_class: dict[int, Values] = {}
        self._clients = 0
        self._waiting: dict[int, tuple[NDArray[np.int64], Values]] = {}  # of a round's clients

    def join(self) -> int:
        """The number of one more client."""
        self._clients += 1
        return self._clients - 1

    def vector(self, client: int, channels: int) -> Values:
        """The mean magnitude over the classes that were seen, [channels], before a round of the client. What
        the round before brought is taken in when it is over: when a client comes again."""
        if client in self._waiting:
            self._fold()
        if not self.by_class:
            return np.zeros(channels, np.float32)
        rows = np.abs(np.stack([self.by_class[number] for number in sorted(self.by_class)]))
        mean: Values = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean

    def add(self, client: int, labels: NDArray[np.int64], means: Values) -> None:
        """Take in a mini-batch, [samples, channels], when the round is over."""
        self._waiting[client] = (labels, means)

    def _fold(self) -> None:
        labels = np.concatenate([own for own, _ in self._waiting.values()])
        means = np.concatenate([own for _, own in self._waiting.values()])
        for number in np.unique(labels).tolist():
            new = means[labels == number].mean(axis=0, dtype=np.float64)
            old = self.by_class.get(number)
            mixed = new if old is None else self._decay * old + (1 - self._decay) * new
            self.by_class[number] = mixed.astype(np.float32)
        self._waiting = {}

    def state(self) -> State:
        import torch

        found: State = {}
        if self.by_class:
            found["classes"] = torch.tensor(list(self.by_class), dtype=torch.int64)
            found["by_class"] = torch.from_numpy(np.stack(list(self.by_class.values())))
        if self._waiting:
            own = list(self._waiting.values())
            found["waiting"] = torch.tensor(list(self._waiting), dtype=torch.int64)
            found["waiting_counts"] = torch.tensor([len(labels) for labels, _ in own])
            found["waiting_labels"] = torch.from_numpy(np.concatenate([labels for labels, _ in own]))
            found["waiting_means"] = torch.from_numpy(np.concatenate([means for _, means in own]))
        return found

    def restore(self, state: Mapping[str, Any]) -> None:
        self.by_class, self._waiting = {}, {}
        if "classes" in state:
            rows = state["by_class"].numpy().copy()
            self.by_class.update(zip(state["classes"].tolist(), rows, strict=True))
        if "waiting" in state:
            counts = state["waiting_counts"].tolist()
            parts = (state[f"waiting_{name}"].split(counts) for name in ("labels", "means"))
            for client, labels, means in zip(state["waiting"].tolist(), *parts, strict=True):
                self._waiting[client] = (labels.numpy().copy(), means.numpy().copy())


class _ICSCoder(Coder):
    """Keeps the importance that was told last. At the server it also has what all clients share."""

    def __init__(self, codec: ICS, beside: _ICSCoder | None = None) -> None:
        self._codec = codec
        self._importance: Values | None = None
        self._shared: _Importance = _Importance(codec.decay) if beside is None else beside._shared
        self._number = self._shared.join()
        self._shape: Shape = ()

    @property
    def _chosen(self) -> Channels:
        return self._codec.chosen(self._importance, self._shape)

    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        del rng, samples, given
        self._shape = tuple(x.shape)
        values: Values = x.contiguous().numpy().reshape(-1)
        return self._codec.pack(self._codec.encode_channels(values, self._shape, self._chosen), self._shape)

    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        import torch

        del samples, given
        self._shape = tuple(shape)
        content = self._codec.unpack(payload, shape)
        values = self._codec.decode_channels(content, self._shape, self._chosen)
        return torch.from_numpy(values.reshape(shape))

    arrival = decode

    def kept(self, payload: Payload) -> Mask:
        return self._codec.mask(payload.shape, self._codec.chosen(self._importance, payload.shape))

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        return where_sent(gradient, sent)

    def learn(self, gradient: torch.Tensor, sent: Crossing) -> Payload | None:
        """At the server, which has labels: tell the importance as it is, and take in the mini-batch."""
        import torch

        if sent.labels is None:
            return None
        shape = tuple(gradient.shape)
        means: Values = gradient.reshape(_layout(shape)).mean(dim=2).numpy()
        told = self._shared.vector(self._number, _layout(shape)[1])
        self._shared.add(self._number, sent.labels.numpy(), means)
        self._importance = told
        return Identity().encode(torch.from_numpy(told))

    def told(self, update: Payload) -> None:
        self._importance = Identity().decode(update).numpy()

    def frozen(self) -> Coder:
        copy = _ICSCoder(self._codec)
        copy._importance = self._importance
        return copy

    def state(self) -> State:
        import torch

        own: State = {} if self._importance is None else {"importance": torch.from_numpy(self._importance)}
        return own | (self._shared.state() if self._number == 0 else {})

    def restore(self, state: Mapping[str, Any]) -> None:
        importance = state.get("importance")
        self._importance = None if importance is None else importance.numpy().copy()
        if self._number == 0:
            self._shared.restore(state)
