"""`splitfed`: all clients at once, aggregated every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slsim.protocols.base import Synchronous, register
from slsim.protocols.steps import Compute, Download, Serve, Step, Upload, Workload
from slsim.recording import ACTIVATIONS, GRADIENTS, LABELS, Message, RoundRecord, Turn, Turns

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer


@register("splitfed")
class SplitFed(Synchronous):
    """Every client in parallel, gradients of clients and server averaged over clients after each step.

    *Mask-Encoded Sparsification* (ECAI 2024), Section 3 and Eq. 2; SplitFed: Thapa et al., AAAI 2022. A
    round is one step: each client sends the encoded activations of one mini-batch and its labels, the
    server returns their gradients, and a barrier follows. Exchanging the clients' own gradients for the
    average is not charged, as in the paper.
    """

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

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        up, down = turn.message(ACTIVATIONS), turn.message(GRADIENTS)
        return (
            Compute("client forward", (workload.half("client forward", turn),)),
            Compute("encode", (workload.encode(up),)),
            Upload(turn.num_bytes("up")),
            Serve(
                (
                    workload.decode(up),
                    workload.half("server forward", turn),
                    workload.half("server backward", turn),
                    workload.encode(down),
                )
            ),
            Download(turn.num_bytes("down")),
            Compute("decode", (workload.decode(down),)),
            Compute("client backward", (workload.half("client backward", turn),)),
        )
