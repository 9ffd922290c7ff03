"""A recording of a million messages: what its checkpoints cost, and opening, checking and timing it again.

    python benchmarks/recording.py                  # 10 clients, 33,334 rounds that all differ
    python benchmarks/recording.py --rounds 3000    # fewer

No round is like another, as with a lossless stage: every row is kept. The training itself is left out: the
model's part of a checkpoint is a constant. A target that is missed is marked, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slsim import recording as recordings
from slsim.checks import check_sizes
from slsim.clock import Clock
from slsim.recording import Evaluation, Message, Piece, Recording, Rows, Script
from slsim.recording.kinds import CLIENT_BACKWARD, CLIENT_FORWARD, DECODE, ENCODE
from slsim.scenario import plan
from slsim.study.checkpoint import Checkpoint

CLIENTS, SAMPLES, ELEMENTS = 10, 10, 6272
DOCUMENT = {
    "name": "million",
    "data": "fashion-mini",
    "model": {"name": "cnn", "cut": 1},
    "clients": {"count": CLIENTS, "batch_size": SAMPLES},
    "codec": {"uplink": {"name": "qu", "bits": 3, "lossless": "zstd"}},
    "network": {"uplink": "100 Mbps", "downlink": "100 Mbps"},
}
EPOCHS = 20  # checkpoints, evenly
SLOWER, SECONDS, GIB = 2.0, 10.0, 2.0  # targets


class Standing:
    """What a checkpoint asks of a training's loop, with a model of 100,000 weights that stays as it is."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._weights = torch.zeros(100_000)

    def state(self) -> dict[str, Any]:
        return {"client": {"weights": self._weights}, "rounds": self.recording.num_rounds}


def one_round(recording: Recording, rng: np.random.Generator) -> Rows:
    """A round of `splitfed` whose activations take a size of their own."""
    script = Script(recording.words)
    shape = (SAMPLES, ELEMENTS)
    raw, elements = 4 * SAMPLES * ELEMENTS, SAMPLES * ELEMENTS
    up = {name: coding(name, "activations", "qu", shape, elements) for name in ("encode", "decode")}
    down = {name: coding(name, "gradients", "identity", shape, elements) for name in ("encode", "decode")}
    half = {
        name: Piece(name, samples=SAMPLES, flops=1e7)
        for name in ("client forward", "client backward", "server forward", "server backward")
    }
    for client, size in enumerate(rng.integers(15_000, 20_000, CLIENTS).tolist()):
        lane = script.lane(client)
        lane.work(client, CLIENT_FORWARD, half["client forward"])
        lane.work(client, ENCODE, up["encode"])
        labels = Message("labels", SAMPLES, SAMPLES, shape=(SAMPLES,))
        lane.upload(client, Message("activations", size, raw, shape=shape, codec="qu"), labels)
        lane.serve(client, up["decode"], half["server forward"], half["server backward"], down["encode"])
        lane.download(client, Message("gradients", raw + 12, raw, shape=shape, codec="identity"))
        lane.work(client, DECODE, down["decode"])
        lane.work(client, CLIENT_BACKWARD, half["client backward"])
    return script.rows()


def coding(name: str, kind: str, codec: str, shape: tuple[int, ...], elements: int) -> Piece:
    """Encoding or decoding a message."""
    return Piece(name, elements=elements, codec=codec, kind=kind, shape=shape, core_s=elements * 1e-9)


def main() -> int:
    """Measure and print; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=33_334)
    rounds = parser.parse_args().rounds
    (case,) = plan(DOCUMENT, "benchmark", Path()).cases
    recording = Recording("12345678", case.scenario.learning_table())
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Checkpoint(Path(name, "checkpoint.pt"))
        took = []
        for number in range(1, rounds + 1):
            recording.add_round(one_round(recording, rng))
            if number % (rounds // EPOCHS) == 0:
                recording.evaluations.append(Evaluation(number, number / rounds, 0.5, 0.5, 1.0))
                start = time.perf_counter()
                checkpoint.save(Standing(recording), 0.0)  # type: ignore[arg-type]
                took.append(time.perf_counter() - start)
        folder = Path(name, "recording")
        start = time.perf_counter()
        recordings.save(recording, folder)
        saved_s = time.perf_counter() - start
        size = sum(file.stat().st_size for file in folder.iterdir())
        del recording
        marks = [time.perf_counter()]
        opened = recordings.load(folder)
        marks.append(time.perf_counter())
        checks = list(check_sizes("million", opened))
        marks.append(time.perf_counter())
        timeline = Clock.of(case.scenario).play(opened)
        marks.append(time.perf_counter())
    opening, checking, playing = np.diff(marks).tolist()
    messages = int(opened.steps.are_messages.sum())
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    ratio = statistics.median(took[-5:]) / statistics.median(took[:5])
    print(f"{opened.num_rounds:,} rounds, {messages:,} messages, {len(opened.steps.rows):,} steps")
    print(f"checkpoints: first five {1e3 * statistics.median(took[:5]):.0f} ms, last five ", end="")
    print(f"{1e3 * statistics.median(took[-5:]):.0f} ms: ratio {ratio:.2f} (target: at most {SLOWER})")
    print(f"saved whole in {saved_s:.1f} s, {size / 1e6:.1f} MB")
    total = opening + checking + playing
    print(f"opened {opening:.1f} s, checked {checking:.1f} s, played {playing:.1f} s: ", end="")
    print(f"{total:.1f} s (target: under {SECONDS:.0f}), {peak_gib:.2f} GiB at most (target: {GIB:.0f})")
    print(f"{len(checks)} checks, makespan {timeline.makespan_s:.1f} s {timeline.alarm}")
    missed = ratio > SLOWER or total > SECONDS or peak_gib > GIB or bool(timeline.alarm)
    print("A target is missed." if missed else "All targets are met.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
