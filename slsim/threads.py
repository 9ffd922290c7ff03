"""How many threads torch computes with: as many as a scenario says, whatever the machine.

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
    """Let torch compute with so many threads within this context."""
    spin_briefly()
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spin_briefly() -> None:
    """Let torch's threads spin for a moment while they wait, and then sleep: without, they are slower; for
    longer, several times slower where another program wants the cores too. Without effect once torch is
    imported, and where the user says otherwise."""
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
