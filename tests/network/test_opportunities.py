"""Opportunity links: up to 1,500 bytes at each listed millisecond, nothing between, the rest is lost."""

from __future__ import annotations

import itertools

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import NetworkError
from slsim.network import Link, Network, RateChange, Transfer
from slsim.network.gates import shared
from slsim.traces import Opportunities


def gate(name: str, *times_ms: int, latency_s: float = 0.0, sharing="fair", shift_s: float = 0.0) -> Link:
    opportunities = Opportunities(times_ms, shift_s=shift_s)
    return Link(name, opportunities.mean_bps, latency_s, sharing, opportunities=opportunities)


def ends_ms(links: list[Link], *transfers: Transfer) -> list[float]:
    return [round(1000 * end_s, 9) for end_s in Network(links).completion_times(transfers)]


def at(start_ms: float, num_bytes: int, *route: str) -> Transfer:
    return Transfer(route or ("a",), num_bytes, start_ms / 1000)


@pytest.mark.parametrize(
    ("times_ms", "num_bytes", "start_ms", "end_ms"),
    [
        ((10_000,), 150, 0, 10_000),
        ((10_000,), 1500, 0, 10_000),
        ((10_000,), 1501, 0, 20_000),
        ((10_000,), 150, 10_000.5, 20_000),
        ((104, 209, 314, 418, 523, 691), 300, 0, 104),
        ((104, 209, 314, 418, 523, 691), 4500, 0, 314),
        ((104, 209, 314, 418, 523, 691), 1500, 600, 691),
        ((104, 209, 314, 418, 523, 691), 1500, 692, 691 + 104),
        ((5, 5, 9), 3000, 0, 5),
        ((5, 5, 9), 3001, 0, 9),
        ((0, 5), 1500, 0, 0),
        ((0, 5), 4500, 0, 5),  # at 0, at 5, and at 5 again, where the list starts anew
        ((1,), 1_500_000, 0, 1000),
        ((7,), 150, 7, 7),  # sent at that very millisecond
    ],
)
def test_bytes_pass_at_the_listed_milliseconds(times_ms, num_bytes, start_ms, end_ms) -> None:
    assert ends_ms([gate("a", *times_ms)], at(start_ms, num_bytes)) == [end_ms]


@pytest.mark.parametrize("lap", [0, 1000, 10**6, 10**8])
def test_times_are_exact_however_long_the_clock_runs(lap) -> None:
    """At 10⁸ laps of 691 ms the clock has steps of 15 ns."""
    begin_ms = 691 * lap
    (end_s,) = Network([gate("a", 104, 209, 691)]).completion_times([at(begin_ms + 105, 1500)])
    assert end_s == pytest.approx((begin_ms + 209) / 1000, rel=1e-15)


def test_the_latency_comes_first() -> None:
    assert ends_ms([gate("a", 10, 20, latency_s=0.004)], at(5, 100), at(7, 100)) == [10, 20]


def test_a_client_may_begin_further_into_the_list() -> None:
    assert ends_ms([gate("a", 10, 25, shift_s=0.012)], at(0, 1501)) == [25 - 12 + 10]
    assert ends_ms([gate("a", 10, 25, shift_s=0.010)], at(0, 100)) == [0]


def test_an_opportunity_is_divided_fairly() -> None:
    """At 10 ms 500 bytes each: the first is done. At 20 ms 750 each, of which the second needs 500."""
    transfers = [at(0, 500), at(0, 1000), at(0, 2000)]
    assert ends_ms([gate("a", 10, 20, 30)], *transfers) == [10, 20, 30]


def test_what_one_does_not_need_the_others_use() -> None:
    assert ends_ms([gate("a", 10, 20)], at(0, 100), at(0, 1400)) == [10, 10]


def test_one_after_another_use_up_an_opportunity() -> None:
    transfers = [at(0, 700), at(0, 700), at(0, 700)]
    assert ends_ms([gate("a", 10, 20, sharing="fifo")], *transfers) == [10, 10, 20]


def test_what_has_passed_flows_on_over_the_other_links() -> None:
    """1,500 bytes take 1 ms at 12 Mbit/s; the second 1,500 wait for 20 ms."""
    links = [gate("a", 10, 20), Link("ingress", 12e6)]
    assert ends_ms(links, at(0, 3000, "a", "ingress")) == [21]
    assert ends_ms(links, at(0, 1500, "ingress", "a")) == [11]


def test_a_slow_link_behind_is_the_limit_where_it_is() -> None:
    """Three opportunities in 3 ms; 4,500 bytes take 36 ms at 1 Mbit/s, from 1 ms on."""
    links = [gate("a", 1, 2, 3), Link("ingress", 1e6)]
    assert ends_ms(links, at(0, 4500, "a", "ingress")) == [37]


def test_phones_with_lists_of_their_own_share_the_ingress() -> None:
    """Both pass at 10 ms and halve 12 Mbit/s: 750 bytes each in 1 ms."""
    links = [gate("a", 10), gate("b", 10), Link("ingress", 12e6)]
    assert ends_ms(links, at(0, 750, "a", "ingress"), at(0, 750, "b", "ingress")) == [11, 11]


def test_a_transfer_that_waits_takes_nothing_from_the_others() -> None:
    links = [gate("a", 1000), Link("ingress", 12e6)]
    assert ends_ms(links, at(0, 1500, "a", "ingress"), at(0, 15_000, "ingress")) == [1001, 10]


def test_two_lists_on_one_route_are_passed_in_order() -> None:
    """1,500 at 10 ms and at 20 ms; the second list lets them pass at 15 and at 25 ms."""
    links = [gate("a", 10, 20), gate("b", 5, 15, 25)]
    assert ends_ms(links, at(0, 3000, "a", "b")) == [25]
    assert ends_ms([gate("a", 10), gate("b", 10)], at(0, 1500, "a", "b")) == [10]
    assert ends_ms([gate("a", 10), gate("b", 10)], at(0, 1500, "b", "a")) == [10]


def test_a_burst_of_another_link_is_still_used() -> None:
    """The bucket lets the first 1,500 bytes pass at once; the other 1,500 take 12 ms at 1 Mbit/s."""
    links = [gate("a", 10, 20), Link("ingress", 1e6, burst_bytes=1500.0)]
    assert ends_ms(links, at(0, 3000, "a", "ingress")) == [32]


def test_a_rate_cap_holds_for_what_has_passed() -> None:
    assert ends_ms([gate("a", 10)], Transfer(("a",), 1500, rate_cap_bps=1.2e6)) == [20]


def test_an_outage_behind_holds_what_has_passed() -> None:
    network = Network(
        [gate("a", 10), Link("b", 12e6)], [RateChange(0.005, "b", 0.0), RateChange(0.5, "b", 12e6)]
    )
    assert network.completion_times([at(0, 1500, "a", "b")]) == [0.501]


def test_usage_counts_what_was_used_of_the_opportunities() -> None:
    env = simpy.Environment()
    flows = Network([gate("a", 10, 20)]).attach(env)
    env.run(until=env.all_of([flows.send(("a",), 1600), flows.send(("a",), 100)]))
    usage = flows.usage()["a"]
    assert (usage.num_bytes, usage.busy_s, usage.capacity_bytes) == (1700, 0.02, 1700)
    assert flows.in_flight == 0


def test_an_opportunity_link_has_no_rate_to_change() -> None:
    message = r"link\(='a'\) of the rate change at 1.0 s has opportunities, and no rate"
    with pytest.raises(NetworkError, match=message):
        Network([gate("a", 10)], [RateChange(1.0, "a", 1e6)])
    network = Network([gate("a", 10)], streams=[lambda: iter([RateChange(1.0, "a", 1e6)])])
    with pytest.raises(NetworkError, match=message):
        network.completion_times([Transfer(("a",), 10**6)])


@pytest.mark.parametrize("wrong", [{"burst_bytes": 1.0}, {"sharing": "per_flow"}])
def test_opportunities_go_without_a_burst_and_are_shared(wrong) -> None:
    with pytest.raises(NetworkError, match="opportunities of link 'a' go with sharing 'fair' or 'fifo'"):
        Link("a", 1.0, opportunities=Opportunities((10,)), **wrong)


def test_a_network_with_opportunities_is_not_steady() -> None:
    assert not Network([gate("a", 10)]).is_steady


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 100))
@settings(derandomize=True, deadline=None)
def test_shares_are_max_min_fair_in_whole_bits(wanted, bits) -> None:
    shares = list(shared(wanted, bits))
    assert sum(shares) == min(bits, sum(wanted))
    for share, most in zip(shares, wanted, strict=True):
        assert 0 <= share <= most
        if share < most:  # then nobody has more, but for a bit that cannot be divided
            assert all(other <= share + 1 for other in shares)


times = st.lists(st.integers(0, 40), min_size=1, max_size=12).map(sorted).filter(lambda ms: ms[-1] > 0)
messages = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6000)), min_size=1, max_size=8)


@given(times, messages)
@settings(derandomize=True, deadline=None, max_examples=300)
def test_a_queue_at_one_list_against_counting_bytes_millisecond_by_millisecond(times_ms, sent) -> None:
    sent.sort(key=lambda message: message[0])
    waiting, expected = [list(message) for message in sent], []
    for now_ms in itertools.count():
        laps = [(now_ms - ms) % times_ms[-1] == 0 and ms <= now_ms for ms in times_ms]
        passing = 1500 * sum(laps)
        for message in waiting[len(expected) :]:
            if message[0] > now_ms:
                break
            taken = min(message[1], passing)
            message[1] -= taken
            passing -= taken
            if message[1]:
                break
            expected.append(now_ms)
        if len(expected) == len(sent):
            break
    assert ends_ms([gate("a", *times_ms, sharing="fifo")], *(at(*message) for message in sent)) == expected


@st.composite
def mixed_networks(draw):
    """Lists, rated links with and without outages, bursts and queues; transfers over some of them."""
    kinds = draw(st.lists(st.sampled_from(["list", "rated", "queue", "shaped"]), min_size=1, max_size=5))
    links, changes = [], []
    for number, kind in enumerate(kinds):
        name = f"l{number}"
        if kind == "list":
            links.append(gate(name, *draw(times), sharing=draw(st.sampled_from(["fair", "fifo"]))))
            continue
        sharing = "fifo" if kind == "queue" else "fair"
        burst_bytes = 700.0 if kind == "shaped" else 0.0
        links.append(Link(name, draw(st.sampled_from([1e5, 1e6, 1e7])), 0.001, sharing, burst_bytes))
        if draw(st.booleans()):
            changes += [RateChange(0.01, name, 0.0), RateChange(0.03, name, 1e6)]
    names = [link.name for link in links]
    routes = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True).map(tuple)
    sent = st.builds(
        lambda ms, size, route: at(ms, size, *route), st.integers(0, 60), st.integers(0, 6000), routes
    )
    return links, changes, draw(st.lists(sent, min_size=1, max_size=10))


@given(mixed_networks())
@settings(derandomize=True, deadline=None, max_examples=150)
def test_whatever_the_network_all_arrive_and_links_carry_what_was_sent(case) -> None:
    links, changes, transfers = case
    env = simpy.Environment()
    flows = Network(links, changes).attach(env)

    def client(transfer):
        yield env.timeout(transfer.start_s)
        yield flows.send(transfer.route, transfer.num_bytes)

    env.run(until=env.all_of([env.process(client(transfer)) for transfer in transfers]))
    assert flows.in_flight == 0
    for name, usage in flows.usage().items():
        due = sum(transfer.num_bytes for transfer in transfers if name in transfer.route)
        assert usage.num_bytes == due
        assert due <= usage.capacity_bytes * (1 + 1e-9) + 1e-6
        assert usage.busy_s <= env.now
        if next(link for link in links if link.name == name).opportunities:
            assert usage.capacity_bytes == due
