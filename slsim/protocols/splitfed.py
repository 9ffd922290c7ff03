"""`splitfed`: all clients at once, aggregated every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slsim.devices import Work
from slsim.protocols.base import Protocol, register
from slsim.protocols.stage import Process, Stage
from slsim.recording import ACTIVATIONS, GRADIENTS, LABELS, Message, RoundRecord, Turn

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer


@register("splitfed")
class SplitFed(Protocol):
    """Every client in parallel, gradients of clients and server averaged over clients after each step.

    *Mask-Encoded Sparsification* (ECAI 2024), Section 3 and Eq. 2; SplitFed: Thapa et al., AAAI 2022. A
    round is one step: each client sends the encoded activations of one mini-batch and its labels, the
    server returns their gradients, and a barrier follows. Exchanging the clients' own gradients for the
    average is not charged, as in the paper.
    """

    replayable = True

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        for batches in trainer.rounds():
            activations = trainer.forward(batches)
            uplink = trainer.encode(batches, activations)
            labels = trainer.encode_labels(batches)
            downlink = trainer.server_step(uplink, labels)
            trainer.backward(batches, activations, downlink)
            trainer.aggregate(len(batches))
            turns = []
            for batch, up, label, down in zip(batches, uplink, labels, downlink, strict=True):
                raw = activations[0].numel() * batch.indices.size * activations.element_size()
                messages = (
                    Message(ACTIVATIONS, "up", up.num_bytes, raw, trainer.uplink.extra(up)),
                    Message(LABELS, "up", len(label), len(label)),
                    Message(GRADIENTS, "down", down.num_bytes, raw, trainer.downlink.extra(down)),
                )
                turns.append(Turn(batch.client, batch.indices.size, messages))
            yield RoundRecord(tuple(turns))

    def play(self, stage: Stage, record: RoundRecord) -> Process:
        yield stage.together([self._turn(stage, turn) for turn in record.turns])

    def _turn(self, stage: Stage, turn: Turn) -> Process:
        client, samples, costs = turn.client, turn.samples, stage.costs
        up, down = turn.message(ACTIVATIONS), turn.message(GRADIENTS)
        yield from stage.compute(client, "client forward", Work(samples * costs.client_forward_flops))
        yield from stage.compute(client, "encode", Work(0, costs.encoding(up)))
        yield from stage.upload(client, turn.num_bytes("up"))
        server_flops = samples * (costs.server_forward_flops + costs.server_backward_flops)
        yield from stage.serve(client, Work(server_flops, costs.decoding(up) + costs.encoding(down)))
        yield from stage.download(client, turn.num_bytes("down"))
        yield from stage.compute(client, "decode", Work(0, costs.decoding(down)))
        yield from stage.compute(client, "client backward", Work(samples * costs.client_backward_flops))
