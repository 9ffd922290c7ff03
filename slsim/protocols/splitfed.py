"""`splitfed`: all clients at once, averaged every step or every few epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from slsim.protocols.local import LocalTraining
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Batch, Sampler


class SplitFed(LocalTraining):
    """All clients at once; both halves averaged over them after each step, or every few local epochs.

    Averaged every step, it is *Mask-Encoded Sparsification* (ECAI 2024), Section 3 and Eq. 2: a round is one
    step, each client sends the encoded activations of one mini-batch and its labels, the server returns
    their gradients, and a barrier follows. Mini-batches of different sizes count by their samples, unless
    `training.weighting` is "clients". Exchanging the clients' own gradients for the average is free of
    charge, as in the paper, unless `training.aggregation` says how it is done.

    With `local_epochs` it is SplitFedV1 (Thapa et al., AAAI 2022): in a round each participant receives the
    client's half, goes through its samples so many times with a server's half of its own, and sends its half
    back; both halves are averaged (`training.weighting`). Optimizers start anew in each round.
    """

    local_epochs: int | None = Field(
        None,
        strict=True,
        ge=1,
        description="The number of local epochs between two averages. Left out, weights are "
        "averaged every step.",
    )

    @property
    def averages_gradients(self) -> bool:
        return self.local_epochs is None

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        if self.local_epochs is None:
            return sampler.steps_per_epoch
        return sampler.rounds_of_passes(self.local_epochs)

    def smallest_batch(self, sampler: Sampler, together: bool) -> int:
        return sampler.smallest_together if together and self.local_epochs is None else sampler.smallest

    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        while not exchange.progress.is_over:
            if self.local_epochs is None:
                batches = exchange.sampler.one_each(exchange.progress.rounds)
                self._learn_from(exchange, batches)
                exchange.average_gradients(batches)
                exchange.step(len(batches))
                yield exchange.finish_round()
            else:
                yield from self.local_round(exchange, self.local_epochs, resumed)
                resumed = None

    def travelling(self, exchange: Exchange) -> int:
        return exchange.client.size

    def local_step(self, exchange: Exchange, batch: Batch) -> None:
        self._learn_from(exchange, [batch])
        exchange.step()

    def _learn_from(self, exchange: Exchange, batches: list[Batch]) -> None:
        at_server = exchange.upload(exchange.forward(batches))
        exchange.server_learns(at_server)
        exchange.return_gradients(at_server)
