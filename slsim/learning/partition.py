"""Which client holds which training samples, and the mini-batches it takes from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from slsim import seeds
from slsim.errors import DataError
from slsim.learning.data.base import Dataset
from slsim.scenario import Partition

Indices = NDArray[np.int64]
EVEN = 1e100  # alpha from which shares are equal; sums of far larger ones would overflow


def partition_samples(chosen: Partition, data: Dataset, clients: int, seed: int) -> list[Indices]:
    """Each client's sample positions. Raises `DataError` when there is nothing to share out that way."""
    labels, rng = data.y_train, seeds.generator(seed, "partition")
    match chosen.kind:
        case "iid":
            return iid(labels, clients, rng)
        case "dirichlet":
            return dirichlet(labels, clients, float(chosen.parameter), rng)
        case "shards":
            return shards(labels, clients, int(chosen.parameter), rng)
        case "power_law":
            return power_law(labels, clients, float(chosen.parameter), rng)
        case "by":
            name = str(chosen.parameter)
            return by_group(data.group(name), name, clients)


def iid(labels: Indices, count: int, rng: np.random.Generator) -> list[Indices]:
    """The samples shuffled and split evenly (the paper's setting); sizes differ by one at most."""
    return [np.asarray(part) for part in np.array_split(rng.permutation(labels.size), count)]


def dirichlet(labels: Indices, count: int, alpha: float, rng: np.random.Generator) -> list[Indices]:
    """Each class split over the clients by shares from Dirichlet(alpha) (Hsu et al., 2019,
    arXiv 1909.06335); a small alpha gives each client few classes. A client may get nothing."""
    parts: list[list[Indices]] = [[] for _ in range(count)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(count, min(alpha, EVEN)))
        cuts = np.rint(np.cumsum(shares)[:-1] * members.size).astype(np.int64)
        for part, chunk in zip(parts, np.split(members, cuts), strict=True):
            part.append(chunk)
    return [np.concatenate(part) for part in parts]


def shards(labels: Indices, count: int, per_client: int, rng: np.random.Generator) -> list[Indices]:
    """The samples sorted by label, cut into count · per_client shards, `per_client` of them to each client
    at random (McMahan et al., 2017, arXiv 1602.05629). Raises `DataError` with fewer samples than shards."""
    if labels.size < count * per_client:
        raise DataError(
            f"{labels.size} samples do not make {count} × {per_client} shards; ask for fewer shards"
        )
    pieces = np.array_split(np.argsort(labels, kind="stable"), count * per_client)
    order = rng.permutation(count * per_client).reshape(count, per_client)
    return [np.concatenate([pieces[piece] for piece in row]) for row in order]


def power_law(labels: Indices, count: int, exponent: float, rng: np.random.Generator) -> list[Indices]:
    """Samples at random, in numbers proportional to rank^-exponent (Zipf's law); which client has which rank
    is drawn. Everyone has one sample at least, so the last ranks may have more than their proportion, at
    the others' cost. Samples a device follow a power law in FedProx (Li et al., 2020, arXiv 1812.06127).
    Raises `DataError` with fewer samples than clients."""
    if labels.size < count:
        raise DataError(
            f"{labels.size} samples are not one for each of {count} clients; ask for fewer clients"
        )
    sizes = rng.permutation(power_law_sizes(labels.size, count, exponent))
    return np.split(rng.permutation(labels.size), np.cumsum(sizes)[:-1])


def power_law_sizes(samples: int, count: int, exponent: float) -> Indices:
    """How many of `samples` each rank gets, int64 [count], descending, each at least 1."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    # Proportional are the first ranks, as many as get a whole sample when all below them get one.
    left = samples - count + np.arange(1, count + 1)
    proportional = int(np.flatnonzero(left * weights >= np.cumsum(weights))[-1]) + 1
    exact = left[proportional - 1] * weights[:proportional] / weights[:proportional].sum()
    sizes = np.ones(count, np.int64)
    sizes[:proportional] = np.maximum(np.floor(exact), 1)
    rest = samples - int(sizes.sum())  # largest remainders first, the lower rank where they are equal
    sizes[np.argsort(np.floor(exact) - exact, kind="stable")[:rest]] += 1
    return sizes


def by_group(groups: Indices, name: str, count: int) -> list[Indices]:
    """The samples of a group, such as a writer's, to one client: group i (of `groups` [n], numbered from 0)
    to client i modulo `count`. Raises `DataError` with fewer groups than clients."""
    found = int(groups.max()) + 1
    if found < count:
        raise DataError(
            f'partition by "{name}": {found} groups are not one for each of {count} clients; set '
            f"clients.count to {found}, or to less, for clients with several groups"
        )
    return [np.flatnonzero(groups % count == client) for client in range(count)]


def class_counts(parts: Sequence[Indices], labels: Indices, num_classes: int) -> Indices:
    """How many samples of each class each client holds: int64 [clients, classes]."""
    client = np.repeat(np.arange(len(parts)), [part.size for part in parts])
    cells = client * num_classes + labels[np.concatenate(parts)]
    return np.bincount(cells, minlength=len(parts) * num_classes).reshape(len(parts), num_classes)


def unevenness(counts: Indices) -> float:
    """How far the class shares of a client are from those of all samples, 0 … 1: the total variation
    distance, half the sum of absolute differences, averaged over the clients that hold something.
    `counts` is that of `class_counts`."""
    held = counts[counts.sum(axis=1) > 0]
    shares, overall = held / held.sum(axis=1, keepdims=True), held.sum(axis=0) / held.sum()
    return float(np.abs(shares - overall).sum(axis=1).mean() / 2)


def batches(part: Indices, batch_size: int, rng: np.random.Generator) -> Iterator[Indices]:
    """One pass over a client's samples in a new order, in mini-batches; the last one may be smaller."""
    order = rng.permutation(part)
    for start in range(0, order.size, batch_size):
        yield order[start : start + batch_size]
