"""Devices by rated figures and by explicit times: work → seconds; the figures of those that ship."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from slsim.devices import Rated, Timed, Work, registry
from slsim.errors import FaultsError, UnknownNameError

BOX = Rated(peak="1 GFLOPS", efficiency=0.5, memory="2 GB/s", overhead="1 ms")
SHIPPED = [name for name in registry.names() if registry.entry(name).cls is Rated]


@pytest.mark.parametrize(
    ("works", "seconds"),
    [
        ([], 0.001),  # the overhead alone
        ([Work("client forward", flops=1e9)], 0.001 + 2.0),  # 10⁹ / (10⁹ · 0.5)
        ([Work("encode", memory_bytes=1e9)], 0.001 + 0.5),  # 10⁹ / (2 · 10⁹)
        ([Work("decode", flops=1e9, memory_bytes=1e9)], 0.001 + 2.0 + 0.5),  # one after the other
        (
            [Work("decode", memory_bytes=1e9), Work("server forward", 1e9), Work("server backward", 2e9)],
            0.001 + 0.5 + 2.0 + 4.0,  # the overhead once
        ),
    ],
)
def test_seconds_are_the_overhead_once_and_each_pieces_arithmetic_and_memory(works, seconds):
    assert BOX.seconds(*works) == pytest.approx(seconds, rel=1e-12)


TIMED = Timed(
    client_forward="3 ms",
    client_backward="6 ms",
    server_forward="1 ms",
    server_backward="2 ms",
    encode="1 ns",
    decode="2 ns",
    overhead="5 ms",
)


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work("client forward", samples=10, flops=1e9), 0.005 + 0.030),  # whatever the FLOPs
        (Work("client backward", samples=10), 0.005 + 0.060),
        (Work("server forward", samples=10), 0.005 + 0.010),
        (Work("server backward", samples=10), 0.005 + 0.020),
        (Work("encode", elements=1e6, codec="ms", memory_bytes=1e12), 0.005 + 0.001),  # whichever codec
        (Work("decode", elements=1e6, codec="qu"), 0.005 + 0.002),
    ],
)
def test_explicit_times_are_per_sample_and_per_element(work, seconds):
    assert TIMED.seconds(work) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("device", [BOX, TIMED])
def test_many_turns_at_once_take_what_each_of_them_takes(device):
    samples, elements = np.array([10.0, 3.0, 0.0]), np.array([5e5, 1.5e5, 0.0])
    several = device.seconds(
        Work("client forward", flops=1e6 * samples, samples=samples),
        Work("encode", memory_bytes=9 * elements, elements=elements, codec="ms"),
    )
    for seconds, n, d in zip(several, samples, elements, strict=True):
        forward = Work("client forward", flops=1e6 * n, samples=n)
        alone = device.seconds(forward, Work("encode", memory_bytes=9 * d, elements=d, codec="ms"))
        assert seconds == pytest.approx(alone, rel=1e-12)


MODEL, CODEC = {"name": "cnn", "channels": 16, "cut": "medium"}, {"name": "ms"}
CLIENT_DUTIES = {"client forward": MODEL, "client backward": MODEL, "encode": CODEC, "decode": CODEC}
SERVER_DUTIES = {"server forward": MODEL, "server backward": MODEL, "decode": CODEC, "encode": CODEC}


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
        registry.create("timed", client_forward="3 ms").seconds(Work("encode", elements=5, codec="ms"))


@pytest.mark.parametrize("name", SHIPPED)
def test_rated_devices_take_any_work(name):
    assert registry.create(name).faults(CLIENT_DUTIES | SERVER_DUTIES) == []


def test_an_explicit_time_has_a_unit():
    with pytest.raises(FaultsError, match="client_forward: 0.003 has no unit"):
        registry.create("timed", client_forward=0.003)


def test_half_the_efficiency_takes_twice_as_long():
    device = Rated(peak="1 TFLOPS", efficiency=0.2, memory="1 GB/s")
    slower = Rated(peak="1 TFLOPS", efficiency=0.1, memory="1 GB/s")
    assert device.seconds(Work("client forward", flops=1e12)) == pytest.approx(5.0)
    assert slower.seconds(Work("client forward", flops=1e12)) == pytest.approx(10.0)


def test_efficiency_is_an_assumed_0_3_and_overhead_none_unless_given():
    device = Rated(peak="1 TFLOPS", memory="1 GB/s")
    assert device.efficiency == 0.3
    assert device.overhead == 0.0
    assert device.seconds() == 0.0


@pytest.mark.parametrize(
    ("name", "peak", "efficiency", "memory", "overhead"),
    [
        ("atlas-200-dk", 11e12, 0.3, 51.2e9, 1e-3),
        ("rtx-3090", 35.6e12, 0.3, 936e9, 2e-4),
        ("raspberry-pi-4", 48e9, 0.33, 5.5e9, 0.0),
        ("raspberry-pi-5", 4 * 2.4e9 * 16, 0.33, 17.1e9, 0.0),  # cores · clock · FLOPs a cycle
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
        ("raspberry-pi-4", 15.84e9, 11e9, 3.0),  # 48 · 0.33 = 15.84 GFLOPS
    ],
)
def test_the_speed_of_the_devices_that_ship(name, flops, memory_bytes, seconds):
    work = Work("client forward", flops, memory_bytes)
    assert registry.create(name).seconds(work) == pytest.approx(seconds, rel=1e-12)


def test_each_device_that_ships_says_what_it_is():
    assert len(SHIPPED) >= 12
    for name in SHIPPED:
        assert "FLOPS" in registry.entry(name).summary, name


def test_a_scenario_may_set_any_figure_of_a_device():
    device = registry.create("raspberry-pi-4", efficiency=0.2, memory="4 GB/s", overhead="3 ms")
    assert (device.peak, device.efficiency, device.memory, device.overhead) == (48e9, 0.2, 4e9, 0.003)
    assert registry.create("raspberry-pi-4").efficiency == 0.33


def test_wrong_figures_are_reported_together():
    with pytest.raises(FaultsError) as caught:
        registry.create("rtx-3090", peak="35 GHz", efficiency=1.5, memory=936e9, overhead="-1 s", cores=8)
    assert {fault.path for fault in caught.value.faults} == {
        "peak",
        "efficiency",
        "memory",
        "overhead",
        "cores",
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
