"""A trace follows Google's Trace Event Format, and its slices and arrows follow from the steps."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from slsim.clock import Stage
from slsim.clock.slices import TRANSFER, WORK, slices
from slsim.devices import Timed
from slsim.network import topology
from slsim.recording import SERVER, Message, Piece, Recording, Script, load
from slsim.recording.kinds import ALL_REDUCE, CLIENT_FORWARD
from slsim.report.trace_events import microseconds, trace_events
from slsim.scenario import NetworkTable

BEFORE = Path(__file__).parents[1] / "clock" / "before_steps"
RECORDINGS = ("splitfed", "splitfed-local", "splitfed-v2", "sequential", "fedavg", "centralized", "ring")
NETWORKS: dict[str, dict[str, Any]] = {
    "own": {"latency": "3 ms"},
    "fifo": {"sharing": "fifo"},
    "tree": {"ingress": "2 Mbps", "sharing": "shared", "transport": "tcp"},
}
HALVES = ("client_forward", "client_backward", "server_forward", "server_backward")
DEVICE = Timed(**dict.fromkeys(HALVES, "1 ms"), encode="0 s", decode="10 ns")

NUMBER, TEXT, WHOLE = {"type": "number", "minimum": 0}, {"type": "string"}, {"type": "integer", "minimum": 1}
TRACK = {"pid": WHOLE, "tid": WHOLE, "name": {"type": "string", "minLength": 1}}


def event(phase: str, more: dict[str, Any]) -> dict[str, Any]:
    """The schema of an event of a phase: it has these fields and no others."""
    fields = {**TRACK, "ph": {"const": phase}, **more}
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


TIMED = {"ts": NUMBER, "cat": TEXT}
SORTED = {"name": {"enum": ["process_sort_index", "thread_sort_index"]}}
CALLED = {"name": {"enum": ["process_name", "thread_name"]}}
FORMAT = {
    "type": "object",
    "required": ["traceEvents"],
    "properties": {
        "displayTimeUnit": {"enum": ["ms", "ns"]},
        "otherData": {"type": "object"},
        "traceEvents": {
            "type": "array",
            "items": {
                "oneOf": [
                    event("X", {**TIMED, "dur": NUMBER, "args": {"type": "object"}}),
                    event("s", {**TIMED, "id": WHOLE}),
                    event("t", {**TIMED, "id": WHOLE}),
                    event("f", {**TIMED, "id": WHOLE, "bp": {"const": "e"}}),
                    event("M", {**CALLED, "args": {"required": ["name"], "properties": {"name": TEXT}}}),
                    event("M", {**SORTED, "args": {"required": ["sort_index"]}}),
                ]
            },
        },
    },
}


def ring() -> Recording:
    """Two clients send each other a chunk twice; each waits for the other's first before it sends another."""
    recording = Recording("ring", {})
    script = Script(recording.words)
    for client in (0, 1):
        script.lane(client).work(client, CLIENT_FORWARD, Piece("client forward", samples=1 + client))
    chunk = Message("chunk", 5000, 5000)
    first = [script.lane(one).send(one, 1 - one, ALL_REDUCE, chunk) for one in (0, 1)]
    for one in (0, 1):
        script.lane(one).send(one, 1 - one, ALL_REDUCE, chunk, waits_for=first[1 - one])
    recording.add_round(script.rows())
    return recording


@cache
def table_of(name: str, network: str) -> pd.DataFrame:
    """The slices of two rounds."""
    recording = ring() if name == "ring" else load(BEFORE / name)
    links = NetworkTable.model_validate({"uplink": "1 Mbps", "downlink": "3 Mbps", **NETWORKS[network]})
    stage = Stage([DEVICE] * 4, DEVICE, 2, topology.build(links, 4))
    return slices(recording, stage, range(min(2, recording.num_rounds)))


TOLD = {"round": None, "kind": "", "bytes": 0, "raw bytes": 0}
CASES = [
    *((name, "own") for name in RECORDINGS),
    *((name, network) for name in ("splitfed", "splitfed-v2") for network in ("fifo", "tree")),
]
cases = pytest.mark.parametrize(("name", "network"), CASES)


def of(trace: dict[str, Any], phase: str) -> list[dict[str, Any]]:
    return [event for event in trace["traceEvents"] if event["ph"] == phase]


def tracks(trace: dict[str, Any]) -> dict[int, str]:
    """The names of threads by their numbers, of processes by the negative of theirs."""
    names = [one for one in of(trace, "M") if one["name"].endswith("_name")]
    return {one["tid"] if one["name"] == "thread_name" else -one["pid"]: one["args"]["name"] for one in names}


def on(trace: dict[str, Any], process: str) -> list[dict[str, Any]]:
    """The slices of a process."""
    return [one for one in of(trace, "X") if tracks(trace)[-one["pid"]] == process]


@cases
def test_every_event_is_of_the_format(name: str, network: str) -> None:
    trace = trace_events(table_of(name, network), {"run": name})
    jsonschema.Draft202012Validator(FORMAT).validate(trace)
    named = tracks(trace)
    assert all(
        one["tid"] in named and -one["pid"] in named for one in trace["traceEvents"] if one["ph"] != "M"
    )
    threads = {(one["tid"], one["pid"]) for one in of(trace, "X")}
    assert len({tid for tid, _ in threads}) == len(threads)
    assert {pid for _, pid in threads}.isdisjoint(tid for tid, _ in threads)
    instants = [event["ts"] for event in trace["traceEvents"] if "ts" in event]
    assert instants == sorted(instants)


@pytest.mark.parametrize(
    "wrong", [{"ph": "X", "ts": 1.0}, {"ph": "f", "bp": "i"}, {"ph": "s", "ts": -1.0}, {"ph": "?"}]
)
def test_the_check_of_the_format_can_fail(wrong: dict[str, Any]) -> None:
    whole = {"pid": 1, "tid": 2, "name": "a", "ts": 0.0, "cat": "b", "id": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(FORMAT).validate({"traceEvents": [{**whole, **wrong}]})


@cases
def test_slices_of_a_track_do_not_overlap(name: str, network: str) -> None:
    """To the nanosecond, as readers take them; the rounds follow one another too."""
    ends: dict[int, int] = defaultdict(int)
    for one in of(trace_events(table_of(name, network)), "X"):
        begin, lasts = math.floor(1000 * one["ts"]), math.floor(1000 * one["dur"])
        assert begin >= ends[one["tid"]]
        ends[one["tid"]] = begin + lasts


@cases
def test_the_slices_are_the_steps(name: str, network: str) -> None:
    """Each with its times, to the nanosecond, and its bytes."""
    table = table_of(name, network)
    trace = trace_events(table)
    lasting = table[(table["end_s"] > table["start_s"]) | (table["what"] == TRANSFER)]
    names = tracks(trace)

    def found(process: str) -> list[tuple[Any, ...]]:
        return sorted(
            (
                names[one["tid"]].partition(" (")[0],
                *(round(1e3 * instant) for instant in (one["ts"], one["ts"] + one["dur"])),
                *(one["args"].get(key, empty) for key, empty in TOLD.items()),
            )
            for one in on(trace, process)
        )

    def due(rows: pd.DataFrame, track: pd.Series[str]) -> list[tuple[Any, ...]]:
        ends = [np.rint(rows[column] * 1e9).astype(int) for column in ("start_s", "end_s")]
        told = [rows[column] for column in ("round", "kind", "num_bytes", "raw_bytes")]
        return sorted(zip(track, *ends, *told, strict=True))

    assert found("clients") == due(lasting, "client " + lasting["client"].astype(str))
    work = lasting[(lasting["what"] == WORK) & (lasting["who"] == SERVER)]
    assert found("server") == due(work, work["who"].map({SERVER: "server"}))
    links = lasting[lasting["what"] == TRANSFER].explode("links")
    assert found("links") == due(links, links["links"])


@cases
def test_an_arrow_goes_from_who_sends_to_who_receives(name: str, network: str) -> None:
    table = table_of(name, network)
    trace = trace_events(table)
    arrows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in trace["traceEvents"]:
        if one["ph"] in "stf":
            arrows[one["id"]].append(one)
    transfers = table[table["what"] == TRANSFER].reset_index(drop=True)
    assert sorted(arrows) == [*range(1, len(transfers) + 1)]
    by_track: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in of(trace, "X"):
        by_track[one["tid"]].append(one)
    names = tracks(trace)
    for number, points in arrows.items():
        row = transfers.loc[number - 1]
        assert [point["ph"] for point in points] == ["s", *"t" * (len(points) - 2), "f"]
        assert len({(point["name"], point["cat"]) for point in points}) == 1
        around = [
            [one for one in by_track[point["tid"]] if one["ts"] <= point["ts"] <= one["ts"] + one["dur"]]
            for point in points
        ]
        assert all(around)
        crossed = [names[point["tid"]].partition(" (")[0] for point in points]
        assert [track for track in crossed if track in row["links"]] == sorted(row["links"])
        ends = {"server" if who == SERVER else f"client {who}" for who in (row["who"], row["to"])}
        assert {crossed[0], crossed[-1]} <= {*ends, *row["links"]}
        if row["who"] != SERVER:
            assert crossed[0] == f"client {row['who']}"
        elif row["to"] != SERVER:
            assert crossed[-1] == f"client {row['to']}"


def ends_of_arrows(name: str) -> set[tuple[str, str, str]]:
    """Of each kind of message, the processes where its arrows begin and end."""
    trace = trace_events(table_of(name, "own"))
    names, found = tracks(trace), defaultdict(list)
    for one in trace["traceEvents"]:
        if one["ph"] in "sf":
            found[one["id"]].append(one)
    return {(begin["name"], names[-begin["pid"]], names[-end["pid"]]) for begin, end in found.values()}


def test_arrows_lead_to_the_servers_work_and_from_it() -> None:
    assert ends_of_arrows("splitfed") == {
        ("activations + labels", "clients", "server"),
        ("gradients", "server", "clients"),
    }


def test_where_the_server_did_nothing_for_a_message_its_arrow_begins_on_the_link() -> None:
    assert ends_of_arrows("fedavg") == {("weights", "clients", "server"), ("weights", "links", "clients")}


def test_an_arrow_between_clients_ends_at_the_step_that_waits_for_it() -> None:
    """The second chunks are waited for by nobody: their arrows end on the link."""
    assert ends_of_arrows("ring") == {("chunk", "clients", "clients"), ("chunk", "clients", "links")}


def test_what_a_server_with_two_places_does_at_a_time_is_on_two_tracks() -> None:
    trace = trace_events(table_of("splitfed", "own"))
    assert {name for name in tracks(trace).values() if name.startswith("server")} == {"server", "server (2)"}


@pytest.mark.parametrize("nanoseconds", [0, 1, 8158, 4_141_096, 265_392_807, 544_737_466_123])
def test_a_time_is_the_same_nanosecond_cut_off_or_rounded(nanoseconds: int) -> None:
    value = microseconds(nanoseconds)
    assert math.trunc(value * 1000) == round(value * 1000) == nanoseconds
