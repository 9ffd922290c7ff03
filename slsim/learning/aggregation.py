"""How clients that step alike average their own gradients: free of charge, by the server, or by a ring.

The gradients go through the weights codec; running statistics, where there are any, go beside them exactly.
With a codec that changes nothing and whose size is fixed, what is learned is what it is free of charge, bit
for bit, and the mean stands for each client's gradient in the messages, whose size is the same. With any
other codec each client's own gradient is computed, encoded and decoded (see `Tensors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from slsim.codecs import Identity
from slsim.recording import CLIENT_GRADIENTS, STATISTICS, Message
from slsim.recording.kinds import ALL_REDUCE, DECODE, ENCODE

if TYPE_CHECKING:
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
    vectors = {client: mean if exact else own.get(client, torch.zeros_like(mean)) for client in clients}
    averaged = average_by(exchange, vectors, taking, statistics)
    if not exact:
        exchange.client.set_gradients(averaged * len(taking))


def _by_server(
    exchange: Exchange, vectors: dict[int, torch.Tensor], taking: Sequence[int], statistics: torch.Tensor
) -> torch.Tensor:
    """Gradients up, their mean down."""
    exchange.script.barrier()
    beside = _exactly(statistics)
    total = torch.zeros_like(next(iter(vectors.values())))
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
    clients = list(vectors)
    count = len(clients)
    exchange.script.barrier()
    chunks = [list(vectors[client].tensor_split(count)) for client in clients]
    beside = [_exactly(chunk) for chunk in statistics.tensor_split(count)]
    known: dict[int, tuple[Message, torch.Tensor]] = {}  # of chunks that go round as they are
    sent: dict[int, tuple[int, Message]] = {}  # by place in the ring: the row of its last send, the message
    for turn in range(2 * (count - 1)):
        adding = turn < count - 1
        sending: dict[int, tuple[int, Message]] = {}
        arrivals = []
        for place, client in enumerate(clients):
            chunk = (place - turn) % count if adding else (place + 1 - (turn - count + 1)) % count
            if adding or chunk not in known:
                message, arrived = exchange.computation.transmit_vector(
                    CLIENT_GRADIENTS, chunks[place][chunk]
                )
                if not adding:
                    known[chunk] = message, arrived / len(taking)
                is_new = True
            else:
                (message, arrived), is_new = known[chunk], False
            _receive(exchange, clients, place, sent)
            lane = exchange.script.lane(client)
            if is_new:
                lane.work(client, ENCODE, _coding(exchange, message)[0])
            following = clients[(place + 1) % count]
            row = lane.send(client, following, ALL_REDUCE, message, *beside[chunk])
            sending[place] = row, message
            arrivals.append((chunk, arrived))
        sent = sending
        if adding:
            for place, (chunk, arrived) in enumerate(arrivals):
                chunks[(place + 1) % count][chunk] = chunks[(place + 1) % count][chunk] + arrived
    for place in range(count):
        _receive(exchange, clients, place, sent)
    return torch.cat([known[chunk][1] for chunk in range(count)])


def _receive(
    exchange: Exchange, clients: Sequence[int], place: int, sent: dict[int, tuple[int, Message]]
) -> None:
    """Decode what the client before sent last, once it has arrived."""
    before = (place - 1) % len(clients)
    if before in sent:
        row, message = sent[before]
        client = clients[place]
        decode = _coding(exchange, message)[1]
        exchange.script.lane(client).work(client, DECODE, decode, waits_for=row)


def _coding(exchange: Exchange, message: Message) -> tuple:  # type: ignore[type-arg]
    """Encoding and decoding a message, as pieces of work."""
    assert message.shape is not None
    return tuple(
        exchange.codings.work(name, CLIENT_GRADIENTS, message.shape) for name in ("encode", "decode")
    )


def _exactly(statistics: torch.Tensor) -> list[Message]:
    """Running statistics as a message beside the gradients; none where there are none."""
    if not len(statistics):
        return []
    payload = Identity().encode(statistics.cpu())
    shape = tuple(statistics.shape)
    return [Message(STATISTICS, payload.num_bytes, 4 * len(statistics), 0, shape, "identity")]
