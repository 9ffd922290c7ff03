"""A recording in memory: it grows round by round, and rounds that repeat are kept once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.recording.columns import ROUNDS_FILE, STEPS_FILE
from slsim.recording.cut_shape import CutShape
from slsim.recording.kinds import PHASES
from slsim.recording.records import Evaluation, Format, Kept, MeasuredCodec, Measurement, Status, TestSet
from slsim.recording.steps import Rows, Steps, Table, Vocabulary


class Mark(NamedTuple):
    """How long a recording is: distinct rounds, rounds, evaluations, measurements."""

    distinct: int = 0
    rounds: int = 0
    evaluations: int = 0
    measurements: int = 0


@dataclass
class Recording:
    """A training, as far as anyone but its tensors can tell.

    `phases` has the group of each phase in the steps. `stopped_by` is the key of `training.stop` that ended
    the training before its last round; empty where none did. Of recordings of formats 1 and 2 `test_set` and
    `formats` are not known. `cut_shape` is what crosses the cut where that has an adapter. `kept` is what
    codecs remember at its end; nothing in recordings of older slsims.
    """

    key: str
    learning: Mapping[str, Any]
    evaluations: list[Evaluation] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    status: Status = "finished"
    stopped_by: str = ""
    test_set: TestSet | None = None
    formats: tuple[Format, ...] = ()
    cut_shape: CutShape | None = None
    measured_codecs: tuple[MeasuredCodec, ...] = ()
    kept: Kept = field(default_factory=Kept)
    provenance: dict[str, Any] = field(default_factory=dict)
    words: Vocabulary = field(default_factory=Vocabulary)
    phases: dict[str, str] = field(default_factory=lambda: dict(PHASES))

    def __post_init__(self) -> None:
        self._numbers: dict[bytes, int] = {}  # of each distinct round, by its digest
        self._indexed = 0  # how many of them are there
        self._rounds: list[int] = []
        self._firsts: list[int] = []
        self._known = Steps.of([], self.words)
        self._added: list[Rows] = []  # after those known

    @property
    def num_rounds(self) -> int:
        """The number of rounds that were done."""
        return len(self._rounds)

    @property
    def rounds(self) -> NDArray[np.int64]:
        """The place in `steps` of what each round did."""
        return np.array(self._rounds, dtype=np.int64)

    @property
    def steps(self) -> Steps:
        """The steps of all rounds that differ, in the order in which they first occurred."""
        if self._added:
            self._known, self._added = self._known.plus(self._added), []
        return self._known

    def steps_of(self, number: int) -> Steps:
        """The steps of one of the rounds that differ, by its place among them."""
        if number < len(self._known):
            return self._known.only(number)
        return Steps.of([self._added[number - len(self._known)]], self.words)

    @property
    def firsts(self) -> NDArray[np.int64]:
        """For each of `steps`, the number (from 1) of the first round that did them."""
        return np.array(self._firsts, dtype=np.int64)

    def add_round(self, rows: Rows) -> None:
        """Append a round with these steps, whose texts are in `words`."""
        self._index()
        number = self._numbers.setdefault(_digest(rows), len(self._firsts))
        if number == len(self._firsts):
            self._added.append(rows)
            self._firsts.append(self.num_rounds + 1)
            self._indexed += 1
        self._rounds.append(number)

    def _index(self) -> None:
        """Number the distinct rounds that were read, so that those that follow may repeat them."""
        if self._indexed == len(self._firsts):
            return
        steps = self.steps
        rows, ends = steps.rows.records(), steps.offsets.tolist()
        for place in range(self._indexed, len(steps)):
            self._numbers.setdefault(_digest(rows[ends[place] : ends[place + 1]]), place)
        self._indexed = len(steps)

    def append(self, numbers: NDArray[np.int64], rows: Table, same_as: NDArray[np.int64]) -> None:
        """Append rounds as they are on disk: the rows of the distinct ones, each with its round's number, and
        for each round the number of the first that did the same. Raises `ValueError` where these contradict
        one another."""
        begins = np.flatnonzero(np.diff(numbers, prepend=0))
        own = set(numbers[begins].tolist())
        places = {first: place for place, first in enumerate(self._firsts)}
        for number, first in enumerate(same_as.tolist(), self.num_rounds + 1):
            if first == number and number in own:
                places[number] = len(self._firsts)
                self._firsts.append(number)
            if first not in places or (first != number and number in own):
                raise ValueError(f"{ROUNDS_FILE}: same_as: {first} of round {number} is no round with steps")
            self._rounds.append(places[first])
        if own and max(own) > self.num_rounds:
            raise ValueError(f"{STEPS_FILE}: round: {max(own)} of {self.num_rounds}")
        steps = self.steps
        if len(begins):
            ends = np.append(begins[1:], len(rows))
            offsets = np.concatenate([steps.offsets, steps.offsets[-1] + ends])
            table = Table.joined([steps.rows, rows]) if len(steps) else rows
            self._known = Steps(table, offsets, self.words)

    def totals(self, per_distinct: NDArray[Any]) -> NDArray[Any]:
        """Add up over rounds what each of `steps` has: [rounds + 1], from 0 before the first round."""
        summed = np.zeros(self.num_rounds + 1, dtype=per_distinct.dtype)
        np.cumsum(per_distinct[self.rounds], out=summed[1:])
        return summed

    # What was added since a mark, to be appended to what is on disk.

    @property
    def mark(self) -> Mark:
        """How long the recording is now."""
        return Mark(len(self._firsts), self.num_rounds, len(self.evaluations), len(self.measurements))

    def since(self, mark: Mark) -> Recording:
        """What was added since `mark`, as a recording of its own; rounds before it are missing."""
        added = replace(
            self,
            evaluations=self.evaluations[mark.evaluations :],
            measurements=self.measurements[mark.measurements :],
        )
        if mark.distinct < len(self._known):
            added._known = self._known.part(mark.distinct, len(self._known))
        added._added = self._added[max(0, mark.distinct - len(self._known)) :]
        added._rounds, added._firsts = self._rounds[mark.rounds :], self._firsts
        return added

    def row_rounds(self) -> NDArray[np.int64]:
        """For each row of the steps, the number (from 1) of the first round that did it."""
        return self.firsts[len(self._firsts) - len(self.steps) :][self.steps.round_of]

    def first_rounds(self) -> list[int]:
        """For each round, the number of the first round that did the same steps: its own, unless it repeats
        one."""
        return [self._firsts[number] for number in self._rounds]


def _digest(rows: Rows) -> bytes:
    return blake2b(rows.tobytes(), digest_size=16).digest()
