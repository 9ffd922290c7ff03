"""Rounds in which every participant trains on its own for a while, and all results are averaged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slsim.protocols.base import Synchronous
from slsim.recording import Direction, RoundRecord, Turn

if TYPE_CHECKING:
    import torch

    from slsim.learning.open_round import OpenRound
    from slsim.learning.sampling import Batch
    from slsim.learning.trainer import Trainer


class LocalTraining(Synchronous, ABC):
    """What `fedavg` and `splitfed` with local epochs share: a part of the model travels to each participant,
    which trains the whole from there, and back; then all are averaged, by numbers of samples unless
    `training.weighting` says otherwise.

    Optimizers, and what batch normalization counts, start anew with each participant; counts go on from the
    last one's.
    """

    @abstractmethod
    def travelling(self, trainer: Trainer) -> int:
        """How many elements of the whole model's state cross the network, from its beginning."""

    @abstractmethod
    def local_step(self, trainer: Trainer, batch: Batch) -> Turn:
        """One step of a participant, and what it sent."""

    def local_round(self, trainer: Trainer, epochs: int) -> Iterator[RoundRecord | None]:
        """A round of `epochs` passes of each participant, or what is left of it."""
        sampler = trainer.sampler
        participants = sampler.participants(trainer.progress.rounds)
        shares = sampler.shares(participants)
        now = trainer.open_round or self._begin(trainer)
        for client in participants[now.done :]:
            if now.step == 0:
                trainer.client.restore(now.halves["client"])
                trainer.server.restore(now.halves["server"])
                trainer.load_whole(self._travelled(trainer, now, client, "down"))
            while now.step < epochs * sampler.steps_in_pass(client):
                now.turns.append(self.local_step(trainer, sampler.next_batch(client)))
                now.step += 1
                yield None
            now.add(self._travelled(trainer, now, client, "up"), shares[client])
            now.done, now.step = now.done + 1, 0
        trainer.load_whole(now.mean)
        trainer.finish_round()
        yield RoundRecord(tuple(now.turns))

    def _begin(self, trainer: Trainer) -> OpenRound:
        """`done` counts participants, `step` the steps of the next; `halves` are what all begin with."""
        halves = {"client": trainer.client.snapshot(), "server": trainer.server.snapshot()}
        return trainer.begin_round(halves=halves, mean=trainer.whole_weights().zero_())

    def _travelled(self, trainer: Trainer, now: OpenRound, client: int, direction: Direction) -> torch.Tensor:
        """The whole model's state, with its travelling part as it arrives."""
        whole, size = trainer.whole_weights(), self.travelling(trainer)
        messages, whole[:size] = trainer.send_weights(whole[:size], client, direction)
        now.sent(client, messages)
        return whole
