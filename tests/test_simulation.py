"""The simulation: rounds one after another; playing each distinct round once changes nothing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim import codecs
from slsim.codecs.costs import by_kind, cost_of
from slsim.devices import Assumptions
from slsim.errors import ClockError, FaultsError
from slsim.network import LinkUsage
from slsim.protocols import Due, Process, Protocol, SplitFed, Stage
from slsim.recording import Costs, Message, Recording, RoundRecord, Turn
from slsim.scenario import Scenario, plan
from slsim.simulation import Simulation, Timeline, columns, costs_of, invariants
from slsim.simulation.costs import notes

COSTS = Costs(
    1e6, 2e6, 3e6, 6e6, {"activations": 9.0, "gradients": 8.0}, {"activations": 5.0, "gradients": 8.0}
)


def scenario(**tables: object) -> Scenario:
    base = {"name": "s", "data": {"name": "fashion-mini"}, "model": {"name": "cnn", "cut": 1}}
    return plan({**base, **tables}, "test", Path()).cases[0].scenario


def random_rounds(count: int, clients: int = 3) -> list[RoundRecord]:
    """Rounds of some clients from a few sizes, so that some are equal."""
    rng = np.random.default_rng(3)

    def turn(client: int) -> Turn:
        samples = int(rng.integers(1, 3))
        raw = 4000 * samples
        up = Message("activations", "up", int(rng.choice([500, 900])) * samples, raw)
        return Turn(
            client, samples, (up, Message("labels", "up", 2, 2), Message("gradients", "down", raw, raw))
        )

    return [RoundRecord(tuple(turn(client) for client in range(clients))) for _ in range(count)]


NETWORKS: dict[str, dict[str, Any]] = {
    "dedicated": {"uplink": "1 Mbps"},
    "shared": {"uplink": "1 Mbps", "sharing": "shared"},
    "fifo": {"uplink": "1 Mbps", "sharing": "fifo"},
    "classes": {"uplink": [{"rate": "1 Mbps", "share": 0.5}, {"rate": "9 Mbps", "share": 0.5}]},
    "medium": {"medium": "1 Mbps"},
    "tree": {"access_points": [{"count": 2, "rate": "2 Mbps"}, {"count": 1, "rate": "3 Mbps"}]},
    "edge": {"ingress": "1 Mbps", "egress": "2 Mbps"},
    "loss": {"loss": 0.1},
    "fresh tcp": {"transport": {"name": "tcp", "connections": "fresh", "window": 1}, "latency": "30 ms"},
    "tcp": {"transport": {"name": "tcp", "window": 1}, "latency": "30 ms"},
    "burst": {"uplink": "1 Mbps", "burst": "2 kB"},
    "jitter": {"uplink": "1 Mbps", "jitter": {"spread": 0.5, "every": "3 ms"}},
}
VARYING = ("tcp", "burst", "jitter")  # a round's time depends on what went before
BY_ARITHMETIC = ("dedicated", "shared", "fifo", "classes")


def on_one_clock(simulation: Simulation, rounds: list[RoundRecord]) -> tuple[Stage, list[float]]:
    """The rounds as one SimPy process on one clock that never restarts: the stage, and each round's end."""
    stage = Stage(simulation._cast)
    ends: list[float] = []

    def all_rounds() -> Process:
        for record in rounds:
            yield from SplitFed().play(stage, record)
            ends.append(stage.env.now)

    stage.env.run(until=stage.env.process(all_rounds()))
    return stage, ends


def simulation_over(network: str, **tables: Any) -> Simulation:
    mixed = [{"device": "raspberry-pi-4", "share": 0.5}, {"device": "atlas-200-dk", "share": 0.5}]
    clients = {"count": 4, "device": mixed}
    return Simulation.of(scenario(clients=clients, network=NETWORKS[network], **tables), COSTS)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_timeline_is_that_of_one_long_simulation(network: str) -> None:
    rounds = random_rounds(40, clients=4)
    simulation = simulation_over(network)
    timeline = simulation.run(rounds)
    stage, ends = on_one_clock(simulation, rounds)
    assert timeline.round_ends_s == pytest.approx(ends, rel=1e-9)
    assert timeline.makespan_s == timeline.round_ends_s[-1]
    used = {name: usage for name, usage in stage.flows.usage().items() if usage.num_bytes}
    assert set(timeline.links) == set(used)
    for name, usage in used.items():
        assert timeline.links[name].num_bytes == pytest.approx(usage.num_bytes, rel=1e-9)
        assert timeline.links[name].busy_s == pytest.approx(usage.busy_s, rel=1e-9)
        assert timeline.links[name].capacity_bytes == pytest.approx(usage.capacity_bytes, rel=1e-9)


@pytest.mark.parametrize("network", [name for name in NETWORKS if name not in (*VARYING, *BY_ARITHMETIC)])
def test_equal_rounds_are_simulated_once(network: str) -> None:
    rounds = random_rounds(40, clients=1)
    simulation = simulation_over(network)
    simulation.run(rounds)
    assert 0 < len(simulation._known) < len(rounds)


@pytest.mark.parametrize("network", NETWORKS)
def test_arithmetic_on_columns_is_used_where_it_holds(network: str) -> None:
    simulation = simulation_over(network)
    assert columns.can_play(simulation._protocol, simulation._cast) == (network in BY_ARITHMETIC)


sizes = st.sampled_from([0, 1, 500, 1448, 5000, 5001, 20_000])


@st.composite
def some_rounds(draw: st.DrawFn) -> list[RoundRecord]:
    """Up to three rounds of some of five clients, in any order, with any sizes."""

    def turn(client: int) -> Turn:
        up = Message("activations", "up", draw(sizes), 4 * draw(st.integers(0, 2000)))
        down = Message("gradients", "down", draw(sizes), 4 * draw(st.integers(0, 2000)))
        samples = draw(st.integers(1, 9))
        return Turn(client, samples, (up, Message("labels", "up", samples, samples), down))

    participants = st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True)
    rounds = draw(st.lists(participants, min_size=1, max_size=3))
    return [RoundRecord(tuple(turn(client) for client in clients)) for clients in rounds]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    some_rounds(),
    st.sampled_from(BY_ARITHMETIC),
    st.sampled_from([1, 2, 9]),
    st.sampled_from(["0 s", "1 ms", "70 ms"]),
)
def test_arithmetic_on_columns_and_simpy_agree(
    rounds: list[RoundRecord], network: str, slots: int, latency: str
) -> None:
    mixed = [{"device": "raspberry-pi-4", "share": 0.5}, {"device": "atlas-200-dk", "share": 0.5}]
    setting = scenario(
        clients={"count": 5, "device": mixed},
        server={"device": "raspberry-pi-4", "parallel": slots},
        network={**NETWORKS[network], "latency": latency},
    )
    simulation = Simulation.of(setting, COSTS)
    by_columns, by_simpy = simulation.run(rounds), simulation.run_with_simpy(rounds)
    assert by_columns.round_ends_s == pytest.approx(by_simpy.round_ends_s, rel=1e-9)
    assert {name: astuple(use) for name, use in by_columns.links.items()} == {
        name: pytest.approx(astuple(use), rel=1e-9) for name, use in by_simpy.links.items()
    }
    assert by_clients(by_columns) == pytest.approx(by_clients(by_simpy), rel=1e-9, abs=1e-12)


def by_clients(timeline: Timeline) -> np.ndarray:
    """Seconds of every turn and phase, each round's turns in order of clients."""
    round_of = np.repeat(np.arange(len(timeline.round_ends_s)), np.diff(timeline.offsets))
    return timeline.seconds[np.lexsort((timeline.clients, round_of))]


@pytest.mark.parametrize("network", NETWORKS)
def test_phases_add_up_to_the_round(network: str) -> None:
    timeline = simulation_over(network).run(random_rounds(12, clients=4))
    durations_s = np.repeat(timeline.durations_s, 4)
    assert timeline.seconds.sum(axis=1) == pytest.approx(durations_s, rel=1e-9)
    assert sum(timeline.average_round().values()) == pytest.approx(timeline.makespan_s / 12, rel=1e-9)
    critical = timeline.critical_round()
    assert sum(critical.values()) == pytest.approx(timeline.makespan_s / 12, rel=1e-9)
    assert critical["barrier wait"] == pytest.approx(0, abs=1e-9)


def test_link_bytes_are_the_recordings_bytes_and_their_headers() -> None:
    rounds = random_rounds(7)
    timeline = Simulation.of(scenario(clients={"count": 3}), COSTS).run(rounds)
    for direction in ("up", "down"):
        carried = sum(timeline.links[f"{direction}link{client}"].num_bytes for client in range(3))
        messages = [turn.num_bytes(direction) for record in rounds for turn in record.turns]
        headers = 66 * sum(-(-message // 1448) for message in messages)
        assert carried == pytest.approx(sum(messages) + headers, rel=1e-12)


def test_spans_of_a_client_follow_one_another() -> None:
    (record,) = random_rounds(1)
    timing = Simulation.of(scenario(clients={"count": 3}), COSTS).play(record)
    for client in range(3):
        spans = [span for span in timing.spans if span.client == client]
        assert spans[0].start_s == 0
        assert all(before.end_s == after.start_s for before, after in itertools.pairwise(spans))
        assert spans[-1].end_s <= timing.duration_s
    assert max(span.end_s for span in timing.spans) == timing.duration_s


class Hasty(Protocol):
    """A protocol with a fault: its round ends while messages are on their way."""

    replayable: ClassVar[bool] = True

    def learn(self, trainer: object) -> Iterator[RoundRecord]:
        raise NotImplementedError

    def play(self, stage: Stage, record: RoundRecord) -> Process:
        stage.together([stage.upload(turn.client, 10**6) for turn in record.turns])
        yield stage.env.timeout(0.01)


def test_a_transfer_that_does_not_end_is_an_error() -> None:
    simulation = Simulation(Hasty(), simulation_over("medium")._cast)
    with pytest.raises(ClockError, match="a round ended while 3 messages were on their way"):
        simulation.run(random_rounds(1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"round_ends_s": [2.0, 1.0]}, "ends before the one before it"),
        ({"seconds": -1.0}, "less than no time"),
        ({"seconds": 0.5}, "of client 0 in one round, the phases add up to"),
        ({"links": (0.0, 0.0, 0.0)}, "bytes were sent over link uplink0, 0.0 arrived"),
        ({"links": (100.0, 0.1, 100.0)}, "bytes were sent over link uplink0, 100.0 arrived"),
        ({"links": (None, 0.1, 10.0)}, "rate × busy time is 10.0"),
        ({"links": (None, 0.1, 1e9)}, "rate × busy time is 1000000000.0"),
        ({"links": (None, 1e3, None)}, "was busy for 1000.0 of"),
    ],
)
def test_a_timeline_that_contradicts_itself_is_an_error(damage: dict[str, Any], message: str) -> None:
    simulation = simulation_over("dedicated")
    rounds = random_rounds(2)
    timeline = simulation.run(rounds)
    due = {name: Due(round(use.num_bytes), 2) for name, use in timeline.links.items()}
    assert invariants.alarm(timeline, simulation._cast, due) == ""
    if "round_ends_s" in damage:
        timeline = replace(timeline, round_ends_s=np.array(damage["round_ends_s"]))
    if "seconds" in damage:
        timeline.seconds[0, 0] = damage["seconds"]
    if "links" in damage:
        right = timeline.links["uplink0"]
        values = (
            new if new is not None else old for new, old in zip(damage["links"], astuple(right), strict=True)
        )
        timeline = replace(timeline, links={**timeline.links, "uplink0": LinkUsage(*values)})
    assert re.search(re.escape(message), invariants.alarm(timeline, simulation._cast, due))


LONG = {
    "satellite": {"latency": "300 ms", "downlink": "1 Gbps", "uplink": "20 Mbps", "transport": "tcp"},
    "shared": {"latency": "1 h", "uplink": "10 Gbps", "sharing": "shared", "medium": "9 Gbps"},
    "tree": {"latency": "30 s", "access_points": [{"count": 2, "rate": "40 Gbps"}], "transport": "tcp"},
    "bursts": {"latency": "30 s", "uplink": "1 Gbps", "burst": "1 kB"},
    "jitter": {"latency": "30 s", "uplink": "1 Gbps", "jitter": {"spread": 0.5, "every": "10 s"}},
}


@pytest.mark.parametrize("network", LONG)
def test_a_long_clock_a_fast_link_and_small_messages_are_no_alarm_and_a_lost_byte_is(network: str) -> None:
    rounds = random_rounds(300, clients=2)
    simulation = Simulation.of(scenario(clients={"count": 2}, network=LONG[network]), COSTS)
    timeline = simulation.run_with_simpy(rounds)
    assert timeline.alarm == ""
    _, due = simulation._play_on_one_clock(rounds)
    assert invariants.alarm(timeline, simulation._cast, due) == ""
    name, use = max(timeline.links.items(), key=lambda item: item[1].num_bytes)
    lost = use.num_bytes * (1 - 1e-6)
    for damaged in (
        LinkUsage(lost, use.busy_s, use.capacity_bytes),
        LinkUsage(use.num_bytes, use.busy_s, lost),
    ):
        changed = replace(timeline, links={**timeline.links, name: damaged})
        if damaged.num_bytes == lost or network == "satellite":  # others' capacity has slack of its own
            assert f"link {name}" in invariants.alarm(changed, simulation._cast, due)


def test_a_round_of_too_many_events_is_an_error() -> None:
    slow = {"jitter": {"spread": 0.5, "every": "1 ms"}, "uplink": "1 kbps"}
    cast = Simulation.of(scenario(network=slow, clients={"count": 2}), COSTS)._cast
    with pytest.raises(ClockError, match="after 1,000 events of one round, .* it has not ended"):
        Simulation(SplitFed(), cast, most_events=1000).run(random_rounds(1, clients=2))


def test_slower_devices_take_longer() -> None:
    rounds = random_rounds(3)
    times = [
        Simulation.of(scenario(clients={"count": 3, "device": device}), COSTS).run(rounds).makespan_s
        for device in ("raspberry-pi-4", "raspberry-pi-5")
    ]
    assert times[0] > times[1]


def test_no_rounds_take_no_time() -> None:
    timeline = Simulation.of(scenario(), COSTS).run([])
    assert (timeline.makespan_s, timeline.round_ends_s.size) == (0.0, 0)


def test_an_unknown_device_parameter_is_refused_before_anything_plays() -> None:
    with pytest.raises(FaultsError, match="efficiency"):
        scenario(server={"device": {"name": "rtx-3090", "efficiency": 2}})


def test_encoding_and_decoding_cost_what_codec_and_device_say() -> None:
    """1,000 elements: 9 bytes each to encode upward, 8 each to decode downward, at the device's bandwidth."""
    up, down = Message("activations", "up", 500, 4000), Message("gradients", "down", 4000, 4000)
    record = RoundRecord((Turn(0, 1, (up, Message("labels", "up", 1, 1), down)),))
    spans = {}
    for device in ("raspberry-pi-4", "atlas-200-dk"):
        setting = scenario(clients={"count": 1, "device": device})
        timing = Simulation.of(setting, COSTS).play(record)
        spans[device] = {span.phase: span.end_s - span.start_s for span in timing.spans}
    assert spans["raspberry-pi-4"]["encode"] == pytest.approx(9000 / 5.5e9)
    assert spans["raspberry-pi-4"]["decode"] == pytest.approx(8000 / 5.5e9)
    assert spans["atlas-200-dk"]["encode"] == pytest.approx(0.001 + 9000 / 51.2e9)  # and its fixed cost


def test_a_slower_codec_costs_a_slow_client_more_time() -> None:
    """The slow kmeans against ms, at equal bytes on the wire: the clock tells them apart."""
    rounds = random_rounds(3)
    makespans = {}
    for name in ("ms", "kmeans"):
        shape, none = (10, 100), cost_of(codecs.create("identity"), (10, 100), sparse=False)
        found = {"activations": cost_of(codecs.create(name), shape, sparse=True), "gradients": none}
        setting = scenario(clients={"count": 3, "device": "raspberry-pi-4"})
        costs = Costs(1e6, 2e6, 3e6, 6e6, **by_kind(found))
        makespans[name] = Simulation.of(setting, costs).run(rounds).makespan_s
    assert makespans["kmeans"] > 1.1 * makespans["ms"]


def test_assumptions_scale_overheads_and_codecs_of_everyone() -> None:
    """One client's round: the device is set to work four times, the server once."""
    up, down = Message("activations", "up", 500, 4000), Message("gradients", "down", 4000, 4000)
    record = RoundRecord((Turn(0, 1, (up, Message("labels", "up", 1, 1), down)),))
    setting = scenario(clients={"count": 1})

    def takes(overhead: float, factor: float) -> float:
        return Simulation.of(setting, COSTS, Assumptions(overhead, factor)).run([record]).makespan_s

    stated = Simulation.of(setting, COSTS).run([record]).makespan_s
    assert takes(1.0, 1.0) == stated
    assert stated - takes(0.0, 1.0) == pytest.approx(4 * 1e-3 + 2e-4, rel=1e-9)
    assert takes(2.0, 1.0) - stated == pytest.approx(4 * 1e-3 + 2e-4, rel=1e-9)
    coding_s = 1000 * (9 + 8) / 51.2e9 + 1000 * (5 + 8) / 936e9
    assert takes(1.0, 2.0) - stated == pytest.approx(coding_s, rel=1e-6)


OLDER = Costs(1, 2, 3, 4, dict.fromkeys(("activations", "gradients", "weights"), 8.0), {"activations": 4.0})


def recorded(uplink: dict[str, Any], costs: Costs = OLDER) -> Recording:
    learning = {
        "codec": {"uplink": uplink, "downlink": {"name": "identity"}, "weights": {"name": "identity"}},
        "clients": {"batch_size": 10},
    }
    return Recording("k", learning, costs, (32, 7, 7))


def test_an_older_recording_gets_the_costs_of_the_table() -> None:
    costs = costs_of(recorded({"name": "kmeans", "bits": 3, "iterations": 10}))
    expected = cost_of(codecs.create("kmeans"), (10, 32, 7, 7), sparse=True)
    assert expected.core_s is not None
    assert (costs.encode_s["activations"], costs.decode_s["activations"]) == expected.core_s
    assert costs.encode_bytes["activations"] == expected.memory_bytes[0]
    assert costs.encode_bytes["gradients"] == costs.encode_s["gradients"] == 0.0  # identity
    assert costs.client_forward_flops == 1


def test_an_older_recording_of_ones_own_codec_keeps_its_memory_traffic_and_runs_nothing() -> None:
    costs = costs_of(recorded({"name": "gone.py:Mine"}))
    assert "activations" not in costs.encode_s
    assert (costs.encode_bytes["activations"], costs.decode_bytes["activations"]) == (8.0, 4.0)


def test_a_recording_with_seconds_is_played_with_its_own() -> None:
    own = replace(OLDER, encode_s={"activations": 1e-9}, decode_s={"activations": 2e-9})
    assert costs_of(recorded({"name": "kmeans"}, own)) == own
    assert notes(recorded({"name": "kmeans"}, own)) == []


def test_a_reader_is_told_of_costs_that_were_measured() -> None:
    own = replace(
        OLDER,
        encode_s={"activations": 1e-9},
        decode_s={"activations": 2e-9},
        measured_core={"activations": 0.5},
    )
    (note,) = notes(recorded({"name": "mine.py:Mine"}, own))
    assert note.startswith("mine.py:Mine does not say what it costs: measured on the machine that trained")
    assert "1 ns to encode and 2 ns to decode" in note
