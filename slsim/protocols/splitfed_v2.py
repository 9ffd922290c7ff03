"""`splitfed-v2`: one server-side model that takes the clients' mini-batches in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from slsim import seeds
from slsim.protocols.base import Protocol
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Sampler


class SplitFedV2(Protocol):
    """One server-side model that takes the clients' mini-batches in turn; clients' halves are averaged.

    SplitFedV2 (Thapa et al., AAAI 2022): in a round each participant receives the client's half and goes
    through its samples `local_epochs` times; at every step the server takes the participants' activations
    one after another, in an order drawn from the seed, and steps its one half after each. On the clock, too,
    the server takes them in that order, and waits for a client whose turn it is. Then the clients' halves are
    sent back and averaged (`training.weighting`). Clients' optimizers start anew in each round, the
    server's is kept.
    """

    local_epochs: int = Field(
        1,
        strict=True,
        ge=1,
        description="The number of local epochs between two averages of the clients' halves.",
    )

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        while not exchange.progress.is_over:
            yield from self._round(exchange, resumed)
            resumed = None

    def _round(self, exchange: Exchange, resumed: Mapping[str, Any] | None) -> Iterator[Round | Pause]:
        participants = exchange.sampler.participants(exchange.progress.rounds)
        if resumed:
            done = resumed["done"]
            halves = {number: exchange.snapshot_of(half) for number, half in resumed["halves"].items()}
        else:
            done, halves = 0, self._begin(exchange, participants)

        def state() -> dict[str, Any]:
            return {"done": done, "halves": {number: half.plain() for number, half in halves.items()}}

        for number in self._server_order(exchange, participants)[done:]:
            exchange.client.restore(halves[number])
            at_server = exchange.upload(exchange.forward([exchange.sampler.next_batch(number)]))
            exchange.server_learns(at_server, in_order=True)
            exchange.return_gradients(at_server)
            exchange.step()
            halves[number] = exchange.client.snapshot()
            done += 1
            yield Pause(state)
        mean = exchange.client.weights().zero_()
        for number, share in exchange.sampler.shares(participants).items():
            mean.add_(exchange.send_weights(halves[number].weights, number, "up"), alpha=share)
        exchange.client.load(mean)
        yield exchange.finish_round()

    def _begin(self, exchange: Exchange, participants: Sequence[int]) -> dict[int, Any]:
        """The client's half as it arrives at each participant."""
        shared = exchange.client.snapshot()
        return {
            number: shared.as_arrived(exchange.send_weights(shared.weights, number, "down"))
            for number in participants
        }

    def _server_order(self, exchange: Exchange, participants: Sequence[int]) -> list[int]:
        """Whose mini-batch the server takes, step after step of the whole round."""
        rng = seeds.generator(exchange.seed, "server order", exchange.progress.rounds)
        steps = {n: self.local_epochs * exchange.sampler.steps_in_pass(n) for n in participants}
        return [
            number
            for step in range(max(steps.values()))
            for number in rng.permutation([n for n in participants if step < steps[n]]).tolist()
        ]
