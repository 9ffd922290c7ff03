"""Devices: work → seconds.

Each device has a sourced peak speed and a stated efficiency: the share of the peak that training
reaches. The efficiencies are assumptions where no measurement is cited; a scenario may set any of
the figures: `device = { name = "raspberry-pi-4", efficiency = 0.2 }`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field

from slsim.registry import Component, Registry
from slsim.units import Compute, Duration, MemoryRate


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be computed: floating-point operations, and bytes of memory read and written."""

    flops: float = 0.0
    memory_bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.memory_bytes + other.memory_bytes)


class Device(Component):
    """What a device can do; `seconds` turns work into time."""

    peak: Compute = Field(description="peak speed in FLOP/s")
    efficiency: float = Field(
        0.3, strict=True, gt=0, le=1, description="share of the peak that training reaches"
    )
    memory: MemoryRate = Field(description="memory bandwidth in bytes/s")
    overhead: Duration = Field(
        default="0 s",
        validate_default=True,
        description="fixed cost of each piece of work",
    )

    def seconds(self, work: Work) -> float:
        """Seconds that `work` takes: the fixed cost, the arithmetic, and the memory traffic, one after
        the other."""
        return self.overhead + work.flops / (self.peak * self.efficiency) + work.memory_bytes / self.memory


registry: Registry[Device] = Registry("device", Device)

# 22 TOPS INT8 and 128-bit LPDDR4X: Huawei, "Atlas 200 DK Developer Kit (model 3000), product description";
# half of that for FP16, the ratio of its chip (HiSilicon, Ascend 310: 16 TOPS INT8, 8 TOPS FP16);
# 128 bit × 3200 MT/s = 51.2 GB/s. Efficiency: assumed.
registry.add(
    "atlas-200-dk",
    Device,
    "Huawei Atlas 200 DK (Ascend 310), the paper's client: 11 TFLOPS FP16, LPDDR4X at 51.2 GB/s",
    peak="11 TFLOPS",
    memory="51.2 GB/s",
)

# NVIDIA, "Ampere GA102 GPU architecture" (2020): 35.6 TFLOPS FP32, 936 GB/s. Efficiency: assumed.
registry.add(
    "rtx-3090",
    Device,
    "NVIDIA GeForce RTX 3090, the paper's server: 35.6 TFLOPS FP32, GDDR6X at 936 GB/s",
    peak="35.6 TFLOPS",
    memory="936 GB/s",
)

# Four Cortex-A72 at 1.5 GHz with one 128-bit fused multiply-add a cycle: 4 · 1.5 · 8 = 48 GFLOPS FP32.
# Efficiency: High Performance Linpack reaches 8 of the 24 GFLOPS FP64 (Feiereisen, "Benchmarking the
# Raspberry Pi 4", 2022). Memory: STREAM copy 5.5 GB/s (sci-pi.org.uk, "Stream").
registry.add(
    "raspberry-pi-4",
    Device,
    "Raspberry Pi 4 Model B, on its four CPU cores: 48 GFLOPS FP32, a third of it reached, 5.5 GB/s",
    peak="48 GFLOPS",
    efficiency=0.33,
    memory="5.5 GB/s",
)


def assign(shares: Sequence[tuple[Device, float]], count: int) -> list[Device]:
    """The device of each of `count` clients: shares rounded by largest remainder, classes in order."""
    total = sum(share for _, share in shares)
    exact = [share / total * count for _, share in shares]
    sizes = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: sizes[i] - exact[i])
    for position in by_remainder[: count - sum(sizes)]:
        sizes[position] += 1
    return [device for (device, _), size in zip(shares, sizes, strict=True) for _ in range(size)]
