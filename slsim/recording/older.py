"""Recordings of formats 1 to 3, which have messages and no steps, as recordings of today's.

Up to format 3 a recording had the messages of each client's turns, what a sample and an element cost, and
nothing of the order in which things were done: that followed from the protocol. `_STEPS` says it here once
more, for those protocols alone that there were.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim import seeds
from slsim.recording import columns
from slsim.recording.columns import EVALUATIONS_FILE, MOST
from slsim.recording.header import OldCosts, OldHeader
from slsim.recording.kinds import (
    ACTIVATIONS,
    CLIENT_BACKWARD,
    CLIENT_FORWARD,
    CODEC_OF,
    DECODE,
    ENCODE,
    GRADIENTS,
    LABELS,
    STATISTICS,
    WEIGHTS,
)
from slsim.recording.recording import Recording
from slsim.recording.records import Evaluation, MeasuredCodec, Measurement
from slsim.recording.script import Lane, Message, Piece, Script
from slsim.recording.steps import Rows, Vocabulary

MESSAGES_FILE, PROBES_FILE = "messages.parquet", "probes.parquet"
NOTHING = "none"  # the kind of a row that stands for a turn without messages
WHOLE = ("round", "turn", "client", "samples", "num_bytes", "raw_bytes", "extra_bytes")

Row = tuple[int, int, str, str, int, int, int]  # client, samples, kind, direction, sent, raw, extra bytes
Turn = tuple[Row, ...]


def converted(header: OldHeader, provenance: Mapping[str, Any], read: Callable[[str], bytes]) -> Recording:
    """The recording whose files `read` gives by name, as one of steps. Raises `ValueError`."""
    rounds = _rounds(read(MESSAGES_FILE), header)
    recording = Recording(
        key=header.key,
        learning=header.learning,
        evaluations=columns.read_records(
            read(EVALUATIONS_FILE), Evaluation, EVALUATIONS_FILE, header.rounds, header.clients
        ),
        status=header.status,
        test_set=header.test_set,
        formats=header.formats,
        measured_codecs=_measured(header.costs),
        provenance=dict(provenance),
    )
    if header.probes:
        recording.measurements = columns.read_records(
            read(PROBES_FILE), Measurement, PROBES_FILE, header.rounds, header.clients
        )
    if len(recording.measurements) != header.probes or len(rounds) != header.rounds:
        raise ValueError(
            f"of {header.rounds} rounds and {header.probes} measurements, {len(rounds)} and "
            f"{len(recording.measurements)} are there"
        )
    conversion = Conversion(header.costs, header.learning, header.activation_shape, recording.words)
    for number, turns in enumerate(rounds):
        recording.add_round(conversion.rows(number, turns))
    columns.check_volume(recording.steps.rows, np.bincount(recording.rounds)[recording.steps.round_of])
    return recording


def _measured(costs: OldCosts) -> tuple[MeasuredCodec, ...]:
    return tuple(
        MeasuredCodec(kind, costs.encode_s[kind], costs.decode_s[kind], core)
        for kind, core in costs.measured_core.items()
    )


def _rounds(content: bytes, header: OldHeader) -> list[tuple[Turn, ...]]:
    """The turns of every round, from the table of messages. Raises `ValueError`."""
    table = columns.read_table(content, MESSAGES_FILE, (*WHOLE, "kind", "direction"))
    if len(table) != header.messages:
        raise ValueError(f"of {header.messages} messages, {len(table)} are there")
    within = columns.Within(MESSAGES_FILE, table)
    rounds, turns = within("round", 1, header.rounds), within("turn", 0)
    within("client", 0, header.clients - 1)
    within("samples", 0)
    sent, raw = within("num_bytes", 0), within("raw_bytes", 0)
    if (within("extra_bytes", 0) > sent).any():
        raise ValueError(f"{MESSAGES_FILE}: extra_bytes: more than num_bytes")
    if not set(table["direction"].unique().to_pylist()) <= {"up", "down"}:
        raise ValueError(f'{MESSAGES_FILE}: direction: neither "up" nor "down"')
    if "" in table["kind"].unique().to_pylist():
        raise ValueError(f"{MESSAGES_FILE}: kind: is empty")
    for name, values in (("num_bytes", sent), ("raw_bytes", raw)):
        if values.astype(np.float64).sum() >= MOST:
            raise ValueError(f"{MESSAGES_FILE}: {name}: more than {MOST} bytes altogether")
    _check_order(rounds, turns)
    names = ("client", "samples", "kind", "direction", "num_bytes", "raw_bytes", "extra_bytes")
    rows = zip(
        rounds.tolist(), turns.tolist(), zip(*(table[name].to_pylist() for name in names), strict=True),
        strict=True,
    )  # fmt: skip
    return [
        tuple(tuple(row for *_, row in turn) for _, turn in groupby(of_round, key=lambda row: row[1]))
        for _, of_round in groupby(rows, key=lambda row: row[0])
    ]


def _check_order(rounds: NDArray[Any], turns: NDArray[Any]) -> None:
    steps = np.diff(rounds, prepend=0)
    if ((steps != 0) & (steps != 1)).any():
        raise ValueError(f"{MESSAGES_FILE}: round: rounds are missing or out of order")
    turn_steps = np.diff(turns, prepend=0)
    if (np.where(steps == 1, turns != 0, (turn_steps != 0) & (turn_steps != 1))).any():
        raise ValueError(f"{MESSAGES_FILE}: turn: turns are missing or out of order")


@dataclass
class Conversion:
    """Writes the steps that a round's turns stand for: what they cost, what was learned from (a scenario's
    learning table), the shape of a sample's activations, and the vocabulary that the steps' texts go to."""

    costs: OldCosts
    learning: Mapping[str, Any]
    activation_shape: tuple[int, ...]
    words: Vocabulary

    def __post_init__(self) -> None:
        protocol = self.learning.get("training", {}).get("protocol", {})
        self._protocol = protocol.get("name", "") if isinstance(protocol, dict) else ""
        self._known: dict[tuple[Any, ...], tuple[Rows, NDArray[np.int64], NDArray[np.int64]]] = {}

    def rows(self, number: int, turns: tuple[Turn, ...]) -> Rows:
        """The rows of the round of that number (from 0).

        Rounds that differ in the sizes of their messages alone are written once, with each message's place in
        `turns` for its size, and then filled in.
        """
        if self._protocol == "splitfed-v2":
            return self._written(self._in_server_order(number, turns))
        sizes = np.array([(row[4], row[6]) for turn in turns for row in turn], dtype=np.int64)
        alike = tuple(tuple((*row[:4], row[5]) for row in turn) for turn in turns)
        if alike not in self._known:
            count = itertools.count()
            rows = self._written([tuple((*row[:4], next(count), *row[5:]) for row in turn) for turn in turns])
            messages = np.flatnonzero(rows["work"] == 0)
            self._known[alike] = rows, messages, rows["num_bytes"][messages]
        template, messages, places = self._known[alike]
        rows = template.copy()
        rows["num_bytes"][messages], rows["extra_bytes"][messages] = sizes[places].T
        return rows

    def _written(self, turns: Sequence[Turn]) -> Rows:
        script = Script(self.words)
        for turn in turns:
            client = turn[0][0]
            lane = script.lane(0 if self._protocol == "sequential" else client)
            self._turn(lane, client, turn)
        return script.rows()

    def _turn(self, lane: Lane, client: int, turn: Turn) -> None:
        kinds = {row[2]: row for row in turn}
        if ACTIVATIONS in kinds:
            self._exchange(lane, client, turn, kinds)
        elif WEIGHTS in kinds:
            self._weights(lane, client, turn, kinds[WEIGHTS])
        elif self._protocol == "centralized":
            lane.serve(client, *self._halves(turn[0][1], "client", "server"))
        else:
            forward, backward = self._forward(turn[0][1]), self._backward(turn[0][1])
            lane.work(client, CLIENT_FORWARD, *forward)
            lane.work(client, CLIENT_BACKWARD, *backward)

    def _exchange(self, lane: Lane, client: int, turn: Turn, kinds: Mapping[str, Row]) -> None:
        samples, up, down = turn[0][1], kinds[ACTIVATIONS], kinds[GRADIENTS]
        client_forward, client_backward = self._halves(samples, "client")
        lane.work(client, CLIENT_FORWARD, client_forward)
        lane.work(client, ENCODE, self._coding("encode", up))
        lane.upload(client, *self._messages(turn, "up"))
        server = self._halves(samples, "server")
        in_order = self._protocol == "splitfed-v2"
        lane.serve(
            client, self._coding("decode", up), *server, self._coding("encode", down), in_order=in_order
        )
        lane.download(client, *self._messages(turn, "down"))
        lane.work(client, DECODE, self._coding("decode", down))
        lane.work(client, CLIENT_BACKWARD, client_backward)

    def _weights(self, lane: Lane, client: int, turn: Turn, weights: Row) -> None:
        encode, decode = self._coding("encode", weights), self._coding("decode", weights)
        if weights[3] == "down":
            lane.serve(client, encode)
            lane.download(client, *self._messages(turn, "down"))
            lane.work(client, DECODE, decode)
        else:
            lane.work(client, ENCODE, encode)
            lane.upload(client, *self._messages(turn, "up"))
            lane.serve(client, decode)
            lane.leave_server()

    def _halves(self, samples: int, *halves: str) -> tuple[Piece, ...]:
        names = [f"{half} {way}" for half in halves for way in ("forward", "backward")]
        return tuple(self._half(name, samples) for name in names)

    def _forward(self, samples: int) -> tuple[Piece, ...]:
        return self._half("client forward", samples), self._half("server forward", samples)

    def _backward(self, samples: int) -> tuple[Piece, ...]:
        return self._half("server backward", samples), self._half("client backward", samples)

    def _half(self, name: str, samples: int) -> Piece:
        each: float = getattr(self.costs, f"{name.replace(' ', '_')}_flops")
        return Piece(name, samples=samples, flops=samples * each)

    def _coding(self, name: str, row: Row) -> Piece:
        kind, elements, costs = row[2], row[5] / 4, self.costs
        core_s, lossless_s = getattr(costs, f"{name}_s"), getattr(costs, f"lossless_{name}_s")
        return Piece(
            name,
            elements=int(elements),
            codec=self._codec(kind),
            kind=kind,
            shape=self._shape(row),
            memory_bytes=getattr(costs, f"{name}_bytes")[kind] * elements,
            core_s=core_s[kind] * elements if kind in core_s else math.nan,
            lossless_s=lossless_s.get(kind, 0.0) * elements,
        )

    def _messages(self, turn: Turn, direction: str) -> Iterator[Message]:
        for row in turn:
            if row[3] == direction and row[2] != NOTHING:
                yield Message(row[2], row[4], row[5], row[6], self._shape(row), self._codec(row[2]))

    def _codec(self, kind: str) -> str:
        """The name of the codec that carried a message; labels have none."""
        if kind in CODEC_OF:
            return str(self.learning.get("codec", {})[CODEC_OF[kind]]["name"])
        return "identity" if kind == STATISTICS else ""

    def _shape(self, row: Row) -> tuple[int, ...] | None:
        kind = row[2]
        if kind in (WEIGHTS, STATISTICS):
            return (row[5] // 4,)
        if kind == LABELS:
            return (row[1],)
        return (row[1], *self.activation_shape) if kind in (ACTIVATIONS, GRADIENTS) else None

    def _in_server_order(self, number: int, turns: tuple[Turn, ...]) -> list[Turn]:
        """The turns of `splitfed-v2` as they were learned: the weights down, then the mini-batches in the
        order that was drawn, then the weights up."""
        waiting: dict[int, list[Turn]] = {}
        begins: list[Turn] = []
        ends: list[Turn] = []
        for turn in turns:
            kinds = {row[2]: row[3] for row in turn}
            if ACTIVATIONS in kinds:
                waiting.setdefault(turn[0][0], []).append(turn)
            else:
                (begins if kinds.get(WEIGHTS) == "down" else ends).append(turn)
        left = {client: len(own) for client, own in waiting.items()}
        rng = seeds.generator(self.learning["seed"], "server order", number)
        order: list[Turn] = []
        for step in range(max(left.values(), default=0)):
            for client in rng.permutation([one for one in waiting if step < left[one]]).tolist():
                order.append(waiting[client].pop(0))
        return [*begins, *order, *ends]
