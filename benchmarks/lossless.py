"""How many bytes the lossless stages leave of what crosses a trained VGG19's cuts, and how fast they are.

    python benchmarks/lossless.py cifar10.npz --keep /tmp/activations     # minutes; then seconds

Trains VGG19 (width 0.25) as the paper's scenarios do, with ten clients of ten images and no codec, once for
each cut, and encodes the activations of the first 40 batches of ten test images. Prints, for each cut and
codec, the bytes of a message with no stage, with zstd 1 and with "context", and its speed in MB of float32 a
second of CPU time on one thread, codec and stage together. Exit status 1 where a stage changes a decoded
tensor, or "context" sends more bytes than zstd. With `--keep` the activations are kept, and found again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slsim.codecs import Codec, create
from slsim.learning.evaluation import test_activations
from slsim.scenario.plan import plan
from slsim.study.job import train
from slsim.study.training import Training

CUTS = ("shallow", "medium", "deep")
BATCHES = 40
CODECS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("MS 99 %, 2 bits", "ms", {}),
    ("SP 95.875 %", "sp", {}),
    ("randk 95.875 %", "randk", {}),
    ("QU 3 bits", "qu", {}),
    ("QU 8 bits", "qu", {"bits": 8}),
    ("identity", "identity", {}),
)


def scenario(data: Path, cut: str, epochs: int) -> dict[str, Any]:
    return {
        "name": "lossless",
        "data": {"name": "npz", "path": str(data.resolve()), "augment": {"crop": 4, "flip": True}},
        "model": {"name": "vgg19", "cut": cut, "width": 0.25},
        "clients": {"count": 10, "batch_size": 10, "device": "atlas-200-dk"},
        "server": {"device": "rtx-3090"},
        "network": {"uplink": "100 Mbps", "downlink": "100 Mbps"},
        "training": {
            "protocol": "splitfed",
            "epochs": epochs,
            "learning_rate": 0.05,
            "momentum": 0.9,
            "weight_decay": 5e-4,
        },
    }


def trained(data: Path, cut: str, epochs: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The activations of the trained network, [batches, samples, channels, height, width]."""
    cases = plan(scenario(data, cut, epochs), "lossless", data.parent).cases
    exchange, recording = train(Training.of(cases[0].scenario.baseline()))
    print(f"{cut}: {recording.evaluations[-1].accuracy:.1%}", file=sys.stderr, flush=True)
    batches = [batch.numpy() for batch in test_activations(exchange.computation, 10)]
    return np.stack(batches[:BATCHES])


def measured(codec: Codec, plain: Codec, batches: list[torch.Tensor]) -> tuple[float, float, float]:
    """Mean bytes of a message, and MB/s of encoding and decoding. Exits where a decoded tensor changes."""
    sizes, encode_s, decode_s = [], [], []
    codec.decode(codec.encode(batches[0]))  # compiles
    for batch in batches:
        start = time.process_time()
        payload = codec.encode(batch)
        between = time.process_time()
        decoded = codec.decode(payload)
        decode_s.append(time.process_time() - between)
        encode_s.append(between - start)
        sizes.append(payload.num_bytes)
        if not torch.equal(decoded, plain.decode(plain.encode(batch))):
            sys.exit(f"{codec!r} decodes to another tensor than {plain!r}")
    megabytes = 4 * batches[0].numel() / 1e6
    encode, decode = (megabytes / statistics.median(times) for times in (encode_s, decode_s))
    return statistics.mean(sizes), encode, decode


def main() -> int:
    parser = argparse.ArgumentParser(description="Bytes by lossless stage on a trained VGG19.")
    parser.add_argument("data", type=Path, help="x_train, y_train, x_test, y_test of 32×32 images, as .npz")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="the folder of the activations, a file for each cut")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    worse = False
    print("| cut | codec | no stage | zstd 1 | context | fewer than zstd | encode, decode: zstd | context |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for cut in CUTS:
        file = asked.keep and asked.keep / f"{cut}.npy"
        known = np.load(file) if file and file.exists() else trained(asked.data, cut, asked.epochs)
        if file and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, known)
        batches = [torch.from_numpy(batch) for batch in known]
        for label, name, params in CODECS:
            plain = create(name, **params)
            (none, *_), (zstd, *zstd_speed), (context, *speed) = (
                measured(create(name, **params, lossless=stage), plain, batches)
                for stage in (None, "zstd", "context")
            )
            worse |= context > zstd
            speeds = " | ".join(f"{one:.0f}, {two:.0f}" for one, two in (zstd_speed, speed))
            sizes = " | ".join(f"{size:,.0f}" for size in (none, zstd, context))
            print(f"| {cut} | {label} | {sizes} | {1 - context / zstd:.1%} | {speeds} |", flush=True)
    return int(worse)


if __name__ == "__main__":
    sys.exit(main())
