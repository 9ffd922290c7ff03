"""A recording, whole, and on disk: a folder of Parquet files and a JSON header, for any tool to read.

Two of them always; what probes found is a third, there only where the scenario asked for probes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from slsim.errors import RecordingError
from slsim.recording.records import (
    MESSAGE_FIELDS,
    Costs,
    Evaluation,
    Measurement,
    Message,
    RoundRecord,
    Status,
    TestSet,
    Turn,
)

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)  # 2 has turns without messages too
NOTHING = Message("none", "up", 0, 0)  # stands for them in the table
HEADER_FILE, MESSAGES_FILE, EVALUATIONS_FILE = "recording.json", "messages.parquet", "evaluations.parquet"
PROBES_FILE = "probes.parquet"


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
    test_set: TestSet | None = None  # of recordings before 0.2 it is not known
    provenance: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes its files into `folder`, which exists."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        header = {
            "format": FORMAT_VERSION,
            "key": self.key,
            "status": self.status,
            "rounds": len(self.rounds),
            "messages": sum(len(turn.messages) or 1 for record in self.rounds for turn in record.turns),
            "activation_shape": list(self.activation_shape),
            "costs": asdict(self.costs),
            "learning": self.learning,
            "test_set": asdict(self.test_set) if self.test_set else None,
            "provenance": self.provenance,
        }
        pq.write_table(
            pa.Table.from_pylist(self._message_rows(), schema=_message_schema()), folder / MESSAGES_FILE
        )
        rows = [asdict(evaluation) for evaluation in self.evaluations]
        pq.write_table(pa.Table.from_pylist(rows, schema=_evaluation_schema()), folder / EVALUATIONS_FILE)
        if self.probes:
            header["probes"] = len(self.probes)
            found = [asdict(measurement) for measurement in self.probes]
            pq.write_table(pa.Table.from_pylist(found, schema=_probe_schema()), folder / PROBES_FILE)
        (folder / HEADER_FILE).write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")

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
        """Reads what `save` wrote. Raises `RecordingError` when it is damaged or of another version."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            header = json.loads((folder / HEADER_FILE).read_text(encoding="utf-8"))
            version = header["format"]
            messages = _rows(pq.read_table(folder / MESSAGES_FILE, schema=_message_schema()))
            evaluations = _rows(pq.read_table(folder / EVALUATIONS_FILE, schema=_evaluation_schema()))
            probes = []
            if header.get("probes"):
                probes = _rows(pq.read_table(folder / PROBES_FILE, schema=_probe_schema()))
            recording = cls(
                key=header["key"],
                learning=dict(header["learning"]),
                costs=Costs(**header["costs"]),
                activation_shape=tuple(header["activation_shape"]),
                rounds=_rounds(messages),
                evaluations=[Evaluation(**row) for row in evaluations],
                probes=[Measurement(**row) for row in probes],
                status=header["status"],
                test_set=TestSet(**header["test_set"]) if header.get("test_set") else None,
                provenance=dict(header["provenance"]),
            )
            written, found = (header["rounds"], header["messages"]), (len(recording.rounds), len(messages))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise RecordingError(_damaged(folder, f"{type(error).__name__}: {error}")) from error
        if version not in READABLE_VERSIONS:
            why = f"it has format {version}, this slsim reads {FORMAT_VERSION}"
            raise RecordingError(_damaged(folder, why))
        if written != found:
            why = f"of {written[0]} rounds and {written[1]} messages, {found[0]} and {found[1]} are there"
            raise RecordingError(_damaged(folder, why))
        return recording


def _rows(table: Any) -> list[dict[str, Any]]:
    """A table's rows. Raises ValueError where a value is missing."""
    empty = [name for name in table.column_names if table[name].null_count]
    if empty:
        raise ValueError(f"values are missing in {', '.join(empty)}")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _damaged(folder: Path, why: str) -> str:
    return f"the recording {folder} cannot be read ({why}); delete that folder and run the scenario again"


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
