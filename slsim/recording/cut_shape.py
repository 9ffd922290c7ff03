"""The shape of what crosses a cut, told once for training, rehearsals, recordings and checks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CutShape:
    """What crosses a cut for a mini-batch: rows of `shape`, each of which stands for up to `samples_a_row`
    samples of one client, whose tensors without an adapter are of `bare_shape`. Compression ratios count
    against those.

    Example:
        >>> at_cut = CutShape((16,), (4, 2, 2), samples_a_row=4)
        >>> at_cut.of(10), at_cut.raw_bytes(10)
        ((3, 16), 640)
    """

    shape: tuple[int, ...]
    bare_shape: tuple[int, ...]
    samples_a_row: int = 1

    def rows(self, samples: int) -> int:
        """The number of rows of so many samples of one client."""
        return -(-samples // self.samples_a_row)

    def of(self, samples: int) -> tuple[int, ...]:
        """The shape of the tensor that crosses for so many samples of one client."""
        return (self.rows(samples), *self.shape)

    def raw_bytes(self, samples: int) -> int:
        """The bytes of so many samples with neither codec nor adapter, as float32."""
        return 4 * samples * math.prod(self.bare_shape)
