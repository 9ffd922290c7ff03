"""A recording, whole, and as files: Parquet and a JSON header, for any tool to read.

Three files always; what probes found is a fourth, there only where the scenario asked for probes. The header
has the SHA-256 of each other file, and its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from slsim import atomic
from slsim.errors import RecordingError
from slsim.recording import schema
from slsim.recording.records import (
    MESSAGE_FIELDS,
    Costs,
    Evaluation,
    Format,
    Measurement,
    Message,
    RoundRecord,
    Status,
    TestSet,
    Turn,
)
from slsim.recording.schema import EVALUATIONS_FILE, FORMAT_VERSION, HEADER_FILE, MESSAGES_FILE, PROBES_FILE

NOTHING = Message("none", "up", 0, 0)  # stands for a turn without messages in the table


@dataclass
class Recording:
    """A training, as far as anyone but its tensors can tell."""

    key: str
    learning: Mapping[str, Any]
    costs: Costs
    activation_shape: tuple[int, ...]
    rounds: list[RoundRecord] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    probes: list[Measurement] = field(default_factory=list)
    status: Status = "finished"
    test_set: TestSet | None = None  # not known of recordings of formats 1 and 2
    formats: tuple[Format, ...] = ()  # nor are these
    provenance: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Replace `folder` by one of this recording's files. Raises `OSError`."""
        atomic.write_folder(folder, self.files())

    def files(self) -> dict[str, bytes]:
        """The recording's files, by name."""
        files = {
            MESSAGES_FILE: _parquet(self._message_rows(), _message_schema()),
            EVALUATIONS_FILE: _parquet(map(asdict, self.evaluations), _evaluation_schema()),
        }
        if self.probes:
            files[PROBES_FILE] = _parquet(map(asdict, self.probes), _probe_schema())
        header = {
            "format": FORMAT_VERSION,
            "key": self.key,
            "status": self.status,
            "rounds": len(self.rounds),
            "messages": sum(len(turn.messages) or 1 for record in self.rounds for turn in record.turns),
            "probes": len(self.probes),
            "activation_shape": list(self.activation_shape),
            "costs": asdict(self.costs),
            "learning": self.learning,
            "test_set": asdict(self.test_set) if self.test_set else None,
            "formats": [asdict(one) for one in self.formats],
            "provenance": self.provenance,
            "files": {name: schema.sha256(content) for name, content in files.items()},
        }
        header = json.loads(json.dumps(header))  # a hash over what will be read
        text = json.dumps({**header, "hash": schema.header_hash(header)}, indent=2) + "\n"
        return {**files, HEADER_FILE: text.encode()}

    def _message_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "round": number,
                "turn": place,
                "client": turn.client,
                "samples": turn.samples,
                **asdict(message),
            }
            for number, record in enumerate(self.rounds, start=1)
            for place, turn in enumerate(record.turns)
            for message in turn.messages or (NOTHING,)
        ]

    @classmethod
    def load(cls, folder: Path) -> Recording:
        """Read what `save` wrote. Raises `RecordingError` when it is damaged or of another version."""
        return cls.from_files(lambda name: (folder / name).read_bytes(), str(folder))

    @classmethod
    def from_files(cls, read: Callable[[str], bytes], source: str) -> Recording:
        """The recording whose files `read` gives by name, from `source`. Raises `RecordingError` that names
        the file and the field that are damaged, or the version."""
        import pyarrow as pa

        try:
            content = read(HEADER_FILE)
            header = schema.parse_header(content)
            return _assembled(header, json.loads(content), read)
        except OSError as error:
            why = f"{Path(error.filename or '').name}: {error.strerror or error}"
        except KeyError as error:
            why = f"{error.args[0]} is missing"
        except (ValueError, TypeError, RecursionError, pa.ArrowException) as error:
            why = str(error) or type(error).__name__
        raise RecordingError(
            f"the recording {source} cannot be read ({why}); run the scenario again: that training is done "
            "again, others are kept"
        )


def read_header(folder: Path) -> schema.Header:
    """The header of the recording in `folder`, without the rest. Raises `OSError` or `ValueError`."""
    return schema.parse_header((folder / HEADER_FILE).read_bytes())


def _assembled(header: schema.Header, fields: Mapping[str, Any], read: Callable[[str], bytes]) -> Recording:
    messages = _table(header, read, MESSAGES_FILE, _message_schema(), schema.check_messages)
    evaluations = _table(header, read, EVALUATIONS_FILE, _evaluation_schema(), schema.check_evaluations)
    probes: list[dict[str, Any]] = []
    if header.probes:
        probes = _table(header, read, PROBES_FILE, _probe_schema(), schema.check_probes)
    rounds = _rounds(messages)
    due = (header.rounds, header.messages, header.probes)
    found = (len(rounds), len(messages), len(probes))
    if due != found:
        raise ValueError(
            f"of {due[0]} rounds, {due[1]} messages and {due[2]} measurements, "
            f"{found[0]}, {found[1]} and {found[2]} are there"
        )
    return Recording(
        key=header.key,
        learning=header.learning,
        costs=header.costs,
        activation_shape=header.activation_shape,
        rounds=rounds,
        evaluations=[Evaluation(**row) for row in evaluations],
        probes=[Measurement(**row) for row in probes],
        status=header.status,
        test_set=header.test_set,
        formats=header.formats,
        provenance=dict(fields["provenance"]),
    )


def _parquet(rows: Any, columns: Any) -> bytes:
    """Rows as the content of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=columns), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _table(
    header: schema.Header,
    read: Callable[[str], bytes],
    name: str,
    columns: Any,
    check: Callable[[Any, schema.Header], None],
) -> list[dict[str, Any]]:
    """The rows of a Parquet file. Raises `ValueError` where they are not what was saved, or cannot be."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = read(name)
    if header.files and header.files.get(name) != schema.sha256(content):
        raise ValueError(f"{name}: its hash is not the one in {HEADER_FILE}: it is not what was saved")
    try:
        table = pq.read_table(pa.BufferReader(content), schema=columns)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{name}: {error}") from None
    check(table, header)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _rounds(rows: list[dict[str, Any]]) -> list[RoundRecord]:
    """Rows, ordered as written, as rounds of turns."""
    rounds = []
    for _, in_round in groupby(rows, key=lambda row: row["round"]):
        turns = []
        for _, in_turn in groupby(in_round, key=lambda row: row["turn"]):
            own = list(in_turn)
            messages = (Message(**{name: row[name] for name in MESSAGE_FIELDS}) for row in own)
            sent = tuple(message for message in messages if message.kind != NOTHING.kind)
            turns.append(Turn(own[0]["client"], own[0]["samples"], sent))
        rounds.append(RoundRecord(tuple(turns)))
    return rounds


def _message_schema() -> Any:
    import pyarrow as pa

    whole, text = pa.int64(), pa.dictionary(pa.int8(), pa.string())
    types = {
        "round": whole,
        "turn": whole,
        "client": whole,
        "samples": whole,
        "kind": text,
        "direction": text,
    }
    return pa.schema([*types.items(), ("num_bytes", whole), ("raw_bytes", whole), ("extra_bytes", whole)])


def _probe_schema() -> Any:
    import pyarrow as pa

    whole, text = pa.int64(), pa.dictionary(pa.int8(), pa.string())
    types = {"round": whole, "client": whole, "part": text, "quantity": text, "value": pa.float64()}
    return pa.schema(list(types.items()))


def _evaluation_schema() -> Any:
    import pyarrow as pa

    columns = ("epoch", "accuracy", "accuracy_without_codec", "training_loss")
    return pa.schema([("round", pa.int64()), *((name, pa.float64()) for name in columns)])
