"""Play all rounds at once, by arithmetic on columns, where links are simple enough.

Simple enough are access links of constant rates and nothing else, used by the fluid transport: an own link
for each client, or one for all that is shared fairly or first in, first out. Where moreover no step waits for
another lane's, each client has one lane, and each thing that lanes share is used at one place of all lanes,
the lanes' first steps can be taken all at once, then the second ones, and so on. A property test holds this
to SimPy's times.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from slsim.clock.events import SERVER_WAIT
from slsim.clock.program import Floats, Ints, Program
from slsim.clock.stage import Stage
from slsim.clock.usage import Due, Played
from slsim.network import Link, LinkUsage, barrier
from slsim.network.transport import Fluid
from slsim.recording import SERVER

Mask = NDArray[np.bool_]


def links_are_simple(stage: Stage) -> bool:
    """Whether links and transport are simple enough."""
    topology = stage.topology
    return (
        isinstance(topology.transport, Fluid)
        and topology.network.is_steady
        and topology.rate_caps_bps is None
        and all(_is_simple(routes) for routes in (topology.uplinks, topology.downlinks))
        and not set(topology.uplinks) & set(topology.downlinks)
    )


def _is_simple(routes: tuple[tuple[str, ...], ...]) -> bool:
    """Own links for all, or one for all."""
    return all(len(route) == 1 for route in routes) and len(set(routes)) in (1, len(routes))


class Arithmetic:
    """The rounds of a program on simple links; `times` says how often each occurs."""

    def __init__(self, program: Program, stage: Stage, times: Ints) -> None:
        self._program, self._stage = program, stage
        keys = program.round, program.section, program.lane
        changes = [np.diff(key, prepend=-1) != 0 for key in keys]
        self._begins = np.flatnonzero(np.logical_or.reduce(changes))  # of each lane, its first step
        self._lengths = np.diff(np.append(self._begins, len(program.first)))
        self._lane_of = np.repeat(np.arange(len(self._begins)), self._lengths)
        self._place = np.arange(len(program.first)) - self._begins[self._lane_of]
        section_changes = (changes[0] | changes[1])[self._begins]
        self._section_of = np.cumsum(section_changes) - 1  # of each lane
        self._round_of = program.round[self._begins][section_changes]  # of each section
        self._client = program.client[self._begins]  # of each lane
        self._times = times[self._round_of]  # of each section
        self.links: dict[str, LinkUsage] = {}
        self.due: dict[str, Due] = {}

    @property
    def can_play(self) -> bool:
        """Whether every shared thing is used at one place of all lanes, and each client has one lane."""
        program = self._program
        if (program.waits_for >= 0).any() or (program.client != self._client[self._lane_of]).any():
            return False
        if (program.is_transfer & (program.who != SERVER) & (program.to != SERVER)).any():
            return False
        owners = self._section_of * len(self._stage.clients) + self._client
        if len(np.unique(owners)) != len(owners):
            return False
        shared = [program.at_server]
        shared += [mask for mask, routes in self._transfers if len(set(routes)) == 1 and len(routes) > 1]
        return all(self._is_at_one_place(mask) for mask in shared)

    @property
    def _transfers(self) -> tuple[tuple[Mask, tuple[tuple[str, ...], ...]], ...]:
        program, topology = self._program, self._stage.topology
        up = program.is_transfer & (program.to == SERVER)
        return (up, topology.uplinks), (program.is_transfer & ~up, topology.downlinks)

    def _is_at_one_place(self, mask: Mask) -> bool:
        sections, places = self._section_of[self._lane_of[mask]], self._place[mask]
        least = np.full(len(self._round_of), len(self._place))
        most = np.zeros(len(self._round_of), np.int64)
        np.minimum.at(least, sections, places)
        np.maximum.at(most, sections, places)
        return bool((least[sections] == most[sections]).all())

    def play(self, columns: Ints, num_phases: int) -> Played:
        """Play all rounds. `columns` has the column of seconds of each phase's number; the last of the
        `num_phases` columns is the wait at the barrier."""
        program, (turns, turn_of) = self._program, self._turns
        now_s, seconds = np.zeros(len(self._begins)), np.zeros((turns.shape[1], num_phases))

        def spend(lanes: Ints, phases: Ints, until_s: Floats) -> None:
            places = turn_of[lanes] * num_phases + phases
            np.add.at(seconds.reshape(-1), places, until_s - now_s[lanes])
            now_s[lanes] = until_s

        for place in range(int(self._lengths.max(initial=0))):
            at = np.flatnonzero(self._lengths > place)
            step = self._begins[at] + place
            for mask, routes in self._transfers:
                if (chosen := mask[step]).any():
                    lanes, sent = at[chosen], step[chosen]
                    until_s = self._cross(routes, now_s[lanes], lanes, program.num_bytes[sent])
                    spend(lanes, columns[program.phase[sent]], until_s)
            if (chosen := program.at_server[step]).any():
                lanes, served = at[chosen], step[chosen]
                slots = self._stage.server_slots
                offsets = self._offsets(lanes)
                begin_s, end_s = barrier.queue(now_s[lanes], program.seconds[served], offsets, slots)
                spend(lanes, columns[SERVER_WAIT], begin_s)
                spend(lanes, columns[program.phase[served]], end_s)
            chosen = ~program.is_transfer[step] & (program.who[step] != SERVER)
            lanes, worked = at[chosen], step[chosen]
            spend(lanes, columns[program.phase[worked]], now_s[lanes] + program.seconds[worked])
        return self._played(now_s, seconds)

    @cached_property
    def _turns(self) -> tuple[Ints, Ints]:
        """Round and client of each turn, and each lane's turn."""
        count = len(self._stage.clients)
        keys = self._round_of[self._section_of] * count + self._client
        turns, turn_of = np.unique(keys, return_inverse=True)
        return np.stack(np.divmod(turns, count)), turn_of

    def _played(self, now_s: Floats, seconds: Floats) -> Played:
        """At each section's end a barrier: who is there waits for the last, who is not waits all along."""
        turns, turn_of = self._turns
        first_lanes = np.searchsorted(self._section_of, np.arange(len(self._round_of)))
        ends_s = np.maximum.reduceat(now_s, first_lanes) if len(now_s) else np.zeros(0)
        durations_s, present_s = np.zeros(self._program.num_rounds), np.zeros(turns.shape[1])
        np.add.at(durations_s, self._round_of, ends_s)
        np.add.at(present_s, turn_of, ends_s[self._section_of])
        np.add.at(seconds[:, -1], turn_of, ends_s[self._section_of] - now_s)
        seconds[:, -1] += durations_s[turns[0]] - present_s
        counts = np.bincount(turns[0], minlength=self._program.num_rounds)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Played(durations_s, offsets, turns[1], seconds, self.links, self.due)

    def _offsets(self, lanes: Ints) -> Ints:
        """Where the lanes of each section begin among `lanes`, and their end."""
        counts = np.bincount(self._section_of[lanes], minlength=len(self._round_of))
        return np.concatenate([[0], np.cumsum(counts)])

    def _cross(
        self, routes: tuple[tuple[str, ...], ...], now_s: Floats, lanes: Ints, num_bytes: Ints
    ) -> Floats:
        """When each lane's transfer has arrived."""
        links = self._stage.topology.links
        framed = self._stage.topology.framing.framed(num_bytes)
        if len(set(routes)) == 1 and len(routes) > 1:
            return self._cross_one(links[routes[0][0]], now_s, lanes, framed)
        return self._cross_own([links[route[0]] for route in routes], now_s, lanes, framed)

    def _cross_own(self, links: list[Link], now_s: Floats, lanes: Ints, framed: Ints) -> Floats:
        clients, times = self._client[lanes], self._times[self._section_of[lanes]]
        rates_bps = np.array([link.rate_bps for link in links])
        latencies_s = np.array([link.latency_s for link in links])
        carried = np.bincount(clients, weights=framed * times, minlength=len(links))
        transfers = np.bincount(clients, weights=times, minlength=len(links))
        for client in np.flatnonzero(carried).tolist():
            busy_s = 8 * carried[client] / rates_bps[client]
            self._note(links[client], float(carried[client]), float(busy_s), int(transfers[client]))
        return barrier.dedicated(now_s, framed, rates_bps[clients], latencies_s[clients])

    def _cross_one(self, link: Link, now_s: Floats, lanes: Ints, framed: Ints) -> Floats:
        cross = barrier.fifo if link.sharing == "fifo" else barrier.fair
        end_s, busy_s = cross(now_s, framed, self._offsets(lanes), link.rate_bps, link.latency_s)
        times = self._times[self._section_of[lanes]]
        total_s = float((busy_s * self._times).sum())
        self._note(link, float((framed * times).sum()), total_s, int(times.sum()))
        return end_s

    def _note(self, link: Link, num_bytes: float, busy_s: float, transfers: int) -> None:
        before = self.links.get(link.name, LinkUsage(0.0, 0.0, 0.0))
        self.due[link.name] = self.due.get(link.name, Due()).plus(Due(round(num_bytes), transfers))
        self.links[link.name] = LinkUsage(
            before.num_bytes + num_bytes,
            before.busy_s + busy_s,
            before.capacity_bytes + busy_s * link.rate_bps / 8,
        )
