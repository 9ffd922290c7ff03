"""k-means of vectors, as `fedlite` needs it: sub-vectors of rows, several samples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import Codes
from slsim.compiled import compiled

Rows = NDArray[np.float32]  # [samples, sub-vectors, elements of a sub-vector]
Draws = NDArray[np.float64]
FEW = 4  # centroids


@compiled()
def cluster(rows: Rows, draws: Draws, iterations: int, centroids: Rows, codes: Codes) -> None:
    """Write k-means of the sub-vectors of `rows` into `centroids` [L, s], and the nearest ones into `codes`.

    The start is k-means++ with the L uniform `draws`; then `iterations` of Lloyd's algorithm, in float64. A
    centroid without sub-vectors stays where it is; of equally near ones the first is taken. `rows` may be
    any part of an array; `codes` [samples, sub-vectors] too.
    """
    _start(rows, draws, centroids)
    sums, counts = np.empty(centroids.shape), np.empty(len(centroids), np.int64)
    for _ in range(iterations):
        _assign(rows, centroids, codes)
        _sum(rows, codes, sums, counts)
        for c in range(counts.size):
            if counts[c] > 0:
                for j in range(rows.shape[2]):
                    centroids[c, j] = sums[c, j] / counts[c]
    _assign(rows, centroids, codes)


@compiled()
def _distance(vector: Any, centroid: Any) -> float:
    """The squared distance, in float64."""
    total = 0.0
    for j in range(vector.size):
        difference = np.float64(vector[j]) - np.float64(centroid[j])
        total += difference * difference
    return total


@compiled()
def _start(rows: Rows, draws: Draws, centroids: Rows) -> None:
    """k-means++: the first sub-vector uniformly, each further one by its squared distance to the nearest."""
    samples, vectors = rows.shape[0], rows.shape[1]
    near = np.full(samples * vectors, np.inf)
    chosen = int(draws[0] * near.size)
    for c in range(draws.size):
        if c > 0:
            chosen = _weighted(near, draws[c])
        for j in range(rows.shape[2]):
            centroids[c, j] = rows[chosen // vectors, chosen % vectors, j]
        for i in range(near.size):
            near[i] = min(near[i], _distance(rows[i // vectors, i % vectors], centroids[c]))


@compiled()
def _weighted(weights: NDArray[np.float64], draw: float) -> int:
    """The place at which the sum of `weights` passes the share `draw` of all; 0 where all are 0."""
    total = 0.0
    for i in range(weights.size):
        total += weights[i]
    bound, passed, last = draw * total, 0.0, 0
    for i in range(weights.size):
        passed += weights[i]
        if weights[i] > 0:
            last = i
            if passed > bound:
                break
    return last


@compiled()
def _assign(rows: Rows, centroids: Rows, codes: Codes) -> None:
    """Both ways give the same distances: the second is faster where there are several at a time."""
    if len(centroids) < FEW:
        _assign_few(rows, centroids, codes)
    else:
        _assign_many(rows, centroids, codes)


@compiled()
def _assign_few(rows: Rows, centroids: Rows, codes: Codes) -> None:
    for b in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            least, nearest = np.inf, 0
            for c in range(centroids.shape[0]):
                distance = _distance(rows[b, i], centroids[c])
                if distance < least:
                    least, nearest = distance, c
            codes[b, i] = nearest


@compiled()
def _assign_many(rows: Rows, centroids: Rows, codes: Codes) -> None:
    """The innermost loop is over centroids, whose distances do not wait for each other."""
    by_element, distances = np.empty((centroids.shape[1], centroids.shape[0])), np.empty(len(centroids))
    for c in range(centroids.shape[0]):
        for j in range(centroids.shape[1]):
            by_element[j, c] = centroids[c, j]
    for b in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            distances[:] = 0.0
            for j in range(rows.shape[2]):
                value = np.float64(rows[b, i, j])
                for c in range(distances.size):
                    difference = value - by_element[j, c]
                    distances[c] += difference * difference
            codes[b, i] = np.argmin(distances)


@compiled()
def _sum(rows: Rows, codes: Codes, sums: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    sums[:] = 0.0
    counts[:] = 0
    for b in range(rows.shape[0]):
        for i in range(rows.shape[1]):
            c = codes[b, i]
            counts[c] += 1
            for j in range(rows.shape[2]):
                sums[c, j] += rows[b, i, j]
