"""The devices that ship, by their rated figures.

Each has a sourced peak speed (FP32 unless it says otherwise) and a stated efficiency: the share of the
peak that training reaches. The efficiencies are assumptions where no measurement is cited: 0.3 where there
is nothing to go by. One number for all networks is a coarse one. Public profiles of VGG-19 and ResNet-101 on
CIFAR-10, mini-batches of 128 (data of an INFOCOM 2024 paper on split federated learning, MIT licence, as
analysed by Tirana et al., EdgeSys 2025), say by how much: on a Raspberry Pi 4B, forward and backward reach
18.3 and 5.8 GFLOP/s on VGG-19, and 2.3 and 1.1 on the small maps of ResNet-101, an eighth and a fifth of it.
Backward took 6.3 and 4.4 times as long as forward there, 3.7 and 5.5 times on a VM of eight cores, 1.7 and
1.0 times on a Jetson's GPU; by counted FLOPs it is about 2, which is what `backward_efficiency` left out
means. Memory bandwidths are the rated ones unless a measurement is cited.

`overhead`, the fixed cost of each time that a device is set to work, is an assumption: ten kernels, at 20 µs
each on a GPU beside a desktop or server CPU (what NVIDIA's Nsight Systems user guide measures for a small
PyTorch kernel on a V100), at five times that where the small Arm cores of an embedded board launch them; 0
on CPUs, which launch nothing. It is what small networks spend their time on: without it, a mini-batch of the
quickstart would cross an Atlas 200 DK's half of the model in 6 µs. A scenario may set any of the figures,
`device = { name = "raspberry-pi-4", efficiency = 0.2, overhead = "1 ms" }`, and `slsim calibrate` measures
the times of a machine at hand.

`core`, how fast one core is beside that of reference (Zen 4 at 3.66 GHz, docs/costs.md), is an estimate from
clocks and Geekbench 5 points a GHz on one core, good to a third: Zen 4 388 (Zen 3: 344, in the comparison of
cores on forums.anandtech.com, June 2020; 13 % more per clock, AMD), so 1,420 points for the core of
reference; Cortex-A76 261 (Snapdragon 855 at 2.84 GHz: 742, nanoreview.net), A77 20 % and A78 28 % more (Arm),
A72 130 to 150 (Raspberry Pi Ltd: a Raspberry Pi 5 is two to three times a 4), A57 and A55 about 100. On
accelerators it is the core beside them, which does what codecs do not do there, a lossless stage among it;
a server's is taken to be that of reference.
"""

from __future__ import annotations

from slsim.devices.base import registry
from slsim.devices.rated import Rated

# Clients.

# 22 TOPS INT8 and 128-bit LPDDR4X: Huawei, "Atlas 200 DK Developer Kit (model 3000), product description";
# half of that for FP16, the ratio of its chip (HiSilicon, Ascend 310: 16 TOPS INT8, 8 TOPS FP16);
# 128 bit × 3200 MT/s = 51.2 GB/s. Efficiency: assumed.
registry.add(
    "atlas-200-dk",
    Rated,
    "Huawei Atlas 200 DK (Ascend 310), the paper's client: 11 TFLOPS FP16, LPDDR4X at 51.2 GB/s",
    peak="11 TFLOPS",
    memory="51.2 GB/s",
    overhead="1 ms",
    core=0.11,
    accelerator=True,
)

# Four Cortex-A72 at 1.5 GHz with one 128-bit fused multiply-add a cycle: 4 · 1.5 · 8 = 48 GFLOPS FP32.
# Efficiencies: 18.3 and 5.8 of them on VGG-19 (see above; on small maps an eighth of that). High Performance
# Linpack reaches as much, 8 of the 24 GFLOPS FP64 (Feiereisen, "Benchmarking the Raspberry Pi 4", 2022).
# Memory: STREAM copy 5.5 GB/s (sci-pi.org.uk, "Stream").
registry.add(
    "raspberry-pi-4",
    Rated,
    "Raspberry Pi 4 Model B, on its four CPU cores: 48 GFLOPS FP32, as measured on VGG-19, 5.5 GB/s",
    peak="48 GFLOPS",
    efficiency=0.38,
    backward_efficiency=0.12,
    memory="5.5 GB/s",
    core=0.15,
)

# Four Cortex-A76 at 2.4 GHz (Raspberry Pi Ltd, "Raspberry Pi 5 product brief") with two 128-bit fused
# multiply-adds a cycle (Arm, "Cortex-A76 software optimization guide"): 4 · 2.4 · 16 = 153.6 GFLOPS.
# Memory: 32-bit LPDDR4X at 4267 MT/s. Efficiencies: assumed to be the Raspberry Pi 4's.
registry.add(
    "raspberry-pi-5",
    Rated,
    "Raspberry Pi 5, on its four CPU cores: 153.6 GFLOPS FP32, LPDDR4X at 17.1 GB/s",
    peak="153.6 GFLOPS",
    efficiency=0.38,
    backward_efficiency=0.12,
    memory="17.1 GB/s",
    core=0.44,
)

# NVIDIA, "Jetson Nano system-on-module data sheet": 128 Maxwell cores at 921 MHz, 472 GFLOPS FP16, 25.6 GB/s;
# half of that for FP32: 128 · 2 · 0.9216 = 236 GFLOPS. Efficiency: assumed.
registry.add(
    "jetson-nano",
    Rated,
    "NVIDIA Jetson Nano, on its GPU: 236 GFLOPS FP32, LPDDR4 at 25.6 GB/s",
    peak="236 GFLOPS",
    memory="25.6 GB/s",
    overhead="1 ms",
    core=0.1,
    accelerator=True,
)

# NVIDIA, "Jetson Orin Nano series data sheet", 8 GB at 15 W (before the "Super" clocks): 1024 Ampere cores
# at 625 MHz, 1024 · 2 · 0.625 = 1280 GFLOPS FP32; 68 GB/s. Tensor cores not counted. Efficiency: assumed.
registry.add(
    "jetson-orin-nano",
    Rated,
    "NVIDIA Jetson Orin Nano 8 GB (15 W), on its GPU: 1.28 TFLOPS FP32, LPDDR5 at 68 GB/s",
    peak="1.28 TFLOPS",
    memory="68 GB/s",
    overhead="1 ms",
    core=0.35,
    accelerator=True,
)

# NVIDIA, "Jetson AGX Orin series technical brief" (2022), 64 GB: 2048 Ampere cores at 1.3 GHz, 5.3 TFLOPS
# FP32; 204.8 GB/s. Tensor cores not counted. Efficiency: assumed.
registry.add(
    "jetson-agx-orin",
    Rated,
    "NVIDIA Jetson AGX Orin 64 GB, on its GPU: 5.3 TFLOPS FP32, LPDDR5 at 204.8 GB/s",
    peak="5.3 TFLOPS",
    memory="204.8 GB/s",
    overhead="1 ms",
    core=0.52,
    accelerator=True,
)

# A phone of 2020 on its CPU, where training libraries for phones run: one Cortex-A77 at 2.84 GHz and three
# at 2.42 GHz (Qualcomm, "Snapdragon 865 5G mobile platform product brief"), two 128-bit fused multiply-adds
# a cycle each (Arm, "Cortex-A77 software optimization guide"): (2.84 + 3 · 2.42) · 16 = 161.6 GFLOPS; the
# small cores not counted. Memory: 64-bit LPDDR5 at 5500 MT/s = 44 GB/s. Efficiency: assumed; a phone that
# gets hot does less. GPU figures of phones are not published by their makers.
registry.add(
    "snapdragon-865",
    Rated,
    "Qualcomm Snapdragon 865 phone, on its four large CPU cores: 161.6 GFLOPS FP32, LPDDR5 at 44 GB/s",
    peak="161.6 GFLOPS",
    memory="44 GB/s",
    core=0.63,
)

# Apple, "Apple unleashes M1" (press release, 2020): 2.6 TFLOPS, which is FP32 (8 GPU cores · 128 lanes · 2
# · 1.278 GHz). Memory: 128-bit LPDDR4X at 4266 MT/s = 68.3 GB/s. Efficiency: assumed.
registry.add(
    "apple-m1",
    Rated,
    "Apple M1 laptop, on its 8-core GPU: 2.6 TFLOPS FP32, LPDDR4X at 68.3 GB/s",
    peak="2.6 TFLOPS",
    memory="68.3 GB/s",
    overhead="200 us",
    core=1.2,
    accelerator=True,
)

# Eight Zen 4 cores at the base clock of 4.5 GHz, two channels of DDR5-5200 (AMD, "Ryzen 7 7700X", product
# page), two 256-bit fused multiply-adds a cycle (AMD, "Software optimization guide for the AMD Zen 4
# microarchitecture"): 8 · 4.5 · 32 = 1152 GFLOPS; 2 · 64 bit × 5200 MT/s = 83.2 GB/s. Efficiency: assumed.
registry.add(
    "ryzen-7700x",
    Rated,
    "AMD Ryzen 7 7700X desktop, on its eight CPU cores: 1.15 TFLOPS FP32, DDR5 at 83.2 GB/s",
    peak="1.152 TFLOPS",
    memory="83.2 GB/s",
    core=1.23,
)

# Servers.

# NVIDIA, "Ampere GA102 GPU architecture" (2020): 35.6 TFLOPS FP32, 936 GB/s. Efficiency: assumed.
registry.add(
    "rtx-3090",
    Rated,
    "NVIDIA GeForce RTX 3090, the paper's server: 35.6 TFLOPS FP32, GDDR6X at 936 GB/s",
    peak="35.6 TFLOPS",
    memory="936 GB/s",
    overhead="200 us",
    accelerator=True,
)

# NVIDIA, "A100 tensor core GPU data sheet", 80 GB SXM: 19.5 TFLOPS FP32 (TF32 on tensor cores, 156 TFLOPS,
# not counted: small layers do not reach it), 2,039 GB/s. Efficiency: assumed.
registry.add(
    "a100",
    Rated,
    "NVIDIA A100 80 GB SXM: 19.5 TFLOPS FP32 without tensor cores, HBM2e at 2039 GB/s",
    peak="19.5 TFLOPS",
    memory="2039 GB/s",
    overhead="200 us",
    accelerator=True,
)

# NVIDIA, "H100 tensor core GPU data sheet", SXM: 67 TFLOPS FP32 (tensor cores not counted), 3.35 TB/s.
# Efficiency: assumed.
registry.add(
    "h100",
    Rated,
    "NVIDIA H100 SXM: 67 TFLOPS FP32 without tensor cores, HBM3 at 3.35 TB/s",
    peak="67 TFLOPS",
    memory="3.35 TB/s",
    overhead="200 us",
    accelerator=True,
)
