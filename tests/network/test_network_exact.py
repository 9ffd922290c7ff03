"""Random networks against a second implementation that is exact (`exact_fluid.py`)."""

import pytest
import simpy
from exact_fluid import play
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.network import Link, Network, RateChange, Transfer

# Whole bits a second, and times in 64ths: sums of times are exact in floats too, so that "at the same time",
# on which the order at a FIFO link depends, means the same in both implementations.
rates_bps = st.integers(1, 64).map(lambda k: 500.0 * k)
times_s = st.integers(0, 256).map(lambda k: k / 64)


@st.composite
def networks(draw):
    names = ["a", "b", "c", "d", "e"][: draw(st.integers(1, 5))]
    sharings = st.sampled_from(["fair", "fair", "fair", "per_flow", "fifo"])
    latencies_s = st.integers(0, 8).map(lambda k: k / 64)
    links = [Link(name, draw(rates_bps), draw(latencies_s), draw(sharings)) for name in names]
    changes = draw(st.lists(st.builds(RateChange, times_s, st.sampled_from(names), rates_bps), max_size=4))
    routes = st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True).map(tuple)
    sizes = st.one_of(st.integers(0, 4000), st.sampled_from([0, 1000]))
    transfer = st.builds(Transfer, routes, sizes, times_s, st.one_of(st.none(), rates_bps))
    return links, changes, draw(st.lists(transfer, min_size=1, max_size=9))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(networks())
def test_every_transfer_ends_when_exact_arithmetic_says(case):
    links, changes, transfers = case
    course = play(links, changes, transfers)
    end_s = Network(links, changes).completion_times(transfers)
    assert end_s == pytest.approx([float(end) for end in course.end_s], rel=1e-9)


@settings(derandomize=True, deadline=None, max_examples=75)
@given(networks())
def test_links_carry_and_are_busy_as_exact_arithmetic_says(case):
    links, changes, transfers = case
    course = play(links, changes, transfers)

    env = simpy.Environment()
    flows = Network(links, changes).attach(env)

    def client(transfer):
        yield env.timeout(transfer.start_s)
        yield flows.send(transfer.route, transfer.num_bytes, transfer.rate_cap_bps)

    env.run(until=env.all_of([env.process(client(transfer)) for transfer in transfers]))
    for name, usage in flows.usage().items():
        assert usage.num_bytes == float(course.num_bits[name]) / 8
        assert usage.busy_s == pytest.approx(float(course.busy_s[name]), rel=1e-9, abs=1e-9)
