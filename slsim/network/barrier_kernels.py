"""The loops of `slsim.network.barrier`, compiled by numba: rounds on one link, or at the server.

`slsim.network.barrier` says what is computed, makes all arrays (scratch as long as the largest round: numpy
asks for large pages), and imports this module at first use, because this imports numba.
"""

from __future__ import annotations

from typing import TypeAlias

from slsim.network.ordering import Floats, Ints, Words, argsort, kernel, push, replace_first

Sorting: TypeAlias = tuple[Ints, Words, Words]  # order, words, spare: see argsort
Pairs: TypeAlias = tuple[Floats, Ints]  # keys, items: see push
LARGE_HEAP = 4096  # from here on it leaves the fast caches


@kernel
def fair_rounds(
    start_s: Floats,
    num_bytes: Floats,
    offsets: Ints,
    rate_bps: float,
    latency_s: float,
    end_s: Floats,
    busy_s: Floats,
    sorting: Sorting,
    heap: Pairs,
    ranked: tuple[Floats, Ints, Ints],
) -> None:
    """`ranked` is for the flows that have been sorted by virtual finish, and for how they were sorted."""
    order, words, spare = sorting
    link = (rate_bps, latency_s)
    for r in range(busy_s.size):
        turns = slice(offsets[r], offsets[r + 1])
        start, size, end = start_s[turns], num_bytes[turns], end_s[turns]
        argsort(start, order[: start.size], words, spare)
        busy_s[r] = _fair_round(start, size, link, end, order[: start.size], words, spare, heap, ranked)


@kernel
def _fair_round(
    start_s: Floats,
    num_bytes: Floats,
    link: tuple[float, float],
    end_s: Floats,
    order: Ints,
    words: Words,
    spare: Words,
    heap: Pairs,
    ranked: tuple[Floats, Ints, Ints],
) -> float:
    """Flows on the link are in the heap (`fresh` of them), or sorted in `ranked` from `head` to `tail`."""
    rate_bps, latency_s = link
    keys, items = heap
    ranked_keys, ranked_items, ranking = ranked
    fresh, head, tail = 0, 0, 0
    now, virtual, busy = 0.0, 0.0, 0.0
    for i in order:
        arrival = start_s[i] + latency_s
        if num_bytes[i] == 0.0:
            end_s[i] = arrival
            continue
        while fresh > 0 or head < tail:
            from_heap = fresh > 0 and (head == tail or keys[0] < ranked_keys[head])
            key = keys[0] if from_heap else ranked_keys[head]
            flows = fresh + tail - head
            risen = virtual + (arrival - now) * rate_bps / flows
            if key > risen:
                busy += arrival - now
                virtual = risen
                break
            if fresh > max(LARGE_HEAP, (tail - head) >> 3):
                argsort(keys[:fresh], ranking[:fresh], words, spare)
                tail = _merge(keys, items, ranking[:fresh], ranked_keys, ranked_items, head, tail)
                fresh = 0
                continue
            step = min(max(0.0, key - virtual) * flows / rate_bps, arrival - now)
            now += step
            busy += step
            virtual = key
            if from_heap:
                end_s[items[0]] = now
                fresh -= 1
                replace_first(keys, items, fresh, keys[fresh], items[fresh])
            else:
                end_s[ranked_items[head]] = now
                head += 1
        else:
            virtual = 0.0
        now = arrival
        push(keys, items, fresh, virtual + 8 * num_bytes[i], i)
        fresh += 1
    argsort(keys[:fresh], ranking[:fresh], words, spare)
    tail = _merge(keys, items, ranking[:fresh], ranked_keys, ranked_items, head, tail)
    return busy + _drain(rate_bps, now, virtual, end_s, ranked_keys[head:tail], ranked_items[head:tail])


@kernel
def _merge(
    keys: Floats, items: Ints, ranking: Ints, ranked_keys: Floats, ranked_items: Ints, head: int, tail: int
) -> int:
    """Move the heap's flows into their places among the ranked; gives the new tail. There is room: no flow
    is ranked twice."""
    place = tail + ranking.size
    last = tail - 1
    for k in ranking[::-1]:
        while last >= head and ranked_keys[last] > keys[k]:
            place -= 1
            ranked_keys[place], ranked_items[place] = ranked_keys[last], ranked_items[last]
            last -= 1
        place -= 1
        ranked_keys[place], ranked_items[place] = keys[k], items[k]
    return tail + ranking.size


@kernel
def _drain(rate_bps: float, now: float, virtual: float, end_s: Floats, keys: Floats, items: Ints) -> float:
    """After the last arrival, flows end as they are ranked. Gives the seconds that it takes."""
    busy = 0.0
    for k in range(keys.size):
        busy += max(0.0, keys[k] - virtual) * (keys.size - k) / rate_bps
        virtual = keys[k]
        end_s[items[k]] = now + busy
    return busy


@kernel
def fifo_rounds(
    start_s: Floats,
    num_bytes: Floats,
    offsets: Ints,
    rate_bps: float,
    latency_s: float,
    end_s: Floats,
    busy_s: Floats,
    sorting: Sorting,
) -> None:
    order, words, spare = sorting
    for r in range(busy_s.size):
        turns = slice(offsets[r], offsets[r + 1])
        start, size, end = start_s[turns], num_bytes[turns], end_s[turns]
        argsort(start, order[: start.size], words, spare)
        free, busy = 0.0, 0.0
        for i in order[: start.size]:
            arrival = start[i] + latency_s
            if size[i] == 0.0:
                end[i] = arrival
                continue
            flow_s = 8 * size[i] / rate_bps
            free = end[i] = max(arrival, free) + flow_s
            busy += flow_s
        busy_s[r] = busy


@kernel
def queue_rounds(
    start_s: Floats,
    service_s: Floats,
    offsets: Ints,
    slots: int,
    begin_s: Floats,
    sorting: Sorting,
    heap: Pairs,
) -> None:
    """A heap holds when each place that has been taken becomes free."""
    order, words, spare = sorting
    keys, items = heap
    for r in range(offsets.size - 1):
        turns = slice(offsets[r], offsets[r + 1])
        start, service, begin = start_s[turns], service_s[turns], begin_s[turns]
        if start.size <= slots:
            for i in range(start.size):
                begin[i] = start[i]
            continue
        argsort(start, order[: start.size], words, spare)
        for k in range(start.size):
            i = order[k]
            if k < slots:
                begin[i] = start[i]
                push(keys, items, k, start[i] + service[i], i)
            else:
                begin[i] = max(start[i], keys[0])
                replace_first(keys, items, slots, begin[i] + service[i], i)
