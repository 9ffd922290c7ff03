"""Write the steps of a round in the order in which they are done."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from slsim.recording.kinds import DOWNLINK, SERVER, SERVER_COMPUTE, UPLINK, Phase
from slsim.recording.steps import STEP, Rows, Vocabulary, shape_text

NOTHING = -1  # in place of a row that is waited for


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of work of one client's mini-batch or message.

    `name` is what devices know it by: "client forward", "server backward", "encode", …. What does not apply
    is 0; `core_s`, the seconds of a codec on the core of reference, is NaN where it is not known.
    """

    name: str
    samples: int = 0
    flops: float = 0.0
    elements: int = 0
    codec: str = ""
    kind: str = ""
    shape: tuple[int, ...] | None = None
    memory_bytes: float = 0.0
    core_s: float = math.nan
    lossless_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message: the bytes that are sent, and those of its tensor as float32; `extra_bytes` of those sent go
    beyond the format's nominal size (signs that only some data need)."""

    kind: str
    num_bytes: int
    raw_bytes: int
    extra_bytes: int = 0
    shape: tuple[int, ...] | None = None
    codec: str = ""


class Script:
    """The steps of one round, as they are written.

    >>> from slsim.recording.kinds import CLIENT_FORWARD
    >>> script = Script(Vocabulary())
    >>> lane = script.lane(0)
    >>> lane.work(0, CLIENT_FORWARD, Piece("client forward", samples=10, flops=1e6))
    >>> lane.upload(0, Message("activations", 5_000, 20_000))
    >>> len(script.rows())
    2
    """

    def __init__(self, words: Vocabulary) -> None:
        self._words = words
        self._rows: list[tuple[float, ...]] = []
        self._lanes: dict[int, Lane] = {}
        self._section = 0
        self.phases: dict[str, str] = {}
        self.last_in_order = NOTHING

    def lane(self, number: int) -> Lane:
        """The lane of that number in the section that is being written."""
        if number not in self._lanes:
            self._lanes[number] = Lane(self, number)
        return self._lanes[number]

    def barrier(self) -> None:
        """End the section: what is written from now on begins when all lanes are over."""
        self.leave_server()
        if self._rows and self._rows[-1][0] == self._section:
            self._section += 1

    def rows(self) -> Rows:
        """All rows so far, of dtype `STEP`."""
        self.leave_server()
        return np.array(self._rows, dtype=STEP)

    @property
    def section(self) -> int:
        """The section that is being written."""
        return self._section

    def resume(self, rows: Rows, section: int, last_in_order: int = NOTHING) -> None:
        """Begin with `rows` that were written before, by a script with the same vocabulary."""
        self._rows = [tuple(row) for row in rows.tolist()]
        self._section = section
        self.last_in_order = last_in_order

    def leave_server(self) -> None:
        """Write the work that the server was given in any lane."""
        for lane in self._lanes.values():
            lane.leave_server()

    def write(
        self,
        lane: int,
        who: int,
        to: int,
        phase: Phase,
        pieces: tuple[Piece, ...] | tuple[Message, ...],
        waits_for: int = NOTHING,
    ) -> int:
        """Write one step, a row a piece; the number of its first row."""
        number = self._words.number
        self.phases[phase.name] = phase.group
        phase_number, first = number("phase", phase.name), len(self._rows)
        for piece in pieces:
            shape = 0 if piece.shape is None else number("shape", shape_text(piece.shape))
            begins = (self._section, lane, who, to, phase_number)
            joined = len(self._rows) > first
            if isinstance(piece, Message):
                words = (0, number("kind", piece.kind), number("codec", piece.codec), shape, joined)
                sizes = (piece.num_bytes, piece.raw_bytes, piece.extra_bytes)
                row = (*begins, *words, 0, 0, 0.0, 0.0, math.nan, 0.0, *sizes)
            else:
                work, kind = number("work", piece.name), number("kind", piece.kind)
                words = (work, kind, number("codec", piece.codec), shape, joined)
                effort = (piece.samples, piece.elements, piece.flops, piece.memory_bytes)
                row = (*begins, *words, *effort, piece.core_s, piece.lossless_s, 0, 0, 0)
            self._rows.append((*row, NOTHING if joined else waits_for))
        return first


class Lane:
    """Steps that follow one another. Work at the server on behalf of one client is one step until something
    else is written in the lane."""

    def __init__(self, script: Script, number: int) -> None:
        self._script, self._number = script, number
        self._visit: list[Piece] = []
        self._visitor = 0
        self._in_order = False

    def work(self, client: int, phase: Phase, *pieces: Piece, waits_for: int = NOTHING) -> None:
        """The client's device does these pieces in one go."""
        self.leave_server()
        self._script.write(self._number, client, client, phase, pieces, waits_for)

    def serve(self, client: int, *pieces: Piece, in_order: bool = False) -> None:
        """The server works for the client; clients are served as they come, or with `in_order` in the order
        in which their steps are written."""
        if self._visit and self._visitor != client:
            self.leave_server()
        self._visit += pieces
        self._visitor = client
        self._in_order = self._in_order or in_order

    def leave_server(self) -> None:
        """Write the work that the server was given in this lane as one step."""
        if not self._visit:
            return
        script = self._script
        waits_for = script.last_in_order if self._in_order else NOTHING
        visit = tuple(self._visit)
        first = script.write(self._number, SERVER, self._visitor, SERVER_COMPUTE, visit, waits_for)
        if self._in_order:
            script.last_in_order = first
        self._visit, self._in_order = [], False

    def upload(self, client: int, *messages: Message) -> None:
        """The client sends these messages to the server as one transfer."""
        self.send(client, SERVER, UPLINK, *messages)

    def download(self, client: int, *messages: Message) -> None:
        """The server sends these messages to the client as one transfer."""
        self.send(SERVER, client, DOWNLINK, *messages)

    def send(self, who: int, to: int, phase: Phase, *messages: Message, waits_for: int = NOTHING) -> int:
        """`who` sends these messages as one transfer to `to`; the number of its first row."""
        self.leave_server()
        return self._script.write(self._number, who, to, phase, messages, waits_for)
