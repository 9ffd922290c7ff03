"""Lanes that wait for one another, sections, and messages between clients: times worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from slsim.clock import Clock, Stage, Timeline
from slsim.devices import Timed
from slsim.errors import ClockError
from slsim.network import topology
from slsim.recording import Message, Piece, Script, Steps, Vocabulary
from slsim.recording.kinds import (
    ALL_REDUCE,
    CLIENT_BACKWARD,
    CLIENT_FORWARD,
    DECODE,
    PEER_WAIT,
)
from slsim.scenario import NetworkTable

FREE = {"encode": "0 s", "decode": "1 us"}
CLIENT = Timed(client_forward="1 ms", client_backward="2 ms", **FREE)
AT_SERVER = Timed(server_forward="1 ms", server_backward="2 ms", **FREE)
PLAIN = {"uplink": "8 Mbps", "downlink": "4 Mbps", "latency": "10 ms", "framing": "none"}
BOTH = [
    {"rate": "8 Mbps", "share": 0.5, "latency": "10 ms"},
    {"rate": "8 Mbps", "share": 0.5, "latency": "20 ms"},
]
SEGMENT, HEADER = 1448, 66


def stage(clients: int = 2, parallel: int = 1, **network: Any) -> Stage:
    table = NetworkTable.model_validate({**PLAIN, **network})
    return Stage([CLIENT] * clients, AT_SERVER, parallel, topology.build(table, clients))


def steps_of(write: Callable[[Script], None]) -> Steps:
    """The steps of one round."""
    script = Script(words := Vocabulary())
    write(script)
    return Steps.of([script.rows()], words)


def samples(count: int) -> Piece:
    """Forward, a millisecond a sample."""
    return Piece("client forward", samples=count)


def one_sends_to_the_other(num_bytes: int, forward: tuple[int, int] = (5, 1)) -> Steps:
    """Both clients compute; client 0 sends to client 1, which decodes 1,000 elements (1 ms)."""

    def write(script: Script) -> None:
        for client, count in enumerate(forward):
            script.lane(client).work(client, CLIENT_FORWARD, samples(count))
        row = script.lane(0).send(0, 1, ALL_REDUCE, Message("chunk", num_bytes, num_bytes))
        script.lane(1).work(1, DECODE, Piece("decode", elements=1000), waits_for=row)

    return steps_of(write)


def spent(timeline: Timeline, phase: str) -> list[float]:
    """Seconds in a phase, each round's in order of clients."""
    round_of = np.repeat(np.arange(len(timeline.round_ends_s)), np.diff(timeline.offsets))
    seconds: list[float] = timeline.spent(phase)[np.lexsort((timeline.clients, round_of))].tolist()
    return seconds


def test_a_message_between_clients_crosses_the_senders_uplink_and_the_receivers_downlink() -> None:
    """The latency of both, 20 ms; 1,000 bytes at the downlink's 4 Mbps, 2 ms: it is there at 27 ms."""
    timeline = Clock(stage()).run(one_sends_to_the_other(1000), [0, 0])
    assert timeline.alarm == ""
    assert timeline.durations_s == pytest.approx([0.028] * 2, rel=1e-12)
    used = {name: (use.num_bytes, use.busy_s) for name, use in timeline.links.items()}
    assert used == {
        "uplink0": pytest.approx((2000, 0.004), rel=1e-12),
        "downlink1": pytest.approx((2000, 0.004), rel=1e-12),
    }
    assert spent(timeline, "all-reduce") == pytest.approx([0.022, 0] * 2, abs=1e-12)


def test_a_wait_for_another_client_is_a_phase_of_its_own() -> None:
    timeline = Clock(stage()).run(one_sends_to_the_other(1000), [0])
    assert PEER_WAIT in timeline.phases
    expected = {
        "client forward": [0.005, 0.001],
        "all-reduce": [0.022, 0.0],
        "peer wait": [0.0, 0.026],
        "decode": [0.0, 0.001],
        "server wait": [0.0, 0.0],
        "barrier wait": [0.001, 0.0],
    }
    for phase, seconds in expected.items():
        assert spent(timeline, phase) == pytest.approx(seconds, abs=1e-12), phase


def test_what_is_over_already_is_not_waited_for() -> None:
    timeline = Clock(stage()).run(one_sends_to_the_other(1000, forward=(1, 50)), [0])
    assert timeline.makespan_s == pytest.approx(0.051, rel=1e-12)
    assert spent(timeline, "peer wait") == [0.0, 0.0]


def test_without_waits_for_peers_there_is_no_such_phase() -> None:
    timeline = Clock(stage()).run(
        steps_of(lambda script: script.lane(0).work(0, CLIENT_FORWARD, samples(1))), [0]
    )
    assert PEER_WAIT not in timeline.phases


def test_loss_leaves_a_message_between_clients_what_both_round_trips_let_through() -> None:
    """Round trips of 20 and 40 ms, of both together 60 ms; Mathis et al.: a packet a round trip, times
    √(3/2) / √loss."""
    network = stage(uplink=BOTH, downlink=BOTH, loss=0.01, framing={})
    timeline = Clock(network).run(one_sends_to_the_other(100 * SEGMENT), [0])
    rate_bps = 8 * (SEGMENT + HEADER) / 0.060 * math.sqrt(1.5 / 0.01)
    crossing_s = 0.010 + 0.020 + 8 * 100 * (SEGMENT + HEADER) / rate_bps
    assert timeline.makespan_s == pytest.approx(0.005 + crossing_s + 0.001, rel=1e-9)
    assert timeline.links["uplink0"].num_bytes == pytest.approx(100 * (SEGMENT + HEADER), rel=1e-12)
    assert timeline.links["downlink1"].num_bytes == pytest.approx(100 * (SEGMENT + HEADER), rel=1e-12)


def test_a_connection_between_clients_waits_for_acknowledgements_over_both_round_trips() -> None:
    """15 segments: ten, and after a round trip of 60 ms the rest."""
    fluid, fresh = (
        Clock(stage(uplink=BOTH, downlink=BOTH, transport=transport)).run(
            one_sends_to_the_other(15 * SEGMENT), [0]
        )
        for transport in ("fluid", {"name": "tcp", "connections": "fresh"})
    )
    idle_s = 0.060 - 8 * 10 * SEGMENT / 8e6
    assert fresh.makespan_s - fluid.makespan_s == pytest.approx(idle_s, rel=1e-9)


def test_messages_to_one_client_share_its_downlink() -> None:
    """Clients 0 and 1 send 1,000 bytes each to client 2 at once: 16,000 bits over 4 Mbps."""

    def write(script: Script) -> None:
        for client in (0, 1):
            script.lane(client).send(client, 2, ALL_REDUCE, Message("chunk", 1000, 1000))

    timeline = Clock(stage(clients=3)).run(steps_of(write), [0])
    assert timeline.makespan_s == pytest.approx(0.020 + 0.004, rel=1e-12)
    assert timeline.links["downlink2"].num_bytes == pytest.approx(2000, rel=1e-12)


def test_a_step_at_the_server_that_waits_for_another_lane_is_a_wait_for_the_server() -> None:
    """Client 1 is there after 12 ms (of which 1 ms it computes), the server works for it after client 0,
    which came after 22 ms, for 3 ms each."""

    def write(script: Script) -> None:
        for client, count in ((0, 11), (1, 1)):
            lane = script.lane(client)
            lane.work(client, CLIENT_FORWARD, samples(count))
            lane.upload(client, Message("activations", 1000, 1000))
            halves = (Piece(f"server {way}", samples=1) for way in ("forward", "backward"))
            lane.serve(client, *halves, in_order=True)

    timeline = Clock(stage(parallel=2)).run(steps_of(write), [0])
    assert timeline.alarm == ""
    assert PEER_WAIT not in timeline.phases
    assert spent(timeline, "server wait") == pytest.approx([0.0, 0.025 - 0.012], abs=1e-12)
    assert spent(timeline, "server compute") == pytest.approx([0.003, 0.003], abs=1e-12)
    assert timeline.makespan_s == pytest.approx(0.028, rel=1e-12)


@pytest.mark.parametrize("how", ["run", "run_with_events"])
def test_a_section_begins_when_all_lanes_of_the_one_before_are_over(how: str) -> None:
    """Of the first, client 0 is the last (5 ms), of the second client 1 (2 ms), the third is client 2's alone
    (4 ms), which has waited all along."""

    def write(script: Script) -> None:
        for section in ({0: 5, 1: 1}, {0: 1, 1: 2}, {2: 4}):
            for client, count in section.items():
                script.lane(client).work(client, CLIENT_FORWARD, samples(count))
            script.barrier()

    timeline = getattr(Clock(stage(clients=3)), how)(steps_of(write), [0, 0])
    assert timeline.alarm == ""
    assert timeline.durations_s == pytest.approx([0.011] * 2, rel=1e-12)
    assert sorted(timeline.clients.tolist()) == [0, 0, 1, 1, 2, 2]
    assert spent(timeline, "barrier wait") == pytest.approx([0.005, 0.008, 0.007] * 2, rel=1e-9)


def test_a_client_goes_on_in_another_lane_of_the_next_section() -> None:
    def write(script: Script) -> None:
        script.lane(0).work(0, CLIENT_FORWARD, samples(3))
        script.barrier()
        script.lane(7).work(0, CLIENT_BACKWARD, Piece("client backward", samples=2))

    timeline = Clock(stage()).run(steps_of(write), [0])
    assert timeline.makespan_s == pytest.approx(0.007, rel=1e-12)
    assert timeline.clients.tolist() == [0]


def two_that_wait(*waits_for: int, sections: int = 1) -> Steps:
    """Two lanes of one step each, the rows 0 and 1 of their round; each waits for a row, or -1 for none."""
    script = Script(words := Vocabulary())
    for client in (0, 1):
        script.lane(client).work(client, CLIENT_FORWARD, samples(1))
        if sections == 2:
            script.barrier()
    rows = script.rows()
    rows["waits_for"] = waits_for
    return Steps.of([rows], words)


@pytest.mark.parametrize(
    "steps",
    [two_that_wait(1, 0), two_that_wait(0, -1), two_that_wait(1, -1, sections=2)],
    ids=["for each other", "for itself", "for a later section"],
)
def test_a_wait_that_never_ends_is_an_error(steps: Steps) -> None:
    with pytest.raises(ClockError, match="a round does not end"):
        Clock(stage()).run(steps, [0])


def test_a_wait_that_never_ends_while_rates_change_for_ever_is_an_error() -> None:
    jitter = {"spread": 0.5, "every": "1 ms"}
    with pytest.raises(ClockError, match="after 500 events of one round, .* it has not ended"):
        Clock(stage(jitter=jitter), most_events=500).run(two_that_wait(1, 0), [0])


def test_a_recording_of_more_clients_than_the_stage_has_is_an_error() -> None:
    with pytest.raises(ClockError, match="more clients than the 1 on the clock"):
        Clock(stage(clients=1)).run(one_sends_to_the_other(1), [0])
