"""What a payload says, apart from how it is packed: a level for each element, and floats beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.sizes import packed_bytes

FLOAT = 255  # of `of_values`: the level of elements whose value travels as a float
RAREST = 4096  # a value that fewer than one in so many elements have is no level
Levels = NDArray[np.uint8]
NO_FLOATS = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Symbols:
    """What one payload says. `levels` (uint8 [d], row-major) has a number for each element; `floats`
    (float32) are the values that travel as such, in their order; `side_bytes` counts what travels beside
    both, such as ranges, as it is.

    Example:
        >>> import torch
        >>> from slsim.codecs import create
        >>> codec = create("sp", sparsity=0.5)
        >>> said = codec.symbols(codec.encode(torch.tensor([0.1, -2.0, 0.3, 4.0])))
        >>> said.levels.tolist(), said.floats.tolist()
        ([0, 1, 0, 1], [-2.0, 4.0])
    """

    levels: Levels
    floats: NDArray[np.float32]
    side_bytes: int


def of_values(values: NDArray[np.float32]) -> Symbols:
    """The symbols of a decoded tensor whose format is not known (flat float32). A value that occurs twice
    or more, and in one of 4,096 elements or more, is a level, numbered from 0 in ascending order; of more
    than 255 such values the commonest. A table of 4 bytes a level counts as side information. All other
    elements have the level 255, and their values are floats."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    common = np.flatnonzero(counts >= max(2, values.size / RAREST))
    common = np.sort(common[np.argsort(-counts[common], kind="stable")[:FLOAT]])
    numbers = np.full(distinct.size, FLOAT, np.uint8)
    numbers[common] = np.arange(common.size)
    levels: Levels = numbers[inverse.reshape(-1)]
    return Symbols(levels, values[levels == FLOAT], 4 * common.size)


def unpacked(packed: Levels, num_elements: int, bits: int) -> Levels:
    """Packed codes of `bits` each, one a byte."""
    from slsim.codecs import kernels

    out = np.empty(num_elements, np.float32)
    codes = packed[: packed_bytes(num_elements, bits)]
    kernels.unpack_table(codes, np.arange(1 << bits, dtype=np.float32), bits, out)
    return out.astype(np.uint8)
