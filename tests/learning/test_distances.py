"""Distance correlation, against the definition and against what must be 0 and 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from slsim.learning.hooks.distances import corrected_distance_correlation, distance_correlation

Estimate = Callable[[torch.Tensor, torch.Tensor], float]
BOTH = [distance_correlation, corrected_distance_correlation]


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Székely, Rizzo and Bakirov 2007, Definitions 4 and 5, sum by sum."""
    n = len(x)

    def centred(values: np.ndarray) -> list[list[float]]:
        a = [[float(np.sqrt(((values[k] - values[m]) ** 2).sum())) for m in range(n)] for k in range(n)]
        row = [sum(a[k]) / n for k in range(n)]
        column = [sum(a[k][m] for k in range(n)) / n for m in range(n)]
        mean = sum(row) / n
        return [[a[k][m] - row[k] - column[m] + mean for m in range(n)] for k in range(n)]

    def covariance(a: list[list[float]], b: list[list[float]]) -> float:
        return sum(a[k][m] * b[k][m] for k in range(n) for m in range(n)) / n**2

    a, b = centred(x.astype(np.float64)), centred(y.astype(np.float64))
    squared: float = covariance(a, b) / np.sqrt(covariance(a, a) * covariance(b, b))
    return float(np.sqrt(squared))


def test_three_numbers_by_hand() -> None:
    """x = 0, 1, 3: of the distances 1, 3, 2 the rows' means are 4/3, 1, 5/3, the mean of all 4/3."""
    x, y = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [1.0], [0.0]])
    a = np.array([[-4 / 3, 0, 4 / 3], [0, -2 / 3, 2 / 3], [4 / 3, 2 / 3, -2]])
    b = np.array([[-2 / 9, 2 / 9, -2 / 9], [2 / 9, -8 / 9, 2 / 9], [-2 / 9, 2 / 9, -2 / 9]])
    b += np.array([[0, 2 / 9, 0], [2 / 9, 0, 2 / 9], [0, 2 / 9, 0]])  # a - row - column + mean, in two parts
    distances = np.abs(y.numpy() - y.numpy().T)
    means = distances.mean(axis=0)
    assert np.allclose(b, distances - means - means[:, None] + distances.mean())
    expected = np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))
    assert distance_correlation(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shapes", [((5, 1), (5, 2)), ((7, 3), (7, 1)), ((6, 2, 3, 3), (6, 4))])
def test_it_is_what_the_definition_says(shapes: tuple[tuple[int, ...], ...]) -> None:
    """Samples of several dimensions count as vectors."""
    x, y = tensor(*shapes[0], seed=1), tensor(*shapes[1], seed=2)
    y = y + x.flatten(1)[:, :1] ** 2
    flat_x, flat_y = (one.flatten(1).numpy() for one in (x, y))
    assert distance_correlation(x, y) == pytest.approx(by_definition(flat_x, flat_y), rel=1e-9)


@pytest.mark.parametrize("estimate", BOTH)
def test_a_vector_that_is_scaled_shifted_and_rotated_is_known_wholly(estimate: Estimate) -> None:
    x = tensor(20, 3)
    rotation, _ = torch.linalg.qr(tensor(3, 3, seed=1))
    assert estimate(x, -2.5 * x @ rotation + 7) == pytest.approx(1, abs=1e-5)
    line = tensor(20, 1)
    assert estimate(line, 3 * line - 1) == pytest.approx(1, abs=1e-5)


def test_of_independent_samples_the_corrected_estimate_is_near_zero_and_the_other_is_not() -> None:
    found = [
        [estimate(tensor(100, 50, seed=2 * i), tensor(100, 30, seed=2 * i + 1)) for i in range(20)]
        for estimate in BOTH
    ]
    assert min(found[0]) > 0.4  # of many dimensions and few samples it is far too large
    assert abs(np.mean(found[1])) < 0.01
    assert max(np.abs(found[1])) < 0.06


def test_a_dependence_without_correlation_is_found() -> None:
    x = torch.linspace(-1, 1, 41)[:, None]
    y = x**2
    assert abs(float((x * (y - y.mean())).sum())) < 1e-5
    assert distance_correlation(x, y) > 0.4
    assert corrected_distance_correlation(x, y) > 0.1


@pytest.mark.parametrize("estimate", BOTH)
def test_of_constants_nothing_can_be_told(estimate: Estimate) -> None:
    x, constant = tensor(8, 3), torch.full((8, 2), 1.7)
    assert estimate(x, constant) == estimate(constant, x) == estimate(constant, constant) == 0


@pytest.mark.parametrize("estimate", BOTH)
def test_it_is_symmetric_and_does_not_depend_on_the_order_of_samples(estimate: Estimate) -> None:
    x, y = tensor(12, 4), tensor(12, 2, seed=3)
    y = y + x[:, :2].abs()
    order = torch.from_numpy(np.random.default_rng(0).permutation(12))
    assert estimate(x, y) == pytest.approx(estimate(y, x), rel=1e-12)
    assert estimate(x, y) == pytest.approx(estimate(x[order], y[order]), rel=1e-9)
