"""The simulation: rounds one after another; playing each distinct round once changes nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from slsim import codecs
from slsim.errors import FaultsError
from slsim.protocols import SplitFed, Stage
from slsim.recording import Costs, Message, RoundRecord, Turn
from slsim.scenario import Scenario, plan
from slsim.simulation import Simulation

COSTS = Costs(
    1e6, 2e6, 3e6, 6e6, {"activations": 9.0, "gradients": 8.0}, {"activations": 5.0, "gradients": 8.0}
)


def scenario(**tables: object) -> Scenario:
    base = {"name": "s", "data": {"name": "fashion-mini"}, "model": {"name": "cnn", "cut": 1}}
    return plan({**base, **tables}, "test", Path()).cases[0].scenario


def random_rounds(count: int) -> list[RoundRecord]:
    """Rounds of 3 clients from a few sizes, so that some are equal."""
    rng = np.random.default_rng(3)

    def turn(client: int) -> Turn:
        samples = int(rng.integers(1, 3))
        raw = 4000 * samples
        up = Message("activations", "up", int(rng.choice([500, 900])) * samples, raw)
        return Turn(
            client, samples, (up, Message("labels", "up", 2, 2), Message("gradients", "down", raw, raw))
        )

    return [RoundRecord(tuple(turn(client) for client in range(3))) for _ in range(count)]


@pytest.mark.parametrize("sharing", ["dedicated", "shared"])
def test_rounds_played_once_each_take_the_time_of_one_long_simulation(sharing: str) -> None:
    """The same rounds as one SimPy process on one clock that never restarts."""
    rounds = random_rounds(40)
    setting = scenario(
        clients={"count": 3, "device": "raspberry-pi-4"}, network={"uplink": "1 Mbps", "sharing": sharing}
    )
    simulation = Simulation.of(setting, COSTS)
    timeline = simulation.run(rounds)

    stage = Stage(simulation._cast)
    ends: list[float] = []

    def all_rounds() -> object:
        for record in rounds:
            yield from SplitFed().play(stage, record)
            ends.append(stage.env.now)

    stage.env.run(until=stage.env.process(all_rounds()))
    assert timeline.round_ends_s == pytest.approx(ends, rel=1e-9)
    assert timeline.makespan_s == timeline.round_ends_s[-1]
    for name, usage in stage.flows.usage().items():
        assert timeline.link_bytes[name] == pytest.approx(usage.num_bytes, rel=1e-9)
        assert timeline.link_busy_s[name] == pytest.approx(usage.busy_s, rel=1e-9)
    assert len(simulation._known) < len(rounds)


def test_link_bytes_are_the_recordings_bytes() -> None:
    rounds = random_rounds(7)
    timeline = Simulation.of(scenario(clients={"count": 3}), COSTS).run(rounds)
    for direction in ("up", "down"):
        carried = sum(timeline.link_bytes[f"{direction}link{client}"] for client in range(3))
        assert carried == pytest.approx(sum(record.num_bytes(direction) for record in rounds), rel=1e-12)


def test_phases_add_up_to_the_time_of_every_client_but_its_waiting_at_the_barrier() -> None:
    (record,) = random_rounds(1)
    timing = Simulation.of(scenario(clients={"count": 3}), COSTS).play(record)
    for client in range(3):
        spans = [span for span in timing.spans if span.client == client]
        assert spans[0].start_s == 0
        assert all(before.end_s == after.start_s for before, after in itertools.pairwise(spans))
        assert spans[-1].end_s <= timing.duration_s
    assert max(span.end_s for span in timing.spans) == timing.duration_s


def test_slower_devices_take_longer() -> None:
    rounds = random_rounds(3)
    times = [
        Simulation.of(scenario(clients={"count": 3, "device": device}), COSTS).run(rounds).makespan_s
        for device in ("raspberry-pi-4", "atlas-200-dk")
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
    assert spans["atlas-200-dk"]["encode"] == pytest.approx(9000 / 51.2e9)


def test_a_codec_that_touches_more_memory_costs_a_slow_client_more_time() -> None:
    """The slow kmeans against ms, at equal bytes on the wire: the clock tells them apart."""
    rounds = random_rounds(3)
    makespans = {}
    for name in ("ms", "kmeans"):
        encoding, decoding = codecs.create(name).bytes_touched()
        touched = {"activations": encoding, "gradients": 8.0}, {"activations": decoding, "gradients": 8.0}
        costs = Costs(1e6, 2e6, 3e6, 6e6, *touched)
        setting = scenario(clients={"count": 3, "device": "raspberry-pi-4"})
        makespans[name] = Simulation.of(setting, costs).run(rounds).makespan_s
    assert makespans["kmeans"] > makespans["ms"]
