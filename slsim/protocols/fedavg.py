"""`fedavg`: the whole model on the clients, to be compared with split learning over the same links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.protocols.base import CLIENT_HALVES, SERVER_HALVES, Synchronous, register
from slsim.protocols.chains import weights
from slsim.protocols.steps import Compute, Half, Step, Workload
from slsim.recording import WEIGHTS, RoundRecord, Turn, Turns

if TYPE_CHECKING:
    import torch

    from slsim.learning.sampling import Sampler
    from slsim.learning.trainer import Trainer


FORWARD: tuple[Half, ...] = ("client forward", "server forward")
BACKWARD: tuple[Half, ...] = ("server backward", "client backward")


@register("fedavg")
class FedAvg(Synchronous):
    """Federated averaging (McMahan et al., AISTATS 2017): whole models trained on the clients, and averaged.

    In a round each participant receives the model, goes through its samples `local_epochs` times and sends
    it back; the server averages by numbers of samples. Optimizers start anew in each round. Nothing crosses
    the cut; codecs of activations and gradients are not used, the one of weights is.
    """

    crosses_cut: ClassVar[bool] = False
    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = ((*CLIENT_HALVES, *SERVER_HALVES), ())

    local_epochs: int = Field(1, strict=True, ge=1, description="between two averages")

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        while trainer.rounds_done < trainer.total_rounds:
            yield self._round(trainer)

    def _round(self, trainer: Trainer) -> RoundRecord:
        from slsim.learning.halves import average

        model = trainer.whole_weights()
        turns: list[Turn] = []
        models: list[torch.Tensor] = []
        shares: list[float] = []
        for number in trainer.sampler.participants(trainer.rounds_done):
            down, arrived = trainer.send_weights(model, number, "down")
            turns.append(Turn(number, 0, (down,)))
            trainer.load_whole(arrived)
            batches = trainer.sampler.whole_passes(number, self.local_epochs)
            for batch in batches:
                trainer.learn_whole([batch])
                trainer.step()
                turns.append(Turn(number, batch.indices.size, ()))
            up, arrived = trainer.send_weights(trainer.whole_weights(), number, "up")
            turns.append(Turn(number, 0, (up,)))
            models.append(arrived)
            shares.append(float(sum(batch.indices.size for batch in batches)))
        trainer.load_whole(average(models, shares))
        trainer.finish_round()
        return RoundRecord(tuple(turns))

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        if turn.sends(WEIGHTS, "down") or turn.sends(WEIGHTS, "up"):
            return weights(turn, workload)
        return (
            Compute("client forward", tuple(workload.half(half, turn) for half in FORWARD)),
            Compute("client backward", tuple(workload.half(half, turn) for half in BACKWARD)),
        )
