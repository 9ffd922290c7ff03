"""Links with a token bucket, by times worked out by hand."""

import pytest
import simpy

from slsim.network import Link, LinkUsage, Network, RateChange, Transfer

MB = 1_000_000  # bytes; at 8 Mbps one of them takes one second


def ends(links, transfers, rate_changes=()):
    return Network(links, rate_changes).completion_times(transfers)


@pytest.mark.parametrize("sharing", ["fair", "per_flow", "fifo"])
def test_the_bytes_of_the_burst_pass_at_once(sharing):
    link = Link("a", 100e6, latency_s=0.25, sharing=sharing, burst_bytes=16384)
    assert ends([link], [Transfer(("a",), MB)]) == [pytest.approx(0.25 + 8 * (MB - 16384) / 100e6, rel=1e-12)]


def test_one_sent_right_after_gets_no_credit():
    env = simpy.Environment()
    flows = Network([Link("a", 8e6, burst_bytes=MB)]).attach(env)

    def client():
        for _ in range(2):
            yield flows.send(("a",), 2 * MB)

    env.run(until=env.process(client()))
    assert env.now == 3.0
    assert flows.usage() == {"a": LinkUsage(4 * MB, 3.0, 4 * MB)}


def test_the_bucket_fills_while_the_link_is_idle():
    # Empty at 1 s; half full again at 1.5 s; full, not fuller, at 10 s.
    link = Link("a", 8e6, burst_bytes=MB)
    transfers = [Transfer(("a",), 2 * MB, start_s) for start_s in (0.0, 1.5, 10.0)]
    assert ends([link], transfers) == [1.0, 3.0, 11.0]


def test_the_bucket_fills_at_the_rate_of_the_time():
    # It is empty at 1 s, gets 1/4 MB at 2 Mbps until 2 s and 1/2 MB at 8 Mbps until 2.5 s.
    changes = [RateChange(1.0, "a", 2e6), RateChange(2.0, "a", 8e6)]
    transfers = [Transfer(("a",), 2 * MB), Transfer(("a",), 7 * MB // 4, 2.5)]
    assert ends([Link("a", 8e6, burst_bytes=MB)], transfers, changes) == [1.0, 3.5]


def test_what_one_does_not_need_is_left_for_the_next():
    transfers = [Transfer(("a",), MB // 4), Transfer(("a",), 2 * MB, 0.0)]
    env = simpy.Environment()
    flows = Network([Link("a", 8e6, burst_bytes=MB)]).attach(env)

    def client():
        for transfer in transfers:
            yield flows.send(transfer.route, transfer.num_bytes)

    env.run(until=env.process(client()))
    assert env.now == 1.25
    assert flows.usage() == {"a": LinkUsage(9 * MB / 4, 1.25, 9 * MB / 4)}


def test_only_the_first_gets_the_tokens():
    # 1 MB of the first is for nothing; then two times 1 MB share.
    transfers = [Transfer(("a",), 2 * MB), Transfer(("a",), MB)]
    assert ends([Link("a", 8e6, burst_bytes=MB)], transfers) == [2.0, 2.0]


def test_other_links_limit_the_bytes_of_the_burst():
    # 1 MB at 16 Mbps, which b allows, then 1 MB at 8 Mbps.
    links = [Link("a", 8e6, burst_bytes=MB), Link("b", 16e6)]
    assert ends(links, [Transfer(("a", "b"), 2 * MB)]) == [1.5]


def test_a_cap_limits_the_bytes_of_the_burst():
    assert ends([Link("a", 8e6, burst_bytes=MB)], [Transfer(("a",), 2 * MB, rate_cap_bps=16e6)]) == [1.5]


def test_a_second_one_has_the_link_while_the_first_has_its_burst():
    # Until 1 s each has 8 of b's 16 Mbps, and the second all of a. Then they share a.
    links = [Link("a", 8e6, burst_bytes=MB), Link("b", 16e6)]
    assert ends(links, [Transfer(("a", "b"), 2 * MB), Transfer(("a", "b"), 2 * MB)]) == [3.0, 3.0]


def test_two_buckets_make_three_segments():
    # 1 MB at 16 Mbps (the cap), 1 MB more at 8 (a), 1 MB more at 4 (b).
    links = [Link("a", 8e6, burst_bytes=MB), Link("b", 4e6, burst_bytes=2 * MB)]
    assert ends(links, [Transfer(("a", "b"), 3 * MB, rate_cap_bps=16e6)]) == [3.5]


def test_a_fifo_link_serves_one_through_all_its_segments():
    link = Link("a", 8e6, sharing="fifo", burst_bytes=MB)
    transfers = [Transfer(("a",), 2 * MB, rate_cap_bps=4e6), Transfer(("a",), MB, 0.5)]
    assert ends([link], transfers) == [4.0, 5.0]


def test_a_burst_that_holds_all_takes_no_time():
    assert ends([Link("a", 8e6, latency_s=0.5, burst_bytes=MB)], [Transfer(("a",), MB, 1.0)]) == [1.5]


def test_of_two_that_waited_in_queues_the_one_that_came_first_gets_the_tokens():
    # At 1 s both FIFO links are free. The second has e's tokens and 16 Mbps, the third 8 Mbps on e.
    links = [Link("c", 16e6, sharing="fifo"), Link("f", 16e6, sharing="fifo"), Link("e", 8e6, burst_bytes=MB)]
    transfers = [Transfer(("c", "f"), 2 * MB), Transfer(("f", "e"), MB), Transfer(("c", "e"), MB, 0.5)]
    assert ends(links, transfers) == [1.0, 1.5, 2.0]
