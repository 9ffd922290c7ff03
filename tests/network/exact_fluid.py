"""The fluid network once more, slow and obvious: exact fractions, all worked out anew at every event."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from slsim.network import Link, RateChange, Transfer


@dataclass
class Course:
    """When each transfer ended, and what each link carried and could have carried, in bits."""

    end_s: list[Fraction | None]
    num_bits: dict[str, Fraction] = field(default_factory=dict)
    busy_s: dict[str, Fraction] = field(default_factory=dict)
    capacity_bits: dict[str, Fraction] = field(default_factory=dict)


def play(links: Sequence[Link], changes: Sequence[RateChange], transfers: Sequence[Transfer]) -> Course:
    """Step from one event (arrival, end, rate change, end of a burst) to the next until all have ended."""
    latency = {link.name: Fraction(link.latency_s) for link in links}
    ready_s = [Fraction(t.start_s) + sum(latency[name] for name in t.route) for t in transfers]
    nothing = {link.name: Fraction(0) for link in links}
    course = Course([None] * len(transfers), dict(nothing), dict(nothing), dict(nothing))
    left = [Fraction(8 * t.num_bytes) for t in transfers]
    tokens = {link.name: 8 * Fraction(link.burst_bytes) for link in links}
    credit: dict[
        int, dict[str, Fraction]
    ] = {}  # of those that have begun to flow: bits that a link lets pass
    now = Fraction(0)
    while None in course.end_s:
        for i in range(len(transfers)):
            if ready_s[i] <= now and left[i] == 0 and course.end_s[i] is None:
                course.end_s[i] = now
        in_flight = [i for i in range(len(transfers)) if ready_s[i] <= now and left[i] > 0]
        in_flight.sort(key=lambda i: (ready_s[i], transfers[i].start_s, i))
        flowing = first_at_every_fifo_link(links, transfers, in_flight)
        for i in [i for i in flowing if i not in credit]:
            credit[i] = {name: min(tokens[name], left[i]) for name in transfers[i].route}
            for name, bits in credit[i].items():
                tokens[name] -= bits
                course.capacity_bits[name] += bits
        done = {i: 8 * transfers[i].num_bytes - left[i] for i in flowing}
        limits = {
            i: {name for name in transfers[i].route if credit[i].get(name, 0) <= done[i]} for i in flowing
        }
        to_pass = {
            i: min([left[i], *(c - done[i] for c in credit[i].values() if c > done[i])]) for i in flowing
        }
        at_once = [i for i in flowing if not limits[i] and transfers[i].rate_cap_bps is None]
        link_rates = rates_at(links, changes, now)
        rates = fill(link_rates, links, transfers, [i for i in flowing if i not in at_once], limits)
        rates |= dict.fromkeys(at_once, Fraction(0))

        times = [t for t in ready_s if t > now] + [Fraction(c.time_s) for c in changes if c.time_s > now]
        times += [now + to_pass[i] / rates[i] for i in flowing if rates[i]]
        if not times and not at_once:
            break
        step = 0 if at_once else min(times) - now
        for link in links:
            on_link = [i for i in flowing if link.name in transfers[i].route]
            passed = sum(to_pass[i] if i in at_once else rates[i] * step for i in on_link)
            share = len(on_link) if link.sharing == "per_flow" else min(len(on_link), 1)
            course.num_bits[link.name] += passed
            course.busy_s[link.name] += step if on_link else 0
            course.capacity_bits[link.name] += link_rates[link.name] * step * share
            if not on_link:
                more = tokens[link.name] + link_rates[link.name] * step
                tokens[link.name] = min(more, 8 * Fraction(link.burst_bytes))
        for i in flowing:
            left[i] -= to_pass[i] if i in at_once else rates[i] * step
        now += step
    return course


def first_at_every_fifo_link(
    links: Sequence[Link], transfers: Sequence[Transfer], in_flight: list[int]
) -> list[int]:
    fifo = {link.name for link in links if link.sharing == "fifo"}
    flowing, taken = [], set()
    for i in in_flight:  # in order of arrival
        queues = fifo.intersection(transfers[i].route)
        if not queues & taken:
            flowing.append(i)
        taken |= queues
    return flowing


def rates_at(links: Sequence[Link], changes: Sequence[RateChange], now: Fraction) -> dict[str, Fraction]:
    rates = {link.name: Fraction(link.rate_bps) for link in links}
    for change in sorted(changes, key=lambda change: change.time_s):
        if change.time_s <= now:
            rates[change.link] = Fraction(change.rate_bps)
    return rates


def fill(
    link_rates: dict[str, Fraction],
    links: Sequence[Link],
    transfers: Sequence[Transfer],
    flowing: list[int],
    limits: dict[int, set[str]],
) -> dict[int, Fraction]:
    """Raise all rates together by the largest step that nothing forbids, stop those that cannot go on.

    `limits` has the links of every transfer that limit it now.
    """
    rates = {i: Fraction(0) for i in flowing}
    rising = set(flowing)
    while rising:
        steps = {}  # of every limit: how far its flows can rise, and which flows these are
        for i in rising:
            caps = [link_rates[ln.name] for ln in links if ln.sharing == "per_flow" and ln.name in limits[i]]
            if transfers[i].rate_cap_bps is not None:
                caps.append(Fraction(transfers[i].rate_cap_bps))
            if caps:
                steps[i] = (min(caps) - rates[i], {i})
        for link in links:
            on_link = [i for i in flowing if link.name in limits[i]]
            can_rise = rising.intersection(on_link)
            if link.sharing != "per_flow" and can_rise:
                spare = link_rates[link.name] - sum(rates[i] for i in on_link)
                steps[link.name] = (spare / len(can_rise), can_rise)
        step = min(room for room, _ in steps.values())
        for i in rising:
            rates[i] += step
        for room, members in steps.values():
            if room == step:
                rising = rising - members
    return rates
