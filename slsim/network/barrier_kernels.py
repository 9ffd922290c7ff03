"""The loops of `slsim.network.barrier`, compiled by numba: rounds on one link, or at the server.

`slsim.network.barrier` says what is computed, and imports this module at first use, because this module
imports numba.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.compiled import compiled

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]


@compiled()
def fair_rounds(
    start_s: Floats,
    num_bytes: Floats,
    offsets: Ints,
    rate_bps: float,
    latency_s: float,
    end_s: Floats,
    busy_s: Floats,
) -> None:
    """Write `end_s` and `busy_s` of all rounds."""
    for r in range(busy_s.size):
        turns = slice(offsets[r], offsets[r + 1])
        busy_s[r] = _fair_round(start_s[turns], num_bytes[turns], rate_bps, latency_s, end_s[turns])


@compiled()
def _fair_round(
    start_s: Floats, num_bytes: Floats, rate_bps: float, latency_s: float, end_s: Floats
) -> float:
    """Write `end_s` of a round; return the seconds in which the link is busy.

    The heap has the flows on the link: the virtual time at which each ends, and its turn. After the last
    arrival it is sorted instead, which takes less time than to take the flows out of a large heap.
    """
    heap = [(0.0, 0) for _ in range(0)]
    now, virtual, busy = 0.0, 0.0, 0.0
    for i in np.argsort(start_s, kind="mergesort"):
        arrival = start_s[i] + latency_s
        if num_bytes[i] == 0.0:
            end_s[i] = arrival
            continue
        while len(heap) > 0:
            finish, turn = heap[0]
            risen = virtual + (arrival - now) * rate_bps / len(heap)
            if finish > risen:
                busy += arrival - now
                virtual = risen
                break
            step = min(max(0.0, finish - virtual) * len(heap) / rate_bps, arrival - now)
            now += step
            busy += step
            virtual = finish
            end_s[turn] = now
            heappop(heap)
        else:
            virtual = 0.0
        now = arrival
        heappush(heap, (virtual + 8 * num_bytes[i], i))
    heap.sort()
    rest = 0.0
    for k in range(len(heap)):
        finish, turn = heap[k]
        rest += max(0.0, finish - virtual) * (len(heap) - k) / rate_bps
        virtual = finish
        end_s[turn] = now + rest
    return busy + rest


@compiled()
def fifo_rounds(
    start_s: Floats,
    num_bytes: Floats,
    offsets: Ints,
    rate_bps: float,
    latency_s: float,
    end_s: Floats,
    busy_s: Floats,
) -> None:
    """Write `end_s` and `busy_s` of all rounds."""
    for r in range(busy_s.size):
        turns = slice(offsets[r], offsets[r + 1])
        start, size, end = start_s[turns], num_bytes[turns], end_s[turns]
        free, busy = 0.0, 0.0
        for i in np.argsort(start, kind="mergesort"):
            arrival = start[i] + latency_s
            if size[i] == 0.0:
                end[i] = arrival
                continue
            flow_s = 8 * size[i] / rate_bps
            free = end[i] = max(arrival, free) + flow_s
            busy += flow_s
        busy_s[r] = busy


@compiled()
def queue_rounds(start_s: Floats, service_s: Floats, offsets: Ints, slots: int, begin_s: Floats) -> None:
    """Write `begin_s` of all rounds. The heap has the times at which the taken places become free."""
    for r in range(offsets.size - 1):
        turns = slice(offsets[r], offsets[r + 1])
        start, service, begin = start_s[turns], service_s[turns], begin_s[turns]
        if start.size <= slots:
            begin[:] = start
            continue
        free = [0.0 for _ in range(0)]
        for i in np.argsort(start, kind="mergesort"):
            if len(free) < slots:
                begin[i] = start[i]
                heappush(free, begin[i] + service[i])
            else:
                begin[i] = max(start[i], free[0])
                heapreplace(free, begin[i] + service[i])
