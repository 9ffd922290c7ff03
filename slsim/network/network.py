"""A network: links, and the times at which their rates change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from typing import cast

import simpy

from slsim.errors import NetworkError
from slsim.network.flows import Flows
from slsim.network.links import Link, RateChange, Transfer, check_link_exists


class Network:
    """Links that share their rates as a pure fluid: no packets, no headers, no TCP.

    It holds a description only. Every `attach` and every `completion_times` starts afresh from it, and rate
    changes count from time 0 of that run's clock. Of several changes of one link at one time, the last
    given holds.

    Raises NetworkError for two links of one name, or a rate change of a link that is not in the network.
    """

    def __init__(self, links: Iterable[Link], rate_changes: Iterable[RateChange] = ()) -> None:
        self.links = tuple(links)
        self.rate_changes = tuple(sorted(rate_changes, key=lambda change: change.time_s))
        counts = Counter(link.name for link in self.links)
        for name, count in counts.items():
            if count > 1:
                raise NetworkError(f"name(={name!r}) of a link must be unique; {count} links have it.")
        for change in self.rate_changes:
            check_link_exists(change.link, counts, f"the rate change at {change.time_s} s")

    def attach(self, env: simpy.Environment) -> Flows:
        """The network at work in `env`, idle so far."""
        return Flows(env, self.links, self.rate_changes)

    def completion_times(self, transfers: Iterable[Transfer]) -> list[float]:
        """When the last byte of every transfer has arrived, in seconds, in the order given.

        Runs a clock of its own from 0. Raises NetworkError for an unknown link in a route.
        """
        transfers = list(transfers)
        names = {link.name: None for link in self.links}  # in order, for the message
        for transfer in transfers:
            for name in transfer.route:
                check_link_exists(name, names, f"route {transfer.route}")
        env = simpy.Environment()
        flows = self.attach(env)
        deliveries = [env.process(_send_at_start(env, flows, transfer)) for transfer in transfers]
        env.run(until=env.all_of(deliveries))
        return [cast(float, delivery.value) for delivery in deliveries]


def _send_at_start(
    env: simpy.Environment, flows: Flows, transfer: Transfer
) -> Generator[simpy.Event, float, float]:
    yield env.timeout(transfer.start_s)
    return (yield flows.send(transfer.route, transfer.num_bytes, transfer.rate_cap_bps))
