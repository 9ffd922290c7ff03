"""The contract of what an exchange computes with: real tensors, or none in a rehearsal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from numpy.typing import NDArray

from slsim.codecs import Crossing
from slsim.learning.codings import Codings
from slsim.learning.sampling import Batch
from slsim.recording import FEATURE_GRADIENTS, FEATURES, STATISTICS, CutShape, Lane, Message

if TYPE_CHECKING:
    import torch

    from slsim.learning.images import Images
    from slsim.learning.parts import Parts

Direction: TypeAlias = Literal["up", "down"]
Shape: TypeAlias = tuple[int, ...]


@dataclass
class Passing:
    """Mini-batches of several clients on their way, each in its lane.

    `values` are concatenated along the batch: float32 with their graph, or, where they were just received, a
    leaf whose gradient is to return to `source`. `labels` are there from where the server has them.
    `crossings` say what was received of each client, as its sender knows it and as its receiver does, where a
    codec needs that when gradients return; `saliency` is the gradient of the true class' logits, where a
    codec learns from it.
    """

    batches: Sequence[Batch]
    lanes: Sequence[Lane]
    values: torch.Tensor
    source: Passing | None = None
    labels: NDArray[Any] | None = None
    crossings: tuple[list[Crossing], list[Crossing]] | None = None
    saliency: torch.Tensor | None = None

    @property
    def counts(self) -> list[int]:
        """Samples of each client's mini-batch."""
        return [batch.indices.size for batch in self.batches]

    def each(self) -> zip[tuple[Lane, Batch]]:
        """Lane and mini-batch of each client."""
        return zip(self.lanes, self.batches, strict=True)


@dataclass(frozen=True)
class Transmission:
    """A tensor that was sent: the message of each client, the tensor as it arrives, and what each end knows
    of it (see `Passing`)."""

    messages: list[Message]
    arrived: torch.Tensor
    crossings: tuple[list[Crossing], list[Crossing]] | None = None


@dataclass(frozen=True)
class Returned:
    """The gradients that were sent back: the message of each client; and what the codec of what was received
    has learned from them, where it has: what its receiver tells the sender, and the sender the receiver."""

    messages: list[Message]
    to_sender: Sequence[Message | None] = ()
    to_receiver: Sequence[Message | None] = ()


class Computation(ABC):
    """The model's parts, the images and the codecs of an exchange. A subclass is final."""

    def __init__(self, parts: Parts, images: Images, codings: Codings, seed: int) -> None:
        self.parts, self.images, self.codings, self.seed = parts, images, codings, seed

    def cut_shape(self, kind: str) -> CutShape:
        """The shape of what crosses of a message kind: features and their gradients at the second cut, others
        at the first, where an adapter may stand."""
        model = self.parts.model
        if kind not in (FEATURES, FEATURE_GRADIENTS):
            return model.cut_shape
        assert model.head_shape is not None
        return CutShape(model.head_shape, model.head_shape)

    def rows(self, kind: str, counts: Sequence[int]) -> list[int]:
        """The number of rows that cross for each client's samples."""
        at_cut = self.cut_shape(kind)
        return [at_cut.rows(samples) for samples in counts]

    @abstractmethod
    def activations(self, batches: Sequence[Batch]) -> torch.Tensor:
        """Run the client's half on these mini-batches, concatenated along the batch, float32."""

    @abstractmethod
    def features(self, at_server: Passing) -> torch.Tensor:
        """Run the server's half, below a head, on what it received, float32."""

    @abstractmethod
    def learn(self, part: str, received: Passing, labels: NDArray[Any]) -> None:
        """Run the last part ("server" or "head") on what it received, with the loss, forward and backward."""

    @abstractmethod
    def learn_whole(self, batch: Batch) -> None:
        """Run the whole model on a mini-batch, forward and backward. Raises `TrainingDiverged`."""

    @abstractmethod
    def transmit(self, kind: str, values: torch.Tensor, passing: Passing) -> Transmission:
        """Send a tensor, each client's rows alone. Raises `TrainingDiverged`."""

    @abstractmethod
    def give_back(self, kind: str, received: Passing) -> Returned:
        """Send the gradients of what was received to its source, and run that backward. Raises
        `TrainingDiverged`."""

    @abstractmethod
    def send_state(
        self, state: torch.Tensor, client: int, direction: Direction, round_number: int
    ) -> tuple[list[Message], Shape, torch.Tensor]:
        """Give the messages of a state, the shape of its weights, and the state as it arrives."""

    @abstractmethod
    def transmit_vector(self, kind: str, vector: torch.Tensor) -> tuple[Message, torch.Tensor]:
        """Give a vector as a message of that kind, and as it arrives."""

    @abstractmethod
    def joined(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Concatenate vectors."""

    @abstractmethod
    def exactly(self, statistics: torch.Tensor) -> list[Message]:
        """Give the message of what is no weight, as float32; none where there is nothing."""

    @abstractmethod
    def own_gradients(self) -> dict[int, torch.Tensor]:
        """Give each client's gradient of its half (and head), flat, since the last step, where they are
        kept."""

    @abstractmethod
    def step(self, learning_rate: float, participants: int) -> None:
        """Take one optimizer step on both halves by the gradients averaged over `participants`."""


def statistics_message(length: int, num_bytes: int) -> Message:
    """The message of so many running statistics and counters."""
    return Message(STATISTICS, num_bytes, 4 * length, 0, (length,), "identity")
