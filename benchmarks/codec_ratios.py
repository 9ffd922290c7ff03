"""How small codecs get with zstd on the activations of the paper's networks, at each of its cuts.

    python benchmarks/codec_ratios.py vgg19 cifar10.npz --steps 400
    python benchmarks/codec_ratios.py resnet18 cifar100.npz --steps 400

Trains the network for a number of steps of 128 images (x_train uint8 [n, 32, 32, 3], y_train), then encodes
the activations of the first 256 training images, as in training, at the cuts after convolution 2, 8, 15
(VGG19) or 2, 9, 13 (ResNet18), and prints a table: nominal ratio, ratio with zstd, relative l2 error. With
zstd the decoded tensor must be the same bit by bit, and MS at the paper's setting must reach 20×; the exit
status is 1 where it does not.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from slsim.codecs import create

TARGET = 20.0
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("ms", {"sparsity": 0.99, "bits": 2}),
    ("ms", {"sparsity": 0.99, "bits": 2, "rounding": "nearest"}),
    ("ms", {"sparsity": 0.99, "bits": 2, "rounding": "centroid"}),
    ("sp", {"sparsity": 0.95875}),
    ("qu", {"bits": 3}),
]


def convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    layer = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(channels_out), nn.ReLU())


class Residual(nn.Module):
    """A basic residual block: two convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels_out) for _ in range(2))
        same = stride == 1 and channels_in == channels_out
        projection = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
        self.shortcut = nn.Identity() if same else nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(inner)) + self.shortcut(x))


def vgg19(classes: int) -> tuple[nn.Sequential, dict[str, int]]:
    """VGG19 for 32×32 images, and after how many layers each cut lies."""
    layers: list[nn.Module] = []
    channels = 3
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers.append(convolution(channels, width))
            channels = width
        layers.append(nn.MaxPool2d(2))
    head = nn.Sequential(nn.Flatten(), nn.Linear(512, classes))
    return nn.Sequential(*layers, head), {"shallow": 3, "medium": 11, "deep": 19}


def resnet18(classes: int) -> tuple[nn.Sequential, dict[str, int]]:
    """ResNet18 for 32×32 images; its first block is two plain convolutions, as in the paper's program."""
    layers: list[nn.Module] = [
        convolution(3, 64),
        convolution(64, 64),
        convolution(64, 64),
        Residual(64, 64, 1),
    ]
    for width in (128, 256, 512):
        layers += [Residual(width // 2, width, 2), Residual(width, width, 1)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    return nn.Sequential(*layers, head), {"shallow": 2, "medium": 6, "deep": 8}


def normalized(images: np.ndarray, statistics: tuple[np.ndarray, np.ndarray]) -> torch.Tensor:
    mean, deviation = statistics
    channels_first = ((images / 255 - mean) / deviation).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(channels_first, np.float32))


def train(network: nn.Sequential, images: np.ndarray, labels: np.ndarray, steps: int) -> float:
    """SGD with a cosine schedule in bfloat16; gives the mean loss of the last tenth."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    statistics = images.mean((0, 1, 2)) / 255, images.std((0, 1, 2)) / 255
    rng, losses = np.random.default_rng(0), []
    for step in range(steps):
        batch = rng.choice(len(images), 128, replace=False)
        pixels = images[batch] if rng.random() < 0.5 else images[batch][:, :, ::-1]
        rate = 0.05 * min(1, step / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(normalized(pixels, statistics).to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits, torch.from_numpy(labels[batch].astype(np.int64)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 25 == 24:
            print(f"step {step + 1} of {steps}, loss {losses[-1]:.2f}", file=sys.stderr, flush=True)
    return float(np.mean(losses[-max(1, steps // 10) :]))


def measure(cut: str, activations: torch.Tensor) -> bool:
    """Prints a row for each setting; whether MS at the paper's setting reaches the target."""
    reached = False
    for name, params in SETTINGS:
        plain, zstd = create(name, **params), create(name, **params, lossless="zstd")
        payload, compressed = plain.encode(activations), zstd.encode(activations)
        decoded = plain.decode(payload)
        assert torch.equal(decoded, zstd.decode(compressed)), "zstd changed the decoded tensor"
        raw = 4 * activations.numel()
        error = float((decoded - activations).norm() / activations.norm())
        label = " ".join([name, *map(str, params.values())])
        ratios = f"{raw / payload.num_bytes:.2f}× | {raw / compressed.num_bytes:.2f}×"
        print(f"| {cut} {list(activations.shape)} | {label} | {ratios} | {error:.3f} |", flush=True)
        if (name, params) == SETTINGS[0]:
            reached = raw / compressed.num_bytes >= TARGET
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=["vgg19", "resnet18"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with np.load(arguments.data, allow_pickle=False) as file:
        images, labels = file["x_train"], file["y_train"]
    build = {"vgg19": vgg19, "resnet18": resnet18}[arguments.network]
    network, cuts = build(int(labels.max()) + 1)
    network = network.to(memory_format=torch.channels_last)
    loss = train(network, images, labels, arguments.steps)
    print(f"\n{arguments.network} after {arguments.steps} steps, training loss {loss:.2f}\n")
    print("| cut | codec | nominal ratio | ratio with zstd | relative l2 error |\n|---|---|---|---|---|")
    reached = []
    with torch.no_grad():
        statistics = images.mean((0, 1, 2)) / 255, images.std((0, 1, 2)) / 255
        activations = normalized(images[:256], statistics)
        for position, layer in enumerate(network, start=1):
            activations = layer(activations)
            for cut, layers in cuts.items():
                if layers == position:
                    reached.append(measure(cut, activations.contiguous()))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
