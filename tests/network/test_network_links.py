"""What links, transfers, rate changes and networks accept, and what they say when they do not."""

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import simpy

from slsim.errors import NetworkError
from slsim.network import Link, LinkUsage, Network, RateChange, Transfer

NOT_A_RATE = [0, -1.0, math.nan, math.inf, -math.inf]
NOT_A_TIME = [-0.1, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("rate_bps", NOT_A_RATE)
def test_a_link_needs_a_rate(rate_bps):
    with pytest.raises(NetworkError, match=r"rate_bps\(=.*\) of link 'up0' must be > 0 bit/s and finite"):
        Link("up0", rate_bps)


@pytest.mark.parametrize("latency_s", NOT_A_TIME)
def test_a_link_needs_a_latency_that_is_not_negative(latency_s):
    with pytest.raises(NetworkError, match=r"latency_s\(=.*\) of link 'up0' must be >= 0 s and finite"):
        Link("up0", 1e6, latency_s)


@pytest.mark.parametrize("burst_bytes", NOT_A_TIME)
def test_a_burst_is_not_negative(burst_bytes):
    message = r"burst_bytes\(=.*\) of link 'up0' must be >= 0 bytes and finite"
    with pytest.raises(NetworkError, match=message):
        Link("up0", 1e6, burst_bytes=burst_bytes)


def test_a_link_names_the_ways_of_sharing():
    message = r"sharing\(='equal'\) of link 'up0' must be one of 'fair', 'per_flow', 'fifo'"
    with pytest.raises(NetworkError, match=message):
        Link("up0", 1e6, sharing="equal")


def test_a_link_needs_a_name():
    with pytest.raises(NetworkError, match=r"name\(=''\) of a link must not be empty"):
        Link("", 1e6)


@pytest.mark.parametrize("num_bytes", [-1, 1.5, math.nan, "10 MB", None])
def test_a_transfer_has_whole_bytes(num_bytes):
    message = r"num_bytes\(=.*\) of the transfer over \('up0',\) must be a whole number >= 0"
    with pytest.raises(NetworkError, match=message):
        Transfer(("up0",), num_bytes)


def test_a_transfer_takes_the_integers_of_numpy():
    assert Transfer(("up0",), np.int64(7)) == Transfer(("up0",), 7)


@pytest.mark.parametrize("start_s", NOT_A_TIME)
def test_a_transfer_does_not_start_before_zero(start_s):
    with pytest.raises(NetworkError, match=r"start_s\(=.*\) of the transfer over \('up0',\) must be >= 0 s"):
        Transfer(("up0",), 1, start_s)


@pytest.mark.parametrize("rate_cap_bps", NOT_A_RATE)
def test_a_cap_is_a_rate(rate_cap_bps):
    with pytest.raises(
        NetworkError, match=r"rate_cap_bps\(=.*\) of the transfer over \('up0',\) must be > 0"
    ):
        Transfer(("up0",), 1, rate_cap_bps=rate_cap_bps)


def test_a_route_has_a_link():
    with pytest.raises(NetworkError, match=r"route\(=\(\)\) must have at least one link"):
        Transfer((), 1)


def test_a_route_crosses_a_link_once():
    with pytest.raises(NetworkError, match=r"must cross no link twice, but 'up0' is repeated"):
        Transfer(("up0", "ingress", "up0"), 1)


def test_a_route_is_not_one_string():
    with pytest.raises(
        NetworkError, match=r"route\(='up0'\) must be a tuple of link names, such as \('up0',\)"
    ):
        Transfer("up0", 1)


@pytest.mark.parametrize("rate_bps", NOT_A_RATE[1:])
def test_a_rate_changes_to_a_rate_or_to_0(rate_bps):
    RateChange(0.5, "up0", 0)
    message = r"rate_bps\(=.*\) of the rate change of link 'up0' at 0.5 s must be >= 0"
    with pytest.raises(NetworkError, match=message):
        RateChange(0.5, "up0", rate_bps)


@pytest.mark.parametrize("time_s", NOT_A_TIME)
def test_a_rate_does_not_change_before_zero(time_s):
    with pytest.raises(NetworkError, match=r"time_s\(=.*\) of a rate change of link 'up0' must be >= 0 s"):
        RateChange(time_s, "up0", 1e6)


def test_link_names_are_unique():
    with pytest.raises(NetworkError, match=r"name\(='up0'\) of a link must be unique; 2 links have it"):
        Network([Link("up0", 1e6), Link("up1", 1e6), Link("up0", 2e6)])


def test_a_rate_change_refers_to_a_link_of_the_network():
    message = r"link\(='up2'\) of the rate change at 1.5 s is not in the network.* 'up0', 'up1'"
    with pytest.raises(NetworkError, match=message):
        Network([Link("up0", 1e6), Link("up1", 1e6)], [RateChange(1.5, "up2", 1e6)])


def test_a_route_refers_to_links_of_the_network():
    network = Network([Link("up0", 1e6), Link("ingress", 1e6)])
    message = (
        r"link\(='ingres'\) of route \('up0', 'ingres'\) is not in the network. Did you mean 'ingress'\?"
    )
    with pytest.raises(NetworkError, match=message):
        network.completion_times([Transfer(("up0", "ingres"), 1)])
    with pytest.raises(NetworkError, match=message):
        network.attach(simpy.Environment()).send(("up0", "ingres"), 1)


def test_a_message_lists_no_more_than_ten_links():
    network = Network([Link(f"up{client}", 1e6) for client in range(1000)])
    with pytest.raises(NetworkError, match=r"Its 1000 links: 'up0', .*'up9', \.\.\.$"):
        network.completion_times([Transfer(("server",), 1)])


@pytest.mark.parametrize(
    ("route", "num_bytes", "rate_cap_bps"),
    [((), 1, None), (("up0", "up0"), 1, None), (("up0",), -1, None), (("up0",), 1, 0.0), ("up0", 1, None)],
)
def test_send_refuses_what_a_transfer_refuses(route, num_bytes, rate_cap_bps):
    flows = Network([Link("up0", 1e6)]).attach(simpy.Environment())
    with pytest.raises(NetworkError):
        flows.send(route, num_bytes, rate_cap_bps)


@pytest.mark.parametrize(
    "value", [Link("a", 1.0), Transfer(("a",), 1), RateChange(0.0, "a", 1.0), LinkUsage(0.0, 0.0, 0.0)]
)
def test_values_are_frozen(value):
    with pytest.raises((FrozenInstanceError, AttributeError)):
        setattr(value, value.__slots__[0], None)
