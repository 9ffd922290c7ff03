"""`splitfed`: all clients at once, averaged every step or every few epochs; `splitfed-v2`: the server's half
is one for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from slsim import seeds
from slsim.protocols.base import Synchronous, register
from slsim.protocols.chains import split_turn
from slsim.protocols.local import LocalTraining
from slsim.protocols.steps import Step, Workload
from slsim.recording import RoundRecord, Turn, Turns

if TYPE_CHECKING:
    from slsim.learning.open_round import OpenRound
    from slsim.learning.sampling import Batch, Sampler
    from slsim.learning.trainer import Trainer


@register("splitfed")
class SplitFed(LocalTraining):
    """All clients at once; both halves averaged over them after each step, or every few local epochs.

    Averaged every step, it is *Mask-Encoded Sparsification* (ECAI 2024), Section 3 and Eq. 2: a round is one
    step, each client sends the encoded activations of one mini-batch and its labels, the server returns
    their gradients, and a barrier follows. Mini-batches of different sizes count by their samples, unless
    `training.weighting` is "clients". Exchanging the clients' own gradients for the average is not
    charged, as in the paper.

    With `local_epochs` it is SplitFedV1 (Thapa et al., AAAI 2022): in a round each participant receives the
    client's half, goes through its samples so many times with a server's half of its own, and sends its half
    back; both halves are averaged (`training.weighting`). Optimizers start anew in each round.
    """

    local_epochs: int | None = Field(
        None, strict=True, ge=1, description="between two averages; left out: averaged every step"
    )

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        if self.local_epochs is None:
            return sampler.steps_per_epoch
        return sampler.rounds_of_passes(self.local_epochs)

    def smallest_batch(self, sampler: Sampler, together: bool) -> int:
        return sampler.smallest_together if together and self.local_epochs is None else sampler.smallest

    @property
    def one_step_a_round(self) -> bool:
        return self.local_epochs is None

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        while not trainer.progress.is_over:
            if self.local_epochs is None:
                yield self._step(trainer)
            else:
                yield from self.local_round(trainer, self.local_epochs)

    def _step(self, trainer: Trainer) -> RoundRecord:
        batches = trainer.sampler.one_each(trainer.progress.rounds)
        turns = trainer.exchange(batches)
        trainer.step(len(batches))
        trainer.finish_round()
        return RoundRecord(tuple(turns))

    def travelling(self, trainer: Trainer) -> int:
        return trainer.client.size

    def local_step(self, trainer: Trainer, batch: Batch) -> Turn:
        (turn,) = trainer.exchange([batch])
        trainer.step()
        return turn

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        return split_turn(turn, workload)


@register("splitfed-v2")
class SplitFedV2(Synchronous):
    """One server-side model that takes the clients' mini-batches in turn; clients' halves are averaged.

    SplitFedV2 (Thapa et al., AAAI 2022): in a round each participant receives the client's half and goes
    through its samples `local_epochs` times; at every step the server takes the participants' activations
    one after another, in an order drawn from the seed, and steps its one half after each. Then the clients'
    halves are sent back and averaged (`training.weighting`). Clients' optimizers start anew in each round,
    the server's goes on.
    """

    local_epochs: int = Field(1, strict=True, ge=1, description="between two averages of the clients' halves")

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        while not trainer.progress.is_over:
            yield from self._round(trainer)

    def _round(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        participants = trainer.sampler.participants(trainer.progress.rounds)
        now = trainer.open_round or self._begin(trainer, participants)
        for number in self._server_order(trainer, participants)[now.done :]:
            trainer.client.restore(now.halves[number])
            now.turns += trainer.exchange([trainer.sampler.next_batch(number)])
            trainer.step()
            now.halves[number] = trainer.client.snapshot()
            now.done += 1
            yield None
        for number, share in trainer.sampler.shares(participants).items():
            messages, arrived = trainer.send_weights(now.halves[number].weights, number, "up")
            now.sent(number, messages)
            now.add(arrived, share)
        trainer.client.load(now.mean)
        trainer.finish_round()
        yield RoundRecord(tuple(sorted(now.turns, key=lambda turn: turn.client)))

    def _begin(self, trainer: Trainer, participants: Sequence[int]) -> OpenRound:
        """`done` counts steps; `halves` are the participants' own."""
        from slsim.learning.halves import Snapshot

        shared = trainer.client.snapshot()
        now = trainer.begin_round(mean=shared.weights.new_zeros(trainer.client.size))
        for number in participants:
            messages, arrived = trainer.send_weights(shared.weights, number, "down")
            now.sent(number, messages)
            now.halves[number] = Snapshot(arrived, None, shared.counters)
        return now

    def _server_order(self, trainer: Trainer, participants: Sequence[int]) -> list[int]:
        """Whose mini-batch the server takes, step after step of the whole round."""
        rng = seeds.generator(trainer.seed, "server order", trainer.progress.rounds)
        steps = {n: self.local_epochs * trainer.sampler.steps_in_pass(n) for n in participants}
        return [
            number
            for step in range(max(steps.values()))
            for number in rng.permutation([n for n in participants if step < steps[n]]).tolist()
        ]

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        return split_turn(turn, workload)
