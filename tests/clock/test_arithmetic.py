"""Arithmetic on the columns of all rounds gives the times that SimPy gives, wherever it says that it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.clock import Clock, Stage, Timeline
from slsim.clock.arithmetic import Arithmetic, links_are_simple
from slsim.clock.program import Program
from slsim.devices import Device, Rated, Timed
from slsim.network import topology
from slsim.recording import Lane, Message, Piece, Rows, Script, Steps, Vocabulary
from slsim.recording.kinds import ALL_REDUCE, CLIENT_BACKWARD, CLIENT_FORWARD, DECODE, ENCODE
from slsim.scenario import NetworkTable

CLIENTS = 5
SIZES = st.sampled_from([0, 1, 500, 1448, 5000, 5001, 20_000])
DEVICES: tuple[Device, ...] = (
    Timed(client_forward="1 ms", client_backward="2 ms", encode="20 ns", decode="10 ns", overhead="0.1 ms"),
    Timed(client_forward="7 ms", client_backward="0 s", encode="90 ns", decode="0 s"),
    Rated(peak="10 GFLOPS", memory="1 GB/s", overhead="1 ms"),
)
SERVERS: tuple[Device, ...] = (
    Timed(server_forward="0.3 ms", server_backward="0.5 ms", encode="0 s", decode="2 ns", overhead="2 ms"),
    Timed(server_forward="3 ms", server_backward="0 s", encode="0 s", decode="0 s"),
    Rated(peak="20 GFLOPS", memory="2 GB/s", overhead="0.2 ms"),
)
SHARED: tuple[dict[str, Any], ...] = ({"sharing": "shared"}, {"sharing": "fifo"})
NETWORKS: tuple[dict[str, Any], ...] = (
    {},
    {"uplink": [{"rate": "1 Mbps", "share": 0.5}, {"rate": "9 Mbps", "share": 0.5, "latency": "9 ms"}]},
    *SHARED,
)


@st.composite
def pieces(draw: st.DrawFn, *names: str) -> Piece:
    """Work of any size; one without samples, or without elements that cost something, may take no time."""
    name = draw(st.sampled_from(names))
    if name in ("encode", "decode"):
        elements = draw(st.integers(0, 3000))
        return Piece(
            name, elements=elements, codec="ms", memory_bytes=draw(st.sampled_from([0.0, 9.0])) * elements
        )
    samples = draw(st.integers(0, 9))
    return Piece(name, samples=samples, flops=1e6 * samples)


@st.composite
def messages(draw: st.DrawFn) -> list[Message]:
    """What travels as one transfer."""
    sizes = draw(st.lists(SIZES, min_size=1, max_size=2))
    return [Message(f"kind {place}", size, 4 * size) for place, size in enumerate(sizes)]


def write(draw: st.DrawFn, lane: Lane, client: int, what: str) -> None:
    if what == "upload":
        lane.upload(client, *draw(messages()))
    elif what == "download":
        lane.download(client, *draw(messages()))
    elif what == "serve":
        names = ("server forward", "server backward", "encode", "decode")
        lane.serve(client, *draw(st.lists(pieces(*names), min_size=1, max_size=2)))
        lane.leave_server()
    elif what == "serve for nothing":
        lane.serve(client, Piece("server forward"))
        lane.leave_server()
    else:
        phase = draw(st.sampled_from([CLIENT_FORWARD, ENCODE, DECODE, CLIENT_BACKWARD]))
        names = ("client forward", "client backward", "encode", "decode")
        lane.work(client, phase, *draw(st.lists(pieces(*names), min_size=1, max_size=2)))


SHAPES = (  # of a section's lanes: the second is at the server twice, and so shared links at two places
    ("work", "upload", "serve", "download", "work"),
    ("serve", "download", "work", "work", "upload", "serve"),
    ("download", "work", "upload"),
    ("upload", "serve for nothing", "work", "serve", "download"),
    ("serve", "serve for nothing", "download", "serve for nothing"),
)


@st.composite
def some_rounds(draw: st.DrawFn) -> Steps:
    """Up to three rounds of one or two sections, each of some of five clients in any order."""
    words = Vocabulary()
    rounds: list[Rows] = []
    shifts = st.sampled_from(draw(st.sampled_from([[0]] * 5 + [[0, 1]])))
    for _ in range(draw(st.integers(1, 3))):
        script = Script(words)
        lanes = draw(st.permutations(range(CLIENTS)))  # of each client
        for _ in range(draw(st.integers(1, 2))):
            shape = draw(st.sampled_from(SHAPES))
            clients = draw(st.lists(st.integers(0, CLIENTS - 1), min_size=1, max_size=CLIENTS, unique=True))
            for client in clients:
                own = shape[: draw(st.integers(1, len(shape)))] if draw(st.booleans()) else shape
                later = ("work",) * draw(shifts)  # than others at each shared thing
                for what in (*later, *own):
                    write(draw, script.lane(lanes[client]), client, what)
                for _ in range(draw(st.sampled_from([0, 0, 0, 2]))):  # longer than others
                    write(draw, script.lane(lanes[client]), client, "work")
            script.barrier()
        rounds.append(script.rows())
    return Steps.of(rounds, words)


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    table = {"uplink": "1 Mbps", "downlink": "3 Mbps", **draw(st.sampled_from((*NETWORKS, *SHARED)))}
    latency = draw(st.sampled_from(["0 s", "1 ms", "70 ms"]))
    network = topology.build(NetworkTable.model_validate({**table, "latency": latency}), CLIENTS)
    clients = [draw(st.sampled_from(DEVICES)) for _ in range(CLIENTS)]
    return Stage(clients, draw(st.sampled_from(SERVERS)), draw(st.sampled_from([1, 2, 3])), network)


def can_play(stage: Stage, steps: Steps) -> bool:
    ones = np.ones(len(steps), np.int64)
    return links_are_simple(stage) and Arithmetic(Program.of(steps, stage), stage, ones).can_play


def by_clients(timeline: Timeline) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """The clients of every round, and their seconds by phase, each round's in order of clients."""
    round_of = np.repeat(np.arange(len(timeline.round_ends_s)), np.diff(timeline.offsets))
    order = np.lexsort((timeline.clients, round_of))
    return list(zip(round_of[order], timeline.clients[order], strict=True)), timeline.seconds[order]


def assert_alike(found: Timeline, due: Timeline) -> None:
    assert found.alarm == due.alarm == ""
    assert found.phases == due.phases
    assert found.round_ends_s == pytest.approx(due.round_ends_s, rel=1e-9)
    assert {name: astuple(use) for name, use in found.links.items()} == {
        name: pytest.approx(astuple(use), rel=1e-9) for name, use in due.links.items()
    }
    (clients, seconds), (due_clients, due_seconds) = by_clients(found), by_clients(due)
    assert clients == due_clients
    assert seconds == pytest.approx(due_seconds, rel=1e-9, abs=1e-12)


def test_arithmetic_and_simpy_agree() -> None:
    """Whatever rounds do and whoever does it; and most of these rounds are played by arithmetic."""
    played = []

    @settings(derandomize=True, deadline=None, max_examples=100)
    @given(some_rounds(), stages(), st.data())
    def agree(steps: Steps, stage: Stage, data: st.DataObject) -> None:
        more = data.draw(st.lists(st.integers(0, len(steps) - 1), max_size=3))
        rounds = [*range(len(steps)), *more]
        clock = Clock(stage)
        played.append(can_play(stage, steps))
        assert_alike(clock.run(steps, rounds), clock.run_with_events(steps, rounds))

    agree()
    assert sum(played) > 0.5 * len(played)


def two_at_once(script: Script) -> None:
    for client in (0, 1):
        lane = script.lane(client)
        lane.work(client, CLIENT_FORWARD, Piece("client forward", samples=1 + client))
        lane.upload(client, Message("activations", 1000, 4000))
        lane.serve(client, Piece("server forward", samples=1))


def one_waits(script: Script) -> None:
    script.lane(0).work(0, CLIENT_FORWARD, Piece("client forward", samples=2))
    script.lane(1).work(1, CLIENT_FORWARD, Piece("client forward", samples=1), waits_for=0)


def one_sends_to_the_other(script: Script) -> None:
    script.lane(0).send(0, 1, ALL_REDUCE, Message("chunk", 1000, 4000))


def two_in_one_lane(script: Script) -> None:
    for client in (0, 1):
        script.lane(0).work(client, CLIENT_FORWARD, Piece("client forward", samples=1))


def served_twice(script: Script) -> None:
    two_at_once(script)
    script.lane(0).leave_server()
    script.lane(0).serve(0, Piece("server forward", samples=1))


def one_uploads_later(script: Script) -> None:
    two_at_once(script)
    script.lane(2).upload(2, Message("activations", 1000, 4000))


@pytest.mark.parametrize(
    ("write", "sharing", "holds"),
    [
        (two_at_once, "dedicated", True),
        (two_at_once, "shared", True),
        (one_waits, "dedicated", False),
        (one_sends_to_the_other, "dedicated", False),
        (two_in_one_lane, "dedicated", False),
        (served_twice, "dedicated", False),
        (one_uploads_later, "dedicated", True),
        (one_uploads_later, "shared", False),
        (one_uploads_later, "fifo", False),
    ],
)
def test_arithmetic_leaves_to_simpy_what_it_cannot_play(
    write: Callable[[Script], None], sharing: str, holds: bool
) -> None:
    script = Script(words := Vocabulary())
    write(script)
    steps = Steps.of([script.rows()], words)
    table = NetworkTable.model_validate({"uplink": "1 Mbps", "sharing": sharing})
    stage = Stage(DEVICES, SERVERS[0], 1, topology.build(table, len(DEVICES)))
    assert can_play(stage, steps) == holds
    assert_alike(Clock(stage).run(steps, [0, 0]), Clock(stage).run_with_events(steps, [0, 0]))
