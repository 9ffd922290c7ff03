"""The live network: transfers that cross links inside a SimPy environment.

Between two events every flow has a constant rate, so its finish is known when its rate is set. Whenever
flows start or end, or a link's rate changes, only the flows that are connected with them through shared
links are filled anew; then one event is scheduled for the first finish of that group. When it fires, exactly
the flows it was scheduled for have arrived: no remainder is compared with a tolerance, so nothing stalls,
however large the clock is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable

import simpy
from simpy.events import EventPriority

from slsim.network.links import Link, LinkUsage, RateChange, Transfer, check_link_exists
from slsim.network.sharing import max_min_rates
from slsim.network.state import FlowState, LinkState, Path, connected

_AFTER_ALL_OTHERS = EventPriority(2)  # SimPy's own: URGENT is 0, NORMAL is 1


class Flows:
    """A network at work in `env`; `Network.attach` makes one.

    `links` have different names, and `rate_changes` are sorted by time and refer to these links. Rate
    changes that are due before `env.now` are in force from the start. Rate changes to come, and finishes
    that have become void, stay in the queue of `env`: run it until an event of yours, not until it is empty,
    if `env.now` is to be the time of the last delivery.
    """

    def __init__(
        self, env: simpy.Environment, links: Iterable[Link], rate_changes: Iterable[RateChange] = ()
    ) -> None:
        self._env = env
        self._links = {link.name: LinkState(link) for link in links}
        self._paths: dict[tuple[str, ...], Path] = {}  # of the routes used so far
        self._numbers = itertools.count()
        self._started: dict[FlowState, None] = {}  # ordered sets: what has changed at this instant
        self._touched: dict[LinkState, None] = {}
        self._will_settle = False
        env.process(self._play(rate_changes))

    def send(self, route: tuple[str, ...], num_bytes: int, rate_cap_bps: float | None = None) -> simpy.Event:
        """Send `num_bytes` over `route` now; no faster than `rate_cap_bps` (bit/s), if given.

        The event fires when the last byte has arrived; its value is that time, in seconds. The transfer
        waits the sum of its route's latencies, without using bandwidth, then flows at its max-min fair
        share, and waits at rate 0 while it is not first at every FIFO link of its route. If two reach
        their route at the same time, the one sent first goes first. A transfer of 0 bytes uses no link and
        arrives after the latency.

        Raises NetworkError for an unknown link, and for all that a `Transfer` refuses.
        """
        transfer = Transfer(route, num_bytes, rate_cap_bps=rate_cap_bps)
        path = self._path(transfer.route)
        flow = FlowState(path, transfer.num_bytes, transfer.rate_cap_bps, arrived=self._env.event())
        latency = self._env.timeout(path.latency_s)
        latency.callbacks.append(lambda _: self._reach(flow))
        return flow.arrived

    def usage(self) -> dict[str, LinkUsage]:
        """What every link has carried, and how long it was busy, from the beginning to `env.now`."""
        return {name: link.usage(self._now_s()) for name, link in self._links.items()}

    def _now_s(self) -> float:
        return float(self._env.now)

    def _path(self, route: tuple[str, ...]) -> Path:
        path = self._paths.get(route)
        if path is None:
            for name in route:
                check_link_exists(name, self._links, f"route {route}")
            path = self._paths[route] = Path(self._links[name] for name in route)
        return path

    def _play(self, rate_changes: Iterable[RateChange]) -> Generator[simpy.Event, None, None]:
        for change in rate_changes:
            if change.time_s > self._env.now:
                yield self._env.timeout(change.time_s - self._env.now)
            link = self._links[change.link]
            link.rate_bps = change.rate_bps
            self._touch(link)

    def _reach(self, flow: FlowState) -> None:
        """The latency is over: queue at the FIFO links, and flow if first at all of them."""
        if flow.num_bits == 0:
            flow.arrived.succeed(self._now_s())
            return
        flow.number = next(self._numbers)
        for link in flow.path.fifo:
            link.queue.append(flow)
        self._start_if_first(flow)

    def _start_if_first(self, flow: FlowState) -> None:
        # All queues are in order of arrival, so the oldest flow of all is first everywhere: no deadlock.
        if all(link.queue[0] is flow for link in flow.path.fifo):
            for link in flow.path.links:
                link.enter(flow, self._now_s())
            self._started[flow] = None
            self._settle_later()

    def _finish(self, flow: FlowState) -> None:
        """The last byte has arrived: free the links, and let the next in the queues flow."""
        for link in flow.path.links:
            link.leave(flow, self._now_s())
        for link in flow.path.fifo:
            link.queue.popleft()
        for link in flow.path.fifo:
            if link.queue:
                self._start_if_first(link.queue[0])
        for link in flow.path.shared:
            self._touch(link)
        flow.arrived.succeed(self._now_s())

    def _touch(self, link: LinkState) -> None:
        self._touched[link] = None
        self._settle_later()

    def _settle_later(self) -> None:
        if not self._will_settle:
            self._will_settle = True
            _EndOfInstant(self._env, self._settle)

    def _settle(self, _: simpy.Event) -> None:
        """Everything that happens at this instant has happened: fill once for all of it."""
        changed = list(self._started)
        for link in self._touched:
            changed.extend(link.flowing)
        self._started.clear()
        self._touched.clear()
        self._will_settle = False
        settled: set[FlowState] = set()
        for flow in changed:
            if flow not in settled:
                flows, link_rates_bps = connected(flow)
                self._fill(flows, link_rates_bps)
                settled.update(flows)

    def _fill(self, flows: list[FlowState], link_rates_bps: dict[LinkState, float]) -> None:
        """Give a group of connected flows its rates and schedule its first finish."""
        now_s = self._now_s()
        limits_bps = [flow.own_limit_bps() for flow in flows]
        rates_bps = max_min_rates([flow.path.shared for flow in flows], link_rates_bps, limits_bps)
        for flow, rate_bps in zip(flows, rates_bps, strict=True):
            flow.set_rate(rate_bps, now_s)
        first_s = min(flow.finish_s for flow in flows)
        heads = sorted((flow for flow in flows if flow.finish_s == first_s), key=lambda flow: flow.number)
        wake = self._env.timeout(max(0.0, first_s - now_s))
        wake.callbacks.append(lambda _: self._deliver(wake, heads))
        for flow in flows:
            flow.wake = wake

    def _deliver(self, wake: simpy.Event, heads: list[FlowState]) -> None:
        if heads[0].wake is wake:  # otherwise the group has been filled anew since
            for flow in heads:
                self._finish(flow)


class _EndOfInstant(simpy.Event):
    """Fires at the current time, after every other event of that time."""

    def __init__(self, env: simpy.Environment, callback: Callable[[simpy.Event], None]) -> None:
        super().__init__(env)
        self.callbacks.append(callback)
        self._ok = True
        self._value = None
        env.schedule(self, _AFTER_ALL_OTHERS)
