"""The codecs' loops as torch operations, a row for each client's tensor, for tensors on an accelerator.

Slower than the kernels on a CPU, and bit for bit the same results: comparisons are with the same float32
thresholds, arithmetic is in float64 where theirs is. Nothing here waits for the accelerator but `fetch`,
which brings everything back at once. Imported only when such a tensor is encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from slsim.codecs.sizes import packed_bytes


@dataclass(frozen=True)
class Top:
    """The top k of each row by magnitude, among equals the first: where they are, and the least of them."""

    mask: torch.Tensor  # bool [rows, d]
    threshold: torch.Tensor  # float32 [rows, 1]; infinity when k = 0


def top_k(rows: torch.Tensor, k: int) -> Top:
    """`rows` is float32 [rows, d]; of rows that are not finite nothing is promised."""
    if k == 0:
        return Top(torch.zeros_like(rows, dtype=torch.bool), rows.new_full((len(rows), 1), torch.inf))
    magnitudes = rows.abs()
    threshold = torch.topk(magnitudes, k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
    mask, ties = magnitudes > threshold, magnitudes == threshold
    wanted = k - mask.sum(dim=1, keepdim=True)
    return Top(mask | (ties & (ties.cumsum(dim=1) <= wanted)), threshold)


def are_finite(rows: torch.Tensor) -> torch.Tensor:
    """Which rows hold neither NaN nor infinity, bool [rows]."""
    return torch.isfinite(rows).all(dim=1)


def take(rows: torch.Tensor, mask: torch.Tensor, k: int) -> torch.Tensor:
    """The marked elements of each row in order, [rows, k]; k are marked."""
    rank = torch.where(mask, mask.cumsum(dim=1) - 1, k).clamp_(max=k)
    return rows.new_empty(len(rows), k + 1).scatter_(1, rank, rows)[:, :k]  # all others fall on the last


def mark(rows: torch.Tensor, places: NDArray[np.int64]) -> torch.Tensor:
    """A mask, bool like `rows`, of `places` [rows, any number]; a place of d, or behind, marks nothing."""
    d = rows.shape[1]
    index = torch.from_numpy(np.minimum(places, d)).to(rows.device)
    return torch.zeros(len(rows), d + 1, dtype=torch.bool, device=rows.device).scatter_(1, index, True)[:, :d]


def exchange(top: torch.Tensor, leaving: NDArray[np.int64], coming: NDArray[np.int64]) -> torch.Tensor:
    """The mask of `top` without those of its elements whose ranks are `leaving`, and with those of the rest
    whose ranks are `coming`: both [rows, any number], filled up with ranks that do not exist."""
    leaves, comes = mark(top, leaving), mark(top, coming)
    among_top, among_rest = ((group.cumsum(dim=1) - 1).clamp_(min=0) for group in (top, ~top))
    return torch.where(top, ~leaves.gather(1, among_top), comes.gather(1, among_rest))


def levels(threshold: torch.Tensor, count: int) -> torch.Tensor:
    """n · threshold / count for n below `count`, in float64 and rounded: float32 [rows, count]."""
    steps = torch.arange(count, dtype=torch.float64, device=threshold.device)
    return (steps * threshold.double() / count).float()


def level_codes(rows: torch.Tensor, edges: torch.Tensor, top: Top, bits: int) -> torch.Tensor:
    """How many of its row's `edges` (float32, ascending) each magnitude reaches; all ones for the top.
    uint8 [rows, d]."""
    codes = torch.searchsorted(edges.contiguous(), rows.abs(), right=True).to(torch.uint8)
    return codes.masked_fill_(top.mask, (1 << bits) - 1)


def extents(rows: torch.Tensor) -> torch.Tensor:
    """The least and the greatest value of each row, never minus zero: float32 [rows, 2]."""
    return torch.stack(rows.aminmax(dim=1), dim=1) + 0.0


def uniform_codes(rows: torch.Tensor, bounds: torch.Tensor, top: int) -> torch.Tensor:
    """rint((x - low) · top / (high - low)) in float64, or 0 in a row of equals: uint8 [rows, d]."""
    low, high = bounds.double().split(1, dim=1)
    scale = torch.where(high > low, top / (high - low), 0.0)
    return torch.round((rows.double() - low) * scale).to(torch.uint8)


def pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Codes [rows, d] of `bits` bits, the first in the highest bits of a row's first byte: uint8."""
    shifts = torch.arange(bits - 1, -1, -1, device=codes.device)
    planes = ((codes[:, :, None].int() >> shifts) & 1).flatten(1)
    room = 8 * packed_bytes(codes.shape[1], bits)
    padded = torch.nn.functional.pad(planes, (0, room - planes.shape[1]))
    weights = 1 << torch.arange(7, -1, -1, device=codes.device)
    return (padded.view(len(codes), -1, 8) * weights).sum(dim=2).to(torch.uint8)


def fetch(count: int, *parts: torch.Tensor) -> Sequence[NDArray[np.uint8]]:
    """Each part's bytes on the host, [count, bytes]: the rows of `count` clients' tensors, equally many."""
    columns = [part.contiguous().view(torch.uint8).reshape(count, -1) for part in parts]
    ends = np.cumsum([column.shape[1] for column in columns])
    return np.split(torch.cat(columns, dim=1).cpu().numpy(), ends[:-1], axis=1)
