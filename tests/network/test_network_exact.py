"""Random networks against a second implementation that is exact (`exact_fluid.py`)."""

import functools

import pytest
import simpy
from exact_fluid import play
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.network import Link, Network, RateChange, Transfer
from slsim.network.fair_queue import FairQueue
from slsim.network.mesh import Mesh
from slsim.network.unshared import Apart

# Whole bits a second, and times in 64ths: sums of times are exact in floats too, so that "at the same time",
# on which the order at a FIFO link depends, means the same in both implementations.
rates_bps = st.integers(1, 64).map(lambda k: 500.0 * k)
times_s = st.integers(0, 256).map(lambda k: k / 64)


NO_BURST = st.just(0.0)
NAMES = "abcdefghijkl"
sharings = st.sampled_from(["fair", "fair", "fair", "per_flow", "fifo"])
latencies_s = st.integers(0, 8).map(lambda k: k / 64)
sizes_bytes = st.one_of(st.integers(0, 4000), st.sampled_from([0, 1000]))
caps_bps = st.one_of(st.none(), rates_bps)


@functools.cache  # strategies are made and checked once, not for every example
def on_links(num_links, max_transfers):
    """Rate changes and transfers on the first links of NAMES."""
    names = st.sampled_from(NAMES[:num_links])
    routes = st.lists(names, min_size=1, max_size=4, unique=True).map(tuple)
    transfers = st.builds(Transfer, routes, sizes_bytes, times_s, caps_bps)
    changes = st.builds(RateChange, times_s, names, rates_bps)
    outages = st.builds(RateChange, times_s, names, st.just(0.0) | rates_bps)
    transfers_ = st.lists(transfers, min_size=1, max_size=max_transfers)
    return st.lists(changes, max_size=4), transfers_, st.lists(outages, min_size=1, max_size=8)


@st.composite
def networks(draw, max_links=5, max_transfers=9, bursts=NO_BURST, with_outages=False):
    """Links, rate changes and transfers. Outages end after 5 s at the latest."""
    num_links = draw(st.integers(1, max_links))
    links = [
        Link(name, draw(rates_bps), draw(latencies_s), draw(sharings), draw(bursts))
        for name in NAMES[:num_links]
    ]
    changes, transfers, outages = on_links(num_links, max_transfers)
    ends = [RateChange(5.0, link.name, link.rate_bps) for link in links]
    return links, [*draw(outages), *ends] if with_outages else draw(changes), draw(transfers)


small = networks()
large = networks(max_links=12, max_transfers=25)
down = networks(max_links=8, max_transfers=14, bursts=st.sampled_from([0.0, 0.0, 500.0]), with_outages=True)
shaped = networks(max_links=8, max_transfers=14, bursts=st.sampled_from([0.0, 0.0, 100.0, 777.0, 2000.0]))


def check_ends(case, course):
    links, changes, transfers = case
    end_s = Network(links, changes).completion_times(transfers)
    assert end_s == pytest.approx([float(end) for end in course.end_s], rel=1e-9)


def check_usage(case, course):
    links, changes, transfers = case
    env = simpy.Environment()
    flows = Network(links, changes).attach(env)

    def client(transfer):
        yield env.timeout(transfer.start_s)
        yield flows.send(transfer.route, transfer.num_bytes, transfer.rate_cap_bps)

    env.run(until=env.all_of([env.process(client(transfer)) for transfer in transfers]))
    assert flows.in_flight == 0
    for name, usage in flows.usage().items():
        assert usage.num_bytes == float(course.num_bits[name]) / 8
        assert usage.busy_s == pytest.approx(float(course.busy_s[name]), rel=1e-9, abs=1e-9)
        capacity_bytes = float(course.capacity_bits[name]) / 8
        assert usage.capacity_bytes == pytest.approx(capacity_bytes, rel=1e-9, abs=1e-6)
        assert usage.num_bytes <= usage.capacity_bytes * (1 + 1e-9) + 1e-6


def check_all(case):
    course = play(*case)
    check_ends(case, course)
    check_usage(case, course)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(small)
def test_transfers_end_and_links_are_busy_as_exact_arithmetic_says(case):
    check_all(case)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(large)
def test_so_they_do_in_large_meshes(case):
    check_all(case)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(shaped)
def test_so_they_do_after_the_bursts_of_shapers(case):
    check_all(case)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(down)
def test_so_they_do_through_outages(case):
    check_all(case)


@pytest.fixture
def solvers(monkeypatch):
    """The classes of the solvers that have found rates for some flow."""
    used = set()
    for solver_class in (Apart, FairQueue, Mesh):

        def spy(solver, now_s, settle=solver_class.settle):
            settle(solver, now_s)
            if solver.flows():
                used.add(type(solver))

        monkeypatch.setattr(solver_class, "settle", spy)
    return used


SLOW = [Link(f"up{i}", 700.0 + 300 * i) for i in range(6)]
DEDICATED = (SLOW, [(f"up{i}",) for i in range(6)])
BOTTLENECK = ([*SLOW, Link("ingress", 7000.0)], [(f"up{i}", "ingress") for i in range(6)])
TREE = (
    [*SLOW, Link("x", 2900.0), Link("y", 5100.0), Link("ingress", 7000.0)],
    [(f"up{i}", "xy"[i % 2], "ingress") for i in range(6)],
)
RING = (
    [Link(f"r{i}", 1000.0 + 100 * i) for i in range(6)],
    [tuple(f"r{(i + k) % 6}" for k in range(2 + i % 3)) for i in range(6)],
)
REACHED = [
    (DEDICATED, {Apart}),
    (BOTTLENECK, {Apart, FairQueue}),
    (TREE, {Apart, FairQueue, Mesh}),
    (RING, {Apart, FairQueue, Mesh}),
]


def sizes(number):
    return [101 + (37 * number + 61 * turn) % 400 for turn in range(8)]


@pytest.mark.parametrize(("topology", "reached"), REACHED)
def test_an_open_loop_through_each_solver(topology, reached, solvers):
    links, routes = topology
    transfers = [
        Transfer(route, num_bytes, (number + 7 * turn) / 64)
        for number, route in enumerate(routes)
        for turn, num_bytes in enumerate(sizes(number))
    ]
    changes = [RateChange(k / 4, links[-1].name, 3000.0 + 500 * (k % 5)) for k in range(12)]
    check_ends((links, changes, transfers), play(links, changes, transfers))
    assert max(reached, key=[Apart, FairQueue, Mesh].index) in solvers


@pytest.mark.parametrize(("topology", "reached"), REACHED)
def test_a_closed_loop_through_each_solver(topology, reached, solvers):
    """The exact model has no closed loop: it gets the times at which the clients here have sent."""
    links, routes = topology
    env = simpy.Environment()
    flows = Network(links).attach(env)
    sent, end_s = [], []

    def client(number, route):
        for num_bytes in sizes(number):
            place = len(sent)
            sent.append(Transfer(route, num_bytes, env.now))
            end_s.append(0.0)
            end_s[place] = yield flows.send(route, num_bytes)

    env.run(until=env.all_of([env.process(client(*pair)) for pair in enumerate(routes)]))
    course = play(links, [], sent)
    assert end_s == pytest.approx([float(end) for end in course.end_s], rel=1e-9)
    assert solvers <= reached
    assert max(reached, key=[Apart, FairQueue, Mesh].index) in solvers


@pytest.mark.parametrize(("topology", "reached"), REACHED)
def test_an_outage_through_each_solver(topology, reached, solvers):
    """The last link, that most or all cross, is down for half of the time; then each link in turn."""
    links, routes = topology
    transfers = [
        Transfer(route, num_bytes, (number + 7 * turn) / 64)
        for number, route in enumerate(routes)
        for turn, num_bytes in enumerate(sizes(number))
    ]
    last = links[-1]
    changes = [RateChange(k / 4, last.name, last.rate_bps * (k % 2)) for k in range(12)]
    for number, link in enumerate(links):
        changes += [RateChange(3 + number / 4, link.name, 0.0), RateChange(4 + number, link.name, 900.0)]
    check_ends((links, changes, transfers), play(links, changes, transfers))
    assert max(reached, key=[Apart, FairQueue, Mesh].index) in solvers


def test_a_large_clock_does_not_stall_a_mesh():
    # At 1e9 s the clock has steps of 1.2e-7 s: less than what a byte takes.
    links, routes = RING
    fast = [Link(link.name, 1e6 * link.rate_bps) for link in links]
    early = [Transfer(route, num_bytes) for route in routes for num_bytes in (1, 10, 10**6, 10**7)]
    late = [Transfer(transfer.route, transfer.num_bytes, 1e9) for transfer in early]
    end_s = Network(fast).completion_times(late)
    expected = [float(end) for end in play(fast, [], early).end_s]
    assert [end - 1e9 for end in end_s] == pytest.approx(expected, rel=0, abs=1e-5)
