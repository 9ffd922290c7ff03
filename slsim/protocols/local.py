"""Rounds in which every participant trains on its own for a while, and all results are averaged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slsim.protocols.base import Protocol
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    import torch

    from slsim.learning.computation import Direction
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Batch


class LocalTraining(Protocol, ABC):
    """What `fedavg` and `splitfed` with local epochs share: a part of the model travels to each participant,
    which trains the whole from there, and back; then all are averaged, by numbers of samples unless
    `training.weighting` says otherwise.

    Optimizers, and what batch normalization counts, start anew with each participant; counts are those of the
    last participant.
    """

    @abstractmethod
    def travelling(self, exchange: Exchange) -> int:
        """How many elements of the whole model's state cross the network, from its beginning."""

    @abstractmethod
    def local_step(self, exchange: Exchange, batch: Batch) -> None:
        """One step of a participant."""

    def local_round(
        self, exchange: Exchange, epochs: int, resumed: Mapping[str, Any] | None
    ) -> Iterator[Round | Pause]:
        """Train a round of `epochs` passes of each participant, or what is left of it."""
        sampler = exchange.sampler
        participants = sampler.participants(exchange.progress.rounds)
        shares = sampler.shares(participants)
        now = _Open.resumed(exchange, resumed) if resumed else _Open.begun(exchange)
        for client in participants[now.done :]:
            if now.step == 0:
                exchange.client.restore(now.client)
                exchange.server.restore(now.server)
                exchange.load_whole(self._travelled(exchange, client, "down"))
            while now.step < epochs * sampler.steps_in_pass(client):
                self.local_step(exchange, sampler.next_batch(client))
                now.step += 1
                yield Pause(now.state)
            now.mean.add_(self._travelled(exchange, client, "up"), alpha=shares[client])
            now.done, now.step = now.done + 1, 0
        exchange.load_whole(now.mean)
        yield exchange.finish_round()

    def _travelled(self, exchange: Exchange, client: int, direction: Direction) -> torch.Tensor:
        """The whole model's state, with its travelling part as it arrives."""
        whole, size = exchange.whole_weights(), self.travelling(exchange)
        whole[:size] = exchange.send_weights(whole[:size], client, direction)
        return whole


class _Open:
    """A round that is not over: what all participants begin with, the mean so far, how many participants are
    `done`, and the steps of the next."""

    def __init__(self, client: Any, server: Any, mean: torch.Tensor, done: int = 0, step: int = 0) -> None:
        self.client, self.server, self.mean = client, server, mean
        self.done, self.step = done, step

    @classmethod
    def begun(cls, exchange: Exchange) -> _Open:
        mean = exchange.whole_weights().zero_()
        return cls(exchange.client.snapshot(), exchange.server.snapshot(), mean)

    @classmethod
    def resumed(cls, exchange: Exchange, state: Mapping[str, Any]) -> _Open:
        client, server = (exchange.snapshot_of(state[half]) for half in ("client", "server"))
        return cls(client, server, state["mean"].to(exchange.device, copy=True), state["done"], state["step"])

    def state(self) -> dict[str, Any]:
        halves = {"client": self.client.plain(), "server": self.server.plain()}
        return {**halves, "mean": self.mean.clone(), "done": self.done, "step": self.step}
