"""A SplitFed round on the clock, against times worked out by hand."""

from __future__ import annotations

import pytest
from rounds import Sent, Turn, costs, steps_of

from slsim.clock import Clock, Stage, Timeline
from slsim.clock.events import LiveStage
from slsim.clock.program import Program
from slsim.devices import Rated
from slsim.network import topology
from slsim.scenario import NetworkTable

COSTS = costs(
    (1e6, 2e6, 10e6, 20e6), {"activations": 9.0, "gradients": 8.0}, {"activations": 5.0, "gradients": 8.0}
)
CLIENT = Rated(peak="10 GFLOPS", efficiency=0.5, memory="1 GB/s")
SERVER = Rated(peak="100 GFLOPS", efficiency=0.5, memory="10 GB/s")


def turn(client: int, samples: int = 10, activations: int = 50_000, gradients: int = 200_000) -> Turn:
    """200,000 raw bytes (50,000 elements), encoded upward to 50,000; one byte a label."""
    return Turn(
        client,
        samples,
        (
            Sent("activations", "up", activations, 200_000),
            Sent("labels", "up", samples, samples),
            Sent("gradients", "down", gradients, 200_000),
        ),
    )


def played(turns: list[Turn], clients: int = 10, slots: int = 1, **network: str) -> Timeline:
    defaults = {"uplink": "100 Mbps", "downlink": "100 Mbps", "latency": "2 ms", "framing": "none"}
    table = NetworkTable(**{**defaults, **network})
    stage = Stage([CLIENT] * clients, SERVER, slots, topology.build(table, clients))
    return Clock(stage).run(*steps_of([turns], COSTS))


# One client's round, in seconds:
FORWARD = 10 * 1e6 / 5e9  # 10 samples · 1 MFLOP / (10 GFLOP/s · 0.5) = 0.002
ENCODE = 50_000 * 9 / 1e9  # 50,000 elements · 9 bytes / 1 GB/s = 0.00045
UPLINK = 0.002 + 8 * 50_010 / 100e6  # latency, then 50,000 bytes and 10 labels: 0.0060008
SERVE = 10 * 30e6 / 50e9 + 50_000 * (5 + 8) / 10e9  # both passes; decoding, encoding: 0.006065
DOWNLINK = 0.002 + 8 * 200_000 / 100e6  # 0.018
DECODE = 50_000 * 8 / 1e9  # 0.0004
BACKWARD = 10 * 2e6 / 5e9  # 0.004


def test_ten_clients_on_dedicated_links() -> None:
    """All arrive at once; the server takes them one by one, and the last has waited for nine others."""
    timeline = played([turn(client) for client in range(10)])
    expected = FORWARD + ENCODE + UPLINK + 10 * SERVE + DOWNLINK + DECODE + BACKWARD
    assert expected == pytest.approx(0.0915008, rel=1e-12)  # the sum of the numbers in the comments above
    assert timeline.makespan_s == pytest.approx(expected, rel=1e-12)


def test_one_client_alone() -> None:
    timeline = played([turn(0)], clients=1)
    assert timeline.makespan_s == pytest.approx(0.0369158, rel=1e-12)
    by_hand = {
        "client forward": FORWARD,
        "encode": ENCODE,
        "uplink": UPLINK,
        "server wait": 0.0,
        "server compute": SERVE,
        "downlink": DOWNLINK,
        "decode": DECODE,
        "client backward": BACKWARD,
        "barrier wait": 0.0,
    }
    assert [phase.name for phase in timeline.phases] == list(by_hand)
    assert {name: timeline.spent(name)[0] for name in by_hand} == pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def test_a_server_of_ten_slots_makes_nobody_wait() -> None:
    timeline = played([turn(client) for client in range(10)], slots=10)
    assert timeline.makespan_s == pytest.approx(0.0369158, rel=1e-12)


def test_on_a_shared_link_ten_uploads_take_ten_times_as_long() -> None:
    """All share 100 Mbps fairly and end together; down, the server releases them one by one (0.006065 s
    apart), faster than the medium carries them, so it is busy from the first gradient to the last."""
    timeline = played([turn(client) for client in range(10)], sharing="shared")
    up = 0.002 + 10 * 8 * 50_010 / 100e6
    down = 0.002 + 10 * 8 * 200_000 / 100e6
    assert timeline.makespan_s == pytest.approx(
        FORWARD + ENCODE + up + SERVE + down + DECODE + BACKWARD, rel=1e-9
    )
    assert timeline.links["uplink"].busy_s == pytest.approx(10 * 8 * 50_010 / 100e6, rel=1e-9)
    assert timeline.links["downlink"].num_bytes == pytest.approx(2_000_000, rel=1e-12)


def test_the_barrier_waits_for_the_slowest_client() -> None:
    timeline = played([turn(0), turn(1, activations=1_000_000)], clients=2)
    slow = FORWARD + ENCODE + (0.002 + 8 * 1_000_010 / 100e6) + SERVE + DOWNLINK + DECODE + BACKWARD
    assert timeline.makespan_s == pytest.approx(slow, rel=1e-12)


def test_a_smaller_batch_costs_less_of_everything_it_should() -> None:
    half = Turn(
        0,
        5,
        (
            Sent("activations", "up", 25_000, 100_000),
            Sent("labels", "up", 5, 5),
            Sent("gradients", "down", 100_000, 100_000),
        ),
    )
    timeline = played([half], clients=1)
    assert timeline.makespan_s - 0.004 == pytest.approx((0.0369158 - 0.004) / 2, rel=1e-9)


def test_up_and_down_rates_are_their_own() -> None:
    slow_down = played([turn(0)], clients=1, downlink="10 Mbps").makespan_s
    assert slow_down - 0.0369158 == pytest.approx(8 * 200_000 * (1 / 10e6 - 1 / 100e6), rel=1e-9)


def test_headers_travel_too() -> None:
    """50,010 bytes are 35 segments, 200,000 are 139; each carries 66 bytes more."""
    framed = played([turn(0)], clients=1, framing={}).makespan_s
    assert framed - 0.0369158 == pytest.approx(8 * 66 * (35 + 139) / 100e6, rel=1e-9)


def test_on_one_medium_up_and_down_disturb_each_other() -> None:
    """Client 1 uploads 1 MB while client 0's gradients come down: both want the same 100 Mbps."""
    timeline = played([turn(0), turn(1, activations=1_000_000)], clients=2, medium="100 Mbps")
    apart = played([turn(0), turn(1, activations=1_000_000)], clients=2)
    assert timeline.makespan_s > apart.makespan_s
    carried = 50_010 + 1_000_010 + 2 * 200_000
    assert timeline.links["medium"].num_bytes == pytest.approx(carried, rel=1e-12)


def test_fresh_tcp_connections_wait_for_acknowledgements() -> None:
    """50,010 bytes are 35 segments: windows of 10 and 20, then 5. 2 ms one way at 100 Mbps: 10 segments take
    1.16 ms of a round trip of 4 ms, 20 take 2.32 ms. Down, 200,000 bytes: 10, 20, then 40 (4.63 ms): full."""
    fluid = played([turn(0)], clients=1)
    fresh = played([turn(0)], clients=1, transport={"name": "tcp", "connections": "fresh"})
    idle_s = 2 * (0.004 + 0.004 - 30 * 1448 * 8 / 100e6)
    assert fresh.makespan_s - fluid.makespan_s == pytest.approx(idle_s, rel=1e-9)


def test_who_has_nothing_for_the_server_to_do_does_not_queue() -> None:
    """Weights that no codec encodes arrive while the server computes, for a second, for client 0."""
    free = COSTS.model_copy(
        update={
            "encode_bytes": COSTS.encode_bytes | {"weights": 0.0},
            "decode_bytes": COSTS.decode_bytes | {"weights": 0.0},
        }
    )
    table = NetworkTable(uplink="100 Mbps", downlink="100 Mbps", latency="2 ms", framing="none")
    slow = Rated(peak="1 GFLOPS", memory="1 GB/s", overhead="1 ms")
    stage = Stage([CLIENT] * 3, slow, 1, topology.build(table, 3))
    up = [Turn(client, 0, (Sent("weights", "up", 100_000, 100_000),)) for client in (1, 2)]
    crossing_s = 0.002 + 8 * 100_000 / 100e6
    among, _ = steps_of([[turn(0), *up]], free, codecs=("ms", "identity", "identity"))
    live = LiveStage(stage, Program.of(among, stage))
    live.play(0)
    assert live.env.now > 1
    ends = {client: end_s for client, _, _, end_s, _ in live.spans}
    assert [ends[1], ends[2]] == pytest.approx([crossing_s] * 2, rel=1e-12)
    alone = Clock(stage).run(*steps_of([up], free, codecs=("ms", "identity", "identity")))
    assert alone.makespan_s == pytest.approx(
        crossing_s, rel=1e-12
    )  # by arithmetic: no overhead of the server's


def test_a_device_has_no_overhead_for_a_codec_without_work() -> None:
    nothing = {"activations": 0.0, "gradients": 0.0}
    free = COSTS.model_copy(update={"encode_bytes": nothing, "decode_bytes": nothing})
    device = Rated(peak="10 GFLOPS", efficiency=0.5, memory="1 GB/s", overhead="1 ms")
    table = NetworkTable(uplink="100 Mbps", downlink="100 Mbps", latency="2 ms", framing="none")
    clock = Clock(Stage([device], SERVER, 1, topology.build(table, 1)))
    timeline = clock.run(*steps_of([[turn(0)]], free, codecs=("identity", "identity", "identity")))
    assert timeline.spent("encode") == timeline.spent("decode") == 0.0
    assert timeline.spent("client forward") == pytest.approx(0.001 + FORWARD, rel=1e-9)
    assert timeline.spent("client backward") == pytest.approx(0.001 + BACKWARD, rel=1e-9)
