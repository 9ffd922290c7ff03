"""A network: links, and the times at which their rates change."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeAlias, cast

import simpy

from slsim.errors import NetworkError
from slsim.network.flows import Flows
from slsim.network.links import Link, RateChange, Transfer, check_change, check_link_exists

Stream: TypeAlias = Callable[[], Iterator[RateChange]]
"""Rate changes sorted by time, from the beginning at every call; they may go on for ever."""


class Network:
    """Links that share their rates as a pure fluid: no packets, no headers, no TCP.

    It holds a description only. Every `attach` and every `completion_times` starts afresh from it, and rate
    changes, of `rate_changes` and of every stream, count from time 0 of that run's clock. Of several changes
    of one link at one time, the last given holds; streams come after `rate_changes`.

    Raises NetworkError for two links of one name, or a rate change of a link that is not in the network or
    that has opportunities. In a stream, it is found when the clock gets there.

    Example:
        >>> from slsim.network import Link, Network, RateChange, Transfer
        >>> up = Link("up", rate_bps=8e6, latency_s=0.01)
        >>> Network([up]).completion_times([Transfer(("up",), 1_000_000)])
        [1.01]
        >>> halved = RateChange(time_s=0.51, link="up", rate_bps=4e6)
        >>> Network([up], [halved]).completion_times([Transfer(("up",), 1_000_000)])
        [1.51]
    """

    def __init__(
        self, links: Iterable[Link], rate_changes: Iterable[RateChange] = (), streams: Iterable[Stream] = ()
    ) -> None:
        self.links = tuple(links)
        self.rate_changes = tuple(sorted(rate_changes, key=_time_s))
        self.streams = tuple(streams)
        counts = Counter(link.name for link in self.links)
        for name, count in counts.items():
            if count > 1:
                raise NetworkError(f"name(={name!r}) of a link must be unique; {count} links have it.")
        self._by_name = {link.name: link for link in self.links}
        for change in self.rate_changes:
            check_change(change, self._by_name)

    @property
    def is_steady(self) -> bool:
        """Whether what is sent while all is idle always takes the same time: no changes, opportunities or
        bursts."""
        if self.rate_changes or self.streams:
            return False
        return not any(link.burst_bytes or link.opportunities for link in self.links)

    def attach(self, env: simpy.Environment) -> Flows:
        """The network at work in `env`, idle so far."""
        if not self.rate_changes and not self.streams:
            return Flows(env, self._by_name)
        streams = (stream() for stream in self.streams)
        return Flows(env, self._by_name, heapq.merge(self.rate_changes, *streams, key=_time_s))

    def completion_times(self, transfers: Iterable[Transfer]) -> list[float]:
        """When the last byte of every transfer has arrived, in seconds, in the order given.

        Runs a clock of its own from 0. Raises NetworkError for an unknown link in a route, and for a
        transfer on a link that is down for ever.

        Example:
            >>> network = Network([Link("up", rate_bps=8e6)])
            >>> network.completion_times([Transfer(("up",), 500_000), Transfer(("up",), 1_000_000)])
            [1.0, 1.5]
        """
        transfers = list(transfers)
        for route in dict.fromkeys(transfer.route for transfer in transfers):
            for name in route:
                check_link_exists(name, self._by_name, f"route {route}")
        env = simpy.Environment()
        starts_s = [transfer.start_s for transfer in transfers]
        in_order = sorted(range(len(transfers)), key=starts_s.__getitem__)
        arrivals: list[simpy.Event] = []
        sending = _send_all(env, self.attach(env), [transfers[number] for number in in_order], arrivals)
        env.run(until=env.process(sending))
        end_s = [0.0] * len(transfers)
        for number, arrival in zip(in_order, arrivals, strict=True):
            end_s[number] = cast(float, arrival.value)
        return end_s


def _send_all(
    env: simpy.Environment, flows: Flows, transfers: Iterable[Transfer], arrivals: list[simpy.Event]
) -> Generator[simpy.Event, None, None]:
    """Send transfers, sorted by start, put their arrivals into `arrivals`, and wait for the last."""
    for transfer in transfers:
        wait_s = transfer.start_s - env.now
        if wait_s > 0:
            yield env.timeout(wait_s)
        arrivals.append(flows.send(transfer.route, transfer.num_bytes, transfer.rate_cap_bps))
    for arrival in arrivals:
        if not arrival.processed:
            yield arrival


def _time_s(change: RateChange) -> float:
    return change.time_s
