"""Rates of 0: transfers stand still and go on later, worked out by hand."""

from __future__ import annotations

import itertools

import pytest
import simpy

from slsim.errors import NetworkError
from slsim.network import Link, Network, RateChange, Transfer


def ends_s(links: list[Link], changes: list[RateChange], *transfers: Transfer) -> list[float]:
    return Network(links, changes).completion_times(transfers)


def outage(link: str, from_s: float, to_s: float, rate_bps: float) -> list[RateChange]:
    return [RateChange(from_s, link, 0.0), RateChange(to_s, link, rate_bps)]


def test_a_transfer_stands_still_while_its_link_is_down() -> None:
    """1,000 bytes at 8,000 bit/s: half by 0.5 s, the rest from 10 s on."""
    assert ends_s([Link("a", 8000.0)], outage("a", 0.5, 10.0, 8000.0), Transfer(("a",), 1000)) == [10.5]


def test_a_link_may_begin_with_an_outage() -> None:
    assert ends_s([Link("a", 8000.0)], outage("a", 0.0, 7.0, 4000.0), Transfer(("a",), 1000)) == [9.0]


def test_one_that_is_sent_in_the_outage_begins_after_it() -> None:
    changes = outage("a", 1.0, 3.0, 8000.0)
    assert ends_s([Link("a", 8000.0)], changes, Transfer(("a",), 1000, start_s=2.0)) == [4.0]


@pytest.mark.parametrize("sharing", ["fair", "fifo", "per_flow"])
def test_each_sharing_waits(sharing) -> None:
    """Two of 1,000 bytes at 8,000 bit/s, down from 0.5 to 2.5 s."""
    transfers = [Transfer(("a",), 1000), Transfer(("a",), 1000)]
    expected = {"fair": [4.0, 4.0], "fifo": [3.0, 4.0], "per_flow": [3.0, 3.0]}[sharing]
    changes = outage("a", 0.5, 2.5, 8000.0)
    assert ends_s([Link("a", 8000.0, sharing=sharing)], changes, *transfers) == pytest.approx(expected)


def test_the_others_take_what_one_in_an_outage_leaves() -> None:
    """Both get half of 8,000 bit/s; from 0.5 s on "b" alone uses all of "a", until "up" is back at 2 s."""
    links = [Link("up", 1e6), Link("a", 8000.0)]
    transfers = [Transfer(("up", "a"), 1000), Transfer(("a",), 1000)]
    # By 0.5 s 250 bytes each; b: 750 bytes more take 0.75 s; the other has "a" to itself from 2 s on.
    assert ends_s(links, outage("up", 0.5, 2.0, 1e6), *transfers) == pytest.approx([2.75, 1.25])


@pytest.mark.parametrize("at_s", [0.3, 0.7, 1e6 + 0.3])
def test_a_transfer_that_ends_when_the_outage_begins_has_arrived(at_s) -> None:
    """Rounding must not hold it until the outage is over: it ends at `at_s`, not at 2e6 s."""
    start_s = at_s - 0.3
    changes = [RateChange(start_s + 0.1, "a", 3e6), *outage("a", at_s, 2e6, 1e6)]
    transfer = Transfer(("a",), 100_000, start_s)  # 0.1 s at 2 Mbit/s, 0.2 s at 3 Mbit/s
    assert ends_s([Link("a", 2e6)], changes, transfer) == [pytest.approx(at_s, rel=1e-9)]


def test_the_time_of_an_outage_is_busy_and_has_no_capacity() -> None:
    env = simpy.Environment()
    flows = Network([Link("a", 8000.0)], outage("a", 0.5, 10.0, 8000.0)).attach(env)
    env.run(until=flows.send(("a",), 1000))
    usage = flows.usage()["a"]
    assert (usage.num_bytes, usage.busy_s, usage.capacity_bytes) == (1000, 10.5, 1000)


def test_a_transfer_on_a_link_that_is_down_for_ever_is_one_error() -> None:
    message = r"link 'a' is down \(0 bit/s\) for ever at 0.5 s, with 1 transfers on it"
    with pytest.raises(NetworkError, match=message):
        ends_s([Link("a", 8000.0)], [RateChange(0.5, "a", 0.0)], Transfer(("a",), 1000))


def test_so_is_one_that_is_sent_later() -> None:
    with pytest.raises(NetworkError, match="down .* for ever at 2 s"):
        ends_s([Link("a", 8000.0)], [RateChange(0.5, "a", 0.0)], Transfer(("a",), 1000, 2.0))


def test_a_dead_link_that_nobody_uses_harms_nobody() -> None:
    links = [Link("a", 8000.0), Link("b", 8000.0)]
    changes = [RateChange(0.5, "a", 0.0)]
    assert ends_s(links, changes, Transfer(("a",), 100), Transfer(("b",), 1000)) == [0.1, 1.0]


def test_an_endless_stream_of_outages() -> None:
    """A second up, a second down: 10 seconds' worth of bytes take 19 s."""

    def stream():
        return (RateChange(float(k), "a", 8000.0 * (1 - k % 2)) for k in itertools.count())

    (end_s,) = Network([Link("a", 8000.0)], streams=[stream]).completion_times([Transfer(("a",), 10_000)])
    assert end_s == 19.0
