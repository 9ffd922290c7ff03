"""The timeline of rounds as Trace Event JSON, which Perfetto (https://ui.perfetto.dev) shows.

Of Google's "Trace Event Format" there are complete events ("X"), which are slices on tracks, metadata events
("M"), which name the tracks, and flow events ("s", "t", "f"), which are arrows between slices. Times are in
microseconds. Slices of one track must not overlap in part, so a link or a server that does several things at
a time has several tracks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from slsim.clock.slices import TRANSFER, WAIT, WORK
from slsim.recording import SERVER

Event: TypeAlias = dict[str, Any]
Row: TypeAlias = Any  # of a table, as a named tuple
Key: TypeAlias = tuple[int, int]  # a step: its round, and its number in there

PROCESSES = ("rounds", "clients", "server", "links")  # numbered from 1
FIRST_THREAD = 101  # threads are numbered through, so that none has the number of a process
NO_STEP: Key = (-1, -1)


class Place(NamedTuple):
    """Where a slice is: process and thread, and its begin and end in nanoseconds."""

    pid: int
    tid: int
    begin: int
    end: int


def trace_events(slices: pd.DataFrame, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the trace of `slices` (see `slsim.clock.slices`) as a JSON object: Perfetto opens a file of it.
    `about` is told beside the events.

    There is a track for the rounds, for each client, for the server and for each link. A client's track has
    all that its time goes to, the transfers that it waits for too; the server's has its work by client; a
    link's has what crosses it. Arrows go from the sender over the links to the receiver: to the work that the
    server does next for that client, or from the work that it did last; where there is none, they end, or
    begin, on the link. Work that takes no time is left out.
    """
    lasting = slices[(slices["end_s"] > slices["start_s"]) | (slices["what"] == TRANSFER)]
    trace = _Trace()
    trace.add_rounds(lasting)
    trace.add_clients(lasting)
    trace.add_server(lasting[(lasting["what"] == WORK) & (lasting["who"] == SERVER)])
    transfers = lasting[lasting["what"] == TRANSFER]
    trace.add_links(transfers)
    trace.add_flows(transfers, _Neighbours(lasting))
    events = sorted(trace.events, key=lambda event: float(event["ts"]))
    return {
        "traceEvents": [*trace.names(), *events],
        "displayTimeUnit": "ms",
        "otherData": dict(about or {}),
    }


class _Trace:
    """Events, and the tracks that they are on."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._threads: dict[tuple[str, str], int] = {}
        self._of_client: dict[Key, Place] = {}
        self._of_server: dict[Key, Place] = {}
        self._of_links: dict[Key, list[Place]] = {}

    def names(self) -> Iterator[Event]:
        """Processes and threads by their names, in their order."""
        used = {process for process, _ in self._threads}
        for pid, name in enumerate(PROCESSES, 1):
            yield from _named("process", pid, pid, name) if name in used else ()
        for (process, name), tid in self._threads.items():
            yield from _named("thread", PROCESSES.index(process) + 1, tid, name)

    def add_rounds(self, slices: pd.DataFrame) -> None:
        """A slice a round."""
        for number, rows in slices.groupby("round"):
            ends = _ends(float(rows["start_s"].min()), float(rows["end_s"].max()))
            place = self._place("rounds", "rounds", *ends)
            self._add(place, f"round {number}", "round", {"round": number})

    def add_clients(self, slices: pd.DataFrame) -> None:
        """All that each client's time goes to."""
        for client, rows in slices.groupby("client"):
            for row in _rows(rows):
                place = self._place("clients", f"client {client}", *_ends(row.start_s, row.end_s))
                if row.what != WAIT:  # which belongs to the same step
                    self._of_client[row.round, row.step] = place
                self._add(place, row.phase, row.what, _arguments(row))

    def add_server(self, work: pd.DataFrame) -> None:
        """The server's work, by client."""
        for row, place in self._without_overlap("server", "server", work):
            self._of_server[row.round, row.step] = place
            self._add(place, f"client {row.client}", row.what, _arguments(row))

    def add_links(self, transfers: pd.DataFrame) -> None:
        """What crosses each link."""
        crossing = {str(link): rows for link, rows in transfers.explode("links").groupby("links")}
        for link in sorted(crossing, key=_natural):
            for row, place in self._without_overlap("links", link, crossing[link]):
                self._of_links.setdefault((row.round, row.step), []).append(place)
                self._add(place, f"client {row.client}: {row.kind}", row.what, _arguments(row))

    def add_flows(self, transfers: pd.DataFrame, neighbours: _Neighbours) -> None:
        """An arrow for each transfer."""
        for number, row in enumerate(_rows(transfers), 1):
            key = row.round, row.step
            client = self._of_client[key]
            begin = client if row.who != SERVER else self._of_server.get(neighbours.before(row))
            end = client if row.who == SERVER else self._receiver(row, neighbours)
            points = [begin, *self._of_links[key], end]
            self._connect(number, row.kind, [point for point in points if point is not None])

    def _receiver(self, row: Row, neighbours: _Neighbours) -> Place | None:
        if row.to == SERVER:
            return self._of_server.get(neighbours.after(row))
        return self._of_client.get(neighbours.waiting_for(row))

    def _connect(self, number: int, name: str, points: Sequence[Place]) -> None:
        """An arrow through some slices: it starts in the first quarter of one, and ends in the last of
        another, so that its instants are in order also where the slices are side by side."""
        for place, point in enumerate(points):
            phase, quarter = ("s", 1) if not place else ("f", 3) if place == len(points) - 1 else ("t", 2)
            instant = point.begin + quarter * (point.end - point.begin) // 4
            event = {"ph": phase, "name": name, "cat": "message", "id": number, "ts": microseconds(instant)}
            binds = {"bp": "e"} if phase == "f" else {}
            self.events.append({**event, "pid": point.pid, "tid": point.tid, **binds})

    def _without_overlap(self, process: str, name: str, rows: pd.DataFrame) -> Iterator[tuple[Row, Place]]:
        """Each row with its place: on a track of that name or, where that is taken, on another of it."""
        until: list[int] = []  # on each track
        for row in _rows(rows):
            begin, end = _ends(row.start_s, row.end_s)
            track = next((place for place, last in enumerate(until) if last <= begin), len(until))
            until[track : track + 1] = [end]
            yield row, self._place(process, f"{name} ({track + 1})" if track else name, begin, end)

    def _place(self, process: str, thread: str, begin: int, end: int) -> Place:
        tid = self._threads.setdefault((process, thread), FIRST_THREAD + len(self._threads))
        return Place(PROCESSES.index(process) + 1, tid, begin, end)

    def _add(self, place: Place, name: str, category: str, arguments: Mapping[str, Any]) -> None:
        times = {"ts": microseconds(place.begin), "dur": microseconds(place.end - place.begin)}
        event = {"ph": "X", "name": name, "cat": category, "pid": place.pid, "tid": place.tid}
        self.events.append({**event, **times, "args": arguments})


class _Neighbours:
    """Which work of the server, and which waiting step, belongs to a transfer."""

    def __init__(self, slices: pd.DataFrame) -> None:
        work = slices[(slices["what"] == WORK) & (slices["who"] == SERVER)]
        self._server = {(row.round, row.step): (row.section, row.lane) for row in _rows(work)}
        waiting = slices[(slices["waits_for"] >= 0) & (slices["who"] != SERVER)]
        self._waiting = {(row.round, row.waits_for, row.client): row.step for row in _rows(waiting)}

    def before(self, row: Row) -> Key:
        """The server's work before a transfer in its lane, if that is the step before; else `NO_STEP`."""
        return self._beside(row, row.step - 1)

    def after(self, row: Row) -> Key:
        """The server's work after a transfer in its lane, if that is the step after; else `NO_STEP`."""
        return self._beside(row, row.step + 1)

    def waiting_for(self, row: Row) -> Key:
        """The step of the receiver that waits for a transfer between clients; `NO_STEP` where none does."""
        step: int | None = self._waiting.get((row.round, row.step, row.to))
        return NO_STEP if step is None else (row.round, step)

    def _beside(self, row: Row, step: int) -> Key:
        key = row.round, step
        return key if self._server.get(key) == (row.section, row.lane) else NO_STEP


def microseconds(nanoseconds: int) -> float:
    """Whole nanoseconds as a time of the format, such that 1,000 times it is no less: readers that cut off
    what is below a nanosecond get the same.

    >>> microseconds(1_500)
    1.5
    """
    value = nanoseconds / 1000
    return value if value * 1000 >= nanoseconds else math.nextafter(value, math.inf)


def _rows(table: pd.DataFrame) -> Iterator[Row]:
    return table.itertuples(index=False)


def _ends(start_s: float, end_s: float) -> tuple[int, int]:
    return round(start_s * 1e9), round(end_s * 1e9)


def _arguments(row: Row) -> Event:
    """What is told of a slice when it is clicked on."""
    told: Event = {"round": row.round}
    told |= {name: value for name in ("work", "kind", "codec") if (value := getattr(row, name))}
    if row.what == TRANSFER:
        told |= {"from": _end(row.who), "to": _end(row.to)}
        told |= {"bytes": row.num_bytes, "raw bytes": row.raw_bytes, "bytes with headers": row.framed_bytes}
    return told


def _end(who: int) -> str:
    return "server" if who == SERVER else f"client {who}"


def _named(what: str, pid: int, tid: int, name: str) -> Iterator[Event]:
    """A process' or a thread's name, and its place among the others: in order of their numbers."""
    track = {"ph": "M", "pid": pid, "tid": tid}
    yield {**track, "name": f"{what}_name", "args": {"name": name}}
    yield {**track, "name": f"{what}_sort_index", "args": {"sort_index": tid}}


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which "uplink10" comes after "uplink9"."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]
