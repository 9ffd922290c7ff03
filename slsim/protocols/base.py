"""What a protocol is: how a round learns, and how the same round plays on the clock; the registry.

The two halves share nothing but the round's record, so a recording can be played again over any
network without its tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from slsim.devices.base import Half
from slsim.protocols.stage import Process, Stage
from slsim.protocols.steps import Step, Workload
from slsim.recording import RoundRecord, Turn, Turns
from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from slsim.learning.sampling import Sampler
    from slsim.learning.trainer import Trainer

CLIENT_HALVES: tuple[Half, ...] = ("client forward", "client backward")
SERVER_HALVES: tuple[Half, ...] = ("server forward", "server backward")


class Protocol(Component, ABC):
    """Who sends what to whom, in which order. A subclass is final; its fields are its parameters.

    `replayable` says that what is learned cannot depend on time (every round ends at a barrier that all
    its participants reach), so that its recordings may be re-timed over other links. `crosses_cut` says
    whether activations travel at inference. `computing` has what clients and what the server compute.
    """

    replayable: ClassVar[bool]
    crosses_cut: ClassVar[bool] = True
    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = (CLIENT_HALVES, SERVER_HALVES)

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        """Rounds in which every sample is seen once; as a protocol whose rounds are steps has it."""
        return sampler.steps_per_epoch

    def smallest_batch(self, sampler: Sampler, together: bool) -> int:
        """Samples of the smallest batch that goes through the model at once; with `together`, batches of
        several clients may go as one. As a protocol whose clients go one by one has it."""
        del together
        return sampler.smallest

    @property
    def one_step_a_round(self) -> bool:
        """Whether a round is one step of everyone's, from weights that all share: what probes look at."""
        return False

    @abstractmethod
    def learn(self, trainer: Trainer) -> Iterator[RoundRecord | None]:
        """Trains round by round with the trainer's primitives, from where the trainer is; yields what each
        round sent. A protocol whose rounds are long yields None after each of their steps: then the
        trainer's state, `open_round` included, is such that training can go on from it."""

    @abstractmethod
    def play(self, stage: Stage, record: RoundRecord) -> Process:
        """A SimPy process that takes the time of one round and ends at its barrier. Reads only `record`."""


class Synchronous(Protocol, ABC):
    """A protocol whose participants all work at once and end at a barrier; each goes through its turns in
    order, and each turn is a chain of steps.

    The chain is all that the clock needs. `chain` must treat one `Turn` and the columns of many `Turns`
    alike: SimPy plays the steps of one, arithmetic those of thousands.
    """

    replayable = True

    @abstractmethod
    def chain(self, turn: Turn | Turns, workload: Workload) -> tuple[Step, ...]:
        """The steps of a turn, in order. A turn uploads, is served and downloads at most once each."""

    def play(self, stage: Stage, record: RoundRecord) -> Process:
        steps: dict[int, list[Step]] = {}
        for turn in record.turns:
            steps.setdefault(turn.client, []).extend(self.chain(turn, stage.workload))
        yield stage.together([stage.perform(client, own) for client, own in steps.items()])


registry: Registry[Protocol] = Registry("protocol", Protocol)  # type: ignore[type-abstract]  # only a bound
register = registry.register
