"""`fedavg`: the whole model on the clients, to be compared with split learning over the same links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.devices.base import Half
from slsim.protocols.base import CLIENT_HALVES, SERVER_HALVES, register
from slsim.protocols.chains import weights
from slsim.protocols.local import LocalTraining
from slsim.protocols.steps import Compute, Step, Workload
from slsim.recording import WEIGHTS, RoundRecord, Turn, Turns

if TYPE_CHECKING:
    from slsim.learning.sampling import Batch, Sampler
    from slsim.learning.trainer import Trainer


FORWARD: tuple[Half, ...] = ("client forward", "server forward")
BACKWARD: tuple[Half, ...] = ("server backward", "client backward")


@register("fedavg")
class FedAvg(LocalTraining):
    """Federated averaging (McMahan et al., AISTATS 2017): whole models trained on the clients, and averaged.

    In a round each participant receives the model, goes through its samples `local_epochs` times and sends
    it back; the server averages (`training.weighting`). Optimizers start anew in each round. Nothing crosses
    the cut; codecs of activations and gradients are not used, the one of weights is.
    """

    crosses_cut: ClassVar[bool] = False
    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = ((*CLIENT_HALVES, *SERVER_HALVES), ())

    local_epochs: int = Field(1, strict=True, ge=1, description="between two averages")

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        while not trainer.progress.is_over:
            yield from self.local_round(trainer, self.local_epochs)

    def travelling(self, trainer: Trainer) -> int:
        return trainer.client.size + trainer.server.size

    def local_step(self, trainer: Trainer, batch: Batch) -> Turn:
        trainer.learn_whole([batch])
        trainer.step()
        return Turn(batch.client, batch.indices.size, ())

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        if turn.sends(WEIGHTS, "down") or turn.sends(WEIGHTS, "up"):
            return weights(turn, workload)
        return (
            Compute("client forward", tuple(workload.half(half, turn) for half in FORWARD)),
            Compute("client backward", tuple(workload.half(half, turn) for half in BACKWARD)),
        )
