"""The network inside a SimPy environment: events, usage, and what is filled when."""

import pytest
import simpy

from slsim.network import Link, LinkUsage, Network, RateChange
from slsim.network import flows as flows_module
from slsim.network.sharing import max_min_rates

MB = 1_000_000  # bytes; at 8 Mbps one of them takes one second


@pytest.fixture
def env():
    return simpy.Environment()


@pytest.fixture
def fills(monkeypatch):
    """The number of flows in every group that has been filled."""
    sizes = []

    def spy(routes, capacity_bps, cap_bps):
        sizes.append(len(routes))
        return max_min_rates(routes, capacity_bps, cap_bps)

    monkeypatch.setattr(flows_module, "max_min_rates", spy)
    return sizes


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
    assert flows.usage() == {"a": LinkUsage(3 * MB, 2.0)}


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
    assert flows.usage() == {"a": LinkUsage(3 * MB, 3.0), "idle": LinkUsage(0.0, 0.0)}


def test_usage_counts_what_has_crossed_so_far(env):
    flows = Network([Link("a", 8e6, latency_s=0.5), Link("b", 16e6)]).attach(env)
    flows.send(("a", "b"), 4 * MB)
    env.run(until=0.5)
    assert flows.usage() == {"a": LinkUsage(0.0, 0.0), "b": LinkUsage(0.0, 0.0)}
    env.run(until=1.25)
    assert flows.usage() == {"a": LinkUsage(0.75 * MB, 0.75), "b": LinkUsage(0.75 * MB, 0.75)}


def test_usage_does_not_count_the_time_between_transfers(env):
    flows = Network([Link("a", 8e6)]).attach(env)

    def client():
        for _ in range(2):
            yield flows.send(("a",), MB)
            yield env.timeout(10.0)

    env.process(client())
    env.run()
    assert flows.usage() == {"a": LinkUsage(2 * MB, 2.0)}


def test_usage_does_not_count_waiting_at_a_fifo_link(env):
    flows = Network([Link("queue", 8e6, sharing="fifo"), Link("b", 8e6)]).attach(env)
    flows.send(("queue",), MB)
    flows.send(("queue", "b"), MB)
    env.run()
    assert flows.usage() == {"queue": LinkUsage(2 * MB, 2.0), "b": LinkUsage(MB, 1.0)}


def test_usage_of_a_per_flow_link_may_exceed_its_rate(env):
    flows = Network([Link("a", 8e6, sharing="per_flow")]).attach(env)
    flows.send(("a",), MB)
    flows.send(("a",), MB)
    env.run()
    assert flows.usage() == {"a": LinkUsage(2 * MB, 1.0)}


def test_usage_counts_no_bytes_as_nothing(env):
    flows = Network([Link("a", 8e6, latency_s=1.0)]).attach(env)
    flows.send(("a",), 0)
    env.run()
    assert flows.usage() == {"a": LinkUsage(0.0, 0.0)}


def test_changes_of_one_instant_are_filled_once(env, fills):
    flows = Network([Link("a", 8e6)], [RateChange(0.0, "a", 16e6)]).attach(env)
    for _ in range(10):
        flows.send(("a",), MB)
    env.run()
    assert fills == [10]


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
    assert fills == [10, 10, 10]


def test_only_those_that_share_links_with_a_change_are_filled(env, fills):
    flows = Network([Link(f"up{client}", 8e6) for client in range(10)]).attach(env)
    for client in range(10):
        flows.send((f"up{client}",), (client + 1) * MB)
    env.run()
    assert fills == [1] * 10


def test_per_flow_links_connect_nothing(env, fills):
    flows = Network([Link("air", 8e6, sharing="per_flow")]).attach(env)
    for client in range(10):
        flows.send(("air",), (client + 1) * MB)
    env.run()
    assert fills == [1] * 10


def test_those_that_wait_at_a_fifo_link_are_not_filled(env, fills):
    flows = Network([Link("queue", 8e6, sharing="fifo")]).attach(env)
    for _ in range(10):
        flows.send(("queue",), MB)
    env.run()
    assert fills == [1] * 10
