"""`sequential`: vanilla split learning, one client after another; `centralized`: all data in one place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from slsim.protocols.base import CLIENT_HALVES, SERVER_HALVES, Protocol, Synchronous, register
from slsim.protocols.chains import split_turn
from slsim.protocols.stage import Process, Stage
from slsim.protocols.steps import Half, Serve, Step, Workload
from slsim.recording import RoundRecord, Turn, Turns

if TYPE_CHECKING:
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

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        while trainer.rounds_done < trainer.total_rounds:
            turns: list[Turn] = []
            for number in trainer.sampler.participants(trainer.rounds_done):
                down, arrived = trainer.send_weights(trainer.client.weights(), number, "down")
                turns.append(Turn(number, 0, (down,)))
                trainer.client.load(arrived)
                trainer.client.forget_momentum()
                for batch in trainer.sampler.whole_passes(number, self.local_epochs):
                    turns += trainer.exchange([batch])
                    trainer.step()
                up, arrived = trainer.send_weights(trainer.client.weights(), number, "up")
                turns.append(Turn(number, 0, (up,)))
                trainer.client.load(arrived)
            trainer.finish_round()
            yield RoundRecord(tuple(turns))

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

    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        while trainer.rounds_done < trainer.total_rounds:
            batch = trainer.sampler.pooled(trainer.rounds_done)
            trainer.learn_whole([batch])
            trainer.step()
            trainer.finish_round()
            yield RoundRecord((Turn(0, batch.indices.size, ()),))

    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        return (Serve(tuple(workload.half(half, turn) for half in (*CLIENT_HALVES, *SERVER_HALVES))),)
