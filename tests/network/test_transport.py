"""Framing, slow start and loss: how long a message takes, against times worked out by hand."""

from __future__ import annotations

import math

import pytest
import simpy

from slsim.errors import NetworkError
from slsim.network import Link, Network
from slsim.network.framing import UNFRAMED, Framing
from slsim.network.topology import build
from slsim.network.transport import Line, Tcp, registry
from slsim.scenario import NetworkTable

SEGMENT, HEADER = 1448, 66
WIRE = SEGMENT + HEADER


def times(transport, messages, rate_bps=100e6, latency_s=0.020, gap_s=1.0, framing=None, competitors=0):
    """When each of `messages`, sent `gap_s` after the one before has arrived, took over one connection."""
    env = simpy.Environment()
    flows = Network([Link("up", rate_bps, latency_s)]).attach(env)
    line = Line(env, flows, ("up",), 2 * latency_s, framing or Framing())
    connection = transport.connect(line)
    taken = []

    def client():
        for num_bytes in messages:
            start_s = env.now
            yield from connection.send(num_bytes)
            taken.append(env.now - start_s)
            yield env.timeout(gap_s)

    for _ in range(competitors):
        flows.send(("up",), 10**9)
    env.run(until=env.process(client()))
    return taken


def wire_s(segments, rate_bps=100e6):
    return 8 * WIRE * segments / rate_bps


@pytest.mark.parametrize(
    ("num_bytes", "framed"),
    [(0, 0), (1, 67), (1448, 1514), (1449, 1449 + 132), (1_000_000, 1_000_000 + 66 * 691)],
)
def test_every_started_segment_carries_a_header(num_bytes, framed):
    assert Framing().framed(num_bytes) == framed
    assert UNFRAMED.framed(num_bytes) == num_bytes


@pytest.mark.parametrize(("segment", "header"), [(0, 66), (-1, 66), (1.5, 66), (1448, -1), (1448, 0.5)])
def test_framing_is_in_whole_bytes(segment, header):
    with pytest.raises(NetworkError, match="of the framing must be a whole number"):
        Framing(segment, header)


def test_fluid_waits_the_latency_and_flows():
    (taken,) = times(registry.create("fluid"), [1_000_000])
    assert taken == pytest.approx(0.020 + 8 * Framing().framed(1_000_000) / 100e6, rel=1e-12)


def test_a_400_kb_feature_map_over_20_ms_and_100_mbps_takes_195_ms_not_52():
    """Windows of 10, 20, 40 and 80 segments leave at 0, 40, 80 and 120 ms; the other 127 from 160 ms on.
    Real TCP took 197 ms."""
    (taken,) = times(Tcp(connections="fresh"), [400_000])
    last_bytes = 400_000 - 150 * SEGMENT
    assert taken == pytest.approx(0.020 + 4 * 0.040 + 8 * Framing().framed(last_bytes) / 100e6, rel=1e-12)
    assert taken == pytest.approx(0.197, rel=0.01)


def test_one_window_needs_no_round_trip():
    (taken,) = times(Tcp(), [10 * SEGMENT])
    assert taken == pytest.approx(0.020 + wire_s(10), rel=1e-12)


def test_a_path_that_a_window_fills_is_never_idle():
    """2 ms there and back at 10 Mbps are 2,500 bytes, less than the first window."""
    (taken,) = times(Tcp(), [1_000_000], rate_bps=10e6, latency_s=0.001)
    assert taken == pytest.approx(0.001 + 8 * Framing().framed(1_000_000) / 10e6, rel=1e-12)


def test_without_latency_tcp_is_fluid():
    assert times(Tcp(), [400_000], latency_s=0.0) == times(registry.create("fluid"), [400_000], latency_s=0.0)


def test_a_persistent_connection_keeps_its_window_and_a_fresh_one_does_not():
    """30 segments: windows of 10 and 20 the first time; then the window is 40."""
    message = 30 * SEGMENT
    slow, quick = 0.020 + 0.040 + wire_s(20), 0.020 + wire_s(30)
    assert times(Tcp(), [message, message]) == pytest.approx([slow, quick], rel=1e-12)
    assert times(Tcp(connections="fresh"), [message, message]) == pytest.approx([slow, slow], rel=1e-12)


def test_a_window_that_a_message_does_not_fill_does_not_grow():
    """9 segments never fill a window of 10; so 30 still need two."""
    taken = times(Tcp(), [9 * SEGMENT] * 5 + [30 * SEGMENT])
    assert taken[-1] == pytest.approx(0.020 + 0.040 + wire_s(20), rel=1e-12)


def test_a_larger_first_window_saves_round_trips():
    (taken,) = times(Tcp(window=40), [30 * SEGMENT])
    assert taken == pytest.approx(0.020 + wire_s(30), rel=1e-12)


def test_a_window_counts_at_the_share_that_the_message_gets():
    """Among nine others a tenth of 100 Mbps: 10 segments take 12.1 ms of a 10 ms round trip, so the path is
    full at once."""
    (taken,) = times(Tcp(), [100 * SEGMENT], latency_s=0.005, competitors=9)
    assert taken == pytest.approx(0.005 + wire_s(100, 10e6), rel=1e-9)


def test_an_empty_message_takes_the_latency():
    assert times(Tcp(), [0]) == [0.020]


def test_loss_caps_the_rate_at_mathis_formula():
    """1 % at 100 ms there and back: 1,514 bytes a round trip, times 1.2247 / 0.1."""
    table = NetworkTable(latency="50 ms", loss=0.01, uplink="1 Gbps")
    topology = build(table, clients=2)
    expected = 8 * WIRE / 0.1 * math.sqrt(1.5) / 0.1
    assert topology.rate_caps_bps == pytest.approx((expected, expected), rel=1e-12)
    assert build(NetworkTable(latency="50 ms"), clients=2).rate_caps_bps is None
