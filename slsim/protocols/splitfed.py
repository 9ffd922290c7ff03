"""`splitfed`: all clients at once, averaged every step or every few epochs; `splitfed-v2`: the server's half
is one for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from slsim import seeds
from slsim.protocols.base import Synchronous, register
from slsim.protocols.chains import split_turn
from slsim.protocols.steps import Step, Workload
from slsim.recording import RoundRecord, Turn, Turns

if TYPE_CHECKING:
    import torch

    from slsim.learning.halves import Snapshot
    from slsim.learning.sampling import Batch, Sampler
    from slsim.learning.trainer import Trainer


@register("splitfed")
class SplitFed(Synchronous):
    """All clients at once; both halves averaged over them after each step, or every few local epochs.

    Averaged every step, it is *Mask-Encoded Sparsification* (ECAI 2024), Section 3 and Eq. 2: a round is one
    step, each client sends the encoded activations of one mini-batch and its labels, the server returns
    their gradients, and a barrier follows. Exchanging the clients' own gradients for the average is not
    charged, as in the paper.

    With `local_epochs` it is SplitFedV1 (Thapa et al., AAAI 2022): in a round each participant receives the
    client's half, goes through its samples so many times with a server's half of its own, and sends its half
    back; both halves are averaged by numbers of samples. Optimizers start anew in each round.
    """

    local_epochs: int | None = Field(
        None, strict=True, ge=1, description="between two averages; left out: averaged every step"
    )

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        if self.local_epochs is None:
            return sampler.steps_per_epoch
        return sampler.rounds_of_passes(self.local_epochs)

    @property
    def one_step_a_round(self) -> bool:
        return self.local_epochs is None

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        while trainer.rounds_done < trainer.total_rounds:
            yield self._step(trainer) if self.local_epochs is None else self._local_round(trainer)

    def _step(self, trainer: Trainer) -> RoundRecord:
        batches = trainer.sampler.one_each(trainer.rounds_done)
        turns = trainer.exchange(batches)
        trainer.step(len(batches))
        trainer.finish_round()
        return RoundRecord(tuple(turns))

    def _local_round(self, trainer: Trainer) -> RoundRecord:
        assert self.local_epochs is not None
        from slsim.learning.halves import average

        client, server = trainer.client.weights(), trainer.server.weights()
        turns: list[Turn] = []
        clients: list[torch.Tensor] = []
        servers: list[torch.Tensor] = []
        shares: list[float] = []
        for number in trainer.sampler.participants(trainer.rounds_done):
            down, arrived = trainer.send_weights(client, number, "down")
            turns.append(Turn(number, 0, (down,)))
            trainer.client.load(arrived)
            trainer.server.load(server)
            trainer.client.forget_momentum()
            trainer.server.forget_momentum()
            samples = 0
            for batch in trainer.sampler.whole_passes(number, self.local_epochs):
                turns += trainer.exchange([batch])
                trainer.step()
                samples += batch.indices.size
            up, arrived = trainer.send_weights(trainer.client.weights(), number, "up")
            turns.append(Turn(number, 0, (up,)))
            clients.append(arrived)
            servers.append(trainer.server.weights())
            shares.append(samples)
        trainer.client.load(average(clients, shares))
        trainer.server.load(average(servers, shares))
        trainer.finish_round()
        return RoundRecord(tuple(turns))

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        return split_turn(turn, workload)


@register("splitfed-v2")
class SplitFedV2(Synchronous):
    """One server-side model that takes the clients' mini-batches in turn; clients' halves are averaged.

    SplitFedV2 (Thapa et al., AAAI 2022): in a round each participant receives the client's half and goes
    through its samples `local_epochs` times; at every step the server takes the participants' activations
    one after another, in an order drawn from the seed, and steps its one half after each. Then the clients'
    halves are sent back and averaged by numbers of samples. Clients' optimizers start anew in each round,
    the server's goes on.
    """

    local_epochs: int = Field(1, strict=True, ge=1, description="between two averages of the clients' halves")

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        while trainer.rounds_done < trainer.total_rounds:
            yield self._round(trainer)

    def _round(self, trainer: Trainer) -> RoundRecord:
        from slsim.learning.halves import Snapshot, average

        participants = trainer.sampler.participants(trainer.rounds_done)
        shared = trainer.client.weights()
        states: dict[int, Snapshot] = {}
        turns: dict[int, list[Turn]] = {}
        for number in participants:
            down, arrived = trainer.send_weights(shared, number, "down")
            turns[number] = [Turn(number, 0, (down,))]
            states[number] = Snapshot(arrived)
        batches = {n: trainer.sampler.whole_passes(n, self.local_epochs) for n in participants}
        self._steps(trainer, batches, states, turns)
        halves, shares = [], []
        for number in participants:
            up, arrived = trainer.send_weights(states[number].weights, number, "up")
            turns[number].append(Turn(number, 0, (up,)))
            halves.append(arrived)
            shares.append(float(sum(batch.indices.size for batch in batches[number])))
        trainer.client.load(average(halves, shares))
        trainer.finish_round()
        return RoundRecord(tuple(turn for own in turns.values() for turn in own))

    def _steps(
        self,
        trainer: Trainer,
        batches: dict[int, list[Batch]],
        states: dict[int, Snapshot],
        turns: dict[int, list[Turn]],
    ) -> None:
        """Every step of all participants; each has its own client's half in `states`."""
        order = seeds.generator(trainer.seed, "server order", trainer.rounds_done)
        for step in range(max(map(len, batches.values()))):
            for number in order.permutation([n for n in batches if step < len(batches[n])]).tolist():
                trainer.client.restore(states[number])
                turns[number] += trainer.exchange([batches[number][step]])
                trainer.step()
                states[number] = trainer.client.snapshot()

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        return split_turn(turn, workload)
