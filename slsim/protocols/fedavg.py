"""`fedavg`: the whole model on the clients, to be compared with split learning over the same links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from slsim.devices.base import Half
from slsim.protocols.base import CLIENT_HALVES, SERVER_HALVES
from slsim.protocols.local import LocalTraining
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Batch, Sampler


class FedAvg(LocalTraining):
    """Federated averaging (McMahan et al., AISTATS 2017): whole models trained on the clients, and averaged.

    In a round each participant receives the model, goes through its samples `local_epochs` times and sends
    it back; the server averages (`training.weighting`). Optimizers start anew in each round. Nothing crosses
    the cut; codecs of activations and gradients are not used, the one of weights is.
    """

    crosses_cut: ClassVar[bool] = False
    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = ((*CLIENT_HALVES, *SERVER_HALVES), ())

    local_epochs: int = Field(
        1, strict=True, ge=1, description="The number of local epochs between two averages."
    )

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        while not exchange.progress.is_over:
            yield from self.local_round(exchange, self.local_epochs, resumed)
            resumed = None

    def travelling(self, exchange: Exchange) -> int:
        return exchange.client.size + exchange.server.size

    def local_step(self, exchange: Exchange, batch: Batch) -> None:
        exchange.learn_whole(batch, on_server=False)
        exchange.step()
