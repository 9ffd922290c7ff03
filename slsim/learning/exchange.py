"""The exchange across the cut: the verbs of protocols, real tensors and no clock.

Each verb computes, and writes the steps that it stands for into the round's script.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from slsim.errors import ComponentError
from slsim.learning.aggregation import Aggregation, average
from slsim.learning.computation import Computation, Direction, Passing
from slsim.learning.outline import HalfFlops
from slsim.learning.progress import Progress
from slsim.learning.sampling import Batch, Sampler
from slsim.recording import (
    ACTIVATIONS,
    FEATURE_GRADIENTS,
    FEATURES,
    GRADIENTS,
    LABELS,
    WEIGHTS,
    Message,
    Piece,
    Round,
    Rows,
    Script,
    Vocabulary,
)
from slsim.recording.kinds import CLIENT_BACKWARD, CLIENT_FORWARD, DECODE, ENCODE, HEAD, SENT_BEFORE

if TYPE_CHECKING:
    import torch

    from slsim.learning.halves import Half, Snapshot


class Exchange:
    """One training between two rounds, or within one: the parts of the model, the data, the codecs, and how
    far it is. `aggregation` says how clients average their own gradients.
    """

    def __init__(
        self,
        computation: Computation,
        sampler: Sampler,
        progress: Progress,
        aggregation: Aggregation = "free",
    ) -> None:
        self.computation, self.sampler, self.progress = computation, sampler, progress
        self.parts, self.images, self.codings = computation.parts, computation.images, computation.codings
        self.seed = computation.seed
        self.words = Vocabulary()
        self.phases: dict[str, str] = {}
        self.aggregation = aggregation
        self._label_type = np.min_scalar_type(self.images.num_classes - 1).newbyteorder("<")
        self.script = Script(self.words)

    @property
    def device(self) -> torch.device:
        """Where torch computes."""
        return self.parts.device

    @property
    def client(self) -> Half:
        """The client's half, with the head where there is one; the weights that are loaded."""
        return self.parts.client

    @property
    def server(self) -> Half:
        """The server's half."""
        return self.parts.server

    # Across the cut.

    def forward(self, batches: Sequence[Batch], lane: int | None = None) -> Passing:
        """Run the client's half on a mini-batch of each of these clients; all hold the weights that are
        loaded. Each client has a lane of its own, unless `lane` is for all."""
        lanes = [self.script.lane(batch.client if lane is None else lane) for batch in batches]
        for at, batch in zip(lanes, batches, strict=True):
            at.work(batch.client, CLIENT_FORWARD, self._model_work("client forward", batch))
        return Passing(batches, lanes, self.computation.activations(batches))

    def upload(self, passing: Passing, labels: bool = True) -> Passing:
        """Send activations to the server, each client's alone, with their labels unless these stay."""
        received = self._cross(ACTIVATIONS, passing, "up", with_labels=labels)
        if labels:
            received.labels = np.concatenate(
                [self.images.y_train[batch.indices] for batch in passing.batches]
            )
        return received

    def server_learns(self, at_server: Passing, in_order: bool = False) -> None:
        """Run the server's half on what it received, with the loss, forward and backward. On the clock the
        server takes clients as they come, or with `in_order` in the order in which they are learned."""
        for lane, batch in at_server.each():
            lane.serve(batch.client, *self._server_work(batch), in_order=in_order)
        assert at_server.labels is not None
        self.computation.learn("server", at_server, at_server.labels)

    def return_gradients(self, at_server: Passing) -> None:
        """Send the gradients of the activations back, and run the client's half backward; the codec's own
        gradient is taken as identity."""
        assert at_server.source is not None
        self._return(GRADIENTS, at_server, "down")
        for lane, batch in at_server.each():
            pulling, _ = self._on_return(ACTIVATIONS, batch)
            lane.work(batch.client, CLIENT_BACKWARD, *pulling, self._model_work("client backward", batch))

    # With a head on the client.

    def server_forward(self, at_server: Passing) -> Passing:
        """Run the server's half forward on what it received: features."""
        for lane, batch in at_server.each():
            lane.serve(batch.client, self._model_work("server forward", batch))
        return Passing(at_server.batches, at_server.lanes, self.computation.features(at_server), at_server)

    def download(self, features: Passing) -> Passing:
        """Send features to the clients."""
        return self._cross(FEATURES, features, "down")

    def head_learns(self, at_head: Passing) -> None:
        """Run the head on what the clients received, with the loss, forward and backward."""
        for lane, batch in at_head.each():
            lane.work(batch.client, HEAD, *self._both("head", batch))
        labels = np.concatenate([self.images.y_train[batch.indices] for batch in at_head.batches])
        self.computation.learn("head", at_head, labels)

    def return_features(self, at_head: Passing) -> None:
        """Send the gradients of the features to the server, and run its half backward."""
        self._return(FEATURE_GRADIENTS, at_head, "up")
        for lane, batch in at_head.each():
            pulling, _ = self._on_return(FEATURES, batch)
            lane.serve(batch.client, *pulling, self._model_work("server backward", batch))

    # The whole model in one place.

    def learn_whole(self, batch: Batch, on_server: bool) -> None:
        """Run the whole model on a mini-batch, forward and backward, on the client or on the server. Raises
        `TrainingDiverged`."""
        lane = self.script.lane(batch.client)
        (client_forward, client_backward), (server_forward, server_backward) = (
            self._both(half, batch) for half in ("client", "server")
        )
        if on_server:
            lane.serve(batch.client, client_forward, client_backward, server_forward, server_backward)
        else:
            lane.work(batch.client, CLIENT_FORWARD, client_forward, server_forward)
            lane.work(batch.client, CLIENT_BACKWARD, server_backward, client_backward)
        self.computation.learn_whole(batch)

    # Steps and weights.

    def average_gradients(self, batches: Sequence[Batch]) -> None:
        """Exchange the clients' own gradients, so that all step alike (`training.aggregation`)."""
        average(self, batches)

    def step(self, participants: int = 1) -> None:
        """Take one optimizer step on both halves by the gradients averaged over `participants` (MS, Eq. 2);
        batches of different sizes were weighted by samples, unless `weighting` says not."""
        self.progress.steps += 1
        self.computation.step(self.progress.learning_rate(), participants)

    def send_weights(
        self, state: torch.Tensor, client: int, direction: Direction, lane: int | None = None
    ) -> torch.Tensor:
        """Send a state, of the client's half or of both, and give it as it arrives.

        The weights go through the weights codec; what is no weight (running statistics, counters), if there
        is any, as it is.
        """
        messages, shape, arrived = self.computation.send_state(state, client, direction, self.progress.rounds)
        at = self.script.lane(client if lane is None else lane)
        encode, decode = (self.codings.work(name, WEIGHTS, shape) for name in ("encode", "decode"))
        if direction == "down":
            at.serve(client, encode)
            at.download(client, *messages)
            at.work(client, DECODE, decode)
        else:
            at.work(client, ENCODE, encode)
            at.upload(client, *messages)
            at.serve(client, decode)
            at.leave_server()
        return arrived

    def whole_weights(self) -> torch.Tensor:
        """The state of the client's half and then the server's, as one vector."""
        return self.computation.joined([half.weights() for half in (self.client, self.server)])

    def load_whole(self, weights: torch.Tensor) -> None:
        """Put the whole model's state back; momentum is forgotten."""
        size = self.client.size
        for half, part in ((self.client, weights[:size]), (self.server, weights[size:])):
            half.load(part)
            half.forget_momentum()

    def snapshot_of(self, plain: Any) -> Snapshot:
        """The snapshot that was told as plain values, where torch computes."""
        from slsim.learning.halves import Snapshot

        weights = plain["weights"].to(self.device)
        return Snapshot(weights, plain["momentum"], tuple(plain["counters"]))

    def finish_round(self) -> Round:
        """End the round: the weights that are loaded are everyone's. Raises `ComponentError` for a round
        without steps."""
        rows = self.script.rows()
        if not len(rows):
            raise ComponentError("the protocol ended a round in which nothing was done")
        self.phases |= self.script.phases
        self.progress.rounds += 1
        self.script = Script(self.words)
        return Round(rows)

    def open_rows(self) -> Rows:
        """The steps of the round that is not over."""
        self.phases |= self.script.phases
        return self.script.rows()

    def _cross(self, kind: str, passing: Passing, way: Direction, with_labels: bool = False) -> Passing:
        """Send values one way; what is received is a leaf."""
        sent = self.computation.transmit(kind, passing.values, passing)
        self._write_crossing(kind, passing, way, sent.messages, with_labels=with_labels)
        received = sent.arrived.requires_grad_()
        return Passing(passing.batches, passing.lanes, received, passing, crossings=sent.crossings)

    def _return(self, kind: str, received: Passing, way: Direction) -> None:
        """Send the gradients of what was received back, and run backward what it was sent from."""
        returned = self.computation.give_back(kind, received)
        self._write_crossing(kind, received, way, returned.messages, returned.to_sender)
        for (lane, batch), update in zip(received.each(), returned.to_receiver, strict=False):
            if update is not None and way == "down":
                lane.upload(batch.client, update)
            elif update is not None:
                lane.download(batch.client, update)

    def _write_crossing(
        self,
        kind: str,
        passing: Passing,
        way: Direction,
        messages: Sequence[Message],
        updates: Sequence[Message | None] = (),
        with_labels: bool = False,
    ) -> None:
        """Write the steps of a tensor that crossed; `updates` are sent with the messages."""
        at_cut = self.computation.cut_shape(kind)
        decoding = ("decode",) if self.codings.sender_decodes(kind) else ()
        for (lane, batch), message, update in zip_longest(passing.each(), messages, updates):
            shape = at_cut.of(batch.indices.size)
            decode = self.codings.work("decode", kind, shape)
            encode = [self.codings.work(name, kind, shape) for name in ("encode", *decoding)]
            if kind in SENT_BEFORE:
                encode = [*self._on_return(SENT_BEFORE[kind], batch)[1], *encode]
            beside = [update] if update is not None else []
            if way == "up":
                lane.work(batch.client, ENCODE, *encode)
                beside += [self._labels_of(batch)] if with_labels else []
                lane.upload(batch.client, message, *beside)
                lane.serve(batch.client, decode)
            else:
                lane.serve(batch.client, *encode)
                lane.download(batch.client, message, *beside)
                lane.work(batch.client, DECODE, decode)

    def _on_return(self, kind: str, batch: Batch) -> tuple[list[Piece], list[Piece]]:
        """What sender and receiver of a tensor make of its gradient, when that returns."""
        return self.codings.on_return(kind, self.computation.cut_shape(kind).of(batch.indices.size))

    def _labels_of(self, batch: Batch) -> Message:
        """Labels as they travel: one unsigned integer a sample, of the smallest width."""
        labels = self.images.y_train[batch.indices].astype(self._label_type).tobytes()
        return Message(LABELS, len(labels), len(labels), shape=(batch.indices.size,))

    def _server_work(self, batch: Batch) -> list[Piece]:
        """The server's half forward and backward; and backward once more for the activations alone, where a
        codec learns from the true class' logits: as many FLOPs as forward, without those of the weights."""
        pieces = list(self._both("server", batch))
        if self.codings.of(ACTIVATIONS).learns_from == "true logits":
            pieces.append(replace(pieces[1], flops=pieces[0].flops))
        return pieces

    def _both(self, part: str, batch: Batch) -> tuple[Piece, Piece]:
        return self._model_work(f"{part} forward", batch), self._model_work(f"{part} backward", batch)

    def _model_work(self, name: str, batch: Batch) -> Piece:
        """A mini-batch through a part of the model, "client forward" or the like."""
        part, _, way = name.partition(" ")
        flops: HalfFlops | None = getattr(self.parts.model, f"{part}_flops")
        assert flops is not None
        samples = batch.indices.size
        return Piece(name, samples=samples, flops=samples * getattr(flops, way))
