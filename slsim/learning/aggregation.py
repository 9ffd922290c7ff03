"""How clients that step alike average their own gradients: free of charge, by the server, or by a ring.

The gradients go through the weights codec; running statistics, where there are any, go beside them exactly.
With a codec that changes nothing and whose size is fixed, what is learned is what it is free of charge, bit
for bit, and the mean stands for each client's gradient in the messages, whose size is the same. With any
other codec each client's own gradient is computed, encoded and decoded (see `Tensors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from slsim.codecs import Identity
from slsim.recording import CLIENT_GRADIENTS, Message, Piece
from slsim.recording.kinds import ALL_REDUCE, DECODE, ENCODE

if TYPE_CHECKING:
    import torch

    from slsim.codecs import Codec
    from slsim.learning.codings import Codings
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Batch

Aggregation: TypeAlias = Literal["free", "server", "all-reduce"]


def is_exact(codec: Codec) -> bool:
    """Whether a codec changes nothing, and its size is fixed."""
    return isinstance(codec, Identity) and codec.lossless is None


def keeps_own(aggregation: Aggregation, codings: Codings) -> bool:
    """Whether each client's own gradient must be known."""
    return aggregation != "free" and not is_exact(codings.of(CLIENT_GRADIENTS))


def average(exchange: Exchange, batches: Sequence[Batch]) -> None:
    """Exchange the gradients of the clients that took these mini-batches among all clients that hold the
    model; those that took none contribute nothing, and receive the mean."""
    clients = exchange.sampler.participants(exchange.progress.rounds)
    if exchange.aggregation == "free" or len(clients) == 1:
        return
    taking = [batch.client for batch in batches]
    mean = exchange.client.gradients() / len(taking)
    statistics = exchange.client.weights()[exchange.client.num_weights :]
    exact = is_exact(exchange.codings.of(CLIENT_GRADIENTS))
    own = {} if exact else exchange.computation.own_gradients()
    average_by = _by_server if exchange.aggregation == "server" else _by_ring
    vectors = {client: mean if exact else own.get(client, mean.new_zeros(len(mean))) for client in clients}
    averaged = average_by(exchange, vectors, taking, statistics)
    if not exact:
        exchange.client.set_gradients(averaged * len(taking))


def _by_server(
    exchange: Exchange, vectors: dict[int, torch.Tensor], taking: Sequence[int], statistics: torch.Tensor
) -> torch.Tensor:
    """Gradients up, their mean down."""
    exchange.script.barrier()
    beside = exchange.computation.exactly(statistics)
    total = (first := next(iter(vectors.values()))).new_zeros(len(first))
    for client in taking:
        message, arrived = exchange.computation.transmit_vector(CLIENT_GRADIENTS, vectors[client])
        total += arrived
        encode, decode = _coding(exchange, message)
        lane = exchange.script.lane(client)
        lane.work(client, ENCODE, encode)
        lane.upload(client, message, *beside)
        lane.serve(client, decode)
    exchange.script.barrier()
    message, arrived = exchange.computation.transmit_vector(CLIENT_GRADIENTS, total / len(taking))
    encode, decode = _coding(exchange, message)
    for client in vectors:
        lane = exchange.script.lane(client)
        lane.serve(client, encode)
        lane.download(client, message, *beside)
        lane.work(client, DECODE, decode)
    return arrived


def _by_ring(
    exchange: Exchange, vectors: dict[int, torch.Tensor], taking: Sequence[int], statistics: torch.Tensor
) -> torch.Tensor:
    """A ring of the clients (Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of
    workstations*, 2009): of n chunks each client sends one to the next client 2 (n - 1) times. In the first
    n - 1 times chunks are added up on their way, in the others the sums go round as they are."""
    exchange.script.barrier()
    ring, count = _Ring(exchange, list(vectors), statistics), len(vectors)
    chunks = [list(vector.tensor_split(count)) for vector in vectors.values()]
    for turn in range(count - 1):
        passed = [(place - turn) % count for place in range(count)]
        sent = [_transmitted(exchange, chunks[place][chunk]) for place, chunk in enumerate(passed)]
        ring.pass_on(passed, [message for message, _ in sent], encoding=True)
        for place, (chunk, (_, arrived)) in enumerate(zip(passed, sent, strict=True)):
            chunks[(place + 1) % count][chunk] = chunks[(place + 1) % count][chunk] + arrived
    sums = [_transmitted(exchange, chunks[(chunk - 1) % count][chunk]) for chunk in range(count)]
    for turn in range(count - 1):
        passed = [(place + 1 - turn) % count for place in range(count)]
        ring.pass_on(passed, [sums[chunk][0] for chunk in passed], encoding=turn == 0)
    ring.receive()
    return exchange.computation.joined([arrived / len(taking) for _, arrived in sums])


def _transmitted(exchange: Exchange, chunk: torch.Tensor) -> tuple[Message, torch.Tensor]:
    return exchange.computation.transmit_vector(CLIENT_GRADIENTS, chunk)


class _Ring:
    """Writes the steps of clients in a ring, each of which sends to the next; `statistics` go beside, in as
    many chunks as there are clients."""

    def __init__(self, exchange: Exchange, clients: list[int], statistics: torch.Tensor) -> None:
        self._exchange, self._clients = exchange, clients
        self._beside = [
            exchange.computation.exactly(chunk) for chunk in statistics.tensor_split(len(clients))
        ]
        self._sent: list[tuple[int, Message]] = []  # by place: the row of its last message, and that

    def pass_on(self, chunks: Sequence[int], messages: Sequence[Message], encoding: bool) -> None:
        """Each client receives what was sent to it last, and sends its chunk, which it may have to encode."""
        self.receive()
        script, following = self._exchange.script, [*self._clients[1:], self._clients[0]]
        sent = []
        for client, to, chunk, message in zip(self._clients, following, chunks, messages, strict=True):
            lane = script.lane(client)
            if encoding:
                lane.work(client, ENCODE, _coding(self._exchange, message)[0])
            row = lane.send(client, to, ALL_REDUCE, message, *self._beside[chunk])
            sent.append((row, message))
        self._sent = sent

    def receive(self) -> None:
        """Each client decodes what the one before it sent last, once that has arrived."""
        for place, (row, message) in enumerate(self._sent):
            client = self._clients[(place + 1) % len(self._clients)]
            decode = _coding(self._exchange, message)[1]
            self._exchange.script.lane(client).work(client, DECODE, decode, waits_for=row)


def _coding(exchange: Exchange, message: Message) -> tuple[Piece, Piece]:
    """Encoding and decoding a message, as pieces of work."""
    assert message.shape is not None
    work, shape = exchange.codings.work, message.shape
    return work("encode", CLIENT_GRADIENTS, shape), work("decode", CLIENT_GRADIENTS, shape)
