"""Devices by rated figures and by explicit times: work → seconds; the figures of those that ship."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from slsim import codecs
from slsim.clock import Stage
from slsim.clock.program import Program
from slsim.codecs.costs import cost_of
from slsim.devices import Assumptions, Device, Rated, Timed, Work, registry
from slsim.errors import ComponentError, FaultsError, UnknownNameError
from slsim.network import topology
from slsim.recording import Piece, Script, Steps, Vocabulary
from slsim.recording.kinds import CLIENT_FORWARD
from slsim.scenario.network import NetworkTable

LINKS = topology.build(NetworkTable(), clients=1)
BOX = Rated(peak="1 GFLOPS", efficiency=0.5, memory="2 GB/s", overhead="1 ms")
SHIPPED = [name for name in registry.names() if registry.entry(name).cls is Rated]


def steps_s(device: Device, *steps: list[Piece]) -> list[float]:
    """Seconds of each step on the clock, the fixed cost included: pieces that are done in one go."""
    script = Script(words := Vocabulary())
    for pieces in steps:
        script.lane(0).work(0, CLIENT_FORWARD, *pieces)
    return Program.of(Steps.of([script.rows()], words), Stage([device], device, 1, LINKS)).seconds.tolist()


@pytest.mark.parametrize(
    ("pieces", "seconds"),
    [
        ([], 0.0),  # nothing to do: not set to work
        ([Piece("encode", elements=10**9, codec="identity"), Piece("decode")], 0.0),  # nor by such codecs
        (
            [Piece("client forward", samples=10)],
            0.001,
        ),  # a half without FLOPs is run all the same
        ([Piece("client forward", flops=1e9)], 0.001 + 2.0),  # 10⁹ / (10⁹ · 0.5)
        ([Piece("encode", memory_bytes=1e9)], 0.001 + 0.5),  # 10⁹ / (2 · 10⁹)
        ([Piece("decode", flops=1e9, memory_bytes=1e9)], 0.001 + 2.0 + 0.5),  # one after the other
        (
            [
                Piece("decode", memory_bytes=1e9),
                Piece("server forward", flops=1e9),
                Piece("server backward", flops=2e9),
            ],
            0.001 + 0.5 + 2.0 + 4.0,  # the overhead once
        ),
    ],
)
def test_seconds_are_the_overhead_once_and_each_pieces_arithmetic_and_memory(pieces, seconds):
    assert sum(steps_s(BOX, pieces)) == pytest.approx(seconds, rel=1e-12)


TIMED = Timed(
    client_forward="3 ms",
    client_backward="6 ms",
    server_forward="1 ms",
    server_backward="2 ms",
    head_forward="4 ms",
    head_backward="8 ms",
    encode="1 ns",
    decode="2 ns",
    overhead="5 ms",
)


@pytest.mark.parametrize(
    ("piece", "seconds"),
    [
        (Piece("client forward", samples=10, flops=1e9), 0.005 + 0.030),  # whatever the FLOPs
        (Piece("client backward", samples=10), 0.005 + 0.060),
        (Piece("server forward", samples=10), 0.005 + 0.010),
        (Piece("server backward", samples=10), 0.005 + 0.020),
        (Piece("head forward", samples=10), 0.005 + 0.040),
        (Piece("head backward", samples=10), 0.005 + 0.080),
        (Piece("encode", elements=10**6, codec="ms", memory_bytes=1e12), 0.005 + 0.001),  # whichever codec
        (Piece("decode", elements=10**6, codec="qu"), 0.005 + 0.002),
    ],
)
def test_explicit_times_are_per_sample_and_per_element(piece, seconds):
    assert steps_s(TIMED, [piece]) == pytest.approx([seconds], rel=1e-12)


@pytest.mark.parametrize("device", [BOX, TIMED])
def test_many_turns_at_once_take_what_each_of_them_takes(device):
    samples, elements = np.array([10.0, 3.0, 0.0]), np.array([5e5, 1.5e5, 0.0])

    def works(n, d):
        return (
            Work.of("client forward", flops=1e6 * n, samples=n),
            Work.of("encode", memory_bytes=9 * d, elements=d, codec="ms"),
        )

    several = sum(map(device.seconds, works(samples, elements)))
    for seconds, n, d in zip(several, samples, elements, strict=True):
        assert [seconds] == pytest.approx(sum(map(device.seconds, works(n, d))), rel=1e-12)


def test_a_device_is_set_to_work_for_those_steps_that_have_some():
    assert steps_s(BOX, [Piece("encode", memory_bytes=2e9)], [Piece("encode")]) == [1.001, 0.0]
    given = Timed(encode="1 ns", overhead="5 ms")  # charges what it was given, whatever the codec
    steps = ([Piece("encode", elements=count, codec="identity")] for count in (10**9, 0))
    assert steps_s(given, *steps) == pytest.approx([1.005, 0.0])


# 1,000 elements: 9 kB of memory traffic, 40 µs on the core of reference, and 10 µs there of zstd.
CODING = {"memory_bytes": 9e3, "core_s": 40e-6, "lossless_s": 10e-6, "elements": 1000, "codec": "ms"}


@pytest.mark.parametrize(
    ("device", "work", "seconds"),
    [
        ({"core": 0.5}, CODING, 80e-6 + 20e-6),  # a processor: on its core, half as fast
        (
            {"core": 0.5, "accelerator": True},
            CODING,
            9e-6 + 20e-6,
        ),  # 9 kB / 1 GB/s; zstd on the core beside it
        (
            {"core": 0.5, "accelerator": True},
            CODING | {"memory_bytes": 0.0},
            80e-6 + 20e-6,
        ),  # not known there
        ({"core": 0.5}, CODING | {"core_s": math.nan}, 9e-6 + 20e-6),  # no seconds are known
    ],
)
def test_codecs_take_a_cores_time_or_an_accelerators_memory(device, work, seconds):
    rated = Rated(peak="1 GFLOPS", memory="1 GB/s", **device)
    assert rated.seconds(Work.of("encode", **work)) == pytest.approx([seconds], rel=1e-12)


def test_a_backward_pass_may_be_less_efficient():
    device = Rated(peak="1 TFLOPS", efficiency=0.4, backward_efficiency=0.1, memory="1 GB/s")
    assert device.seconds(Work.of("client forward", flops=1e12)) == pytest.approx([2.5])
    for part in ("server backward", "head backward"):
        assert device.seconds(Work.of(part, flops=1e12)) == pytest.approx([10.0])
    pi = registry.create("raspberry-pi-4")  # as VGG-19 was measured: 18.3 and 5.8 GFLOP/s
    assert pi.peak * pi.efficiency == pytest.approx(18.3e9, rel=0.01)
    assert pi.peak * pi.backward_efficiency == pytest.approx(5.8e9, rel=0.01)


def test_kmeans_on_a_phone_takes_what_was_measured_on_a_core():
    codec = codecs.create("kmeans")
    cost = cost_of(codec, (10, 32, 7, 7), sparse=True)
    phone = registry.create("snapdragon-865")
    work = Work.of("encode", memory_bytes=cost.memory_bytes[0], core_s=cost.core_s[0], elements=1)
    (seconds,) = phone.seconds(work)
    assert 100e-9 < seconds < 1e-6  # its memory traffic alone would be 2 ns


def test_what_a_rated_device_assumes_can_be_scaled():
    coding, forward = Piece("encode", **CODING), Piece("client forward", flops=1e9)
    for accelerator in (True, False):
        device = Rated(peak="1 TFLOPS", memory="1 GB/s", overhead="1 ms", accelerator=accelerator)
        forward_s, coding_s = 1 / 300, steps_s(device, [coding])[0] - 1e-3
        for overhead, factor in ((0.0, 1.0), (2.0, 1.0), (1.0, 0.5), (1.0, 2.0)):
            scaled = device.under(Assumptions(overhead, factor))
            expected = 1e-3 * overhead + factor * coding_s + forward_s
            assert steps_s(scaled, [coding, forward]) == pytest.approx([expected], rel=1e-12)
    assert TIMED.under(Assumptions(2.0, 2.0)) == TIMED  # nothing is assumed there


MODEL, CODEC = {"name": "cnn", "channels": 16, "cut": "medium"}, {"name": "ms"}
CLIENT_DUTIES = {"client forward": MODEL, "client backward": MODEL, "encode": CODEC, "decode": CODEC}
SERVER_DUTIES = {"server forward": MODEL, "server backward": MODEL, "decode": CODEC, "encode": CODEC}
HEAD_DUTIES = {"head forward": MODEL, "head backward": MODEL}


# --- devices of one's own that misbehave


class Own(Device):
    """What it is asked is answered by `answer`."""

    answer: ClassVar[Callable[[Work], Any]]

    def piece_seconds(self, work):
        return type(self).answer(work)


def own(answer):
    return type("Mine", (Own,), {"answer": staticmethod(answer)})()


def _raises(work):
    raise RuntimeError("boom")


BAD_ANSWERS = {
    "negative": lambda work: -1e-12,
    "negative in an array": lambda work: -1e-6 * np.asarray(work.samples + work.elements),
    "NaN": lambda work: float("nan"),
    "infinite": lambda work: np.full(np.shape(work.samples + work.elements), np.inf),
    "text": lambda work: "1",
    "nothing": lambda work: None,
    "complex": lambda work: np.complex128(1),
    "another length": lambda work: np.ones(7),
    "raises": _raises,
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
def test_a_time_that_makes_no_sense_is_named_with_its_device(what):
    device = own(BAD_ANSWERS[what])
    with pytest.raises(ComponentError, match=r"device \S*Mine, in piece_seconds: "):
        device.seconds(Work.of("encode", elements=[1.0, 2.0]))
    (fault,) = device.all_faults(CLIENT_DUTIES)  # one reason, before anything runs
    assert "Mine, in piece_seconds: " in fault.message


def test_a_device_that_gives_other_times_for_the_same_work_is_a_fault():
    draws = np.random.default_rng(0)
    (fault,) = own(lambda work: draws.random()).all_faults(CLIENT_DUTIES)
    assert "for the same client forward" in fault.message


def test_a_device_of_ones_own_that_keeps_the_contract_has_no_faults():
    assert own(lambda work: 1e-9 * (work.samples + work.elements)).all_faults(CLIENT_DUTIES) == []
    assert own(lambda work: 0).all_faults(CLIENT_DUTIES) == []


def test_a_client_needs_no_times_of_the_server():
    client = registry.create(
        "timed", client_forward="3 ms", client_backward="6 ms", encode="0 s", decode="0 s"
    )
    assert client.faults(CLIENT_DUTIES) == []
    assert [fault.message for fault in client.faults(SERVER_DUTIES)] == [
        'the device "timed" has no time for server forward; give server_forward = "3 ms", per sample',
        'the device "timed" has no time for server backward; give server_backward = "3 ms", per sample',
    ]


def test_a_time_that_was_not_given_is_an_error_and_never_nothing():
    with pytest.raises(
        FaultsError, match='"timed" has no time for encode; give encode = "1 ns", per element'
    ):
        registry.create("timed", client_forward="3 ms").seconds(Work.of("encode", elements=5, codec="ms"))


def test_a_head_on_the_client_needs_times_of_its_own():
    halves = {f"{half}_{way}": "1 ms" for half in ("client", "server") for way in ("forward", "backward")}
    device = registry.create("timed", encode="0 s", decode="0 s", **halves)
    assert device.faults(CLIENT_DUTIES | SERVER_DUTIES) == []
    assert [fault.message for fault in device.faults(HEAD_DUTIES)] == [
        'the device "timed" has no time for head forward; give head_forward = "3 ms", per sample',
        'the device "timed" has no time for head backward; give head_backward = "3 ms", per sample',
    ]
    assert TIMED.faults(HEAD_DUTIES) == []
    with pytest.raises(FaultsError, match='"timed" has no time for head backward'):
        device.seconds(Work.of("head backward", samples=1))


@pytest.mark.parametrize("name", SHIPPED)
def test_rated_devices_take_any_work(name):
    assert registry.create(name).all_faults(CLIENT_DUTIES | SERVER_DUTIES | HEAD_DUTIES) == []


def test_an_explicit_time_has_a_unit():
    with pytest.raises(FaultsError, match="client_forward: 0.003 has no unit"):
        registry.create("timed", client_forward=0.003)


def test_half_the_efficiency_takes_twice_as_long():
    device = Rated(peak="1 TFLOPS", efficiency=0.2, memory="1 GB/s")
    slower = Rated(peak="1 TFLOPS", efficiency=0.1, memory="1 GB/s")
    assert device.seconds(Work.of("client forward", flops=1e12)) == pytest.approx([5.0])
    assert slower.seconds(Work.of("client forward", flops=1e12)) == pytest.approx([10.0])


def test_efficiency_is_an_assumed_0_3_and_overhead_none_unless_given():
    device = Rated(peak="1 TFLOPS", memory="1 GB/s")
    assert device.efficiency == 0.3
    assert device.overhead == 0.0
    assert steps_s(device, []) == []
    assert steps_s(device, [Piece("client forward", samples=1)]) == [0.0]


@pytest.mark.parametrize(
    ("name", "peak", "efficiency", "memory", "overhead"),
    [
        ("atlas-200-dk", 11e12, 0.3, 51.2e9, 1e-3),
        ("rtx-3090", 35.6e12, 0.3, 936e9, 2e-4),
        ("raspberry-pi-4", 48e9, 0.38, 5.5e9, 0.0),
        ("raspberry-pi-5", 4 * 2.4e9 * 16, 0.38, 17.1e9, 0.0),  # cores · clock · FLOPs a cycle
        ("jetson-nano", 236e9, 0.3, 25.6e9, 1e-3),
        ("jetson-orin-nano", 1024 * 2 * 0.625e9, 0.3, 68e9, 1e-3),
        ("jetson-agx-orin", 5.3e12, 0.3, 204.8e9, 1e-3),
        ("snapdragon-865", (2840 + 3 * 2420) * 16e6, 0.3, 44e9, 0.0),
        ("apple-m1", 2.6e12, 0.3, 68.3e9, 2e-4),
        ("ryzen-7700x", 8 * 4.5e9 * 32, 0.3, 83.2e9, 0.0),
        ("a100", 19.5e12, 0.3, 2039e9, 2e-4),
        ("h100", 67e12, 0.3, 3.35e12, 2e-4),
    ],
)
def test_the_figures_of_the_devices_that_ship(name, peak, efficiency, memory, overhead):
    device = registry.create(name)
    assert isinstance(device, Rated)
    assert (device.efficiency, device.memory, device.overhead) == (efficiency, memory, overhead)
    assert device.peak == pytest.approx(peak, rel=1e-3)  # sources round


@pytest.mark.parametrize(
    ("name", "flops", "memory_bytes", "seconds"),
    [
        ("atlas-200-dk", 3.3e12, 51.2e9, 2.001),  # 11 · 0.3 = 3.3 TFLOPS; 1 ms to set it to work
        ("rtx-3090", 10.68e12, 0.0, 1.0002),  # 35.6 · 0.3 = 10.68 TFLOPS
        ("raspberry-pi-4", 18.24e9, 11e9, 3.0),  # 48 · 0.38 = 18.24 GFLOPS
    ],
)
def test_the_speed_of_the_devices_that_ship(name, flops, memory_bytes, seconds):
    piece = Piece("client forward", flops=flops, memory_bytes=memory_bytes)
    assert steps_s(registry.create(name), [piece]) == pytest.approx([seconds], rel=1e-12)


def test_each_device_that_ships_says_what_it_is():
    assert len(SHIPPED) >= 12
    for name in SHIPPED:
        device = registry.create(name)
        assert device.accelerator == (device.overhead > 0), name  # processors launch no kernels
        assert 0.05 < device.core < 2, name
        assert "FLOPS" in registry.entry(name).summary, name


def test_a_scenario_may_set_any_figure_of_a_device():
    device = registry.create("raspberry-pi-4", efficiency=0.2, memory="4 GB/s", overhead="3 ms")
    assert (device.peak, device.efficiency, device.memory, device.overhead) == (48e9, 0.2, 4e9, 0.003)
    assert registry.create("raspberry-pi-4").efficiency == 0.38


def test_wrong_figures_are_reported_together():
    with pytest.raises(FaultsError) as caught:
        registry.create(
            "rtx-3090", peak="35 GHz", efficiency=1.5, memory=936e9, overhead="-1 s", cores=8, core=0.0
        )
    assert {fault.path for fault in caught.value.faults} == {
        "peak",
        "efficiency",
        "memory",
        "overhead",
        "cores",
        "core",
    }


@pytest.mark.parametrize("efficiency", [0, -0.1, 1.01, float("nan")])
def test_an_efficiency_is_a_share(efficiency):
    with pytest.raises(FaultsError, match="efficiency"):
        registry.create("rtx-3090", efficiency=efficiency)


def test_an_unknown_device_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r'did you mean "raspberry-pi-4"\? there are: a100, '):
        registry.create("raspberry-pi4")


def test_a_device_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        BOX.efficiency = 1.0


def test_devices_cost_no_torch_import():
    code = (
        "import slsim.devices, sys; slsim.devices.registry.create('a100'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
