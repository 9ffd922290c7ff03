"""Completion times worked out by hand."""

import pytest

from slsim.network import Link, Network, RateChange, Transfer

MB = 1_000_000  # bytes; at 8 Mbps one of them takes one second


def ends(links, transfers, rate_changes=()):
    return Network(links, rate_changes).completion_times(transfers)


def test_no_transfers_take_no_time():
    assert ends([Link("a", 8e6)], []) == []


def test_a_transfer_takes_its_bits_over_the_rate():
    assert ends([Link("a", 8e6)], [Transfer(("a",), 3 * MB, start_s=2.0)]) == [5.0]


def test_a_transfer_waits_the_latencies_of_its_route_once():
    links = [Link("up", 8e6, latency_s=0.25), Link("ingress", 16e6, latency_s=0.5)]
    assert ends(links, [Transfer(("up", "ingress"), MB, start_s=1.0)]) == [2.75]


def test_waiting_for_the_latency_uses_no_bandwidth():
    # The second reaches the link at 2 s, when 2 of the first's 3 MB are over; then they share until 4 s.
    far = Link("far", 80e6, latency_s=2.0)
    transfers = [Transfer(("a",), 3 * MB), Transfer(("far", "a"), 2 * MB)]
    assert ends([Link("a", 8e6), far], transfers) == [4.0, 5.0]


def test_two_share_until_one_ends():
    # Half of 8 Mbps each until 2 s; then the second has 2 of 3 MB left and the whole link.
    assert ends([Link("a", 8e6)], [Transfer(("a",), MB), Transfer(("a",), 3 * MB)]) == [2.0, 4.0]


def test_one_that_starts_later_takes_half_of_what_is_left():
    # Alone until 1 s; then both have 1 MB to go.
    assert ends([Link("a", 8e6)], [Transfer(("a",), 2 * MB), Transfer(("a",), MB, 1.0)]) == [3.0, 3.0]


def test_what_one_cannot_use_goes_to_the_other():
    # Behind 24 Mbps, the 8 Mbps client leaves 16 to the 80 Mbps client.
    links = [Link("slow", 8e6), Link("fast", 80e6), Link("ingress", 24e6)]
    assert ends(links, [Transfer(("slow", "ingress"), MB), Transfer(("fast", "ingress"), 2 * MB)]) == [
        1.0,
        1.0,
    ]


def test_a_bottleneck_far_away_frees_a_link():
    # z holds the first two to 4 Mbps each, so the third has 24 - 4 on y; the fourth is alone on x with 20.
    links = [Link("x", 24e6), Link("y", 24e6), Link("z", 8e6)]
    routes = [("x", "z"), ("z", "y"), ("y",), ("x",)]
    sizes = [MB // 2, MB // 2, 5 * MB // 2, 5 * MB // 2]
    transfers = [Transfer(route, size) for route, size in zip(routes, sizes, strict=True)]
    assert ends(links, transfers) == pytest.approx([1.0] * 4, rel=1e-12)


def test_per_flow_gives_everyone_the_whole_rate():
    link = Link("a", 8e6, sharing="per_flow")
    assert ends([link], [Transfer(("a",), MB), Transfer(("a",), 2 * MB), Transfer(("a",), MB, 0.5)]) == [
        1.0,
        2.0,
        1.5,
    ]


def test_per_flow_before_a_fair_link_is_a_cap():
    # 8 Mbps at most for each of the first two; the third takes the other 16 of 32.
    links = [Link("a", 8e6, sharing="per_flow"), Link("ingress", 32e6)]
    transfers = [Transfer(("a", "ingress"), MB)] * 2 + [Transfer(("ingress",), 2 * MB)]
    assert ends(links, transfers) == [1.0, 1.0, 1.0]


def test_fifo_serves_one_after_the_other():
    link = Link("a", 8e6, sharing="fifo")
    transfers = [Transfer(("a",), MB, 0.5), Transfer(("a",), MB), Transfer(("a",), 2 * MB, 0.25)]
    assert ends([link], transfers) == [4.0, 1.0, 3.0]


def test_fifo_serves_those_of_one_instant_in_the_order_given():
    link = Link("a", 8e6, sharing="fifo")
    assert ends([link], [Transfer(("a",), 2 * MB), Transfer(("a",), MB)]) == [2.0, 3.0]


def test_fifo_goes_by_the_end_of_the_latency_not_by_the_start():
    links = [Link("far", 80e6, latency_s=0.5), Link("a", 8e6, sharing="fifo")]
    assert ends(links, [Transfer(("far", "a"), MB), Transfer(("a",), MB, 0.25)]) == [2.25, 1.25]


def test_fifo_serves_the_one_sent_first_if_latencies_end_together():
    links = [Link("far", 80e6, latency_s=0.5), Link("a", 8e6, sharing="fifo")]
    assert ends(links, [Transfer(("a",), MB, 0.5), Transfer(("far", "a"), MB)]) == [2.5, 1.5]


def test_a_transfer_flows_once_it_is_first_at_all_its_fifo_links():
    # The second waits for the first at a until 1 s, and while it waits it keeps the third from b.
    links = [Link("a", 8e6, sharing="fifo"), Link("b", 8e6, sharing="fifo")]
    transfers = [Transfer(("a",), MB), Transfer(("b", "a"), MB), Transfer(("b",), MB)]
    assert ends(links, transfers) == [1.0, 2.0, 3.0]


def test_routes_that_cross_fifo_links_in_opposite_orders_do_not_block_each_other():
    links = [Link("a", 8e6, sharing="fifo"), Link("b", 8e6, sharing="fifo")]
    transfers = [Transfer(("a", "b"), MB), Transfer(("b", "a"), MB)] * 2
    assert ends(links, transfers) == [1.0, 2.0, 3.0, 4.0]


def test_waiting_at_a_fifo_link_uses_no_fair_link():
    # The second waits until 2 s and leaves the fair link to the others; from then on it has half of it.
    links = [Link("queue", 8e6, sharing="fifo"), Link("ingress", 16e6)]
    transfers = [Transfer(("queue", "ingress"), 2 * MB), Transfer(("queue", "ingress"), MB)]
    assert ends(links, [*transfers, Transfer(("ingress",), 3 * MB)]) == [2.0, 3.0, 3.0]


def test_a_cap_holds_one_transfer():
    transfers = [Transfer(("a",), MB // 4, rate_cap_bps=2e6), Transfer(("a",), 3 * MB // 4)]
    assert ends([Link("a", 8e6)], transfers) == [1.0, 1.0]


def test_a_rate_changes_in_mid_transfer():
    # 1 MB in the first second, 2 of the other 3 MB at 16 Mbps in the second, the last at 4 Mbps.
    changes = [RateChange(2.0, "a", 4e6), RateChange(1.0, "a", 16e6)]
    assert ends([Link("a", 8e6)], [Transfer(("a",), 4 * MB)], changes) == [4.0]


@pytest.mark.parametrize("sharing", ["fair", "per_flow", "fifo"])
def test_a_rate_changes_on_every_kind_of_link(sharing):
    link = Link("a", 8e6, sharing=sharing)
    assert ends([link], [Transfer(("a",), 2 * MB)], [RateChange(1.0, "a", 4e6)]) == [3.0]


def test_a_rate_that_changes_at_zero_holds_from_the_start():
    assert ends([Link("a", 8e6)], [Transfer(("a",), MB)], [RateChange(0.0, "a", 4e6)]) == [2.0]


def test_of_changes_at_one_time_the_last_holds():
    changes = [RateChange(0.0, "a", 16e6), RateChange(0.0, "a", 4e6)]
    assert ends([Link("a", 8e6)], [Transfer(("a",), MB)], changes) == [2.0]


def test_a_change_of_another_link_matters_if_a_chain_of_flows_leads_there():
    # Until 1 s all have 4 Mbps. Then z falls to 2 Mbps for two flows: the first keeps 1 of them, which leaves
    # 7 on x for the third.
    links = [Link("x", 8e6), Link("z", 8e6)]
    transfers = [Transfer(("x", "z"), 2 * MB), Transfer(("z",), 2 * MB), Transfer(("x",), 11 * MB // 8)]
    assert ends(links, transfers, [RateChange(1.0, "z", 2e6)])[2] == 2.0


def test_no_bytes_arrive_right_after_the_latency():
    links = [Link("a", 8e6, latency_s=0.5), Link("b", 8e6, latency_s=0.25, sharing="fifo")]
    transfers = [Transfer(("b",), MB), Transfer(("a", "b"), 0, 0.125), Transfer(("b",), 0)]
    assert ends(links, transfers) == [1.25, 0.875, 0.25]


def test_no_bytes_without_latency_arrive_at_once():
    assert ends([Link("a", 8e6)], [Transfer(("a",), 0, 3.0)]) == [3.0]


def test_a_large_clock_does_not_stall():
    # At 1e9 s the clock has steps of 1.2e-7 s. Thirds are not exact, and 1 byte takes less than one step.
    transfers = [Transfer(("a",), num_bytes, 1e9) for num_bytes in [1, 1, 10, MB, MB, MB, 7 * MB]]
    end_s = ends([Link("a", 1e9)], transfers)
    fluid_s = [5.6e-8, 5.6e-8, 4.16e-7, 0.032, 0.032, 0.032, 0.08]  # all but the last are rounded up here
    assert end_s == pytest.approx([1e9 + t for t in fluid_s], rel=0, abs=1e-6)


def test_tiny_and_huge_go_together():
    # One byte at half of 8 Mbps takes 2 µs, of which 1 µs is missing to the huge one.
    end_s = ends([Link("a", 8e6)], [Transfer(("a",), 10**12), Transfer(("a",), 1, 1.0)])
    assert end_s == pytest.approx([1e6 + 1e-6, 1.0 + 2e-6], rel=1e-15)


def test_a_network_can_be_played_again():
    network = Network([Link("a", 8e6)], [RateChange(1.0, "a", 16e6)])
    transfers = [Transfer(("a",), 3 * MB)]
    assert network.completion_times(transfers) == network.completion_times(transfers) == [2.0]
