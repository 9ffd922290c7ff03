"""The tables of a recording as Parquet: which columns each has, and what may stand in them.

Every check raises `ValueError` that names the file and the column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slsim.recording.kinds import SERVER
from slsim.recording.records import Evaluation, Measurement
from slsim.recording.steps import STEP, TEXTS, Table, Vocabulary

STEPS_FILE, ROUNDS_FILE = "steps.parquet", "rounds.parquet"
EVALUATIONS_FILE, MEASUREMENTS_FILE = "evaluations.parquet", "measurements.parquet"
FEW_ROWS = 100_000
MOST = 2**62  # bytes of a whole recording: their sums are 64-bit integers
WHOLE = ("samples", "elements", "num_bytes", "raw_bytes", "extra_bytes")
EFFORT = ("flops", "memory_bytes", "core_s", "lossless_s")


def write_steps(rounds: NDArray[np.int64], rows: Table, words: Vocabulary) -> bytes:
    """Steps as the content of a Parquet file; `rounds` has the number of each row's round."""
    import pyarrow as pa

    columns = {"round": pa.array(rounds.astype(np.int32))}
    for name in STEP.names or ():
        values = pa.array(rows[name])
        if name in TEXTS:
            values = pa.DictionaryArray.from_arrays(values.cast(pa.int32()), pa.array(words.texts[name]))
        columns[name] = values
    return _content(pa.table(columns))


def read_steps(content: bytes, words: Vocabulary) -> tuple[NDArray[np.int64], Table]:
    """The rows that `write_steps` wrote, with the number of each one's round; new texts are added to
    `words`."""
    columns = {}
    for name, column in _columns(content, ("round", *(STEP.names or ()))):
        if column.null_count:
            raise ValueError(f"{STEPS_FILE}: {name}: values are missing")
        if name in TEXTS:
            values = _text_numbers(column.combine_chunks(), name, words)
        else:
            values = column.combine_chunks().to_numpy(zero_copy_only=False)
        columns[name] = _fitting(values, name, np.dtype(np.int64) if name == "round" else STEP[name])
    return columns.pop("round"), Table(columns)


def _columns(content: bytes, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Each column of the steps: of few rows all at once, else one after another, for all of them take twice
    the memory. Raises `ValueError`."""
    together = (
        [names] if read_table(content, STEPS_FILE, []).num_rows <= FEW_ROWS else [[one] for one in names]
    )
    for some in together:
        table = read_table(content, STEPS_FILE, some)
        yield from ((name, table[name]) for name in some)


def _text_numbers(column: Any, name: str, words: Vocabulary) -> NDArray[np.int64]:
    """Texts as numbers into `words`. Raises `ValueError` where they are none."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    texts = column.dictionary.to_pylist()
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{STEPS_FILE}: {name}: are not texts")
    numbers = words.translation(name, texts)
    return numbers[column.indices.to_numpy()] if len(numbers) else np.zeros(len(column), np.int64)


KINDS = {"b": "b", "i": "iu", "f": "iuf"}  # of what is read, by that of the column


def _fitting(values: NDArray[Any], name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Numbers as the column has them. Raises `ValueError` where they are none or do not fit."""
    if values.dtype.kind not in KINDS[dtype.kind]:
        raise ValueError(f"{STEPS_FILE}: {name}: are no {dtype.name} numbers")
    if dtype.kind == "i" and values.size:
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise ValueError(f"{STEPS_FILE}: {name}: beyond {limits.min} … {limits.max}")
    fitting: NDArray[Any] = values.astype(dtype)
    return fitting


def check_steps(numbers: NDArray[np.int64], rows: Table, words: Vocabulary, clients: int) -> None:
    """Raise `ValueError` for what no training can have done. `numbers` are the rows' rounds."""

    def wrong(column: str, where: NDArray[np.bool_], why: str) -> None:
        if where.any():
            place = int(np.flatnonzero(where)[0])
            value = f"{rows[column][place]} " if column in (STEP.names or ()) else ""
            raise ValueError(f"{STEPS_FILE}: {column}: {value}in row {place + 1} {why}")

    same_round = np.zeros(len(rows), dtype=bool)
    same_round[1:] = numbers[1:] == numbers[:-1]
    wrong("round", np.diff(numbers, prepend=0) < 0, "is out of order")
    for column in WHOLE:
        wrong(column, rows[column] < 0, "is not 0 or more")
    for column in EFFORT:
        unknown = np.isnan(rows[column]) if column == "core_s" else np.zeros(len(rows), dtype=bool)
        within = (rows[column] >= 0) & (rows[column] < math.inf)
        wrong(column, ~(within | unknown), "is not 0 or more, and finite")
    for column in ("who", "to"):
        wrong(column, (rows[column] < SERVER) | (rows[column] >= clients), f"is none of {clients} clients")
    wrong("lane", rows["lane"] < 0, "is not 0 or more")
    wrong("extra_bytes", rows["extra_bytes"] > rows["num_bytes"], "is more than num_bytes")
    wrong("phase", rows["phase"] == 0, "is empty")
    message = rows["work"] == 0
    wrong("kind", message & (rows["kind"] == 0), "is empty: a message has a kind")
    wrong("to", (rows["to"] == SERVER) & (rows["who"] == SERVER), "is the server, and so is who")
    wrong("to", message & (rows["to"] == rows["who"]), "is the sender itself")
    wrong("to", ~message & (rows["who"] != SERVER) & (rows["to"] != rows["who"]), "is another client")
    sections = np.diff(rows["section"].astype(np.int64), prepend=0)
    wrong("section", same_round & (sections < 0), "is out of order")
    wrong("section", ~same_round & (rows["section"] != 0), "is not the first of its round")
    alike = same_round.copy()
    for values in (message, *(rows[column] for column in ("section", "lane", "who", "to", "phase"))):
        alike[1:] &= values[1:] == values[:-1]
    wrong("joined", rows["joined"] & ~alike, "has no step above it")
    row = np.arange(len(rows))
    places = row - np.maximum.accumulate(np.where(same_round, 0, row))
    wrong("waits_for", (rows["waits_for"] < -1) | (rows["waits_for"] >= places), "is no earlier row")
    for text in words.texts["shape"]:
        if text and not SHAPE.fullmatch(text):
            raise ValueError(f"{STEPS_FILE}: shape: {text!r} is no shape")


def check_volume(rows: Table, times: NDArray[np.int64]) -> None:
    """Raise `ValueError` where so many bytes were sent that they cannot be added up; `times` is how often
    each row was done."""
    for column in ("num_bytes", "raw_bytes"):
        if (rows[column].astype(np.float64) * times).sum() >= MOST:
            raise ValueError(f"{STEPS_FILE}: {column}: more than {MOST} bytes altogether")


def write_rounds(firsts: Sequence[int]) -> bytes:
    """For each round, the number of the round that did the same steps first, as a Parquet file."""
    import pyarrow as pa

    return _content(pa.table({"same_as": pa.array(firsts, pa.int32())}))


def read_rounds(content: bytes) -> NDArray[np.int64]:
    """What `write_rounds` wrote."""
    table = read_table(content, ROUNDS_FILE, ["same_as"])
    column = table["same_as"]
    if column.null_count:
        raise ValueError(f"{ROUNDS_FILE}: same_as: values are missing")
    numbers: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    return numbers


SHAPE = re.compile(r"scalar|\d+(x\d+)*", re.ASCII)
Record = Evaluation | Measurement


def write_records(records: Sequence[Record], kind: type[Record]) -> bytes:
    """Evaluations or measurements as the content of a Parquet file."""
    import pyarrow as pa

    rows = [asdict(record) for record in records]
    return _content(pa.Table.from_pylist(rows, schema=_schema(kind)))


def read_records(content: bytes, kind: type[Record], file: str, rounds: int, clients: int) -> list[Any]:
    """What `write_records` wrote, checked against the number of rounds and of clients."""
    table = read_table(content, file, [one.name for one in fields(kind)], _schema(kind))
    within = Within(file, table)
    numbers = within("round", 1 if kind is Evaluation else 0, rounds)
    if kind is Evaluation:
        if (np.diff(numbers) <= 0).any():
            raise ValueError(f"{file}: round: evaluations are out of order")
        within("epoch", 0)
        within("accuracy", 0, 1)
        within("accuracy_without_codec", 0, 1)
        within("training_loss", -math.inf, math.inf)
    else:
        if (np.diff(numbers) < 0).any():
            raise ValueError(f"{file}: round: measurements are out of order")
        within("client", 0, clients - 1)
        within("value", -MOST, MOST)
    return [kind(**row) for row in table.to_pylist()]


def _schema(kind: type[Record]) -> Any:
    import pyarrow as pa

    types = {"int": pa.int64(), "float": pa.float64(), "str": pa.dictionary(pa.int32(), pa.string())}
    return pa.schema([(one.name, types[str(one.type)]) for one in fields(kind)])


class Within:
    """The columns of one file: give those of numbers, checked against a range."""

    def __init__(self, file: str, table: Any) -> None:
        self._file, self._table = file, table
        empty = [name for name in table.column_names if table[name].null_count]
        if empty:
            raise ValueError(f"{file}: {', '.join(empty)}: values are missing")

    def __call__(self, name: str, low: float, high: float = MOST) -> NDArray[Any]:
        values: NDArray[Any] = self._table[name].to_numpy()
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if wrong.size:
            value, row = values[wrong[0]], wrong[0] + 1
            raise ValueError(f"{self._file}: {name}: {value} in row {row} is not within {low} … {high}")
        return values


def _content(table: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_table(content: bytes, file: str, columns: Sequence[str], schema: Any = None) -> Any:
    """The table in a Parquet file. Raises `ValueError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        known = pq.read_schema(pa.BufferReader(content)).names
        missing = [name for name in columns if name not in known]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        return pq.read_table(
            pa.BufferReader(content), schema=schema, columns=None if schema else list(columns)
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{file}: {error}") from None
