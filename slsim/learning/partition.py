"""Which client holds which training samples, and the mini-batches it takes from them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from slsim.errors import DataError

Indices = NDArray[np.int64]


def iid(labels: Indices, count: int, rng: np.random.Generator) -> list[Indices]:
    """The samples shuffled and split evenly (the paper's setting); sizes differ by one at most."""
    return [np.asarray(part) for part in np.array_split(rng.permutation(labels.size), count)]


def dirichlet(labels: Indices, count: int, alpha: float, rng: np.random.Generator) -> list[Indices]:
    """Each class split over the clients by shares from Dirichlet(alpha) (Hsu et al., 2019,
    arXiv 1909.06335); a small alpha gives each client few classes. A client may get nothing."""
    parts: list[list[Indices]] = [[] for _ in range(count)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        shares = rng.dirichlet(np.full(count, alpha))
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


def batches(part: Indices, batch_size: int, rng: np.random.Generator) -> Iterator[Indices]:
    """One pass over a client's samples in a new order, in mini-batches; the last one may be smaller."""
    order = rng.permutation(part)
    for start in range(0, order.size, batch_size):
        yield order[start : start + batch_size]
