"""Bytes, ratio and bottleneck of a case before anything is trained: a rehearsed round, with the sizes that
the codecs' formats foresee, on the case's clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slsim.clock import Timeline
from slsim.forecast import Bounds, CaseForecast
from slsim.recording import ACTIVATIONS, CODEC_OF, Steps, parse_shape
from slsim.recording.steps import Mask
from slsim.scenario import Scenario
from slsim.study.rehearsing import Foreseen, first_round, rehearsal

if TYPE_CHECKING:
    from slsim.learning.codings import Codings

OF_A_STEP = "client forward"  # the work that there is once a mini-batch of a client


@dataclass(frozen=True)
class FirstRound:
    """The first round of a training, or its beginning where that is long (`is_whole`): its steps, how many
    rounds there will be at most, in how many epochs, and what is sent."""

    steps: Steps
    is_whole: bool
    rounds: int
    rounds_per_epoch: float
    up: Bounds
    down: Bounds
    activations: Bounds
    raw_activations: int

    @classmethod
    def of(cls, scenario: Scenario, foreseen: Foreseen) -> FirstRound:
        """Rehearse it. Raises what a protocol or a codec of one's own raises without tensors."""
        exchange = rehearsal(scenario, foreseen)
        progress = exchange.progress
        rows = first_round(exchange, scenario.training.protocol.create())
        steps, codings = Steps.of([rows], exchange.words), exchange.codings
        activations = steps.sent(ACTIVATIONS)
        return cls(
            steps,
            progress.rounds == 1,
            progress.total_rounds,
            progress.rounds_per_epoch,
            bounds(steps, codings, steps.crosses("uplink")),
            bounds(steps, codings, steps.crosses("downlink")),
            bounds(steps, codings, activations),
            int(steps.rows["raw_bytes"][activations].sum()),
        )

    @property
    def client_steps(self) -> int:
        """How many mini-batches clients took."""
        return int(self._of_a_step.sum())

    @property
    def samples(self) -> int:
        """How many samples they took."""
        return int(self.steps.rows["samples"][self._of_a_step].sum())

    @property
    def _of_a_step(self) -> Mask:
        mask: Mask = self.steps.rows["work"] == self.steps.words.find("work", OF_A_STEP)
        return mask

    def case(self, label: str, training: int, timeline: Timeline) -> CaseForecast:
        """The forecast of a case, whose clock played the round."""
        most, share = timeline.bottleneck()
        sent, raw = self.activations, self.raw_activations
        return CaseForecast(
            label=label,
            training=training,
            up=self.up,
            down=self.down,
            steps=self.client_steps,
            ratio=raw / sent.nominal if sent.nominal else math.nan,
            least_ratio=raw / sent.most if sent.most else math.nan,
            round_s=timeline.makespan_s if self.is_whole else math.nan,
            bottleneck=most,
            share=share,
        )


def bounds(steps: Steps, codings: Codings, where: Mask) -> Bounds:
    """The bytes of the messages `where`."""
    return sum_of(_each(steps, codings, where))


def _each(steps: Steps, codings: Codings, where: Mask) -> Iterator[Bounds]:
    """The bytes of messages of each kind, shape and size."""
    rows, texts = steps.rows[where], steps.words.texts
    columns = np.stack([rows["kind"], rows["shape"], rows["num_bytes"]], axis=1).astype(np.int64)
    different, counts = np.unique(columns, axis=0, return_counts=True)
    for (kind, shape, size), count in zip(different.tolist(), counts.tolist(), strict=True):
        low = high = size
        if (name := texts["kind"][kind]) in CODEC_OF:
            low, high = codings.of(name).size_bounds(parse_shape(texts["shape"][shape]))
        yield Bounds(size * count, low * count, high * count)


def sum_of(several: Iterator[Bounds]) -> Bounds:
    """All together."""
    total = Bounds()
    for one in several:
        total = total.plus(one)
    return total
