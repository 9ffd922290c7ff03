"""What an exchange computes with real tensors: forward, backward, and everything that crosses as bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from slsim import seeds
from slsim.codecs import Identity, Payload
from slsim.errors import TrainingDiverged
from slsim.learning.codings import Codings, laid_out
from slsim.learning.computation import (
    Computation,
    Direction,
    Passing,
    Returned,
    Shape,
    Transmission,
    statistics_message,
)
from slsim.learning.ends import Given
from slsim.learning.halves import flat
from slsim.learning.images import Images
from slsim.learning.parts import Parts
from slsim.learning.sampling import Batch
from slsim.learning.sending import others_of, weights_of
from slsim.learning.transfer import moved
from slsim.recording import ACTIVATIONS, WEIGHTS, Message
from slsim.recording.kinds import SENT_BEFORE

PullBack: TypeAlias = Callable[[torch.Tensor], "tuple[torch.Tensor, Sequence[Sequence[Message | None]]]"]


class Tensors(Computation):
    """Real tensors. With `keeps_own` each client's own gradient of its half is kept too, which takes a
    backward pass for each."""

    def __init__(
        self, parts: Parts, images: Images, codings: Codings, seed: int, keeps_own: bool = False
    ) -> None:
        super().__init__(parts, images, codings, seed)
        self.losses: list[float] = []
        self._keeps_own = keeps_own
        self._own: dict[int, list[torch.Tensor]] = {}
        self._unread: torch.Tensor | None = None

    def activations(self, batches: Sequence[Batch]) -> torch.Tensor:
        images = self.training_images(batches)
        return self.parts.through_client(images, [batch.indices.size for batch in batches])

    def features(self, at_server: Passing) -> torch.Tensor:
        return self.parts.through_server(at_server.values, at_server.counts).float()

    def learn(self, part: str, received: Passing, labels: NDArray[Any]) -> None:
        through = self.parts.through_server if part == "server" else self.parts.through_head
        logits = through(received.values, received.counts)
        losses = self.parts.losses(logits, self.as_labels(labels), received.counts)
        if part == "server" and self.codings.of(ACTIVATIONS).learns_from == "true logits":
            of_true = logits.gather(1, self.as_labels(labels)[:, None]).sum()
            (received.saliency,) = torch.autograd.grad(of_true, received.values, retain_graph=True)
        if self._keeps_own and part == "head":
            assert self.parts.model.head is not None
            self._note_own(list(losses), self.parts.model.head, received, [None] * len(losses))
        losses.sum().backward()
        self._unread = losses

    def learn_whole(self, batch: Batch) -> None:
        logits = self.parts.through_whole(self.training_images([batch]))
        labels = self.as_labels(self.images.y_train[batch.indices])
        self._unread = self.parts.losses(logits, labels, [batch.indices.size])
        self._unread.sum().backward()
        self._read_loss()

    def transmit(self, kind: str, values: torch.Tensor, passing: Passing) -> Transmission:
        at_receiver, at_sender = passing.crossings if kind in SENT_BEFORE and passing.crossings else ([], [])
        ends, batches, at_cut = self.codings.ends(kind), passing.batches, self.cut_shape(kind)
        payloads = self.encode(kind, values, batches, at_sender or [None] * len(batches))
        self._read_loss()
        shapes = [at_cut.of(count) for count in passing.counts]
        messages = [
            self.codings.message(kind, payload, at_cut.of(count), at_cut.raw_bytes(count))
            for payload, count in zip(payloads, passing.counts, strict=True)
        ]
        arrived = ends.decode(payloads, batches, shapes, at_receiver or [None] * len(batches))
        notes = kind not in SENT_BEFORE and self.codings.notes_crossings(kind)
        rows = [shape[0] for shape in shapes]
        crossings = ends.crossings(values, arrived, payloads, batches, rows) if notes else None
        return Transmission(messages, self._there(arrived), crossings)

    def give_back(self, kind: str, received: Passing) -> Returned:
        gradients, source = received.values.grad, received.source
        assert gradients is not None
        assert source is not None
        scales = self.parts.scales(received.counts, gradients, self.rows(kind, received.counts))
        own = gradients if scales is None else gradients / scales
        pull_back = self._learning(kind, own, received)
        sent = self.transmit(kind, own, received)
        arrived, updates = pull_back(sent.arrived)
        if source.values.requires_grad:
            self._backward(source, arrived if scales is None else arrived * scales)
        return Returned(sent.messages, *updates)

    def _learning(self, kind: str, own: torch.Tensor, received: Passing) -> PullBack:
        """Let the receivers of what was sent learn from its gradients, before these return. Give what to do
        at the senders when they have: it gives the gradients of what was sent, and all updates' messages."""
        before = SENT_BEFORE[kind]
        if received.crossings is None:
            return lambda arrived: (arrived, ())
        ends, batches = self.codings.ends(before), received.batches
        at_sender, at_receiver = received.crossings
        if received.labels is not None:
            labels = torch.from_numpy(received.labels.astype(np.int64)).split(received.counts)
            at_receiver = [replace(one, labels=own) for one, own in zip(at_receiver, labels, strict=True)]
        gradients = own if received.saliency is None else received.saliency
        to_sender = ends.learn(True, gradients, at_receiver, batches)

        def pull_back(arrived: torch.Tensor) -> tuple[torch.Tensor, Sequence[Sequence[Message | None]]]:
            pulled = ends.pull_back(arrived, at_sender, batches)
            to_receiver = ends.learn(False, arrived, at_sender, batches)
            ends.tell(False, to_sender, batches)
            ends.tell(True, to_receiver, batches)
            both = (to_sender, to_receiver)
            return pulled, [[self.codings.update(before, one) for one in updates] for updates in both]

        return pull_back

    def _backward(self, source: Passing, gradients: torch.Tensor) -> None:
        if self._keeps_own and source.source is None:
            rows = self.rows(ACTIVATIONS, source.counts)
            outputs, parts = source.values.split(rows), gradients.split(rows)
            self._note_own(outputs, self.parts.model.client, source, parts)
        source.values.backward(gradients)

    def transmit_vector(self, kind: str, vector: torch.Tensor) -> tuple[Message, torch.Tensor]:
        shape = tuple(vector.shape)
        payload = self.codings.of(kind).encode(vector.cpu())
        arrived = self.codings.of(kind).decode(payload, shape).to(vector.device)
        return self.codings.message(kind, payload, shape), arrived

    def joined(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat([vector.to(self.parts.device) for vector in vectors])

    def exactly(self, statistics: torch.Tensor) -> list[Message]:
        if not len(statistics):
            return []
        payload = Identity().encode(statistics.cpu())
        return [statistics_message(len(statistics), payload.num_bytes)]

    def own_gradients(self) -> dict[int, torch.Tensor]:
        own = {client: torch.cat(parts) for client, parts in self._own.items()}
        self._own = {}
        return own

    def _note_own(
        self, outputs: Sequence[torch.Tensor], module: nn.Module, passing: Passing, gradients: Any
    ) -> None:
        """Add to `own_gradients` what each client's output (times its gradient) gives for the weights of
        `module`. This takes a backward pass for each client."""
        weights = [one for one in module.parameters() if one.requires_grad]
        for place, batch in enumerate(passing.batches):
            found = torch.autograd.grad(
                outputs[place], weights, gradients[place], retain_graph=True, materialize_grads=True
            )
            self._own.setdefault(batch.client, []).insert(0, flat(found))

    def send_state(
        self, state: torch.Tensor, client: int, direction: Direction, round_number: int
    ) -> tuple[list[Message], Shape, torch.Tensor]:
        halves = self.parts.halves_of(state)
        weights, put_back = weights_of(state, halves)
        rng = seeds.generator(self.seed, f"weights {direction}", client, round_number)
        codec = self.codings.of(WEIGHTS)
        payload = codec.encode(weights, rng)
        arrived = put_back(codec.decode(payload, tuple(weights.shape)).to(state.device))
        shape = tuple(weights.shape)
        message = self.codings.message(WEIGHTS, payload, shape)
        return [message, *self.exactly(others_of(state, halves))], shape, arrived

    def encode(
        self, kind: str, values: torch.Tensor, batches: Sequence[Batch], given: Given
    ) -> list[Payload]:
        """Each client's part of a tensor through the codec of its kind; `given` is what crossed in the other
        direction. Raises `TrainingDiverged`."""
        rows = self.rows(kind, [batch.indices.size for batch in batches])
        draws = [self.draw(kind, batch) for batch in batches]
        rngs = [rng for rng in draws if rng is not None] or None
        return self.codings.encode(kind, values, batches, rows, rngs, given)

    def draw(self, kind: str, batch: Batch) -> np.random.Generator | None:
        """The generator of the codec for a client's mini-batch; only what is sent forward is drawn for."""
        if kind in SENT_BEFORE or not self.codings.of(kind).draws:
            return None
        return self._generator("codec" if kind == ACTIVATIONS else f"codec {kind}", batch)

    def through(self, kind: str, values: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """A tensor as it arrives in an evaluation, encoded in parts of `counts` samples. Raises
        `TrainingDiverged`."""
        return self._there(self.codings.through(kind, values, self.rows(kind, counts)))

    def _there(self, arrived: torch.Tensor) -> torch.Tensor:
        """What was decoded, where torch computes, laid out as layers are fastest."""
        return moved(laid_out(arrived, self.parts.manner.channels_last), self.parts.device)

    def training_images(self, batches: Sequence[Batch]) -> torch.Tensor:
        """The images of these mini-batches, augmented where the scenario wants it."""
        augments = self.images.augments
        rngs = [self._generator("augmentation", batch) for batch in batches] if augments else []
        return self.images.training([batch.indices for batch in batches], rngs)

    def as_labels(self, targets: NDArray[Any]) -> torch.Tensor:
        """Labels as torch wants them: int64, where it computes."""
        return moved(torch.from_numpy(targets.astype(np.int64)), self.parts.device)

    def _generator(self, purpose: str, batch: Batch) -> np.random.Generator:
        """Of the client's mini-batch: no two draw from one stream."""
        return seeds.generator(self.seed, purpose, batch.client, batch.number)

    def step(self, learning_rate: float, participants: int) -> None:
        self.parts.client.step(learning_rate, participants)
        self.parts.server.step(learning_rate, participants)

    # The loss.

    def mean_loss(self) -> float:
        """Give the mean training loss since it was last asked for."""
        losses, self.losses = self.losses, []
        return sum(losses) / len(losses)

    def _read_loss(self) -> None:
        """Read the last loss, after what an accelerator was given meanwhile. Raises `TrainingDiverged`."""
        if self._unread is None:
            return
        mean_loss = float(self._unread.detach().mean())
        self._unread = None
        if not math.isfinite(mean_loss):
            raise TrainingDiverged(f"the loss became {mean_loss}")
        self.losses.append(mean_loss)
