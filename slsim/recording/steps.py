"""Steps: what was done, one row a piece of work or a message, as columns of numbers.

The steps of a **lane** follow one another, lanes run side by side. A round has one **section** or several,
each over when all its lanes are. A step may also wait for a step of another lane. Texts (phases, kinds,
codecs, shapes) are kept as numbers into a `Vocabulary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim.recording.kinds import SERVER

# One row. `who` is a client's number or `SERVER`. Of work, `to` is the client on whose behalf it is done (its
# own number where `who` is a client), `work` says what is done, and of a codec's work `kind`, `codec` and
# `shape` say what is encoded or decoded. Of a message, `work` is empty, `to` receives it, `num_bytes` are
# those sent, and `raw_bytes` those of the tensor as float32; `extra_bytes` of those sent go beyond the
# format's nominal size.
# A row that is `joined` belongs to the step of the row above: work that is done in one go, messages that are
# sent as one transfer. `waits_for` is the number of a row of the round, -1 for none.
# `core_s` is NaN where it is not known (see `slsim.devices.Work`).
STEP = np.dtype(
    [
        ("section", np.int16),
        ("lane", np.int32),
        ("who", np.int32),
        ("to", np.int32),
        ("phase", np.int16),
        ("work", np.int16),
        ("kind", np.int16),
        ("codec", np.int16),
        ("shape", np.int32),
        ("joined", np.bool_),
        ("samples", np.int32),
        ("elements", np.int64),
        ("flops", np.float64),
        ("memory_bytes", np.float64),
        ("core_s", np.float64),
        ("lossless_s", np.float64),
        ("num_bytes", np.int64),
        ("raw_bytes", np.int64),
        ("extra_bytes", np.int64),
        ("waits_for", np.int32),
    ]
)
TEXTS = ("phase", "work", "kind", "codec", "shape")  # columns that are numbers into the vocabulary
Rows = NDArray[np.void]  # of dtype STEP: those of one round
Mask = NDArray[np.bool_]


@dataclass
class Vocabulary:
    """The texts of each column of `TEXTS`, by number; the first is the empty text."""

    texts: dict[str, list[str]] = field(default_factory=lambda: {column: [""] for column in TEXTS})

    def __post_init__(self) -> None:
        self.restore(self.texts)

    def restore(self, texts: Mapping[str, Sequence[str]]) -> None:
        """Take these texts, under these numbers, in place of all others."""
        self.texts = {column: list(texts[column]) for column in TEXTS}
        self._numbers = {
            column: {text: number for number, text in enumerate(known)}
            for column, known in self.texts.items()
        }

    def number(self, column: str, text: str) -> int:
        """The number of a text, which is added where it is new."""
        numbers = self._numbers[column]
        if text not in numbers:
            numbers[text] = len(numbers)
            self.texts[column].append(text)
        return numbers[text]

    def find(self, column: str, text: str) -> int:
        """The number of a text; -1 where it is not there."""
        return self._numbers[column].get(text, -1)

    def translation(self, column: str, other: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of `other` texts, which are added where they are new, by their places."""
        return np.array([self.number(column, text) for text in other], dtype=np.int64)


class Table:
    """Rows of dtype `STEP`, column by column.

    `table["num_bytes"]` is a column, `table[mask]` are some rows.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = dict(columns)

    @classmethod
    def of(cls, rounds: Sequence[Rows]) -> Table:
        """Concatenate the rows of `rounds`."""
        plain = [np.ascontiguousarray(rows).view(np.uint8) for rows in rounds if len(rows)]
        rows = np.concatenate(plain).view(STEP) if plain else np.zeros(0, STEP)
        return cls({name: np.ascontiguousarray(rows[name]) for name in STEP.names or ()})

    @classmethod
    def joined(cls, tables: Sequence[Table]) -> Table:
        """Concatenate tables."""
        return cls({name: np.concatenate([table[name] for table in tables]) for name in STEP.names or ()})

    def records(self) -> Rows:
        """The same, row by row."""
        rows = np.zeros(len(self), STEP)
        for name, column in self._columns.items():
            rows[name] = column
        return rows

    def __len__(self) -> int:
        return len(self._columns["who"])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        return Table({name: column[key] for name, column in self._columns.items()})


@dataclass(frozen=True)
class Steps:
    """The steps of several rounds: the rows `offsets[i]:offsets[i + 1]` are those of the i-th."""

    rows: Table
    offsets: NDArray[np.int64]
    words: Vocabulary

    @classmethod
    def of(cls, rounds: Sequence[Rows], words: Vocabulary) -> Steps:
        """The steps of these rounds."""
        sizes = [len(rows) for rows in rounds]
        return cls(Table.of(rounds), np.cumsum([0, *sizes], dtype=np.int64), words)

    def __len__(self) -> int:
        """The number of rounds."""
        return len(self.offsets) - 1

    def part(self, begin: int, end: int) -> Steps:
        """The steps of the rounds from `begin` up to `end` alone."""
        offsets = self.offsets[begin : end + 1]
        return Steps(self.rows[offsets[0] : offsets[-1]], offsets - offsets[0], self.words)

    def only(self, number: int) -> Steps:
        """The steps of one of the rounds alone."""
        return self.part(number, number + 1)

    def plus(self, rounds: Sequence[Rows]) -> Steps:
        """These steps and those of more rounds."""
        more = Steps.of(rounds, self.words)
        offsets = np.concatenate([self.offsets, self.offsets[-1] + more.offsets[1:]])
        return Steps(Table.joined([self.rows, more.rows]), offsets, self.words)

    @property
    def round_of(self) -> NDArray[np.int64]:
        """The place of each row's round."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def clients(self) -> NDArray[np.int32]:
        """The client whose time each row takes: the one that does it, or on whose behalf the server does."""
        who: NDArray[np.int32] = self.rows["who"]
        clients: NDArray[np.int32] = np.where(who == SERVER, self.rows["to"], who)
        return clients

    @property
    def are_messages(self) -> Mask:
        """Which rows are messages; the others are work."""
        mask: Mask = self.rows["work"] == 0
        return mask

    def sent(self, kind: str) -> Mask:
        """Which rows are messages of a kind."""
        mask: Mask = self.are_messages & (self.rows["kind"] == self.words.find("kind", kind))
        return mask

    def crosses(self, link: str) -> Mask:
        """Which rows are messages that cross the sender's "uplink", or the receiver's "downlink". A message
        between clients crosses both."""
        end = self.rows["who"] if link == "uplink" else self.rows["to"]
        mask: Mask = self.are_messages & (end != SERVER)
        return mask

    def text(self, column: str) -> NDArray[Any]:
        """A column of `TEXTS` as texts."""
        texts: NDArray[Any] = np.array(self.words.texts[column], dtype=object)[self.rows[column]]
        return texts

    def total(self, column: str, where: Mask) -> NDArray[np.int64]:
        """The sum of a column of each round over the rows `where`."""
        sums = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.round_of[where], minlength=len(self)), out=sums[1:])
        running = np.concatenate([[0], np.cumsum(self.rows[column][where].astype(np.int64))])
        totals: NDArray[np.int64] = running[sums[1:]] - running[sums[:-1]]
        return totals


def shape_text(shape: Iterable[int]) -> str:
    """A tensor's shape as the recording writes it.

    >>> shape_text((10, 16, 8, 8))
    '10x16x8x8'
    """
    return "x".join(map(str, shape)) or "scalar"


def parse_shape(text: str) -> tuple[int, ...]:
    """The shape that `shape_text` wrote. Raises `ValueError` for another text.

    >>> parse_shape("10x16x8x8")
    (10, 16, 8, 8)
    """
    return () if text == "scalar" else tuple(map(int, text.split("x")))
