"""Many rounds at once, where each round is a barrier: the transfers and queues of `Network`, over arrays.

In such a round every client runs one chain of steps, each shared resource (an uplink, the server, a
downlink) is used at one position of the chain, and the round ends when all have finished. Then whoever uses
a resource is known before anyone has left it: positions can be worked out one after another, each for all
clients of all rounds, without an event queue. Rounds do not know of each other; each begins idle at its own
time 0.

All arrays are flat, with one entry a turn (a client in a round): float64, sizes also int64. Turns
`offsets[r]:offsets[r + 1]` belong to round r (int64, one entry more than rounds, from 0 to the number of
turns). Times are in seconds, finite and >= 0, sizes in bytes, rates in bit/s and > 0, latencies in seconds;
this is not checked again. Turns may be in any order.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Sizes: TypeAlias = NDArray[np.float64 | np.int64]
Offsets: TypeAlias = NDArray[np.int64]


def transfer_s(num_bytes: Sizes, rate_bps: float | Floats) -> Floats:
    """Return for how long a link is busy with each message that has the whole link, in seconds."""
    times: Floats = np.multiply(num_bytes, 8.0)
    times /= rate_bps
    return times


def dedicated(
    start_s: Floats, num_bytes: Sizes, rate_bps: float | Floats, latency_s: float | Floats
) -> Floats:
    """Return when each message has arrived that is sent at `start_s` and has the link to itself.

    `rate_bps` and `latency_s` are of all links, or one for each turn. The link is busy for `transfer_s`.
    """
    end_s: Floats = np.add(start_s, latency_s)
    end_s += transfer_s(num_bytes, rate_bps)
    return end_s


def fair(
    start_s: Floats, num_bytes: Sizes, offsets: Offsets, rate_bps: float, latency_s: float
) -> tuple[Floats, Floats]:
    """Return when each message has arrived over one link that all messages in flight share equally, and for
    how many seconds of each round the link is busy.

    A message is in flight from `start_s` + `latency_s`; one of 0 bytes has then arrived.

    Virtual time: the bits that a message would have got that was there all along. It rises by rate ÷
    messages in flight, and a message that came at v ends when it is v + its bits, whoever comes later; so
    the order of ends is known on arrival, and n messages take O(n log n). A. Demers, S. Keshav, S. Shenker,
    *Analysis and Simulation of a Fair Queueing Algorithm*, SIGCOMM 1989; A. Parekh, R. Gallager, *A
    Generalized Processor Sharing Approach to Flow Control*, IEEE/ACM ToN 1(3), 1993, Eq. 10 to 12.
    """
    from slsim.network import barrier_kernels as kernels  # not above: it imports numba

    start_s, num_bytes, offsets = _checked(start_s, num_bytes, offsets)
    end_s, busy_s = np.empty(start_s.size), np.empty(offsets.size - 1)
    kernels.fair_rounds(start_s, num_bytes, offsets, float(rate_bps), float(latency_s), end_s, busy_s)
    return end_s, busy_s


def fifo(
    start_s: Floats, num_bytes: Sizes, offsets: Offsets, rate_bps: float, latency_s: float
) -> tuple[Floats, Floats]:
    """Return when each message has arrived over one link that carries one at a time, in order of start, and
    for how many seconds of each round the link is busy.

    Of equal starts, the first in the array goes first. A message is queued from `start_s` + `latency_s`; one
    of 0 bytes has then arrived, whoever waits. Each begins when it is there and the one before has left (D.
    V. Lindley, *The Theory of Queues with a Single Server*, 1952).
    """
    from slsim.network import barrier_kernels as kernels

    start_s, num_bytes, offsets = _checked(start_s, num_bytes, offsets)
    end_s, busy_s = np.empty(start_s.size), np.empty(offsets.size - 1)
    kernels.fifo_rounds(start_s, num_bytes, offsets, float(rate_bps), float(latency_s), end_s, busy_s)
    return end_s, busy_s


def queue(start_s: Floats, service_s: Floats, offsets: Offsets, slots: int) -> tuple[Floats, Floats]:
    """Return when each turn that comes at `start_s` begins to be served, and when its `service_s` are over.

    `slots` >= 1 are served at once, in order of start; of equal starts, the first in the array goes first.
    Each begins when it is there and a place is free (J. Kiefer, J. Wolfowitz, *On the Theory of Queues with
    Many Servers*, 1955); O(log slots) a turn, and sorting.
    """
    from slsim.network import barrier_kernels as kernels

    assert slots >= 1
    start_s, service_s, offsets = _checked(start_s, service_s, offsets)
    begin_s = np.empty(start_s.size)
    kernels.queue_rounds(start_s, service_s, offsets, int(slots), begin_s)
    return begin_s, begin_s + service_s


def _checked(start_s: ArrayLike, other: ArrayLike, offsets: ArrayLike) -> tuple[Floats, Floats, Offsets]:
    """Return the arrays contiguous and writable, as the kernels are compiled for; copy only what is not."""
    starts, others = (np.require(values, np.float64, ["C", "W"]) for values in (start_s, other))
    bounds = np.require(offsets, np.int64, ["C", "W"])
    assert starts.ndim == others.ndim == bounds.ndim == 1
    assert starts.size == others.size == bounds[-1]
    assert bounds[0] == 0
    assert np.all(bounds[1:] >= bounds[:-1])
    return starts, others, bounds
