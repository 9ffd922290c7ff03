"""`sequential`: vanilla split learning, one client after another; `centralized`: all data in one place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.devices.base import Half
from slsim.protocols.base import CLIENT_HALVES, SERVER_HALVES, Protocol, Synchronous, register
from slsim.protocols.chains import split_turn
from slsim.protocols.stage import Process, Stage
from slsim.protocols.steps import Serve, Step, Workload
from slsim.recording import Direction, RoundRecord, Turn, Turns

if TYPE_CHECKING:
    from slsim.learning.open_round import OpenRound
    from slsim.learning.sampling import Sampler
    from slsim.learning.trainer import Trainer


@register("sequential")
class Sequential(Protocol):
    """Vanilla split learning: clients one after another; the client's half is handed on over the network.

    Gupta and Raskar, JNCA 2018. In a round every participant, in order, receives the client's half from the
    server, goes through its samples `local_epochs` times with the server, and sends its half back for the
    next. The client's optimizer starts anew with each client, the server's goes on.
    """

    replayable = True

    local_epochs: int = Field(1, strict=True, ge=1, description="of a client before it hands on")

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        while not trainer.progress.is_over:
            yield from self._round(trainer)

    def _round(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        now = trainer.open_round or trainer.begin_round()  # `done` participants, and `step` of the next
        for number in trainer.sampler.participants(trainer.progress.rounds)[now.done :]:
            if now.step == 0:
                self._hand_on(trainer, now, number, "down")
                trainer.client.forget_momentum()
            while now.step < self.local_epochs * trainer.sampler.steps_in_pass(number):
                now.turns += trainer.exchange([trainer.sampler.next_batch(number)])
                trainer.step()
                now.step += 1
                yield None
            self._hand_on(trainer, now, number, "up")
            now.done, now.step = now.done + 1, 0
        trainer.finish_round()
        yield RoundRecord(tuple(now.turns))

    def _hand_on(self, trainer: Trainer, now: OpenRound, client: int, direction: Direction) -> None:
        """The client's half travels, and is loaded as it arrives."""
        messages, arrived = trainer.send_weights(trainer.client.weights(), client, direction)
        now.sent(client, messages)
        trainer.client.load(arrived)

    def play(self, stage: Stage, record: RoundRecord) -> Process:
        for turn in record.turns:
            yield from stage.perform(turn.client, split_turn(turn, stage.workload))


@register("centralized")
class Centralized(Synchronous):
    """All data on the server, nothing travels: the ceiling.

    A round is one step on a mini-batch as large as all participants' together, drawn from all samples; how
    the data came to the server is not charged.
    """

    crosses_cut: ClassVar[bool] = False
    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = ((), (*CLIENT_HALVES, *SERVER_HALVES))

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.pooled_steps_per_epoch

    def smallest_batch(self, sampler: Sampler, together: bool) -> int:
        del together
        return sampler.smallest_pooled

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        while not trainer.progress.is_over:
            batch = trainer.sampler.pooled(trainer.progress.rounds)
            trainer.learn_whole([batch])
            trainer.step()
            trainer.finish_round()
            yield RoundRecord((Turn(0, batch.indices.size, ()),))

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        return (Serve(tuple(workload.half(half, turn) for half in (*CLIENT_HALVES, *SERVER_HALVES))),)
