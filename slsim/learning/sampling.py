"""Which mini-batch a client takes next, and who takes part in a round.

Nothing here is drawn twice: every order follows from the seed, the client and how many mini-batches it has
taken, so that a training that is resumed takes the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim import seeds
from slsim.learning import partition
from slsim.learning.data import Dataset
from slsim.scenario import Scenario

Indices = NDArray[np.int64]
Weighting: TypeAlias = Literal["samples", "clients"]
ALL = -1  # in place of a client: everyone's samples together


@dataclass(frozen=True)
class Batch:
    """A client's mini-batch: positions of its samples in the training set; `number` counts all that the
    client has taken so far."""

    client: int
    indices: Indices
    number: int = 0


def shares(samples: Sequence[int], weighting: Weighting) -> list[float]:
    """How much each of some clients counts in an average over them, together 1: by its number of samples, or
    all the same."""
    if weighting == "clients":
        return [1 / len(samples)] * len(samples)
    total = sum(samples)
    return [count / total for count in samples]


class Sampler:
    """Mini-batches of all clients: each goes through its samples in a new order, over and over.

    `parts` are the positions of each client's samples; `taken` counts the mini-batches that each has had.
    With `per_round`, so many clients are drawn for each round from those that have samples. `weighting` says
    how much a client counts in an average: by its "samples", or "clients" alike.
    """

    def __init__(
        self,
        parts: Sequence[Indices],
        batch_size: int,
        seed: int,
        per_round: int | None,
        weighting: Weighting = "samples",
    ) -> None:
        self.parts = parts
        self._weighting = weighting
        self.taken = np.zeros(len(parts), dtype=np.int64)
        self.batch_size, self._seed, self._per_round = batch_size, seed, per_round
        self._sizes = np.array([-(-part.size // batch_size) for part in parts])  # mini-batches in a pass
        self._with_samples = np.flatnonzero(self._sizes)
        self._orders: dict[int, tuple[int, list[Indices]]] = {}  # of each client's present pass

    @classmethod
    def of(cls, scenario: Scenario, data: Dataset) -> Sampler:
        """The sampler of a scenario's clients."""
        clients, seed = scenario.clients, scenario.seed
        parts = partition.partition_samples(scenario.data.partition, data, clients.count, seed)
        return cls(parts, clients.batch_size, seed, clients.per_round, scenario.training.weighting)

    def like(self, batch_size: int, per_round: int | None) -> Sampler:
        """A sampler of the same clients with other mini-batches, from which none was taken yet."""
        return Sampler(self.parts, batch_size, self._seed, per_round, self._weighting)

    @property
    def steps_per_epoch(self) -> int:
        """Number of rounds in an epoch when each participant takes one mini-batch a round."""
        if self._takes_all:
            return int(self._sizes.max())
        assert self._per_round is not None
        return int(-(-self._sizes.sum() // self._per_round))

    @property
    def participants_share(self) -> float:
        """The share of the clients with samples that takes part in a round."""
        return 1.0 if self._takes_all else (self._per_round or 0) / len(self._with_samples)

    def rounds_of_passes(self, epochs: int) -> float:
        """Rounds in which `epochs` passes of each participant add up to one of everyone."""
        return 1 / (epochs * self.participants_share)

    @property
    def _takes_all(self) -> bool:
        return self._per_round is None or self._per_round >= len(self._with_samples)

    def participants(self, round_number: int) -> list[int]:
        """Who takes part in the round, ascending."""
        if self._takes_all:
            return [int(client) for client in self._with_samples]
        rng = seeds.generator(self._seed, "participants", round_number)
        drawn = rng.choice(self._with_samples, size=self._per_round, replace=False, shuffle=False)
        return sorted(map(int, drawn))

    def one_each(self, round_number: int) -> list[Batch]:
        """A mini-batch of each participant. If all take part, those whose samples are used up before the
        epoch's end sit its last rounds out."""
        if self._takes_all:
            step = round_number % self.steps_per_epoch
            clients = [client for client in self.participants(round_number) if step < self._sizes[client]]
        else:
            clients = self.participants(round_number)
        return [self.next_batch(client) for client in clients]

    @property
    def pooled_steps_per_epoch(self) -> int:
        """Of `pooled`: mini-batches in a pass over all samples."""
        return -(-self._num_samples // self._pooled_size)

    def pooled(self, round_number: int) -> Batch:
        """A mini-batch of all clients' samples together, as large as those of all participants; the last of
        a pass may be smaller."""
        number, place = divmod(round_number, self.pooled_steps_per_epoch)
        if ALL not in self._orders or self._orders[ALL][0] != number:
            rng = seeds.generator(self._seed, "pooled batches", number)
            samples = np.concatenate(self.parts)
            self._orders[ALL] = (number, list(partition.batches(samples, self._pooled_size, rng)))
        return Batch(0, self._orders[ALL][1][place], round_number)

    @property
    def _num_samples(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def _pooled_size(self) -> int:
        clients = len(self._with_samples) if self._takes_all else self._per_round or 0
        return self.batch_size * clients

    def peek(self, round_number: int) -> list[Batch]:
        """What `one_each` will give, without taking it."""
        taken = self.taken.copy()
        batches = self.one_each(round_number)
        self.taken[:] = taken
        return batches

    def next_batch(self, client: int) -> Batch:
        """The client's next mini-batch; the last one of a pass may be smaller."""
        number, place = divmod(int(self.taken[client]), int(self._sizes[client]))
        if client not in self._orders or self._orders[client][0] != number:
            rng = seeds.generator(self._seed, "batches", client, number)
            batches = list(partition.batches(self.parts[client], self.batch_size, rng))
            self._orders[client] = (number, batches)
        batch = Batch(client, self._orders[client][1][place], int(self.taken[client]))
        self.taken[client] += 1
        return batch

    def steps_in_pass(self, client: int) -> int:
        """Mini-batches of a pass over the client's samples."""
        return int(self._sizes[client])

    def shares(self, participants: Sequence[int]) -> dict[int, float]:
        """How much each participant counts in an average over them; together 1."""
        sizes = [self.parts[client].size for client in participants]
        return dict(zip(participants, shares(sizes, self._weighting), strict=True))

    # The smallest mini-batch that there will be.

    @property
    def smallest(self) -> int:
        """Samples of the smallest that a client takes."""
        return min(self._last(client) for client in self._with_samples.tolist())

    @property
    def smallest_together(self) -> int:
        """Samples of the smallest of `one_each`, all clients' together; at least so many with `per_round`."""
        if not self._takes_all:
            least = sorted(self._last(client) for client in self._with_samples.tolist())
            return sum(least[: self._per_round])
        ends = self._sizes[self._with_samples]
        lasts = np.array([self._last(client) for client in self._with_samples.tolist()])
        return min(
            int(lasts[ends == step].sum() + self.batch_size * (ends > step).sum()) for step in set(ends)
        )

    @property
    def smallest_pooled(self) -> int:
        """Samples of the smallest of `pooled`."""
        return min(self._num_samples, self._num_samples % self._pooled_size or self._pooled_size)

    def _last(self, client: int) -> int:
        """Samples of the last mini-batch of a pass."""
        return int(self.parts[client].size - (self._sizes[client] - 1) * self.batch_size)
