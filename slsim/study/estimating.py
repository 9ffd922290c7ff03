"""Memory and disk of a training, estimated from sizes where nothing was measured."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slsim.scenario import Scenario
from slsim.study.step_sizes import FirstRound

if TYPE_CHECKING:
    from slsim.learning.data import Dataset
    from slsim.learning.outline import ModelOutline

PROCESS_BYTES = 1e9  # Python with slsim and the libraries of torch (for CUDA too), before data and model
FLOAT = 4  # bytes
COPIES = 3  # of the weights: themselves, their gradients and their momentum
TEST_BATCH = 1000  # images that are evaluated at a time
HEADER_BYTES = 14_000  # recording.json, and the columns' names in the Parquet files
EVALUATION_BYTES = 40
SAMPLE = 6  # rounds that are written to see how large one is


def memory_bytes(scenario: Scenario, model: ModelOutline, data: Dataset, first: FirstRound) -> float:
    """The peak of the process that trains: data as they are held, the weights, what layers make of the
    samples that are trained at once, with its gradients, and of those that are evaluated at once."""
    weights = COPIES * FLOAT * (model.client.size + model.server.size)
    steps = 1 if first.client_steps == 0 or not _is_one_step(scenario) else first.client_steps
    at_once = first.samples / max(1, first.client_steps) * steps
    training = FLOAT * 1.5 * model.held * at_once  # outputs are kept; gradients of a few at a time
    testing = FLOAT * 2 * model.largest * min(TEST_BATCH, data.y_test.size)
    return PROCESS_BYTES + held_bytes(data) + weights + max(training, testing)


def held_bytes(data: Dataset) -> float:
    """Bytes of the images that are in memory: those of large folders are mapped from a file."""
    from slsim.learning.data.folder import IN_MEMORY_BYTES

    sizes = [math.prod(one.shape) for one in (data.x_train, data.x_test) if not isinstance(one, np.memmap)]
    return sum(size for size in sizes if size <= IN_MEMORY_BYTES)


def _is_one_step(scenario: Scenario) -> bool:
    """Whether a round is one step of all its clients at once."""
    return bool(scenario.training.protocol.create().averages_gradients)


@dataclass(frozen=True)
class Disk:
    """Bytes of the recording, and of the checkpoint that stands until it is there."""

    recording: float
    checkpoint: float


def disk_bytes(
    scenario: Scenario, model: ModelOutline, first: FirstRound, rounds: int, evaluations: int
) -> Disk:
    """Rounds that repeat are stored once. They do unless clients or sizes differ from round to round."""
    repeats = _is_one_step(scenario) and scenario.clients.per_round is None and first.up.is_fixed
    repeats = repeats and first.down.is_fixed
    different = min(rounds, 3) if repeats else rounds
    recording = HEADER_BYTES + EVALUATION_BYTES * evaluations + _steps_bytes(first, different) + rounds
    state = 2 * FLOAT * (model.client.size + model.server.size)
    return Disk(recording, state + recording)


def _steps_bytes(first: FirstRound, rounds: int) -> float:
    """Columns, each compressed, of so many rounds like the first, whose sizes differ a little."""
    rows = first.steps.rows.records()
    rng = np.random.default_rng(0)
    sent = rows["num_bytes"] > 0
    sizes = []
    for count in (1, SAMPLE):
        several = np.tile(rows, count)
        several["num_bytes"] += np.tile(sent, count) * rng.integers(0, 100, len(several))
        columns = (np.ascontiguousarray(several[name]).tobytes() for name in several.dtype.names or ())
        sizes.append(sum(len(zlib.compress(column)) for column in columns))
    return sizes[0] + (rounds - 1) * (sizes[1] - sizes[0]) / (SAMPLE - 1)
