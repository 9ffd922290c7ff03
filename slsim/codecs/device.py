"""The codecs' loops as torch operations, for tensors that live on an accelerator.

Slower than the kernels on a CPU, and bit for bit the same results: comparisons are with the same float32
thresholds, arithmetic is in float64 where theirs is. Imported only when such a tensor is encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from slsim.codecs.sizes import packed_bytes


@dataclass(frozen=True)
class Top:
    """The top k of a tensor by magnitude, among equals the first: where they are, and the least of them."""

    mask: torch.Tensor
    threshold: np.float32  # infinity when k = 0


def top_k(flat: torch.Tensor, k: int) -> Top:
    """`flat` is float32 [d], finite."""
    if k == 0:
        return Top(torch.zeros_like(flat, dtype=torch.bool), np.float32(np.inf))
    magnitudes = flat.abs()
    threshold = torch.topk(magnitudes, k, sorted=False).values.min()
    mask, ties = magnitudes > threshold, magnitudes == threshold
    wanted = k - mask.sum()
    return Top(mask | (ties & (ties.cumsum(0) <= wanted)), np.float32(threshold.item()))


def is_finite(flat: torch.Tensor) -> bool:
    return bool(torch.isfinite(flat).all())


def level_codes(flat: torch.Tensor, edges: np.ndarray, top: Top, bits: int) -> torch.Tensor:
    """How many of `edges` (float32, ascending) each magnitude reaches; all ones for the top. uint8 [d]."""
    bounds = torch.from_numpy(np.ascontiguousarray(edges, np.float32)).to(flat.device)
    codes = torch.bucketize(flat.abs(), bounds, right=True).to(torch.uint8)
    codes[top.mask] = (1 << bits) - 1
    return codes


def uniform_codes(flat: torch.Tensor, low: float, scale: float) -> torch.Tensor:
    """rint((x - low) · scale) in float64, as uint8 [d]."""
    return torch.round((flat.double() - low) * scale).to(torch.uint8)


def pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Codes of `bits` bits, the first in the highest bits of the first byte. uint8."""
    shifts = torch.arange(bits - 1, -1, -1, device=codes.device)
    planes = ((codes[:, None].int() >> shifts) & 1).flatten()
    padded = torch.zeros(8 * packed_bytes(codes.numel(), bits), dtype=torch.int32, device=codes.device)
    padded[: planes.numel()] = planes
    weights = 1 << torch.arange(7, -1, -1, device=codes.device)
    return (padded.view(-1, 8) * weights).sum(dim=1).to(torch.uint8)


def to_bytes(*parts: torch.Tensor) -> bytes:
    """The parts' memory, one behind the other, on the host."""
    return b"".join(part.contiguous().cpu().numpy().tobytes() for part in parts)
