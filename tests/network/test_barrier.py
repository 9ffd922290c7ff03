"""Whole rounds at once: by hand, and against the live network and SimPy's queue, turn by turn."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slsim.network import Link, Network, barrier

MB = 10**6
checked = settings(derandomize=True, deadline=None, max_examples=60)


def floats(*values):
    return np.array(values, np.float64)


def one_round(turns):
    return np.array([0, turns])


# --- by hand -------------------------------------------------------------------------------------------


def test_a_link_of_ones_own_takes_latency_and_bytes_over_rate():
    end_s = barrier.dedicated(floats(0, 1), floats(MB, 2 * MB), 8e6, 0.25)
    assert end_s.tolist() == [1.25, 3.25]


def test_links_of_ones_own_may_differ():
    end_s = barrier.dedicated(floats(0, 1), floats(MB, 2 * MB), floats(8e6, 16e6), floats(0.25, 0))
    assert end_s.tolist() == [1.25, 2.0]
    assert barrier.transfer_s(floats(MB, 2 * MB), floats(8e6, 16e6)).tolist() == [1.0, 1.0]


def test_two_share_a_fair_link():
    # Alone until 1 s, 1 MB done. Then half each: the second needs 2 s for its MB, the first has 1 MB left,
    # of which 1 MB is done at 3 s.
    end_s, busy_s = barrier.fair(floats(0, 1), floats(2 * MB, MB), one_round(2), 8e6, 0)
    assert end_s.tolist() == [3.0, 3.0]
    assert busy_s.tolist() == [3.0]


def test_a_short_message_leaves_a_fair_link_while_others_come():
    # The second (1/2 MB at half the rate) is gone at 2 s, when the first has 1 1/2 of 2 MB; so it ends at
    # 2.5 s. The third finds the link idle at 4 s, given in between.
    start_s, num_bytes = floats(0, 4, 1), floats(2 * MB, MB, MB // 2)
    end_s, busy_s = barrier.fair(start_s, num_bytes, one_round(3), 8e6, 0)
    assert end_s.tolist() == [2.5, 5.0, 2.0]
    assert busy_s.tolist() == [3.5]


def test_one_after_another_on_a_fifo_link():
    # The second in the array comes first; the empty one waits for nobody.
    start_s, num_bytes = floats(0.5, 0.25, 0.5, 8), floats(MB, MB, 0, MB)
    end_s, busy_s = barrier.fifo(start_s, num_bytes, one_round(4), 8e6, 0.5)
    assert end_s.tolist() == [2.75, 1.75, 1.0, 9.5]
    assert busy_s.tolist() == [3.0]


def test_of_equal_starts_the_first_goes_first():
    assert barrier.fifo(floats(0, 0), floats(MB, MB), one_round(2), 8e6, 0)[0].tolist() == [1.0, 2.0]
    assert barrier.queue(floats(0, 0), floats(1, 2), one_round(2), 1)[1].tolist() == [1.0, 3.0]


def test_a_server_with_two_places():
    start_s, service_s = floats(0, 0.5, 1, 0.75), floats(4, 1, 1, 1)
    begin_s, end_s = barrier.queue(start_s, service_s, one_round(4), 2)
    assert begin_s.tolist() == [0.0, 0.5, 2.5, 1.5]
    assert end_s.tolist() == [4.0, 1.5, 3.5, 2.5]


def test_nobody_waits_where_there_are_places_for_all():
    begin_s, end_s = barrier.queue(floats(3, 1), floats(1, 1), one_round(2), 2)
    assert begin_s.tolist() == [3.0, 1.0]
    assert end_s.tolist() == [4.0, 2.0]


@pytest.mark.parametrize("link", [barrier.fair, barrier.fifo])
def test_rounds_do_not_know_of_each_other_and_may_be_empty(link):
    offsets = np.array([0, 0, 2, 3, 3])
    end_s, busy_s = link(floats(0, 0, 0), floats(MB, MB, MB), offsets, 8e6, 0)
    assert end_s[1:].tolist() == [2.0, 1.0]
    assert busy_s.tolist() == [0.0, 2.0, 1.0, 0.0]


def test_no_rounds_at_all():
    none, offsets = floats(), np.array([0])
    assert [array.size for array in barrier.fair(none, none, offsets, 8e6, 0)] == [0, 0]
    assert [array.size for array in barrier.queue(none, none, offsets, 1)] == [0, 0]


def test_arguments_are_left_as_they_are_and_may_be_read_only():
    start_s, num_bytes, offsets = floats(1, 0), np.array([MB, MB]), one_round(2)
    for array in (start_s, num_bytes, offsets):
        array.flags.writeable = False
    barrier.fair(start_s, num_bytes, offsets, 8e6, 0)
    barrier.fifo(start_s, num_bytes[::-1], offsets, 8e6, 0)
    barrier.queue(start_s, np.broadcast_to(1.0, 2), offsets, 1)
    assert start_s.tolist() == [1.0, 0.0]


# --- against SimPy -------------------------------------------------------------------------------------


def in_rounds(play):
    """`play` for each round by itself, its results put together."""

    def all_rounds(start_s, values, offsets, *parameters):
        pairs = [
            play(start_s[lo:hi].tolist(), values[lo:hi].tolist(), *parameters)
            for lo, hi in itertools.pairwise(offsets)
        ]
        return tuple(
            np.concatenate([np.atleast_1d(part) for part in parts]) for parts in zip(*pairs, strict=True)
        )

    return all_rounds


def live_link(sharing):
    @in_rounds
    def play(start_s, num_bytes, rate_bps, latency_s):
        env = simpy.Environment()
        flows = Network([Link("a", rate_bps, latency_s, sharing)]).attach(env)

        def client(start, size):
            yield env.timeout(start)
            return (yield flows.send(("a",), int(size)))

        turns = [env.process(client(*turn)) for turn in zip(start_s, num_bytes, strict=True)]
        env.run(until=env.all_of(turns))
        return floats(*(turn.value for turn in turns)), flows.usage()["a"].busy_s

    return play


@in_rounds
def live_queue(start_s, service_s, slots):
    env = simpy.Environment()
    places = simpy.Resource(env, capacity=slots)

    def client(start, service):
        yield env.timeout(start)
        with places.request() as place:
            yield place
            begin_s = env.now
            yield env.timeout(service)
        return begin_s, env.now

    turns = [env.process(client(*turn)) for turn in zip(start_s, service_s, strict=True)]
    env.run(until=env.all_of(turns))
    begin_s, end_s = zip(*(turn.value for turn in turns), strict=True)
    return floats(*begin_s), floats(*end_s)


@st.composite
def rounds(draw, values):
    """Start times, a value for each turn, and the offsets of 1 to 4 rounds; sorted in one case of four."""
    steps = st.integers(0, 6).map(float)  # often equal
    times_s = st.one_of(steps, st.floats(0, 10))
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    offsets = np.cumsum([0, *sizes])
    turns = int(offsets[-1])
    start_s = draw(st.sampled_from([0.0, 0.0, 1e4, 1e9])) + floats(
        *draw(st.lists(times_s, min_size=turns, max_size=turns))
    )
    if draw(st.integers(0, 3)) == 0:
        start_s = np.sort(start_s)
    return start_s, floats(*draw(st.lists(values, min_size=turns, max_size=turns))), offsets


num_bytes = st.one_of(st.sampled_from([0, 0, 1, 1000]), st.integers(0, 5000))
rates_bps = st.one_of(st.sampled_from([8000.0, 1e6, 1e9]), st.floats(1e3, 1e7))
latencies_s = st.one_of(st.sampled_from([0.0, 0.5]), st.floats(0, 2))


def assert_same(ours, theirs):
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=0)


def assert_same_link(ours, theirs):
    """Ends, and seconds busy: these are differences of times, hence as exact as the clock."""
    (end_s, busy_s), (live_end_s, live_busy_s) = ours, theirs
    assert_same([end_s], [live_end_s])
    np.testing.assert_allclose(busy_s, live_busy_s, rtol=1e-9, atol=1e-15 * end_s.max() * end_s.size)


@checked
@given(rounds(num_bytes), rates_bps, latencies_s)
@example((floats(1e9, 1e9), floats(1, 3), one_round(2)), 1e9, 0.0)
def test_fair_links_are_those_of_the_network(case, rate_bps, latency_s):
    assert_same_link(barrier.fair(*case, rate_bps, latency_s), live_link("fair")(*case, rate_bps, latency_s))


@checked
@given(rounds(num_bytes), rates_bps, latencies_s)
def test_fifo_links_are_those_of_the_network(case, rate_bps, latency_s):
    assert_same_link(barrier.fifo(*case, rate_bps, latency_s), live_link("fifo")(*case, rate_bps, latency_s))


@checked
@given(rounds(num_bytes), rates_bps, latencies_s)
def test_links_of_ones_own_are_those_of_the_network(case, rate_bps, latency_s):
    start_s, sizes, _ = case
    live_end_s, _ = live_link("per_flow")(*case, rate_bps, latency_s)
    assert_same([barrier.dedicated(start_s, sizes, rate_bps, latency_s)], [live_end_s])


@checked
@given(rounds(st.one_of(st.integers(0, 3).map(float), st.floats(0, 5))), st.integers(1, 14))
def test_queues_are_those_of_simpy(case, slots):
    assert_same(barrier.queue(*case, slots), live_queue(*case, slots))


@pytest.mark.parametrize("sharing", ["fair", "fifo"])
@pytest.mark.parametrize("spread_s", [0.1, 1.0, 3.0])  # of arrivals, where the bytes take 1 s
def test_large_rounds_are_those_of_the_network(sharing, spread_s):
    rng = np.random.default_rng(5)
    offsets = np.array([0, 600, 700])
    start_s, sizes = spread_s * rng.random(700), rng.integers(0, 4000, 700).astype(np.float64)
    link = offsets, 8 * sizes[:600].sum(), 0.01
    assert_same(getattr(barrier, sharing)(start_s, sizes, *link), live_link(sharing)(start_s, sizes, *link))


def test_so_are_rounds_with_thousands_on_a_link_while_others_come_and_go():
    rng = np.random.default_rng(6)
    turns = 20_000
    start_s, sizes = rng.random(turns), rng.integers(0, 4000, turns).astype(np.float64)
    link = one_round(turns), 8 * sizes.sum() / 2, 0.0
    end_s, busy_s = barrier.fair(start_s, sizes, *link)
    assert np.count_nonzero((start_s < 0.7) & (end_s > 0.7)) > 4000
    assert np.count_nonzero((start_s < 1.0) & (end_s > 0.7) & (end_s < 1.0)) > 100
    assert_same_link((end_s, busy_s), live_link("fair")(start_s, sizes, *link))


def test_importing_it_imports_no_numba():
    code = "import sys, slsim.network.barrier; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
