"""What a coder is: one end of one client's link in one direction, at work; and a tensor that crossed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.payload import Payload
from slsim.codecs.sizes import Shape

if TYPE_CHECKING:
    import torch

    from slsim.codecs.base import Codec
    from slsim.codecs.format import Rng

Samples: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
State: TypeAlias = "dict[str, torch.Tensor]"


@dataclass(frozen=True)
class Crossing:
    """A client's tensor that crossed, as one end of the link knows it.

    `payload` is what was sent, and `arrived` what the receiver made of it, float32 of the tensor's shape.
    `values` is the tensor itself: the receiver does not have it, and finds None there. `samples` are the
    positions of the mini-batch's samples in the training set, and `labels` their labels (int64), None at an
    end that does not have them. `kept` says which elements were sent, for codecs that send a part of them
    (`Codec.keeps_part`); None for all others.
    """

    payload: Payload
    arrived: torch.Tensor
    values: torch.Tensor | None = None
    samples: Samples | None = None
    labels: torch.Tensor | None = None
    kept: Mask | None = None


class Coder(ABC):
    """One end of one client's link in one direction: it encodes what the end sends, or decodes what it
    receives. Made by `Codec.coder`; a subclass is final.

    Contract. The sender's coder and the receiver's are made alike, and each sees its own calls only: at the
    sender `encode`, `arrival`, `pull_back`, `learn` and `told`, at the receiver `decode`, `learn` and `told`.
    For every message the receiver's `decode` gives what the sender's `arrival` gives, bit by bit, for as long
    as training goes on; `check_coder` (for authors) compares them over 100 steps. Tensors are float32 on the
    CPU, [samples, ...]; they belong to the caller, and a coder that keeps one keeps a copy.

    Everything that a coder remembers is in `state`, as tensors by name, so that a training may be resumed
    from a checkpoint bit by bit. At the server one coder may share what it remembers with those of other
    clients (`Codec.coder`); the first of them has it in its state.

    Example:
        >>> import torch
        >>> from slsim.codecs import create
        >>> codec = create("qu", bits=8)
        >>> sender, receiver = codec.coder(), codec.coder()
        >>> payload = sender.encode(torch.linspace(0, 1, 12).reshape(3, 4))
        >>> received = receiver.decode(payload, (3, 4))
        >>> torch.equal(received, sender.arrival(payload, (3, 4))), sender.state()
        (True, {})
    """

    @abstractmethod
    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        """Encode `x` as a payload. `samples` says which samples of the training set the rows belong to, None
        for others, such as those of the test set. `given` is the tensor that crossed in the other direction
        for the same mini-batch, for what returns; None where nothing did. Raises `CodecError`."""

    @abstractmethod
    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        """Decode what was received: the tensor of `shape`. Raises `CodecError` for a payload that is damaged
        or not one of the sender's."""

    @abstractmethod
    def arrival(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        """At the sender: what the receiver decodes of the payload that was encoded last."""

    def kept(self, payload: Payload) -> Mask | None:
        """Which elements the payload that was encoded or decoded last has, a mask of the tensor's shape; None
        for a codec that sends something of all."""
        del payload
        return None

    def pull_back(self, gradient: torch.Tensor, sent: Crossing) -> torch.Tensor:
        """At the sender: the gradient of what was encoded, given that of what arrived. Unless a coder says
        otherwise it is the same: the codec's own gradient is taken as identity (MS, Section 4)."""
        del sent
        return gradient

    def learn(self, gradient: torch.Tensor, sent: Crossing) -> Payload | None:
        """Take a step of the coder's own parameters by the gradient of what arrived: at the receiver it is
        the true one, at the sender what returned of it. Gives what the other end is told, which is sent and
        charged; None where there is nothing to tell. A codec that wants another gradient at the receiver says
        so (`Codec.learns_from`)."""
        del gradient, sent
        return None

    def told(self, update: Payload) -> None:
        """Take in what the other end has learned."""
        raise NotImplementedError(f"{type(self).__name__} gives an update that it cannot take in: {update}")

    def frozen(self) -> Coder:
        """A coder for evaluation: it reads what this one remembers, and changes nothing."""
        return self

    def state(self) -> State:
        """All that this end remembers, by name; tensors of any dtype, on the CPU."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave, into a coder that was just made."""
        assert not state, f"{type(self).__name__} remembers nothing"


class Stateless(Coder):
    """A coder that is its codec: what it does to a tensor depends on nothing else. A subclass may make
    something else of the gradient that returns."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def encode(
        self,
        x: torch.Tensor,
        rng: Rng = None,
        *,
        samples: Samples | None = None,
        given: Crossing | None = None,
    ) -> Payload:
        del samples, given
        return self._codec.encode(x, rng)

    def decode(
        self, payload: Payload, shape: Shape, *, samples: Samples | None = None, given: Crossing | None = None
    ) -> torch.Tensor:
        del samples, given
        return self._codec.decode(payload, shape)

    arrival = decode

    def kept(self, payload: Payload) -> Mask | None:
        return self._codec.kept(payload)
