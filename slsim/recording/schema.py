"""What the files of a recording may hold: types, ranges, and that they fit one another.

Every function raises `ValueError` that names the file and the field.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slsim.recording.records import Costs, Format, Status, TestSet
from slsim.registry import faults_of

FORMAT_VERSION = 3
READABLE_VERSIONS = (1, 2, 3)  # from 2 on there are turns without messages, from 3 on hashes
HEADER_FILE, MESSAGES_FILE, EVALUATIONS_FILE = "recording.json", "messages.parquet", "evaluations.parquet"
PROBES_FILE = "probes.parquet"
MOST = 2**62  # bytes of a whole recording: their sums are 64-bit integers

Count = Annotated[int, Field(ge=0, lt=MOST)]


class _Provenance(BaseModel):
    """What is read of a recording's provenance; the rest is for the reader."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    versions: dict[str, str] = {}
    files: dict[str, str] = {}
    wall_s: float = Field(0.0, ge=0)


class Header(BaseModel):
    """The fields of `recording.json`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    format: int
    key: str = Field(min_length=1, max_length=64)
    status: Status
    rounds: Count
    messages: Count
    probes: Count = 0
    activation_shape: tuple[Annotated[int, Field(ge=1)], ...]
    costs: Costs
    learning: dict[str, Any]
    test_set: TestSet | None = None
    formats: tuple[Format, ...] = ()
    provenance: _Provenance
    files: dict[str, str] = {}


def sha256(content: bytes) -> str:
    """The SHA-256 of `content`, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def header_hash(header: Mapping[str, Any]) -> str:
    """The SHA-256 of a header's canonical JSON, its own "hash" left out."""
    fields = {key: value for key, value in header.items() if key != "hash"}
    return sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def parse_header(content: bytes) -> Header:
    """The header in `content`, checked."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{HEADER_FILE}: is not JSON: {error}") from None
    version = fields.get("format") if isinstance(fields, dict) else None
    if version not in READABLE_VERSIONS:
        found = "no format" if version is None else f"format {version!r}"
        raise ValueError(f"{HEADER_FILE}: it has {found}, this slsim reads {FORMAT_VERSION}")
    if (version >= FORMAT_VERSION or "hash" in fields) and fields.get("hash") != header_hash(fields):
        raise ValueError(f"{HEADER_FILE}: hash: the header is not what was saved")
    try:
        header = Header.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(map(str, faults_of(error, Header)))
        raise ValueError(f"{HEADER_FILE}: {faults}") from None
    for path, number in _numbers(asdict(header.costs), "costs"):
        if not 0 <= number < math.inf:
            raise ValueError(f"{HEADER_FILE}: {path}: {number} is out of range; at least 0 and finite")
    if header.test_set and not (
        header.test_set.samples > 0 < header.test_set.classes and 0 < header.test_set.chance <= 1
    ):
        raise ValueError(f"{HEADER_FILE}: test_set: {header.test_set} is out of range")
    for place, one in enumerate(header.formats):
        if not 0 <= one.header <= one.nominal <= one.most or not 0 <= one.least <= one.most < MOST:
            raise ValueError(f"{HEADER_FILE}: formats[{place}]: sizes contradict one another")
    return header


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Every number below `value`, with its dotted path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}")
    elif isinstance(value, (int, float)):
        yield path, value


def check_messages(table: Any, header: Header) -> None:
    """The columns of the messages, in the order in which they were sent."""
    within = _Columns(MESSAGES_FILE, table)
    rounds, turns = within("round", 1, header.rounds), within("turn", 0)
    within("client", 0, _clients(header) - 1)
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
    steps = np.diff(rounds, prepend=0)
    if ((steps != 0) & (steps != 1)).any():
        raise ValueError(f"{MESSAGES_FILE}: round: rounds are missing or out of order")
    turn_steps = np.where(steps == 1, turns, np.diff(turns, prepend=0))
    if (np.where(steps == 1, turns != 0, (turn_steps != 0) & (turn_steps != 1))).any():
        raise ValueError(f"{MESSAGES_FILE}: turn: turns are missing or out of order")


def check_evaluations(table: Any, header: Header) -> None:
    """The columns of the evaluations, by round."""
    within = _Columns(EVALUATIONS_FILE, table)
    rounds = within("round", 1, header.rounds)
    if (np.diff(rounds) <= 0).any():
        raise ValueError(f"{EVALUATIONS_FILE}: round: evaluations are out of order")
    within("epoch", 0)
    for name in ("accuracy", "accuracy_without_codec"):
        within(name, 0, 1)
    within("training_loss", -math.inf, math.inf)


def check_probes(table: Any, header: Header) -> None:
    """The columns of what probes measured."""
    within = _Columns(PROBES_FILE, table)
    if (np.diff(within("round", 0, header.rounds)) < 0).any():
        raise ValueError(f"{PROBES_FILE}: round: measurements are out of order")
    within("client", 0, _clients(header) - 1)
    within("value", -MOST, MOST)


class _Columns:
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


def _clients(header: Header) -> int:
    """How many clients the training had; as many as can be where it does not say."""
    clients = header.learning.get("clients")
    count = clients.get("count") if isinstance(clients, dict) else None
    return count if isinstance(count, int) and count > 0 else MOST
