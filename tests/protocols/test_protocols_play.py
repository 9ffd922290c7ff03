"""Each protocol's round on the clock, against times worked out by hand for two clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slsim
from slsim.devices import Rated
from slsim.network import topology
from slsim.protocols import Cast, Protocol, Workload, create
from slsim.recording import Costs, Message, Recording, RoundRecord, Turn
from slsim.scenario import NetworkTable
from slsim.simulation import Simulation, Timeline
from slsim.study import run

COSTS = Costs(
    client_forward_flops=1e6,
    client_backward_flops=2e6,
    server_forward_flops=10e6,
    server_backward_flops=20e6,
    encode_bytes={"activations": 9.0, "gradients": 8.0, "weights": 6.0},
    decode_bytes={"activations": 5.0, "gradients": 8.0, "weights": 4.0},
)
SLOW = Rated(peak="10 GFLOPS", efficiency=0.5, memory="1 GB/s")
FAST = Rated(peak="20 GFLOPS", efficiency=0.5, memory="2 GB/s")
SERVER = Rated(peak="100 GFLOPS", efficiency=0.5, memory="10 GB/s")


def exchange(client: int, samples: int = 10) -> Turn:
    """50,000 elements for 10 samples, up at a byte each and down as float32; one byte a label."""
    raw = 20_000 * samples
    up = Message("activations", "up", raw // 4, raw)
    return Turn(
        client,
        samples,
        (up, Message("labels", "up", samples, samples), Message("gradients", "down", raw, raw)),
    )


def weights(client: int, direction: Any) -> Turn:
    """25,000 weights, encoded to 50,000 bytes."""
    return Turn(client, 0, (Message("weights", direction, 50_000, 100_000),))


def local_turns(client: int, samples: tuple[int, ...] = (10, 5)) -> list[Turn]:
    return [weights(client, "down"), *(exchange(client, n) for n in samples), weights(client, "up")]


def whole_turns(client: int, samples: tuple[int, ...] = (10, 5)) -> list[Turn]:
    return [weights(client, "down"), *(Turn(client, n, ()) for n in samples), weights(client, "up")]


def simulation(protocol: Protocol, parallel: int = 2) -> Simulation:
    """A slow client 0 and a fast client 1, 100 Mbps and 2 ms each way."""
    table = NetworkTable(uplink="100 Mbps", downlink="100 Mbps", latency="2 ms", framing="none")
    workload = Workload(COSTS, {"activations": "ms", "gradients": "identity", "weights": "cast"})
    return Simulation(protocol, Cast([SLOW, FAST], SERVER, parallel, topology.build(table, 2), workload))


def played(protocol: Protocol, turns: list[Turn], parallel: int = 2) -> Timeline:
    """Two rounds of these turns; what must hold of every timeline is checked by `run`."""
    return simulation(protocol, parallel).run([RoundRecord(tuple(turns))] * 2)


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
    timeline = played(create("sequential"), [*local_turns(0), *local_turns(1)])
    assert timeline.durations_s == pytest.approx([CHAIN_S[0] + CHAIN_S[1]] * 2, rel=1e-12)


@pytest.mark.parametrize("name", ["splitfed", "splitfed-v2"])
def test_local_epochs_end_at_the_barrier_of_the_slowest_chain(name: str) -> None:
    protocol = create(name, local_epochs=1)
    timeline = played(protocol, [*local_turns(0), *local_turns(1)])
    assert timeline.durations_s == pytest.approx([CHAIN_S[0]] * 2, rel=1e-12)
    more = played(protocol, [*local_turns(0), *local_turns(1, (10, 5, 10))])  # now the fast one is last
    step_s = DEVICE_S / 2 + SERVE_S + WAY_S + LATENCIES_S
    assert more.durations_s == pytest.approx([CHAIN_S[1] + step_s] * 2, rel=1e-12)


def test_a_server_that_serves_one_at_a_time_encodes_the_weights_one_after_the_other() -> None:
    timeline = played(create("splitfed", local_epochs=1), [*local_turns(0, ()), *local_turns(1, ())], 1)
    # Client 1 waits for client 0's 15 µs, then is ahead by half of decoding and encoding, 125 µs.
    assert timeline.durations_s == pytest.approx([WEIGHTS_S[0]] * 2, rel=1e-12)
    swapped = played(create("splitfed", local_epochs=1), [*local_turns(1, ()), *local_turns(0, ())], 1)
    assert swapped.durations_s == pytest.approx([WEIGHTS_S[0] + 15e-6] * 2, rel=1e-12)


def test_fedavg_computes_both_halves_on_the_client() -> None:
    timeline = played(create("fedavg"), [*whole_turns(0), *whole_turns(1)])
    slow_s = WEIGHTS_S[0] + 15 * 33e6 / 5e9
    assert timeline.durations_s == pytest.approx([slow_s] * 2, rel=1e-12)
    alone_s = WEIGHTS_S[1] + 15 * 33e6 / 10e9
    assert played(create("fedavg"), whole_turns(1)).durations_s == pytest.approx([alone_s] * 2, rel=1e-12)


def test_centralized_computes_on_the_server_and_sends_nothing() -> None:
    timeline = played(create("centralized"), [Turn(0, 20, ())])
    assert timeline.durations_s == pytest.approx([20 * 33e6 / 50e9] * 2, rel=1e-12)
    assert timeline.links == {}


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
    rounds = [RoundRecord(tuple(turns)), RoundRecord((Turn(1, 3, ()),)), RoundRecord(tuple(turns[:1]))]
    if name in ("sequential", "splitfed-v2"):
        del rounds[1]  # nothing without messages in it
    Recording("k", {}, COSTS, (5000,), rounds).save(tmp_path)
    loaded = Recording.load(tmp_path)
    assert loaded.rounds == rounds
    before, after = (simulation(create(name)).run(records) for records in (rounds, loaded.rounds))
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
    assert len(study.runs) == len(set(study.summary["run"])) == 6
    opened = slsim.open_study(study.path)
    assert all(check.passed for check in opened.check())
    times_s = study.summary["makespan_s"].to_numpy()
    assert np.array_equal(opened.summary["makespan_s"].to_numpy(), times_s)
    slower_s = opened.replay({"network.uplink": "1 Mbps"}).summary["makespan_s"].to_numpy()
    assert (slower_s[:5] > 1.25 * times_s[:5]).all()
    assert slower_s[5] == times_s[5]
