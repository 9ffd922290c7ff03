"""Random generators: one per purpose and client, all derived from the scenario's seed.

Two purposes never share a stream, so adding a draw in one place changes nothing elsewhere.
"""

from __future__ import annotations

import zlib

import numpy as np


def _sequence(seed: int, purpose: str, index: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), len(index), *index])


def generator(seed: int, purpose: str, *index: int) -> np.random.Generator:
    """A numpy generator for `purpose` (such as "batches") and `index` (such as a client's number)."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose, index)))


def integer(seed: int, purpose: str, *index: int) -> int:
    """A 63-bit seed for libraries that seed themselves from one number (torch)."""
    return int(_sequence(seed, purpose, index).generate_state(1, np.uint64)[0] >> np.uint64(1))
