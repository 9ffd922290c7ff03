"""Devices: work → seconds, the figures of the three that ship, and who gets which."""

from collections import Counter
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from slsim.devices import Device, Work, assign, registry
from slsim.errors import FaultsError, UnknownNameError

BOX = Device(peak="1 GFLOPS", efficiency=0.5, memory="2 GB/s", overhead="1 ms")


@pytest.mark.parametrize(
    ("work", "seconds"),
    [
        (Work(), 0.001),  # the overhead alone
        (Work(flops=1e9), 0.001 + 2.0),  # 10⁹ / (10⁹ · 0.5)
        (Work(memory_bytes=1e9), 0.001 + 0.5),  # 10⁹ / (2 · 10⁹)
        (Work(flops=1e9, memory_bytes=1e9), 0.001 + 2.0 + 0.5),  # one after the other
    ],
)
def test_seconds_are_overhead_arithmetic_and_memory(work, seconds):
    assert BOX.seconds(work) == pytest.approx(seconds, rel=1e-12)


def test_half_the_efficiency_takes_twice_as_long():
    device = Device(peak="1 TFLOPS", efficiency=0.2, memory="1 GB/s")
    slower = Device(peak="1 TFLOPS", efficiency=0.1, memory="1 GB/s")
    assert device.seconds(Work(flops=1e12)) == pytest.approx(5.0)
    assert slower.seconds(Work(flops=1e12)) == pytest.approx(10.0)


def test_efficiency_is_an_assumed_0_3_and_overhead_none_unless_given():
    device = Device(peak="1 TFLOPS", memory="1 GB/s")
    assert device.efficiency == 0.3
    assert device.overhead == 0.0
    assert device.seconds(Work()) == 0.0


def test_work_adds_up():
    assert Work(1.0, 10.0) + Work(2.0, 20.0) == Work(flops=3.0, memory_bytes=30.0)


@pytest.mark.parametrize(
    ("name", "peak", "efficiency", "memory"),
    [
        ("atlas-200-dk", 11e12, 0.3, 51.2e9),
        ("rtx-3090", 35.6e12, 0.3, 936e9),
        ("raspberry-pi-4", 48e9, 0.33, 5.5e9),
    ],
)
def test_the_figures_of_the_devices_that_ship(name, peak, efficiency, memory):
    device = registry.create(name)
    assert device == Device(
        peak=f"{peak} FLOPS", efficiency=efficiency, memory=f"{memory} B/s", overhead="0 s"
    )


@pytest.mark.parametrize(
    ("name", "flops", "memory_bytes", "seconds"),
    [
        ("atlas-200-dk", 3.3e12, 51.2e9, 2.0),  # 11 · 0.3 = 3.3 TFLOPS
        ("rtx-3090", 10.68e12, 0.0, 1.0),  # 35.6 · 0.3 = 10.68 TFLOPS
        ("raspberry-pi-4", 15.84e9, 11e9, 3.0),  # 48 · 0.33 = 15.84 GFLOPS
    ],
)
def test_the_speed_of_the_devices_that_ship(name, flops, memory_bytes, seconds):
    assert registry.create(name).seconds(Work(flops, memory_bytes)) == pytest.approx(seconds, rel=1e-12)


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
    with pytest.raises(UnknownNameError, match=r'did you mean "raspberry-pi-4"\? there are: atlas-200-dk'):
        registry.create("raspberry-pi-5")


def test_a_device_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        BOX.efficiency = 1.0


KINDS = [Device(peak=f"{number} TFLOPS", memory="1 GB/s") for number in range(1, 13)]


@pytest.mark.parametrize(
    ("shares", "count", "sizes"),
    [
        ([1.0], 10, [10]),
        ([0.5, 0.5], 10, [5, 5]),
        ([0.5, 0.3, 0.2], 7, [4, 2, 1]),  # 3.5, 2.1, 1.4: the one left over goes to .5
        ([0.46, 0.34, 0.2], 5, [2, 2, 1]),  # 2.3, 1.7, 1.0: to .7
        ([0.1, 0.2, 0.7], 3, [0, 1, 2]),  # 0.3, 0.6, 2.1: to .6
        ([0.9, 0.1], 1, [1, 0]),
        ([0.5, 0.5], 3, [2, 1]),  # equal remainders: the first
        ([0.1] * 10, 10, [1] * 10),
        ([0.7, 0.1, 0.2], 10, [7, 1, 2]),  # 0.7 · 10 and 0.1 · 10 are not whole in binary
    ],
)
def test_shares_are_rounded_by_largest_remainder(shares, count, sizes):
    expected = [kind for kind, size in zip(KINDS, sizes, strict=False) for _ in range(size)]
    assert assign(list(zip(KINDS, shares, strict=False)), count) == expected


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=len(KINDS)), st.integers(1, 500))
def test_every_client_gets_a_device_and_every_device_its_share(weights, count):
    kinds = KINDS[: len(weights)]
    total = sum(weights)
    devices = assign([(kind, weight / total) for kind, weight in zip(kinds, weights, strict=True)], count)
    assert len(devices) == count
    sizes = Counter(device.peak for device in devices)
    for kind, weight in zip(kinds, weights, strict=True):
        exact = Fraction(weight * count, total)
        assert floor(exact) <= sizes[kind.peak] <= ceil(exact)
    assert [device.peak for device in devices] == sorted(device.peak for device in devices)  # in order


def test_shares_that_add_up_to_a_little_more_than_one_still_give_count_devices():
    shares = [(BOX, 0.5), (BOX, 0.50000099)]
    assert len(assign(shares, 10**6)) == 10**6
