"""How torch computes: with as many threads as a scenario says, whatever the machine, and in all of float32.

Sums of floats depend on how they are shared out among threads, so the number belongs to what is learned.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = "10000"  # of a thread that waits, before it sleeps (docs/training-speed.md)


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Let torch compute with so many threads within this context, and convolve float32 in float32: unless it
    is told otherwise, it takes the 10 bits of TensorFloat-32 for that on a GPU."""
    spin_briefly()
    import torch

    cudnn, before = torch.backends.cudnn, torch.get_num_threads()
    shortened = cudnn.allow_tf32
    torch.set_num_threads(threads)
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cudnn.allow_tf32 = shortened


def spin_briefly() -> None:
    """Let torch's threads spin for a moment while they wait, and then sleep: without, they are slower; for
    longer, several times slower where another program wants the cores too. Without effect once torch is
    imported, and where the user says otherwise."""
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
