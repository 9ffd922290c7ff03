"""The contract of a protocol: a script of who computes and sends what, in which order; and the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from slsim.devices.base import Half
from slsim.recording.rounds import Pause, Round
from slsim.registry import Component, Registry

if TYPE_CHECKING:
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Sampler

CLIENT_HALVES: tuple[Half, ...] = ("client forward", "client backward")
SERVER_HALVES: tuple[Half, ...] = ("server forward", "server backward")
HEAD: tuple[Half, ...] = ("head forward", "head backward")


class Protocol(Component, ABC):
    """Who sends what to whom, in which order. A subclass is final; its fields are its parameters.

    A protocol knows no time: it calls the exchange's verbs, each of which computes with real tensors and
    writes the steps that it stands for. What is learned cannot depend on time, so a recording may be timed
    over any links.

    `crosses_cut` says whether activations travel at inference. `computing` has what clients and what the
    server compute, for devices to say whether they know its time. `has_head` says that the last layers are on
    the clients too, so that the model is cut twice. `averages_gradients` says that clients hold the same
    weights after each step, so that their own gradients must be exchanged (`training.aggregation`).

    Example:
        >>> from slsim.protocols import create
        >>> create("splitfed").averages_gradients, create("splitfed", local_epochs=1).averages_gradients
        (True, False)
    """

    crosses_cut: ClassVar[bool] = True
    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = (CLIENT_HALVES, SERVER_HALVES)
    has_head: ClassVar[bool] = False

    @property
    def averages_gradients(self) -> bool:
        """Whether a round is one step of all participants, from weights that all share."""
        return False

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        """Rounds in which every sample is seen once. Unless a protocol says otherwise, a round is a
        mini-batch of each participant."""
        return sampler.steps_per_epoch

    def smallest_batch(self, sampler: Sampler, together: bool) -> int:
        """Samples of the smallest batch that goes through the model at once; with `together`, batches of
        several clients may go as one. Unless a protocol says otherwise, clients go one by one."""
        del together
        return sampler.smallest

    @abstractmethod
    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        """Train round by round, from where `exchange` is to where `exchange.progress` is over.

        Yields `exchange.finish_round()` after each round. A protocol whose rounds are long yields a `Pause`
        after each of their steps; `resumed` is the state of the pause at which training was interrupted.
        """


registry: Registry[Protocol] = Registry("protocol", Protocol)  # type: ignore[type-abstract]  # only a bound
register = registry.register
