"""The network inside a SimPy environment: events, usage, and what is filled when."""

import itertools
import subprocess
import sys

import pytest
import simpy

from slsim.errors import NetworkError
from slsim.network import Link, LinkUsage, Network, RateChange, Transfer
from slsim.network.fair_queue import FairQueue

MB = 1_000_000  # bytes; at 8 Mbps one of them takes one second


@pytest.fixture
def env():
    return simpy.Environment()


@pytest.fixture
def fills(monkeypatch):
    """The link and the number of flows on it, each time that its rate is divided anew among some."""
    log = []
    settle = FairQueue.settle

    def spy(queue, now_s):
        settle(queue, now_s)
        if queue.flows():
            log.append((queue.pools()[0].link.name, len(queue.flows())))

    monkeypatch.setattr(FairQueue, "settle", spy)
    return log


def test_a_process_waits_for_the_last_byte(env):
    flows = Network([Link("a", 8e6, latency_s=0.5)]).attach(env)
    log = []

    def client():
        yield env.timeout(1.0)
        delivered_s = yield flows.send(("a",), MB)
        log.append((delivered_s, env.now))
        delivered_s = yield flows.send(("a",), 2 * MB, rate_cap_bps=4e6)
        log.append((delivered_s, env.now))

    env.process(client())
    env.run()
    assert log == [(2.5, 2.5), (7.0, 7.0)]


def test_the_value_is_a_float_even_at_zero(env):
    delivered = Network([Link("a", 8e6)]).attach(env).send(("a",), 0)
    env.run()
    assert repr(delivered.value) == "0.0"


def test_a_reply_can_be_sent_the_moment_a_transfer_arrives(env):
    flows = Network([Link("a", 8e6)]).attach(env)
    replies = []

    def ping_pong(num_bytes):
        yield flows.send(("a",), num_bytes)
        replies.append((yield flows.send(("a",), num_bytes)))

    env.process(ping_pong(MB))  # shares until 2 s, and its reply until 4 s
    env.process(ping_pong(2 * MB))  # ends at 4 s; its reply has the link alone
    env.run()
    assert replies == [4.0, 6.0]


def test_those_of_one_instant_arrive_in_the_order_in_which_they_were_sent(env):
    flows = Network([Link("a", 8e6)]).attach(env)
    order = []
    for client in range(10):
        flows.send(("a",), MB).callbacks.append(lambda _, client=client: order.append(client))
    env.run()
    assert order == list(range(10))


def test_an_environment_may_have_begun_earlier():
    env = simpy.Environment(initial_time=5.0)
    changes = [RateChange(1.0, "a", 1e6), RateChange(4.0, "a", 16e6), RateChange(6.0, "a", 8e6)]
    flows = Network([Link("a", 8e6)], changes).attach(env)
    delivered = flows.send(("a",), 3 * MB)
    env.run(until=delivered)
    assert delivered.value == 7.0
    assert flows.usage() == {"a": LinkUsage(3 * MB, 2.0, 3 * MB)}


def test_two_attachments_know_nothing_of_each_other(env):
    network = Network([Link("a", 8e6)])
    one, other = network.attach(env), network.attach(env)
    ends = [one.send(("a",), MB), other.send(("a",), MB)]
    env.run()
    assert [end.value for end in ends] == [1.0, 1.0]


def test_usage_of_a_full_link_is_rate_times_busy_time(env):
    flows = Network([Link("a", 8e6), Link("idle", 8e6)]).attach(env)
    flows.send(("a",), MB)
    flows.send(("a",), 2 * MB)
    env.run()
    assert flows.usage() == {"a": LinkUsage(3 * MB, 3.0, 3 * MB), "idle": LinkUsage(0.0, 0.0, 0.0)}


def test_usage_counts_what_has_crossed_so_far(env):
    flows = Network([Link("a", 8e6, latency_s=0.5), Link("b", 16e6)]).attach(env)
    flows.send(("a", "b"), 4 * MB)
    env.run(until=0.5)
    assert flows.usage() == {"a": LinkUsage(0.0, 0.0, 0.0), "b": LinkUsage(0.0, 0.0, 0.0)}
    env.run(until=1.25)
    assert flows.usage() == {
        "a": LinkUsage(0.75 * MB, 0.75, 0.75 * MB),
        "b": LinkUsage(0.75 * MB, 0.75, 1.5 * MB),
    }


def test_usage_does_not_count_the_time_between_transfers(env):
    flows = Network([Link("a", 8e6)]).attach(env)

    def client():
        for _ in range(2):
            yield flows.send(("a",), MB)
            yield env.timeout(10.0)

    env.process(client())
    env.run()
    assert flows.usage() == {"a": LinkUsage(2 * MB, 2.0, 2 * MB)}


def test_usage_does_not_count_waiting_at_a_fifo_link(env):
    flows = Network([Link("queue", 8e6, sharing="fifo"), Link("b", 8e6)]).attach(env)
    flows.send(("queue",), MB)
    flows.send(("queue", "b"), MB)
    env.run()
    assert flows.usage() == {"queue": LinkUsage(2 * MB, 2.0, 2 * MB), "b": LinkUsage(MB, 1.0, MB)}


def test_usage_of_a_per_flow_link_may_exceed_its_rate(env):
    flows = Network([Link("a", 8e6, sharing="per_flow")]).attach(env)
    flows.send(("a",), MB)
    flows.send(("a",), MB)
    env.run()
    assert flows.usage() == {"a": LinkUsage(2 * MB, 1.0, 2 * MB)}


def test_usage_counts_no_bytes_as_nothing(env):
    flows = Network([Link("a", 8e6, latency_s=1.0)]).attach(env)
    flows.send(("a",), 0)
    env.run()
    assert flows.usage() == {"a": LinkUsage(0.0, 0.0, 0.0)}


def test_changes_of_one_instant_are_filled_once(env, fills):
    flows = Network([Link("a", 8e6)], [RateChange(0.0, "a", 16e6)]).attach(env)
    for _ in range(10):
        flows.send(("a",), MB)
    env.run()
    assert fills == [("a", 10)]


def test_all_that_follows_in_one_instant_is_filled_once(env, fills):
    flows = Network([Link("a", 8e6)]).attach(env)

    def client(num_detours):
        for _ in range(3):
            yield flows.send(("a",), MB)
            for _ in range(num_detours):
                yield env.timeout(0)

    for num_detours in range(10):
        env.process(client(num_detours))
    env.run()
    assert fills == [("a", 10)] * 3


def test_two_networks_find_the_same_end_of_an_instant(env, fills):
    one, other = Network([Link("a", 8e6)]).attach(env), Network([Link("b", 8e6)]).attach(env)

    def client(num_detours):
        yield one.send(("a",), MB) & other.send(("b",), MB)
        for _ in range(num_detours):
            yield env.timeout(0)
        yield one.send(("a",), MB) & other.send(("b",), MB)

    for num_detours in range(3):
        env.process(client(num_detours))
    env.run()
    assert env.now == 6.0
    assert fills == [("a", 3), ("b", 3)] * 2


def test_only_those_that_share_links_with_a_change_are_filled(env, fills):
    flows = Network([Link("a", 8e6), Link("b", 8e6)]).attach(env)
    for client in range(3):
        flows.send(("a",), (client + 1) * MB)
        flows.send(("b",), (client + 1) * MB + 1)
    env.run()
    assert fills == [("a", 3), ("b", 3), ("a", 2), ("b", 2), ("a", 1), ("b", 1)]


def test_a_link_that_one_uses_alone_connects_nothing(env, fills):
    flows = Network([Link(f"up{client}", 8e6) for client in range(10)]).attach(env)
    for client in range(10):
        flows.send((f"up{client}",), (client + 1) * MB)
    env.run()
    assert fills == []


def test_per_flow_links_connect_nothing(env, fills):
    flows = Network([Link("air", 8e6, sharing="per_flow")]).attach(env)
    for client in range(10):
        flows.send(("air",), (client + 1) * MB)
    env.run()
    assert fills == []


def test_those_that_wait_at_a_fifo_link_are_not_filled(env, fills):
    flows = Network([Link("queue", 8e6, sharing="fifo")]).attach(env)
    for _ in range(10):
        flows.send(("queue",), MB)
    env.run()
    assert fills == []


def test_in_flight_counts_what_has_been_sent_and_has_not_arrived(env):
    flows = Network([Link("a", 8e6, latency_s=0.5), Link("b", 8e6)]).attach(env)
    flows.send(("a",), MB)
    flows.send(("b",), 2 * MB)
    flows.send(("b",), 0)
    assert flows.in_flight == 2
    env.run(until=1.75)
    assert flows.in_flight == 1
    env.run()
    assert flows.in_flight == 0


def test_a_flow_does_not_wait_for_the_latency_of_its_route(env):
    flows = Network([Link("a", 8e6, latency_s=0.5), Link("b", 16e6, latency_s=0.25)]).attach(env)
    assert flows.latency_s(("a", "b")) == 0.75
    piece = flows.flow(("a", "b"), MB, rate_cap_bps=4e6)
    env.run(until=piece)
    assert piece.value == 2.0


@pytest.mark.parametrize("route", [(), ("b",), ("a", "a"), "a"])
def test_only_a_route_has_a_latency(env, route):
    flows = Network([Link("a", 8e6)]).attach(env)
    with pytest.raises(NetworkError):
        flows.latency_s(route)
    with pytest.raises(NetworkError):
        flows.flow(route, 1)


def test_what_a_stream_changes_is_merged_with_the_rate_changes():
    def halves():
        yield RateChange(1.0, "a", 16e6)
        yield RateChange(2.0, "a", 4e6)

    # 1 MB until 1 s, 2 MB until 2 s; then 4 Mbps until 4 s and 8 Mbps.
    network = Network([Link("a", 8e6)], [RateChange(4.0, "a", 8e6)], [halves])
    assert network.completion_times([Transfer(("a",), 5 * MB)]) == [5.0]
    assert network.completion_times([Transfer(("a",), 5 * MB)]) == [5.0]


def test_an_endless_stream_ends_with_the_transfers():
    def trace():
        for second in itertools.count():
            yield RateChange(float(second), "a", 8e6 if second % 2 else 16e6)

    network = Network([Link("a", 8e6), Link("idle", 8e6)], streams=[trace])
    assert network.completion_times([Transfer(("a",), 30 * MB), Transfer(("idle",), MB)]) == [20.0, 1.0]


def test_a_stream_names_links_of_the_network(env):
    flows = Network([Link("a", 8e6)], streams=[lambda: iter([RateChange(0.5, "b", 8e6)])]).attach(env)
    flows.send(("a",), MB)
    with pytest.raises(NetworkError, match=r"link\(='b'\) of the rate change at 0.5 s is not in the network"):
        env.run()


def test_a_network_is_steady_if_its_links_never_change():
    assert Network([Link("a", 8e6)]).is_steady
    assert not Network([Link("a", 8e6)], [RateChange(1.0, "a", 1e6)]).is_steady
    assert not Network([Link("a", 8e6)], streams=[lambda: iter([])]).is_steady
    assert not Network([Link("a", 8e6, burst_bytes=1.0)]).is_steady


def test_a_network_of_single_links_needs_no_compiler():
    code = (
        "import sys; from slsim.network import Link, Network, Transfer;"
        "Network([Link('a', 8e6)]).completion_times([Transfer(('a',), 1)] * 3);"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
