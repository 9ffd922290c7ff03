"""What a protocol is: how a round learns, and how the same round plays on the clock; the registry.

The two halves share nothing but the round's record, so a recording can be played again over any
network without its tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from slsim.protocols.stage import Process, Stage
from slsim.protocols.steps import Step, Workload
from slsim.recording import RoundRecord, Turn, Turns
from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer


class Protocol(Component, ABC):
    """Who sends what to whom, in which order. A subclass is final; its fields are its parameters.

    `replayable` says that what is learned cannot depend on time (every round ends at a barrier that all
    its participants reach), so that its recordings may be re-timed over other links.
    """

    replayable: ClassVar[bool]

    @abstractmethod
    def learn(self, trainer: Trainer) -> Iterator[RoundRecord]:
        """Trains round by round with the trainer's primitives; yields what each round sent."""

    @abstractmethod
    def play(self, stage: Stage, record: RoundRecord) -> Process:
        """A SimPy process that takes the time of one round and ends at its barrier. Reads only `record`."""


class Synchronous(Protocol, ABC):
    """A protocol whose participants all go through the same chain of steps at once and end at a barrier.

    The chain is all that the clock needs. `chain` must treat one `Turn` and the columns of many `Turns`
    alike: SimPy plays the steps of one, arithmetic those of thousands.
    """

    replayable = True

    @abstractmethod
    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        """The steps of a turn, in order. A turn uploads, is served and downloads at most once each."""

    def play(self, stage: Stage, record: RoundRecord) -> Process:
        chains = ((turn.client, self.chain(turn, stage.workload)) for turn in record.turns)
        yield stage.together([stage.perform(client, steps) for client, steps in chains])


registry: Registry[Protocol] = Registry("protocol", Protocol)  # type: ignore[type-abstract]  # only a bound
register = registry.register
