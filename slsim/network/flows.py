"""The live network: transfers that cross links inside a SimPy environment.

Between two events every flow has a constant rate, so its finish is known when its rate is set. Whenever
flows start or end, or a link's rate changes, only the flows that may depend on it get new rates (see
`state.Solver`); then one event is scheduled for the first finish among them. When it fires, exactly the flows
that it was scheduled for have arrived: no remainder is compared with a tolerance, so nothing stalls, however
large the clock is. The one exception is the beginning of an outage (see `_end_at_outage`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping

import simpy

from slsim.errors import NetworkError
from slsim.network.flow_heap import by_number
from slsim.network.gates import Gate
from slsim.network.instants import EndOfInstant
from slsim.network.links import (
    Link,
    LinkUsage,
    RateChange,
    Transfer,
    check_change,
    check_link_exists,
    check_rate,
)
from slsim.network.placement import Placement
from slsim.network.state import FlowState, LinkState, Path, Solver


class Flows:
    """A network at work in `env`; `Network.attach` makes one.

    `links` are all links, by name; a link that is never used costs nothing. `rate_changes` are sorted by
    time; they may be endless. Rate changes that are due before `env.now` are in force from the start. Rate
    changes to come, and finishes that have become void, stay in the queue of `env`: run it until an event of
    yours, not until it is empty, if `env.now` is to be the time of the last delivery.
    The run ends in NetworkError when a transfer is on a link whose rate is 0 after the last rate change.
    """

    def __init__(
        self,
        env: simpy.Environment,
        links: Mapping[str, Link],
        rate_changes: Iterator[RateChange] | None = None,
    ) -> None:
        self._env = env
        self._links = links
        self._began_s = float(env.now)
        self._states: dict[str, LinkState] = {}  # of the links used so far
        self._gates: dict[LinkState, Gate] = {}  # of those with opportunities
        self._paths: dict[tuple[str, ...], Path] = {}  # of the routes used so far
        self._num_sent = 0
        self._num_arrived = 0
        self._num_queued = 0
        self._placement = Placement()
        self._reached: list[FlowState] = []  # at this instant, after their latency
        self._entering: dict[FlowState, None] = {}  # ordered sets: what else happens at this instant
        self._resuming: list[FlowState] = []  # with their next segment
        self._limits_changed: dict[FlowState, None] = {}
        self._passing: dict[LinkState, None] = {}  # opportunity links that may let something pass
        self._dead: list[LinkState] = []  # down, and no rate change is to come
        self._will_settle = False
        self._end_of_instant = EndOfInstant.of(env)
        if rate_changes is not None:
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
        flow = self._new_flow(route, num_bytes, rate_cap_bps)
        if flow.path.latency_s:
            self._env.timeout(flow.path.latency_s).callbacks.append(lambda _: self._reach(flow))
        else:
            self._reach(flow)
        return flow

    def flow(self, route: tuple[str, ...], num_bytes: int, rate_cap_bps: float | None = None) -> simpy.Event:
        """Do what `send` does, without the latency: for a sender that has waited `latency_s` already, and
        sends in pieces."""
        flow = self._new_flow(route, num_bytes, rate_cap_bps)
        self._reach(flow)
        return flow

    def latency_s(self, route: tuple[str, ...]) -> float:
        """Return the sum of a route's latencies, in seconds. Raises NetworkError as `send` does."""
        return self._path(Transfer(route, 0).route).latency_s

    @property
    def in_flight(self) -> int:
        """The number of transfers that have been sent and have not arrived."""
        return self._num_sent - self._num_arrived

    def usage(self) -> dict[str, LinkUsage]:
        """Return what every link has carried, and how long it was busy, from the beginning to `env.now`."""
        return {name: LinkUsage(0.0, 0.0, 0.0) for name in self._links} | self.used()

    def used(self) -> dict[str, LinkUsage]:
        """Return the `usage` of the links that were on a route so far."""
        return {name: state.usage(self._now_s()) for name, state in self._states.items()}

    def _state(self, name: str) -> LinkState:
        state = self._states.get(name)
        if state is None:
            state = self._states[name] = LinkState(self._links[name], self._began_s)
            if state.link.opportunities:
                self._gates[state] = Gate(state.link.opportunities)
        return state

    def _now_s(self) -> float:
        return float(self._env.now)

    def _path(self, route: tuple[str, ...]) -> Path:
        path = self._paths.get(route)
        if path is None:
            for name in route:
                check_link_exists(name, self._links, f"route {route}")
            path = self._paths[route] = Path(self._state(name) for name in route)
        return path

    def _new_flow(self, route: tuple[str, ...], num_bytes: int, rate_cap_bps: float | None) -> FlowState:
        path = self._paths.get(route) if type(route) is tuple else None
        if path is None or type(num_bytes) is not int or num_bytes < 0:
            transfer = Transfer(route, num_bytes)  # which refuses what is wrong
            path, num_bytes = self._path(transfer.route), transfer.num_bytes
        if rate_cap_bps is None:
            rate_cap_bps = math.inf
        else:
            check_rate("rate_cap_bps", rate_cap_bps, f"the transfer over {route}")
        self._num_sent += 1
        return FlowState(self._env, path, num_bytes, rate_cap_bps, self._num_sent)

    def _play(self, rate_changes: Iterator[RateChange]) -> Generator[simpy.Event, None, None]:
        for change in rate_changes:
            if change.time_s > self._env.now:
                yield self._env.timeout(change.time_s - self._env.now)
            check_change(change, self._links)
            self._change_rate(self._state(change.link), change.rate_bps)
        self._dead = [link for link in self._states.values() if not link.rate_bps and link not in self._gates]
        if self._dead:
            self._settle_later()

    def _change_rate(self, link: LinkState, rate_bps: float) -> None:
        if not rate_bps and link.rate_bps:
            self._end_at_outage(link)
        link.set_rate(rate_bps, self._now_s())
        if not link.flowing:
            return
        if link.solver is not None:
            self._placement.change_rate(link)
        elif link.sole is not None:
            self._limits_changed[link.sole] = None
        else:
            self._limits_changed.update(link.flowing)
        self._settle_later()

    def _end_at_outage(self, link: LinkState) -> None:
        """Let flows end that end when the outage of `link` begins, but for a rounding error: it must not hold
        them until the outage is over."""
        now_s = self._now_s()
        for flow in list(link.flowing):
            solver = flow.solver
            tolerated = 1e-12 * flow.num_bits + 4 * math.ulp(now_s) * link.rate_bps
            if solver is not None and solver.bits_left(flow, now_s) <= tolerated:
                solver.remove(flow, now_s)
                self._placement.changed[solver] = None
                self._end_segment(flow, now_s)
                self._settle_later()

    def _reach(self, flow: FlowState) -> None:
        """Let `flow`, whose latency is over, begin to flow; or arrive, if it has no bytes."""
        if flow.num_bits:
            self._reached.append(flow)
            self._settle_later()
        else:
            self._num_arrived += 1
            flow.succeed(float(self._env.now))

    def _settle_later(self) -> None:
        """Settle at the end of this instant, once."""
        if not self._will_settle:
            self._will_settle = True
            self._end_of_instant.call(self._settle)

    def _settle(self) -> None:
        """At the end of an instant, let flow what may, then find rates once."""
        now_s = float(self._env.now)
        self._will_settle = False
        if self._resuming or self._entering:
            self._resume(now_s)
        if self._reached:
            reached, self._reached = self._reached, []
            for flow in by_number(reached):
                if not flow.path.fifo or self._is_first_after_queueing(flow):
                    self._enter(flow, now_s)
        if self._limits_changed:
            for flow in self._limits_changed:
                self._placement.replace(flow, now_s)
            self._limits_changed = {}
        while self._passing:
            self._let_pass(self._passing.popitem()[0], now_s)
        for link in self._dead:
            _check_alive(link, now_s)
        changed = self._placement.changed
        for solver in changed:
            solver.settle(now_s)
            if solver.first_s < solver.wake_s:
                self._wait_for_first(solver, now_s)
        changed.clear()

    def _resume(self, now_s: float) -> None:
        """Start the next segment of flows that have ended one, and the flows that are now first in queues."""
        for flow in self._resuming:
            self._start_segment(flow, now_s)
        self._resuming = []
        for flow in sorted(self._entering, key=lambda flow: flow.turn):
            self._enter(flow, now_s)
        self._entering = {}

    def _is_first_after_queueing(self, flow: FlowState) -> bool:
        """Put `flow` into the queues of its FIFO links; return whether it is first in all of them."""
        self._num_queued += 1
        flow.turn = self._num_queued
        for link in flow.path.fifo:
            link.queue.append(flow)
        return _is_first(flow)

    def _enter(self, flow: FlowState, now_s: float) -> None:
        """Let `flow` begin to flow over its links."""
        path = flow.path
        for link in path.links:
            link.enter(flow, now_s)
        if path.shaped or path.gates:
            flow.take_credits()
            self._start_segment(flow, now_s)
            self._passing.update(dict.fromkeys(path.gates))
        else:
            self._placement.enter(flow, flow.num_bits, now_s)

    def _start_segment(self, flow: FlowState, now_s: float) -> None:
        """Place `flow` with the bits of its next segment."""
        bits, fair = flow.next_segment()
        self._placement.resume(flow, fair, bits, now_s)

    def _let_pass(self, link: LinkState, now_s: float) -> None:
        """Let an opportunity link pass what it may at this instant; then wait for the next opportunity, if a
        flow waits at the link."""
        gate = self._gates[link]
        for flow in gate.let_pass(link, now_s):
            gates = flow.path.gates
            if link is not gates[-1]:
                self._passing[gates[gates.index(link) + 1]] = None
            elif flow.solver is None:
                self._start_segment(flow, now_s)
        if not gate.is_awaited and any(link.wanted(flow) for flow in link.flowing):
            gate.is_awaited = True
            wake = self._env.timeout(max(0.0, gate.next_s() - now_s))
            wake.callbacks.append(lambda _: self._at_opportunity(link))

    def _at_opportunity(self, link: LinkState) -> None:
        """Let `link` pass at the end of this instant what it may."""
        self._gates[link].is_awaited = False
        self._passing[link] = None
        self._settle_later()

    def _wait_for_first(self, solver: Solver, now_s: float) -> None:
        """Schedule the delivery of the flows of `solver` that end first."""
        solver.wake_s = solver.first_s
        solver.wake = self._env.timeout(max(0.0, solver.first_s - now_s))
        solver.wake.callbacks.append(lambda wake: self._deliver(solver, wake))

    def _deliver(self, solver: Solver, wake: simpy.Event) -> None:
        """End the flows of `solver` that are due, or wait again if the first is due later by now."""
        if wake is not solver.wake:
            return  # void: another event was scheduled for an earlier time
        wake_s = solver.wake_s
        solver.wake, solver.wake_s = None, math.inf
        now_s = float(self._env.now)
        if solver.first_s > wake_s:
            if solver.first_s < math.inf:
                self._wait_for_first(solver, now_s)
            return
        for flow in solver.due():
            self._end_segment(flow, now_s)
        self._placement.changed[solver] = None
        self._settle_later()

    def _end_segment(self, flow: FlowState, now_s: float) -> None:
        """Resume `flow` with its next segment at the end of this instant, or finish it if there is none."""
        if flow.bits_after:
            self._resuming.append(flow)
        else:
            self._finish(flow, now_s)

    def _finish(self, flow: FlowState, now_s: float) -> None:
        """Free the links of `flow`, whose last byte has arrived; let the next flows in the queues enter."""
        path = flow.path
        for link in path.links:
            link.leave(flow, now_s)
        for link in flow.fair:
            link.num_sharing -= 1
            if not link.num_sharing:
                link.solver = link.sole = None
        if path.fifo:
            for link in path.fifo:
                link.queue.popleft()
            for link in path.fifo:
                if link.queue and _is_first(link.queue[0]):
                    self._entering[link.queue[0]] = None
        self._num_arrived += 1
        flow.succeed(now_s)


def _is_first(flow: FlowState) -> bool:
    # All queues are in order of arrival, so the oldest flow of all is first everywhere: no deadlock.
    return all(link.queue[0] is flow for link in flow.path.fifo)


def _check_alive(link: LinkState, now_s: float) -> None:
    if link.flowing:
        raise NetworkError(
            f"link {link.link.name!r} is down (0 bit/s) for ever at {now_s:g} s, with {len(link.flowing)} "
            "transfers on it that can never arrive; let a rate change end the outage."
        )
