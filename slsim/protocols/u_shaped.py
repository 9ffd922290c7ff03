"""`u-shaped`: the last layers are on the clients too, so that labels never leave them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from slsim.devices.base import Half
from slsim.protocols.base import CLIENT_HALVES, HEAD, SERVER_HALVES, Protocol
from slsim.recording.rounds import Pause, Round

if TYPE_CHECKING:
    from slsim.learning.exchange import Exchange
    from slsim.learning.sampling import Sampler


class UShaped(Protocol):
    """U-shaped split learning: the model is cut twice, and its head is on the clients, so labels stay there.

    Vepakomma et al., *Split learning for health*, 2018, Section 2 ("without label sharing"). The client has
    the layers up to `model.cut` and those after `model.head_cut`, the server those between. In a step each
    client sends activations up (`codec.uplink`), the server returns features of its last layer
    (`codec.head_downlink`), the client computes the loss, sends the features' gradients up
    (`codec.head_uplink`) and receives those of the activations (`codec.downlink`). All clients step at once
    and are averaged every step, as in `splitfed`.
    """

    computing: ClassVar[tuple[tuple[Half, ...], tuple[Half, ...]]] = ((*CLIENT_HALVES, *HEAD), SERVER_HALVES)
    has_head: ClassVar[bool] = True

    @property
    def averages_gradients(self) -> bool:
        return True

    def smallest_batch(self, sampler: Sampler, together: bool) -> int:
        return sampler.smallest_together if together else sampler.smallest

    def learn(self, exchange: Exchange, resumed: Mapping[str, Any] | None = None) -> Iterator[Round | Pause]:
        del resumed  # a round is one step
        while not exchange.progress.is_over:
            batches = exchange.sampler.one_each(exchange.progress.rounds)
            at_server = exchange.upload(exchange.forward(batches), labels=False)
            at_head = exchange.download(exchange.server_forward(at_server))
            exchange.head_learns(at_head)
            exchange.return_features(at_head)
            exchange.return_gradients(at_server)
            exchange.average_gradients(batches)
            exchange.step(len(batches))
            yield exchange.finish_round()
