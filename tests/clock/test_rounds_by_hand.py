"""Each protocol's round on the clock, against times worked out by hand for two clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounds import Sent, Turn, costs, steps_of

import slsim
from slsim import seeds
from slsim.clock import Clock, Stage, Timeline
from slsim.clock.events import LiveStage
from slsim.clock.program import Program
from slsim.devices import Rated, Timed
from slsim.network import topology
from slsim.recording import (
    ACTIVATIONS,
    GRADIENTS,
    SERVER,
    Message,
    Piece,
    Recording,
    Script,
    Steps,
    Vocabulary,
    load,
    save,
)
from slsim.recording.kinds import CLIENT_BACKWARD, CLIENT_FORWARD
from slsim.scenario import NetworkTable
from slsim.study import run

COSTS = costs(
    (1e6, 2e6, 10e6, 20e6),
    {"activations": 9.0, "gradients": 8.0, "weights": 6.0},
    {"activations": 5.0, "gradients": 8.0, "weights": 4.0},
)
SLOW = Rated(peak="10 GFLOPS", efficiency=0.5, memory="1 GB/s")
FAST = Rated(peak="20 GFLOPS", efficiency=0.5, memory="2 GB/s")
AT_SERVER = Rated(peak="100 GFLOPS", efficiency=0.5, memory="10 GB/s")


def exchange(client: int, samples: int = 10) -> Turn:
    """50,000 elements for 10 samples, up at a byte each and down as float32; one byte a label."""
    raw = 20_000 * samples
    up = Sent("activations", "up", raw // 4, raw)
    return Turn(
        client,
        samples,
        (up, Sent("labels", "up", samples, samples), Sent("gradients", "down", raw, raw)),
    )


def weights(client: int, direction: Any) -> Turn:
    """25,000 weights, encoded to 50,000 bytes."""
    return Turn(client, 0, (Sent("weights", direction, 50_000, 100_000),))


def local_turns(client: int, samples: tuple[int, ...] = (10, 5)) -> list[Turn]:
    return [weights(client, "down"), *(exchange(client, n) for n in samples), weights(client, "up")]


def whole_turns(client: int, samples: tuple[int, ...] = (10, 5)) -> list[Turn]:
    return [weights(client, "down"), *(Turn(client, n, ()) for n in samples), weights(client, "up")]


def stage(parallel: int = 2) -> Stage:
    """A slow client 0 and a fast client 1, 100 Mbps and 2 ms each way."""
    table = NetworkTable(uplink="100 Mbps", downlink="100 Mbps", latency="2 ms", framing="none")
    return Stage([SLOW, FAST], AT_SERVER, parallel, topology.build(table, 2))


def played(protocol: str, turns: list[Turn], parallel: int = 2) -> Timeline:
    """Two rounds of these turns."""
    timeline = Clock(stage(parallel)).run(*steps_of([turns] * 2, COSTS, protocol))
    assert timeline.alarm == ""
    return timeline


# In seconds; the fast client computes and touches memory in half the time.
# Weights down: the server encodes (25,000 · 6 bytes / 10 GB/s), 2 ms + 0.4 Mbit / 100 Mbps, decode.
DOWN_S = 15e-6 + 0.002 + 0.004
DECODE_S = 25_000 * 4 / 1e9  # 0.0001
# Weights up: encode, the way, the server decodes (25,000 · 4 / 10 GB/s).
ENCODE_S = 25_000 * 6 / 1e9  # 0.00015
UP_S = 0.002 + 0.004 + 10e-6
WEIGHTS_S = {0: DOWN_S + DECODE_S + ENCODE_S + UP_S, 1: DOWN_S + (DECODE_S + ENCODE_S) / 2 + UP_S}
# A mini-batch of 10: 10 · 3 MFLOP / 5 GFLOP/s, 50,000 elements · (9 + 8) bytes / 1 GB/s.
DEVICE_S = 0.006 + 0.00085
SERVE_S = 10 * 30e6 / 50e9 + 50_000 * 13 / 10e9  # 0.006065
WAY_S = 8 * 50_010 / 100e6 + 8 * 200_000 / 100e6  # and 2 ms each way
LATENCIES_S = 0.004


def exchanges_s(client: int) -> float:
    """A mini-batch of 10 samples and one of 5: everything but the latency is in proportion."""
    return 1.5 * (DEVICE_S / (1 + client) + SERVE_S + WAY_S) + 2 * LATENCIES_S


CHAIN_S = {client: WEIGHTS_S[client] + exchanges_s(client) for client in (0, 1)}


def test_the_numbers_by_hand() -> None:
    assert WEIGHTS_S[0] == pytest.approx(0.012275, rel=1e-12)
    assert CHAIN_S[0] == pytest.approx(0.012275 + 1.5 * (0.00685 + 0.006065 + 0.0200008) + 0.008, rel=1e-12)
    assert CHAIN_S[1] == pytest.approx(CHAIN_S[0] - 0.000125 - 1.5 * 0.003425, rel=1e-12)


def test_sequential_takes_the_sum_of_all_chains() -> None:
    timeline = played("sequential", [*local_turns(0), *local_turns(1)])
    assert timeline.durations_s == pytest.approx([CHAIN_S[0] + CHAIN_S[1]] * 2, rel=1e-12)


def test_local_epochs_end_at_the_barrier_of_the_slowest_chain() -> None:
    timeline = played("splitfed", [*local_turns(0), *local_turns(1)])
    assert timeline.durations_s == pytest.approx([CHAIN_S[0]] * 2, rel=1e-12)
    more = played("splitfed", [*local_turns(0), *local_turns(1, (10, 5, 10))])  # now the fast one is last
    step_s = DEVICE_S / 2 + SERVE_S + WAY_S + LATENCIES_S
    assert more.durations_s == pytest.approx([CHAIN_S[1] + step_s] * 2, rel=1e-12)


def test_a_server_that_serves_one_at_a_time_encodes_the_weights_one_after_the_other() -> None:
    timeline = played("splitfed", [*local_turns(0, ()), *local_turns(1, ())], 1)
    # Client 1 waits for client 0's 15 µs, then is ahead by half of decoding and encoding, 125 µs.
    assert timeline.durations_s == pytest.approx([WEIGHTS_S[0]] * 2, rel=1e-12)
    swapped, rounds = steps_of([[*local_turns(0, ()), *local_turns(1, ())]] * 2, COSTS)
    swapped.rows["lane"][:] = 1 - swapped.rows["lane"]  # who is there at the same time is served by lane
    assert Clock(stage(1)).run(swapped, rounds).durations_s == pytest.approx(
        [WEIGHTS_S[0] + 15e-6] * 2, rel=1e-12
    )


def test_fedavg_computes_both_halves_on_the_client() -> None:
    timeline = played("fedavg", [*whole_turns(0), *whole_turns(1)])
    slow_s = WEIGHTS_S[0] + 15 * 33e6 / 5e9
    assert timeline.durations_s == pytest.approx([slow_s] * 2, rel=1e-12)
    alone_s = WEIGHTS_S[1] + 15 * 33e6 / 10e9
    assert played("fedavg", whole_turns(1)).durations_s == pytest.approx([alone_s] * 2, rel=1e-12)


def test_centralized_computes_on_the_server_and_sends_nothing() -> None:
    timeline = played("centralized", [Turn(0, 20, ())])
    assert timeline.durations_s == pytest.approx([20 * 33e6 / 50e9] * 2, rel=1e-12)
    assert timeline.links == {}


# A round of `splitfed-v2`: the server takes clients 0 (fast) and 1 (slow) in the order 0, 1, 1, 0, 0, 1. In
# milliseconds; a message takes 1 each way, and the server works 1 forward and 2 backward.
#
#                            fast                            slow
# computes                   0 – 1                           0 – 600
# has sent                   2                               601
# 1st mini-batch served      2 – 5                           601 – 604, when the fast one's is long over
# received, computed         6, 8; forward again 9           605, 1405; forward again 2005
# has sent                   10                              2006
# 2nd served                 2009 – 2012: after the slow one 2006 – 2009
# received, computed         2013, 2015; forward again 2016  2010, 2810; forward again 3410
# has sent                   2017                            3411
# 3rd served                 2017 – 2020                     3411 – 3414
# received, computed         2021, 2023                      3415, 4215: the round is over
ORDER = (0, 1, 1, 0, 0, 1)
SERVED_MS = ((0, 2, 5), (1, 601, 604), (1, 2006, 2009), (0, 2009, 2012), (0, 2017, 2020), (1, 3411, 3414))
FREE = {"encode": "0 s", "decode": "0 s"}
DEVICES = (
    Timed(client_forward="1 ms", client_backward="2 ms", **FREE),
    Timed(client_forward="600 ms", client_backward="800 ms", **FREE),
)
IN_TURN = Timed(server_forward="1 ms", server_backward="2 ms", **FREE)


def v2_stage(parallel: int = 1) -> Stage:
    table = NetworkTable(uplink="8 Mbps", downlink="8 Mbps", latency="0 s", framing="none")
    return Stage(DEVICES, IN_TURN, parallel, topology.build(table, 2))


def v2_round(in_order: bool) -> Steps:
    script = Script(words := Vocabulary())
    for client in ORDER:
        lane = script.lane(client)
        lane.work(client, CLIENT_FORWARD, Piece("client forward", samples=1))
        lane.upload(client, Message(ACTIVATIONS, 1000, 1000))
        halves = (Piece(f"server {way}", samples=1) for way in ("forward", "backward"))
        lane.serve(client, *halves, in_order=in_order)
        lane.download(client, Message(GRADIENTS, 1000, 1000))
        lane.work(client, CLIENT_BACKWARD, Piece("client backward", samples=1))
    return Steps.of([script.rows()], words)


def served_ms(stage: Stage, steps: Steps) -> list[tuple[int, float, float]]:
    """Whom the server served, from when to when."""
    live = LiveStage(stage, Program.of(steps, stage))
    live.play(0)
    compute = steps.words.find("phase", "server compute")
    spans = [
        (client, 1e3 * begin, 1e3 * end) for client, phase, begin, end, _ in live.spans if phase == compute
    ]
    return sorted(spans, key=lambda span: span[1])


@pytest.mark.parametrize("parallel", [1, 2])
def test_splitfed_v2s_server_takes_clients_in_the_order_in_which_it_learned(parallel: int) -> None:
    """It waits for a slow client whose turn it is, also where it has room for two at once."""
    steps = v2_round(in_order=True)
    found = served_ms(v2_stage(parallel), steps)
    assert np.array(found) == pytest.approx(np.array(SERVED_MS), rel=1e-12)
    timeline = Clock(v2_stage(parallel)).run(steps, [0, 0])
    assert timeline.alarm == ""
    assert timeline.durations_s == pytest.approx([4.215] * 2, rel=1e-12)
    assert timeline.clients.tolist() == [0, 1] * 2
    waits_s = {"server wait": [1.999, 0.0] * 2, "barrier wait": [4.215 - 2.023, 0.0] * 2}
    for phase, expected in waits_s.items():
        assert timeline.spent(phase) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_server_that_takes_clients_as_they_come_does_not_wait_for_the_slow_one() -> None:
    """The same round, if nothing of its order were said: what the clock of before played."""
    found = served_ms(v2_stage(), v2_round(in_order=False))
    come = [(0, 2, 5), (0, 10, 13), (0, 18, 21), (1, 601, 604), (1, 2006, 2009), (1, 3411, 3414)]
    assert np.array(found) == pytest.approx(np.array(come), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_an_older_recording_of_splitfed_v2_is_the_one_that_was_drawn(seed: int) -> None:
    """Client 1 has a mini-batch more; in the second round the order is another draw."""
    turns = [*local_turns(0, (10, 5)), *local_turns(1, (10, 5, 10))]
    steps, rounds = steps_of([turns] * 2, COSTS, "splitfed-v2", seed=seed)
    for number, of_round in enumerate(rounds.tolist()):
        rng = seeds.generator(seed, "server order", number)
        drawn = [client for _ in range(2) for client in rng.permutation([0, 1]).tolist()] + [1]
        own = steps.only(of_round)
        rows, decodes = own.rows, own.text("work") == "decode"
        trains = np.flatnonzero(
            (rows["who"] == SERVER) & decodes & (own.text("kind") == "activations")
        ).tolist()
        assert rows["to"][trains].tolist() == drawn
        assert rows["waits_for"][trains].tolist() == [-1, *trains[:-1]]
        assert (np.delete(rows["waits_for"], trains) == -1).all()


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("sequential", [*local_turns(0), *local_turns(1)]),
        ("splitfed-v2", [*local_turns(0), *local_turns(1)]),
        ("fedavg", [*whole_turns(0), *whole_turns(1)]),
        ("centralized", [Turn(0, 20, ())]),
    ],
)
def test_a_saved_recording_plays_alike(name: str, turns: list[Turn], tmp_path: Path) -> None:
    """Turns without messages survive the tables, between others and alone."""
    rounds = [turns, [Turn(1, 3, ())], turns[:1]]
    if name in ("sequential", "splitfed-v2"):
        del rounds[1]  # nothing without messages in it
    steps, numbers = steps_of(rounds, COSTS, name)
    recording = Recording("k", {"clients": {"count": 2}}, words=steps.words)
    recording.append(steps.round_of + 1, steps.rows, np.array([*numbers, *numbers]) + 1)
    save(recording, tmp_path)
    loaded = load(tmp_path)
    assert loaded.rounds.tolist() == [*numbers, *numbers]
    before, after = Clock(stage()).run(steps, loaded.rounds), Clock(stage()).play(loaded)
    assert np.array_equal(before.round_ends_s, after.round_ends_s)
    assert np.array_equal(before.seconds, after.seconds)


def test_a_study_of_all_protocols_is_checked_opened_and_replayed(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    protocols: list[Any] = [
        "splitfed",
        {"name": "splitfed", "local_epochs": 1},
        "splitfed-v2",
        "sequential",
        "fedavg",
        "centralized",
    ]
    document = {
        **tiny,
        "training": {"epochs": 1, "target_accuracy": 0.3},
        "sweep": {"training.protocol": protocols},
    }
    study = run(write(document), tmp_path / "results")
    assert len(study.played) == len(set(study.runs["run"])) == 6
    opened = slsim.open_study(study.path)
    assert all(check.passed for check in opened.check())
    times_s = study.runs["makespan_s"].to_numpy()
    assert np.array_equal(opened.runs["makespan_s"].to_numpy(), times_s)
    slower_s = opened.replay({"network.uplink": "1 Mbps"}).runs["makespan_s"].to_numpy()
    assert (slower_s[:5] > 1.25 * times_s[:5]).all()
    assert slower_s[5] == times_s[5]
