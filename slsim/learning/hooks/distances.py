"""Distance correlation: how strongly two sets of vectors depend on one another."""

from __future__ import annotations

import torch


def distance_correlation(x: torch.Tensor, y: torch.Tensor) -> float:
    """The sample distance correlation of x and y, each [samples, …], between 0 and 1.

    Székely et al. 2007, Definitions 4 and 5: dCor = √(dCov² / √(dVar²(x) · dVar²(y))), of doubly centred
    Euclidean distances. 0 where one of the two is constant.

    >>> x = torch.tensor([[0.0], [1.0], [3.0]])
    >>> round(distance_correlation(x, 2 * x + 1), 6)
    1.0
    """
    a, b = (_doubly_centred(_distances(one)) for one in (x, y))
    spread = float(((a * a).mean() * (b * b).mean()).sqrt())
    return max(float((a * b).mean()) / spread, 0.0) ** 0.5 if spread > 0 else 0.0


def corrected_distance_correlation(x: torch.Tensor, y: torch.Tensor) -> float:
    """The bias-corrected estimate of the squared distance correlation, of at least four samples.

    Székely and Rizzo 2013: as above of U-centred distances. 0 where one of the two is constant.
    """
    a, b = (_u_centred(_distances(one)) for one in (x, y))
    spread = float(((a * a).sum() * (b * b).sum()).sqrt())
    return float((a * b).sum()) / spread if spread > 0 else 0.0


def _distances(x: torch.Tensor) -> torch.Tensor:
    """Euclidean distances between samples, float64 [samples, samples]."""
    rows = x.detach().cpu().flatten(1).double()
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _doubly_centred(distances: torch.Tensor) -> torch.Tensor:
    rows, columns = distances.mean(dim=1, keepdim=True), distances.mean(dim=0, keepdim=True)
    return distances - rows - columns + distances.mean()


def _u_centred(distances: torch.Tensor) -> torch.Tensor:
    n = len(distances)
    rows = distances.sum(dim=1, keepdim=True) / (n - 2)
    columns = distances.sum(dim=0, keepdim=True) / (n - 2)
    centred = distances - rows - columns + distances.sum() / ((n - 1) * (n - 2))
    return centred.fill_diagonal_(0)
