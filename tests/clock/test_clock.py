"""The clock: rounds one after another; playing each distinct round once changes nothing."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rounds import Sent, Turn, costs, steps_of

from slsim import codecs
from slsim.clock import Clock, Stage, Timeline, invariants
from slsim.clock.arithmetic import links_are_simple
from slsim.clock.events import LiveStage
from slsim.clock.program import Program
from slsim.clock.usage import Due, Played
from slsim.codecs.costs import cost_of, with_core_seconds
from slsim.devices import Assumptions
from slsim.errors import ClockError, FaultsError
from slsim.network import LinkUsage
from slsim.recording import STEP, MeasuredCodec, Message, Recording, Script, Steps, Vocabulary
from slsim.recording.header import OldCosts
from slsim.report.notes import measured_codecs
from slsim.scenario import Scenario, plan

COSTS = costs(
    (1e6, 2e6, 3e6, 6e6), {"activations": 9.0, "gradients": 8.0}, {"activations": 5.0, "gradients": 8.0}
)


def scenario(**tables: object) -> Scenario:
    base = {"name": "s", "data": {"name": "fashion-mini"}, "model": {"name": "cnn", "cut": 1}}
    return plan({**base, **tables}, "test", Path()).cases[0].scenario


def random_rounds(count: int, clients: int = 3) -> list[list[Turn]]:
    """Rounds of some clients from a few sizes, so that some are equal."""
    rng = np.random.default_rng(3)

    def turn(client: int) -> Turn:
        samples = int(rng.integers(1, 3))
        raw = 4000 * samples
        up = Sent("activations", "up", int(rng.choice([500, 900])) * samples, raw)
        return Turn(client, samples, (up, Sent("labels", "up", 2, 2), Sent("gradients", "down", raw, raw)))

    return [[turn(client) for client in range(clients)] for _ in range(count)]


def random_steps(count: int, clients: int = 3) -> tuple[Steps, np.ndarray]:
    """The steps of `random_rounds`, and which of them each round does."""
    return steps_of(random_rounds(count, clients), COSTS)


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


def on_one_clock(stage: Stage, steps: Steps, rounds: Sequence[int]) -> tuple[LiveStage, list[float]]:
    """The rounds on one clock that never restarts: the stage at work, and each round's end."""
    live = LiveStage(stage, Program.of(steps, stage))
    ends = []
    for number in rounds:
        live.play(number)
        ends.append(live.env.now)
    return live, ends


def stage_over(network: str, **tables: Any) -> Stage:
    mixed = [{"device": "raspberry-pi-4", "share": 0.5}, {"device": "atlas-200-dk", "share": 0.5}]
    clients = {"count": 4, "device": mixed}
    return Stage.of(scenario(clients=clients, network=NETWORKS[network], **tables))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_timeline_is_that_of_one_long_simulation(network: str) -> None:
    steps, rounds = random_steps(40, clients=4)
    stage = stage_over(network)
    timeline = Clock(stage).run(steps, rounds)
    live, ends = on_one_clock(stage, steps, rounds)
    assert timeline.round_ends_s == pytest.approx(ends, rel=1e-9)
    assert timeline.makespan_s == timeline.round_ends_s[-1]
    used = {name: usage for name, usage in live.flows.usage().items() if usage.num_bytes}
    assert set(timeline.links) == set(used)
    for name, usage in used.items():
        assert timeline.links[name].num_bytes == pytest.approx(usage.num_bytes, rel=1e-9)
        assert timeline.links[name].busy_s == pytest.approx(usage.busy_s, rel=1e-9)
        assert timeline.links[name].capacity_bytes == pytest.approx(usage.capacity_bytes, rel=1e-9)


@pytest.mark.parametrize("network", [name for name in NETWORKS if name not in BY_ARITHMETIC])
def test_equal_rounds_are_simulated_once(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a round's time depends on what went before, each is simulated."""
    played: list[int] = []
    play = LiveStage.play
    monkeypatch.setattr(LiveStage, "play", lambda self, number: (played.append(number), play(self, number)))
    steps, rounds = random_steps(40, clients=1)
    Clock(stage_over(network)).run(steps, rounds)
    assert 0 < len(steps) < len(rounds)
    assert played == (rounds.tolist() if network in VARYING else list(range(len(steps))))


@pytest.mark.parametrize("network", NETWORKS)
def test_arithmetic_is_used_where_links_are_simple(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_over(network)
    assert links_are_simple(stage) == (network in BY_ARITHMETIC)
    if network in BY_ARITHMETIC:
        monkeypatch.delattr(LiveStage, "play")
        assert Clock(stage).run(*random_steps(3, clients=4)).makespan_s > 0


@pytest.mark.parametrize("network", NETWORKS)
def test_phases_add_up_to_the_round(network: str) -> None:
    timeline = Clock(stage_over(network)).run(*random_steps(12, clients=4))
    durations_s = np.repeat(timeline.durations_s, 4)
    assert timeline.seconds.sum(axis=1) == pytest.approx(durations_s, rel=1e-9)
    assert sum(timeline.average_round().values()) == pytest.approx(timeline.makespan_s / 12, rel=1e-9)
    critical = timeline.critical_round()
    assert sum(critical.values()) == pytest.approx(timeline.makespan_s / 12, rel=1e-9)
    assert critical["barrier wait"] == pytest.approx(0, abs=1e-9)


def test_link_bytes_are_the_recordings_bytes_and_their_headers() -> None:
    rounds = random_rounds(7)
    timeline = Clock.of(scenario(clients={"count": 3})).run(*steps_of(rounds, COSTS))
    for direction in ("up", "down"):
        carried = sum(timeline.links[f"{direction}link{client}"].num_bytes for client in range(3))
        turns = [turn for turns in rounds for turn in turns]
        messages = [
            sum(one.num_bytes for one in turn.messages if one.direction == direction) for turn in turns
        ]
        headers = 66 * sum(-(-message // 1448) for message in messages)
        assert carried == pytest.approx(sum(messages) + headers, rel=1e-12)


def test_spans_of_a_client_follow_one_another() -> None:
    live, (duration_s,) = on_one_clock(Stage.of(scenario(clients={"count": 3})), *random_steps(1))
    for client in range(3):
        times = [(start_s, end_s) for whose, _, start_s, end_s, _ in live.spans if whose == client]
        assert times[0][0] == 0
        assert all(before[1] == after[0] for before, after in itertools.pairwise(times))
        assert times[-1][1] <= duration_s
    assert max(end_s for *_, end_s, _ in live.spans) == duration_s


def test_a_transfer_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock with a fault: its round ends while messages are on their way."""
    transfer = LiveStage._transfer

    def hasty(self: LiveStage, step: int) -> Any:
        self.env.process(transfer(self, step))
        yield self.env.timeout(0.01)

    monkeypatch.setattr(LiveStage, "_transfer", hasty)
    script = Script(words := Vocabulary())
    for client in range(3):
        script.lane(client).upload(client, Message("activations", 10**6, 10**6))
    with pytest.raises(ClockError, match="a round ended while 3 messages were on their way"):
        Clock(stage_over("medium")).run(Steps.of([script.rows()], words), [0])


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
    stage = stage_over("dedicated")
    timeline = Clock(stage).run(*random_steps(2))
    due = {name: Due(round(use.num_bytes), 2) for name, use in timeline.links.items()}
    played = Played(timeline.durations_s, timeline.offsets, timeline.clients, timeline.seconds, {}, due)
    assert invariants.alarm(timeline, stage, played) == ""
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
    assert re.search(re.escape(message), invariants.alarm(timeline, stage, played))


LONG = {
    "satellite": {"latency": "300 ms", "downlink": "1 Gbps", "uplink": "20 Mbps", "transport": "tcp"},
    "shared": {"latency": "1 h", "uplink": "10 Gbps", "sharing": "shared", "medium": "9 Gbps"},
    "tree": {"latency": "30 s", "access_points": [{"count": 2, "rate": "40 Gbps"}], "transport": "tcp"},
    "bursts": {"latency": "30 s", "uplink": "1 Gbps", "burst": "1 kB"},
    "jitter": {"latency": "30 s", "uplink": "1 Gbps", "jitter": {"spread": 0.5, "every": "10 s"}},
}


@pytest.mark.parametrize("network", LONG)
def test_a_long_clock_a_fast_link_and_small_messages_are_no_alarm_and_a_lost_byte_is(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Timeline, Stage, Played]] = []
    alarm = invariants.alarm
    monkeypatch.setattr(invariants, "alarm", lambda *those: (told.append(those), alarm(*those))[1])
    clock = Clock.of(scenario(clients={"count": 2}, network=LONG[network]))
    timeline = clock.run_with_events(*random_steps(300, clients=2))
    assert timeline.alarm == ""
    ((_, stage, played),) = told
    name, use = max(timeline.links.items(), key=lambda item: item[1].num_bytes)
    lost = use.num_bytes * (1 - 1e-6)
    for damaged in (
        LinkUsage(lost, use.busy_s, use.capacity_bytes),
        LinkUsage(use.num_bytes, use.busy_s, lost),
    ):
        changed = replace(timeline, links={**timeline.links, name: damaged})
        if damaged.num_bytes == lost or network == "satellite":  # others' capacity has slack of its own
            assert f"link {name}" in alarm(changed, stage, played)


def test_a_round_of_too_many_events_is_an_error() -> None:
    slow = {"jitter": {"spread": 0.5, "every": "1 ms"}, "uplink": "1 kbps"}
    clock = Clock.of(scenario(network=slow, clients={"count": 2}), most_events=1000)
    with pytest.raises(ClockError, match="after 1,000 events of one round, .* it has not ended"):
        clock.run(*random_steps(1, clients=2))


def test_slower_devices_take_longer() -> None:
    times = [
        Clock.of(scenario(clients={"count": 3, "device": device})).run(*random_steps(3)).makespan_s
        for device in ("raspberry-pi-4", "raspberry-pi-5")
    ]
    assert times[0] > times[1]


@pytest.mark.parametrize("network", ["dedicated", "medium", "jitter"])
def test_no_rounds_take_no_time(network: str) -> None:
    timeline = Clock(stage_over(network)).run(*random_steps(0))
    assert (timeline.makespan_s, timeline.round_ends_s.size, timeline.alarm) == (0.0, 0, "")
    assert set(timeline.average_round().values()) == set(timeline.critical_round().values()) == {0.0}


def test_an_unknown_device_parameter_is_refused_before_anything_plays() -> None:
    with pytest.raises(FaultsError, match="efficiency"):
        scenario(server={"device": {"name": "rtx-3090", "efficiency": 2}})


UP, DOWN = Sent("activations", "up", 500, 4000), Sent("gradients", "down", 4000, 4000)
ONE = [Turn(0, 1, (UP, Sent("labels", "up", 1, 1), DOWN))]


def test_encoding_and_decoding_cost_what_codec_and_device_say() -> None:
    """1,000 elements: 9 bytes each to encode upward, 8 each to decode downward, at the device's bandwidth."""
    spent = {}
    for device in ("raspberry-pi-4", "atlas-200-dk"):
        timeline = Clock.of(scenario(clients={"count": 1, "device": device})).run(*steps_of([ONE], COSTS))
        spent[device] = {phase: timeline.spent(phase)[0] for phase in ("encode", "decode")}
    assert spent["raspberry-pi-4"]["encode"] == pytest.approx(9000 / 5.5e9)
    assert spent["raspberry-pi-4"]["decode"] == pytest.approx(8000 / 5.5e9)
    assert spent["atlas-200-dk"]["encode"] == pytest.approx(0.001 + 9000 / 51.2e9)  # and its fixed cost


def test_a_slower_codec_costs_a_slow_client_more_time() -> None:
    """The slow kmeans against ms, at equal bytes on the wire: the clock tells them apart."""
    rounds = random_rounds(3)
    makespans = {}
    for name in ("ms", "kmeans"):
        shape, none = (10, 100), cost_of(codecs.create("identity"), (10, 100), sparse=False)
        found = {"activations": cost_of(codecs.create(name), shape, sparse=True), "gradients": none}
        by_field = {
            f"{way}_{unit}": {kind: getattr(cost, field)[place] for kind, cost in found.items()}
            for unit, field in (("bytes", "memory_bytes"), ("s", "core_s"))
            for place, way in enumerate(("encode", "decode"))
        }
        setting = scenario(clients={"count": 3, "device": "raspberry-pi-4"})
        steps, numbers = steps_of(rounds, costs((1e6, 2e6, 3e6, 6e6), **by_field))
        makespans[name] = Clock.of(setting).run(steps, numbers).makespan_s
    assert makespans["kmeans"] > 1.1 * makespans["ms"]


def test_assumptions_scale_overheads_and_codecs_of_everyone() -> None:
    """One client's round: the device is set to work four times, the server once."""
    setting, steps = scenario(clients={"count": 1}), steps_of([ONE], COSTS)

    def takes(overhead: float, factor: float) -> float:
        return Clock.of(setting, Assumptions(overhead, factor)).run(*steps).makespan_s

    stated = Clock.of(setting).run(*steps).makespan_s
    assert takes(1.0, 1.0) == stated
    assert stated - takes(0.0, 1.0) == pytest.approx(4 * 1e-3 + 2e-4, rel=1e-9)
    assert takes(2.0, 1.0) - stated == pytest.approx(4 * 1e-3 + 2e-4, rel=1e-9)
    coding_s = 1000 * (9 + 8) / 51.2e9 + 1000 * (5 + 8) / 936e9
    assert takes(1.0, 2.0) - stated == pytest.approx(coding_s, rel=1e-6)


KINDS = ("activations", "gradients", "weights")
OLDER = costs((1, 2, 3, 4), dict.fromkeys(KINDS, 8.0), {**dict.fromkeys(KINDS, 0.0), "activations": 4.0})


def recorded(uplink: dict[str, Any], costs: OldCosts = OLDER) -> Recording:
    """One exchange of ten samples, recorded as formats 1 and 2 did."""
    learning = {
        "codec": {"uplink": uplink, "downlink": {"name": "identity"}, "weights": {"name": "identity"}},
        "clients": {"batch_size": 10},
    }
    raw = 4 * 10 * 32 * 7 * 7
    turn = Turn(0, 10, (Sent("activations", "up", 500, raw), Sent("gradients", "down", raw, raw)))
    steps, _ = steps_of([[turn]], costs, "splitfed", (uplink["name"], "identity", "identity"), (32, 7, 7))
    recording = Recording("k", learning, words=steps.words)
    recording.append(steps.round_of + 1, steps.rows, np.ones(1, np.int64))
    return recording


def of_codec(recording: Recording, column: str) -> dict[tuple[str, str], float]:
    """What an element costs to encode and to decode, by the name of the work and the kind of message."""
    steps = recording.steps
    each = zip(
        steps.text("work"), steps.text("kind"), steps.rows[column], steps.rows["elements"], strict=True
    )
    return {(name, kind): value / elements for name, kind, value, elements in each if elements}


def test_an_older_recording_gets_the_costs_of_the_table() -> None:
    recording = with_core_seconds(recorded({"name": "kmeans", "bits": 3, "iterations": 10}))
    expected = cost_of(codecs.create("kmeans"), (10, 32, 7, 7), sparse=True)
    assert expected.core_s is not None
    core_s, memory_bytes = (of_codec(recording, column) for column in ("core_s", "memory_bytes"))
    own = [core_s[name, "activations"] for name in ("encode", "decode")]
    assert own == pytest.approx(expected.core_s, rel=1e-15)
    assert memory_bytes["encode", "activations"] == expected.memory_bytes[0]
    assert memory_bytes["encode", "gradients"] == core_s["encode", "gradients"] == 0.0  # identity
    assert recording.steps.rows["flops"][0] == 10


def test_an_older_recording_of_ones_own_codec_keeps_its_memory_traffic_and_runs_nothing() -> None:
    recording = with_core_seconds(recorded({"name": "gone.py:Mine"}))
    core_s, memory_bytes = (of_codec(recording, column) for column in ("core_s", "memory_bytes"))
    assert math.isnan(core_s["encode", "activations"])
    own = [memory_bytes[name, "activations"] for name in ("encode", "decode")]
    assert own == [8.0, 4.0]


def test_a_recording_with_seconds_is_played_with_its_own() -> None:
    seconds = dict.fromkeys(KINDS, 1e-9)
    own = OLDER.model_copy(update={"encode_s": seconds, "decode_s": seconds})
    before, after = recorded({"name": "kmeans"}, own), with_core_seconds(recorded({"name": "kmeans"}, own))
    for column in STEP.names or ():
        np.testing.assert_array_equal(after.steps.rows[column], before.steps.rows[column])
    assert measured_codecs(after) == []


def test_a_reader_is_told_of_costs_that_were_measured() -> None:
    recording = recorded({"name": "mine.py:Mine"})
    recording.measured_codecs = (MeasuredCodec("activations", 1e-9, 2e-9, 0.5),)
    (note,) = measured_codecs(recording)
    assert note.startswith("mine.py:Mine does not say what it costs: measured on the machine that trained")
    assert "1 ns to encode and 2 ns to decode" in note


def test_the_clock_imports_neither_protocols_nor_learning_nor_torch() -> None:
    code = "import sys, slsim.clock; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = imported.stdout.split()
    assert "slsim.clock.events" in modules
    forbidden = ("slsim.protocols", "slsim.learning", "torch")
    assert [
        name for name in modules if any(name == no or name.startswith(f"{no}.") for no in forbidden)
    ] == []
