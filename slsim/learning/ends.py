"""The two ends of every client's link in one direction: coders that encode, and coders that decode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from slsim.codecs import Codec, Coder, Crossing, Payload

if TYPE_CHECKING:
    import numpy as np
    import torch

    from slsim.learning.sampling import Batch

Shape = tuple[int, ...]
Given: TypeAlias = "Sequence[Crossing | None]"


class Ends:
    """The coders of one message kind, made when a client first sends: `senders` and `receivers` by client.

    With `server_sends` the sender is the server, otherwise a client is. A codec without state is called once
    for all clients.
    """

    def __init__(self, codec: Codec, server_sends: bool) -> None:
        self.codec, self._server_sends = codec, server_sends
        self.senders: dict[int, Coder] = {}
        self.receivers: dict[int, Coder] = {}

    def _pair(self, client: int) -> tuple[Coder, Coder]:
        """The coder that sends and the one that receives, for a client."""
        for coders, at_server in (
            (self.senders, self._server_sends),
            (self.receivers, not self._server_sends),
        ):
            if client not in coders:
                first = next(iter(coders.values()), None) if at_server else None
                coders[client] = self.codec.coder(first)
        return self.senders[client], self.receivers[client]

    # Messages.

    def encode(
        self,
        tensor: torch.Tensor,
        batches: Sequence[Batch],
        counts: Sequence[int],
        rngs: Sequence[np.random.Generator] | None,
        given: Given,
    ) -> list[Payload]:
        """Each client's rows of a tensor, `counts` of them, as a payload. `given` is what crossed in the
        other direction, as the sender knows it."""
        if self.codec.is_stateless:
            return self.codec.encode_many(tensor, counts, rngs)
        drawn: Sequence[np.random.Generator | None] = rngs or [None] * len(batches)
        return [
            self._pair(batch.client)[0].encode(own.cpu(), rng, samples=batch.indices, given=crossed)
            for batch, own, rng, crossed in zip(
                batches, tensor.split(list(counts)), drawn, given, strict=True
            )
        ]

    def decode(
        self, payloads: Sequence[Payload], batches: Sequence[Batch], shapes: Sequence[Shape], given: Given
    ) -> torch.Tensor:
        """All clients' tensors, concatenated along the batch, on the host."""
        import torch

        if self.codec.is_stateless:
            return self.codec.decode_many(payloads, shapes)
        return torch.cat(
            [
                self._pair(batch.client)[1].decode(payload, shape, samples=batch.indices, given=crossed)
                for payload, batch, shape, crossed in zip(payloads, batches, shapes, given, strict=True)
            ]
        )

    def crossings(
        self,
        values: torch.Tensor,
        arrived: torch.Tensor,
        payloads: Sequence[Payload],
        batches: Sequence[Batch],
        counts: Sequence[int],
    ) -> tuple[list[Crossing], list[Crossing]]:
        """What has just crossed, as each client's sender knows it and as its receiver does."""
        parts = zip(values.split(list(counts)), arrived.split(list(counts)), payloads, batches, strict=True)
        sent, received = [], []
        for own, there, payload, batch in parts:
            sender, receiver = self._pair(batch.client)
            there = there.detach().cpu()
            sent.append(
                Crossing(payload, there, own.detach().cpu(), batch.indices, None, sender.kept(payload))
            )
            received.append(Crossing(payload, there, None, batch.indices, None, receiver.kept(payload)))
        return sent, received

    # Gradients.

    def learn(
        self,
        at_receiver: bool,
        gradients: torch.Tensor,
        crossed: Sequence[Crossing],
        batches: Sequence[Batch],
    ) -> list[Payload | None]:
        """Let one end of each client's link learn from the gradients of what arrived; what it tells the
        other end."""
        counts = [len(crossing.arrived) for crossing in crossed]
        return [
            self._pair(batch.client)[at_receiver].learn(own.detach().cpu(), crossing)
            for own, crossing, batch in zip(gradients.split(counts), crossed, batches, strict=True)
        ]

    def tell(self, to_receiver: bool, updates: Sequence[Payload | None], batches: Sequence[Batch]) -> None:
        """Tell one end of each client's link what the other has learned."""
        for update, batch in zip(updates, batches, strict=True):
            if update is not None:
                self._pair(batch.client)[to_receiver].told(update)

    def pull_back(
        self, gradients: torch.Tensor, sent: Sequence[Crossing], batches: Sequence[Batch]
    ) -> torch.Tensor:
        """The gradients of what was sent, given those of what arrived; with the codec's correction."""
        import torch

        counts, pulled = [len(crossing.arrived) for crossing in sent], []
        for own, crossing, batch in zip(gradients.split(counts), sent, batches, strict=True):
            gradient = self._pair(batch.client)[0].pull_back(own.cpu(), crossing)
            if self.codec.correction is not None:
                assert crossing.values is not None
                gradient = gradient + self.codec.correction * (crossing.values - crossing.arrived)
            pulled.append(gradient)
        return torch.cat(pulled).to(gradients.device)

    # Evaluation.

    def through(self, tensor: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """A tensor as it arrives in an evaluation, in parts of `counts` rows: those of clients that have sent
        something take turns, and change nothing that they remember."""
        import torch

        shapes = [(count, *tensor.shape[1:]) for count in counts]
        if self.codec.is_stateless:
            return self.codec.decode_many(self.codec.encode_many(tensor, counts), shapes)
        pairs, arrived = list(self._frozen()), []
        for place, (own, shape) in enumerate(zip(tensor.split(list(counts)), shapes, strict=True)):
            sender, receiver = pairs[place % len(pairs)]
            arrived.append(receiver.decode(sender.encode(own.detach().cpu()), shape))
        return torch.cat(arrived)

    def encode_again(
        self, tensor: torch.Tensor, batch: Batch, rng: np.random.Generator | None
    ) -> tuple[Payload, torch.Tensor]:
        """A client's next payload, and what arrives, without changing what its coders remember."""
        known = batch.client in self.senders
        ends = self._pair(batch.client) if known else (self.codec.coder(), self.codec.coder())
        sender, receiver = (one.frozen() for one in ends)
        payload = sender.encode(tensor.detach().cpu(), rng, samples=batch.indices)
        return payload, receiver.decode(payload, tuple(tensor.shape), samples=batch.indices)

    def _frozen(self) -> Iterator[tuple[Coder, Coder]]:
        for client in sorted(self.senders):
            sender, receiver = self._pair(client)
            yield sender.frozen(), receiver.frozen()
        if not self.senders:
            yield self.codec.coder().frozen(), self.codec.coder().frozen()

    # Where it is.

    def state(self) -> dict[str, dict[int, Any]]:
        """What all coders remember, by end and client."""
        return {
            name: {client: coder.state() for client, coder in coders.items()}
            for name, coders in (("senders", self.senders), ("receivers", self.receivers))
        }

    def restore(self, state: Mapping[str, Mapping[int, Any]]) -> None:
        """Resume from what `state` gave."""
        self.senders, self.receivers = {}, {}
        for client in state["senders"]:
            self._pair(client)
        for name, coders in (("senders", self.senders), ("receivers", self.receivers)):
            for client, own in state[name].items():
                coders[client].restore(own)

    def kept_bytes(self) -> tuple[int, int]:
        """Bytes that coders remember: at the client that remembers most, and at the server together."""
        sizes = [
            [sum(tensor.nbytes for tensor in coder.state().values()) for coder in coders.values()]
            for coders in (self.senders, self.receivers)
        ]
        at_server, at_clients = sizes if self._server_sends else reversed(sizes)
        return max(at_clients, default=0), sum(at_server)
