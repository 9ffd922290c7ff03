"""`sequential`: vanilla split learning, one client after another; `centralized`: all data in one place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from slsim.devices.base import Half
from slsim.protocols.base import CLIENT_HALVES, SERVER_HALVES, Protocol
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    from slsim.learning.computation import Direction
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Sampler

ONE_LANE = 0  # for all clients


class Sequential(Protocol):
    """Vanilla split learning: clients one after another; the client's half is handed on over the network.

    Gupta and Raskar, JNCA 2018. In a round every participant, in order, receives the client's half from the
    server, goes through its samples `local_epochs` times with the server, and sends its half back for the
    next. The client's optimizer starts anew with each client, the server's is kept.
    """

    local_epochs: int = Field(
        1, strict=True, ge=1, description="The number of epochs of a client before it hands on."
    )

    def rounds_per_epoch(self, sampler: Sampler) -> float:
        return sampler.rounds_of_passes(self.local_epochs)

    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        while not exchange.progress.is_over:
            yield from self._round(exchange, resumed or {"done": 0, "step": 0})
            resumed = None

    def _round(self, exchange: Exchange, begun: Mapping[str, Any]) -> Iterator[Round | Pause]:
        """Train a round, of which `done` participants and `step` steps of the next are done."""
        now, sampler = dict(begun), exchange.sampler
        for number in sampler.participants(exchange.progress.rounds)[now["done"] :]:
            if now["step"] == 0:
                self._hand_on(exchange, number, "down")
                exchange.client.forget_momentum()
            while now["step"] < self.local_epochs * sampler.steps_in_pass(number):
                at_server = exchange.upload(exchange.forward([sampler.next_batch(number)], lane=ONE_LANE))
                exchange.server_learns(at_server)
                exchange.return_gradients(at_server)
                exchange.step()
                now["step"] += 1
                yield Pause(lambda: dict(now))
            self._hand_on(exchange, number, "up")
            now["done"], now["step"] = now["done"] + 1, 0
        yield exchange.finish_round()

    def _hand_on(self, exchange: Exchange, client: int, direction: Direction) -> None:
        """The client's half travels, and is loaded as it arrives."""
        arrived = exchange.send_weights(exchange.client.weights(), client, direction, lane=ONE_LANE)
        exchange.client.load(arrived)


class Centralized(Protocol):
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

    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        del resumed  # a round is one step
        while not exchange.progress.is_over:
            exchange.learn_whole(exchange.sampler.pooled(exchange.progress.rounds), on_server=True)
            exchange.step()
            yield exchange.finish_round()
