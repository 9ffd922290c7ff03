"""The Recording: written, read again, of this format and of older ones, and refused when it is damaged."""

from __future__ import annotations

import contextlib
import json
import math
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import RecordingError
from slsim.recording import (
    ACTIVATIONS,
    GRADIENTS,
    LABELS,
    SERVER,
    STEP,
    Evaluation,
    Format,
    MeasuredCodec,
    Measurement,
    Message,
    Piece,
    Recording,
    Rows,
    Script,
    TestSet,
    Vocabulary,
    load,
    parse_shape,
    save,
    shape_text,
    tables_of,
)
from slsim.recording.columns import EVALUATIONS_FILE, MEASUREMENTS_FILE, ROUNDS_FILE, STEPS_FILE
from slsim.recording.header import FORMAT_VERSION, HEADER_FILE, header_hash, sha256
from slsim.recording.kinds import CLIENT_BACKWARD, CLIENT_FORWARD, DECODE, ENCODE
from slsim.recording.steps import TEXTS

MESSAGES_FILE, PROBES_FILE = "messages.parquet", "probes.parquet"  # up to format 3
Turn = tuple[int, int, int]  # client, bytes of its activations, samples
ROUNDS: list[list[Turn]] = [
    [(0, 150, 5), (1, 151, 5)],
    [(1, 160, 5)],
    [(2, 170, 3), (0, 171, 5)],
]
AGAIN = [*ROUNDS, ROUNDS[1], ROUNDS[0], ROUNDS[1]]


def rows_of(turns: Sequence[Turn], words: Vocabulary) -> Rows:
    """A round of `splitfed`: each client's exchange of one mini-batch."""
    script = Script(words)
    for client, num_bytes, samples in turns:
        lane, shape = script.lane(client), (samples, 4, 5, 5)

        def half(name: str, flops: float, samples: int = samples) -> Piece:
            return Piece(name, samples=samples, flops=samples * flops)

        def coding(name: str, kind: str, codec: str, each: float, shape: tuple[int, ...] = shape) -> Piece:
            return Piece(name, elements=500, codec=codec, kind=kind, shape=shape, memory_bytes=500 * each)

        lane.work(client, CLIENT_FORWARD, half("client forward", 1e6))
        lane.work(client, ENCODE, coding("encode", ACTIVATIONS, "ms", 8.25))
        labels = Message(LABELS, 40, 40, shape=(samples,))
        lane.upload(client, Message(ACTIVATIONS, num_bytes, 2_000, shape=shape, codec="ms"), labels)
        lane.serve(
            client,
            coding("decode", ACTIVATIONS, "ms", 4.25),
            half("server forward", 3e6),
            half("server backward", 6e6),
            coding("encode", GRADIENTS, "identity", 8.0),
        )
        lane.download(client, Message(GRADIENTS, 2_010, 2_000, shape=shape, codec="identity"))
        lane.work(client, DECODE, coding("decode", GRADIENTS, "identity", 8.0))
        lane.work(client, CLIENT_BACKWARD, half("client backward", 2e6))
    return script.rows()


def recording_of(rounds: Sequence[Sequence[Turn]] = AGAIN, **fields: Any) -> Recording:
    """A recording with these rounds; others of its fields may be changed."""
    recording = Recording(
        key="0123abcd",
        learning={
            "seed": 3,
            "clients": {"count": 10},
            "training": {"protocol": {"name": "splitfed"}},
            "codec": {
                "uplink": {"name": "ms", "bits": 2},
                "downlink": {"name": "identity"},
                "weights": {"name": "identity"},
            },
            "list": [1, 2.5, None, "é"],
        },
        evaluations=[Evaluation(1, 0.3, 0.1, 0.11, 2.302585), Evaluation(3, 1.0, 0.75, 1 / 3, 0.5)],
        measurements=[
            Measurement(0, 2, "activations", "error", 0.5),
            Measurement(2, 0, "client", "bias", -1.5),
        ],
        test_set=TestSet(samples=60, classes=4, chance=0.25),
        formats=(Format(ACTIVATIONS, (5, 4, 5, 5), 150, 10, 150, 160, False, "2·d"),),
        measured_codecs=(MeasuredCodec(ACTIVATIONS, 1e-9, 2e-9, 1.5),),
        provenance={"host": "here", "versions": {"torch": "2.14.1"}},
    )
    recording = replace(recording, **fields)
    for turns in rounds:
        recording.add_round(rows_of(turns, recording.words))
    return recording


def assert_same(one: Recording, other: Recording) -> None:
    """All that a recording has, bit for bit; texts may have other numbers."""
    names = ("key", "learning", "evaluations", "measurements", "status", "test_set", "formats")
    for name in (*names, "measured_codecs", "provenance", "phases"):
        assert getattr(one, name) == getattr(other, name)
    assert one.rounds.tolist() == other.rounds.tolist()
    assert one.firsts.tolist() == other.firsts.tolist()
    assert one.steps.offsets.tolist() == other.steps.offsets.tolist()
    for name in STEP.names or ():
        if name in TEXTS:
            assert one.steps.text(name).tolist() == other.steps.text(name).tolist()
        else:
            assert one.steps.rows[name].dtype == other.steps.rows[name].dtype
            assert one.steps.rows[name].tobytes() == other.steps.rows[name].tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a saved recording."""
    save(recording_of(), tmp_path / "saved")
    return tmp_path / "saved"


def test_what_was_saved_is_loaded(folder: Path) -> None:
    assert_same(load(folder), recording_of())
    names = {HEADER_FILE, STEPS_FILE, ROUNDS_FILE, EVALUATIONS_FILE, MEASUREMENTS_FILE}
    assert {path.name for path in folder.iterdir()} == names


def test_what_was_loaded_is_saved_as_it_was(folder: Path, tmp_path: Path) -> None:
    save(load(folder), tmp_path / "again")
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_recording_without_rounds_evaluations_or_measurements(tmp_path: Path) -> None:
    empty = recording_of([], evaluations=[], measurements=[])
    save(empty, tmp_path / "empty")
    assert_same(load(tmp_path / "empty"), empty)
    assert not (tmp_path / "empty" / MEASUREMENTS_FILE).exists()


def test_a_diverged_training_keeps_its_status_and_its_infinite_loss(tmp_path: Path) -> None:
    last = Evaluation(3, 1.0, 0.1, 0.1, math.inf)
    diverged = recording_of(status="diverged", evaluations=[last])
    save(diverged, tmp_path)
    assert_same(load(tmp_path), diverged)


def test_saving_again_replaces(folder: Path) -> None:
    shorter = recording_of(ROUNDS[:1], evaluations=[], measurements=[])
    save(shorter, folder)
    assert_same(load(folder), shorter)
    assert not (folder / MEASUREMENTS_FILE).exists()


def test_large_byte_counts_are_kept_exactly(tmp_path: Path) -> None:
    save(recording_of([[(0, 2**53 + 1, 5)]], evaluations=[], measurements=[]), tmp_path)
    steps = load(tmp_path).steps
    assert steps.rows["num_bytes"][steps.sent(ACTIVATIONS)].tolist() == [2**53 + 1]


def test_any_tool_can_read_the_steps(folder: Path) -> None:
    table = pq.read_table(folder / STEPS_FILE)
    assert table.column_names == ["round", *(STEP.names or ())]
    rows = table.to_pylist()
    assert len(rows) == 5 * 11  # 5 exchanges that differ; what repeats is not there again
    assert [row["round"] for row in rows] == [1] * 22 + [2] * 11 + [3] * 22
    assert rows[2] == {
        "round": 1,
        "section": 0,
        "lane": 0,
        "who": 0,
        "to": SERVER,
        "phase": "uplink",
        "work": "",
        "kind": ACTIVATIONS,
        "codec": "ms",
        "shape": "5x4x5x5",
        "joined": False,
        "samples": 0,
        "elements": 0,
        "flops": 0.0,
        "memory_bytes": 0.0,
        "core_s": pytest.approx(math.nan, nan_ok=True),
        "lossless_s": 0.0,
        "num_bytes": 150,
        "raw_bytes": 2_000,
        "extra_bytes": 0,
        "waits_for": -1,
    }
    assert pq.read_table(folder / ROUNDS_FILE)["same_as"].to_pylist() == [1, 2, 3, 2, 1, 2]


def test_rounds_that_repeat_are_kept_once() -> None:
    recording = recording_of()
    assert recording.num_rounds == 6
    assert recording.rounds.tolist() == [0, 1, 2, 1, 0, 1]
    assert recording.firsts.tolist() == [1, 2, 3]
    assert len(recording.steps) == 3


def test_a_recording_that_was_loaded_goes_on_as_if_it_had_not_been_saved(folder: Path) -> None:
    """A round that repeats one from before is not kept again."""
    loaded, whole = load(folder), recording_of()
    for recording in (loaded, whole):
        for turns in (ROUNDS[2], [(3, 99, 5)], [(3, 99, 5)]):
            recording.add_round(rows_of(turns, recording.words))
    assert_same(loaded, whole)


TURN = st.tuples(st.integers(0, 9), st.integers(0, 2**40), st.integers(1, 500))
ROUND = st.lists(TURN, min_size=1, max_size=4, unique_by=lambda turn: turn[0])
SHARE = st.floats(0, 1)
EVALUATION = st.builds(
    Evaluation, st.integers(1, 5), st.floats(0, 1e6), SHARE, SHARE, st.floats(allow_nan=False)
)
FINITE = st.floats(-1e18, 1e18)
MEASUREMENT = st.builds(Measurement, st.integers(0, 5), st.integers(0, 9), st.text(), st.text(), FINITE)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(ROUND, max_size=5), st.lists(EVALUATION, max_size=4), st.lists(MEASUREMENT, max_size=4))
def test_any_recording_is_loaded_as_it_was_saved(
    rounds: list[list[Turn]], evaluations: list[Evaluation], measurements: list[Measurement]
) -> None:
    in_order = {one.round: one for one in sorted(evaluations, key=lambda one: one.round)}
    kept = [one for one in in_order.values() if one.round <= len(rounds)]
    measured = sorted((one for one in measurements if one.round <= len(rounds)), key=lambda one: one.round)
    recording = recording_of(rounds, evaluations=kept, measurements=measured)
    with tempfile.TemporaryDirectory() as folder:
        save(recording, Path(folder))
        assert_same(load(Path(folder)), recording)


def test_what_was_added_since_a_mark_is_all_that_its_tables_have() -> None:
    recording = recording_of(ROUNDS[:2])
    mark = recording.mark
    for turns in (ROUNDS[1], ROUNDS[2]):
        recording.add_round(rows_of(turns, recording.words))
    added = recording.since(mark)
    tables = {name: pq.read_table(pa.BufferReader(table)) for name, table in tables_of(added).items()}
    assert set(tables[STEPS_FILE]["round"].to_pylist()) == {4}
    assert tables[ROUNDS_FILE]["same_as"].to_pylist() == [2, 4]
    assert len(tables[EVALUATIONS_FILE]) == 0
    assert MEASUREMENTS_FILE not in tables


# --- damaged folders


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def edit_header(folder: Path, **changes: Any) -> None:
    """Changes the header's fields, as somebody who knows how its hashes are made."""
    header = {**json.loads((folder / HEADER_FILE).read_text(encoding="utf-8")), **changes}
    if "files" in header:
        header["files"] = {name: sha256((folder / name).read_bytes()) for name in header["files"]}
        header["hash"] = header_hash(header)
    (folder / HEADER_FILE).write_text(json.dumps(header), encoding="utf-8")


def edit(folder: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Changes a table, and the hashes with it."""
    pq.write_table(change(pq.read_table(folder / name)), folder / name)
    edit_header(folder)


def edit_value(folder: Path, name: str, column: str, row: int, value: object) -> None:
    """Changes one value of a table, and the hashes with it; the column takes the type that it needs."""

    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        place = table.column_names.index(column)
        return table.set_column(place, column, pa.array(values))

    edit(folder, name, change)


def drop_round(folder: Path, number: int, name: str = STEPS_FILE) -> None:
    edit(folder, name, lambda table: table.filter(pa.compute.not_equal(table["round"], number)))


def drop_key(folder: Path, key: str) -> None:
    header = json.loads((folder / HEADER_FILE).read_text(encoding="utf-8"))
    del header[key]
    header["hash"] = header_hash(header)
    (folder / HEADER_FILE).write_text(json.dumps(header), encoding="utf-8")


FILES = (STEPS_FILE, ROUNDS_FILE, EVALUATIONS_FILE, MEASUREMENTS_FILE)
DAMAGES: dict[str, Callable[[Path], object]] = {
    **{f"{name} truncated": lambda folder, name=name: truncate(folder / name) for name in FILES},
    **{f"{name} missing": lambda folder, name=name: (folder / name).unlink() for name in FILES},
    **{f"{name} empty": lambda folder, name=name: (folder / name).write_bytes(b"") for name in FILES},
    "header truncated": lambda folder: truncate(folder / HEADER_FILE),
    "header missing": lambda folder: (folder / HEADER_FILE).unlink(),
    "steps are text": lambda folder: (folder / STEPS_FILE).write_text("round,client\n1,0\n"),
    "header is not json": lambda folder: (folder / HEADER_FILE).write_text("{key: 3"),
    "header is not utf-8": lambda folder: (folder / HEADER_FILE).write_bytes(b'{"key": "\xff"}'),
    "header is a list": lambda folder: (folder / HEADER_FILE).write_text("[1, 2]"),
    "header without key": lambda folder: drop_key(folder, "key"),
    "header without rounds": lambda folder: drop_key(folder, "rounds"),
    "header without steps": lambda folder: drop_key(folder, "steps"),
    "header without phases": lambda folder: drop_key(folder, "phases"),
    "header without format": lambda folder: drop_key(folder, "format"),
    "first round missing": lambda folder: drop_round(folder, 1),
    "middle round missing": lambda folder: drop_round(folder, 2),
    "last round missing": lambda folder: drop_round(folder, 3),
    "a round more was promised": lambda folder: edit_header(folder, rounds=7),
    "a step more was promised": lambda folder: edit_header(folder, steps=56),
    "a measurement more was promised": lambda folder: edit_header(folder, measurements=3),
    "a step missing": lambda folder: edit(folder, STEPS_FILE, lambda table: table.slice(1)),
    "steps twice": lambda folder: edit(folder, STEPS_FILE, lambda table: pa.concat_tables([table, table])),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_recording_names_its_folder_and_what_to_do(
    folder: Path, damage: Callable[[Path], object]
) -> None:
    damage(folder)
    with pytest.raises(RecordingError) as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert "run the scenario again" in str(caught.value)


@pytest.mark.parametrize("name", [*FILES, HEADER_FILE])
def test_no_bit_of_a_file_can_flip_without_a_word(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for position in range(0, len(content), len(content) // 60):
        flipped = bytes([content[position] ^ 1])
        (folder / name).write_bytes(content[:position] + flipped + content[position + 1 :])
        with contextlib.suppress(RecordingError):
            assert_same(load(folder), recording_of())  # a blank that became another, say


HEADERS = {
    "key": {"key": ""},
    "status": {"status": "weird"},
    "rounds": {"rounds": -1},
    "steps": {"steps": 1.5},
    "phases.uplink": {"phases": {"uplink": 3}},
    "formats[0]": {"formats": [{**asdict(recording_of().formats[0]), "least": 170}]},
    "test_set": {"test_set": {"samples": 60, "classes": 4, "chance": 1.5}},
    "measured_codecs[0].core": {"measured_codecs": [{"kind": "weights", "encode_s": 1.0, "decode_s": 1.0}]},
    "provenance.wall_s": {"provenance": {"wall_s": "long"}},
}


@pytest.mark.parametrize(("field", "changes"), HEADERS.items(), ids=HEADERS)
def test_a_header_field_out_of_range_is_named(folder: Path, field: str, changes: dict[str, Any]) -> None:
    edit_header(folder, **changes)
    with pytest.raises(RecordingError, match=re.escape(f"{HEADER_FILE}: {field}")):
        load(folder)


UPLOAD, SERVED = 2, 4  # rows of the first exchange: activations, with the labels after it; work at the server
VALUES: list[tuple[str, int, object]] = [
    ("round", 0, 2), ("round", 3, 0), ("round", 54, 2), ("round", 3, None), ("round", 3, 1.5),
    ("section", 0, 1), ("section", 3, -1), ("section", 3, 2**16), ("section", 3, None),
    ("lane", 3, -1), ("lane", 3, 2**32), ("lane", 3, None),
    ("who", UPLOAD, 10), ("who", UPLOAD, -2), ("who", UPLOAD, 2**32), ("who", UPLOAD, None),
    ("to", UPLOAD, 10), ("to", UPLOAD, -2), ("to", 0, 1), ("to", SERVED, SERVER), ("to", UPLOAD, 0),
    ("to", 0, None),
    ("phase", 0, ""), ("phase", 0, "unknown"), ("phase", 0, None),
    ("work", 0, None),
    ("kind", UPLOAD, ""), ("kind", UPLOAD, None),
    ("codec", 1, None),
    ("shape", 1, "5xfour"), ("shape", 1, "-1x4"), ("shape", 1, None),
    ("joined", 0, True), ("joined", UPLOAD, True), ("joined", 22, True), ("joined", 3, None),
    ("samples", 0, -5), ("samples", 0, 2**40), ("samples", 0, None), ("samples", 0, 4.5),
    ("elements", 1, -1), ("elements", 1, None), ("elements", 1, 2.5),
    ("flops", 0, -1.0), ("flops", 0, math.nan), ("flops", 0, math.inf), ("flops", 0, None),
    ("memory_bytes", 1, -1.0), ("memory_bytes", 1, math.nan), ("memory_bytes", 1, math.inf),
    ("memory_bytes", 1, None),
    ("core_s", 1, -1.0), ("core_s", 1, math.inf), ("core_s", 1, None),
    ("lossless_s", 1, -1.0), ("lossless_s", 1, math.nan), ("lossless_s", 1, math.inf),
    ("lossless_s", 1, None),
    ("num_bytes", UPLOAD, -1), ("num_bytes", UPLOAD, 2**63 - 1), ("num_bytes", UPLOAD, None),
    ("num_bytes", UPLOAD, math.nan), ("num_bytes", UPLOAD, 150.5),
    ("raw_bytes", UPLOAD, -1), ("raw_bytes", UPLOAD, 2**63 - 1), ("raw_bytes", UPLOAD, None),
    ("extra_bytes", UPLOAD, -1), ("extra_bytes", UPLOAD, 10_000), ("extra_bytes", UPLOAD, None),
    ("waits_for", 5, -2), ("waits_for", 5, 5), ("waits_for", 5, 6), ("waits_for", 22, 0),
    ("waits_for", 5, None), ("waits_for", 5, 2**40),
]  # fmt: skip


@pytest.mark.parametrize(("column", "row", "value"), VALUES)
def test_a_step_out_of_range_is_named(folder: Path, column: str, row: int, value: object) -> None:
    edit_value(folder, STEPS_FILE, column, row, value)
    with pytest.raises(RecordingError, match=f"{STEPS_FILE}: {column}: "):
        load(folder)


@pytest.mark.parametrize("column", ["round", *(STEP.names or ())])
def test_a_column_of_another_type_is_noticed(folder: Path, column: str) -> None:
    def change(table: pa.Table) -> pa.Table:
        values = pa.array([0.5 if column in TEXTS else "1"] * len(table))
        return table.set_column(table.column_names.index(column), column, values)

    edit(folder, STEPS_FILE, change)
    with pytest.raises(RecordingError, match=rf"{STEPS_FILE}: {column}: "):
        load(folder)


def test_a_number_is_no_yes_or_no(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        values = pa.array([2 * int(value) for value in table["joined"].to_pylist()])
        return table.set_column(table.column_names.index("joined"), "joined", values)

    edit(folder, STEPS_FILE, change)
    with pytest.raises(RecordingError, match=rf"{STEPS_FILE}: joined: "):
        load(folder)


@pytest.mark.parametrize("column", ["round", *(STEP.names or ())])
def test_a_missing_column_is_noticed(folder: Path, column: str) -> None:
    edit(folder, STEPS_FILE, lambda table: table.drop_columns([column]))
    with pytest.raises(RecordingError, match=rf"{STEPS_FILE}: {column} is missing"):
        load(folder)


@pytest.mark.parametrize("row", [0, 3, 5])
@pytest.mark.parametrize("value", [-1, 0, 4, 7, 2**31, None])
def test_a_round_that_repeats_none_is_noticed(folder: Path, row: int, value: int | None) -> None:
    """The first has steps of its own; the fourth and the sixth repeat the second."""
    edit_value(folder, ROUNDS_FILE, "same_as", row, value)
    with pytest.raises(RecordingError, match=f"{ROUNDS_FILE}: same_as: "):
        load(folder)


@pytest.mark.parametrize(
    ("name", "column", "row", "value"),
    [
        (EVALUATIONS_FILE, "accuracy", 0, 2.0),
        (EVALUATIONS_FILE, "accuracy_without_codec", 1, math.nan),
        (EVALUATIONS_FILE, "round", 0, -1),
        (EVALUATIONS_FILE, "round", 1, 1),
        (EVALUATIONS_FILE, "round", 1, 7),
        (EVALUATIONS_FILE, "epoch", 0, math.inf),
        (EVALUATIONS_FILE, "training_loss", 0, math.nan),
        (EVALUATIONS_FILE, "accuracy", 0, None),
        (MEASUREMENTS_FILE, "round", 0, -1),
        (MEASUREMENTS_FILE, "round", 0, 3),
        (MEASUREMENTS_FILE, "round", 1, 7),
        (MEASUREMENTS_FILE, "client", 0, 10),
        (MEASUREMENTS_FILE, "client", 0, -1),
        (MEASUREMENTS_FILE, "value", 0, math.nan),
        (MEASUREMENTS_FILE, "value", 0, math.inf),
        (MEASUREMENTS_FILE, "value", 0, None),
        (MEASUREMENTS_FILE, "part", 0, None),
        (MEASUREMENTS_FILE, "quantity", 1, None),
    ],
)
def test_a_record_out_of_range_is_named(
    folder: Path, name: str, column: str, row: int, value: object
) -> None:
    edit_value(folder, name, column, row, value)
    with pytest.raises(RecordingError, match=f"{name}: {column}: "):
        load(folder)


@pytest.mark.parametrize("name", [EVALUATIONS_FILE, MEASUREMENTS_FILE])
def test_a_missing_column_of_records_is_noticed(folder: Path, name: str) -> None:
    for column in pq.read_table(folder / name).column_names:
        save(recording_of(), folder)
        edit(folder, name, lambda table, column=column: table.drop_columns([column]))
        with pytest.raises(RecordingError, match=f"{name}: {column}"):
            load(folder)


def test_missing_rounds_are_noticed(folder: Path) -> None:
    drop_round(folder, 2)
    with pytest.raises(RecordingError, match=f"{ROUNDS_FILE}: same_as: 2 of round 2 is no round with steps"):
        load(folder)
    save(recording_of(), folder)
    edit(folder, ROUNDS_FILE, lambda table: table.slice(0, 5))
    with pytest.raises(
        RecordingError, match="of 6 rounds, 55 steps and 2 measurements, 5, 55 and 2 are there"
    ):
        load(folder)


def test_a_recording_of_another_format_names_both_versions(folder: Path) -> None:
    edit_header(folder, format=FORMAT_VERSION + 1)
    with pytest.raises(RecordingError) as caught:
        load(folder)
    assert str(folder) in str(caught.value)
    assert f"format {FORMAT_VERSION + 1}" in str(caught.value)
    assert f"this slsim reads {FORMAT_VERSION}" in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="nowhere cannot be read"):
        load(tmp_path / "nowhere")


# --- older formats

COSTS = {
    "client_forward_flops": 1e6,
    "client_backward_flops": 2e6,
    "server_forward_flops": 3e6,
    "server_backward_flops": 6e6,
    "encode_bytes": {ACTIVATIONS: 8.25, GRADIENTS: 8.0},
    "decode_bytes": {ACTIVATIONS: 4.25, GRADIENTS: 8.0},
    "encode_s": {},
    "decode_s": {},
    "lossless_encode_s": {},
    "lossless_decode_s": {},
    "measured_core": {},
}
OLD_COLUMNS = (
    "round",
    "turn",
    "client",
    "samples",
    "kind",
    "direction",
    "num_bytes",
    "raw_bytes",
    "extra_bytes",
)


def save_older(folder: Path, version: int, rounds: Sequence[Sequence[Turn]] = AGAIN) -> Path:
    """`recording_of(rounds)` as slsim saved it up to format 3; formats 1 and 2 had no hashes, no formats and
    no test set, and format 1 no measurements."""
    recording = recording_of(rounds)
    messages = [
        (number, turn, client, samples, *message, 0)
        for number, turns in enumerate(rounds, 1)
        for turn, (client, num_bytes, samples) in enumerate(turns)
        for message in (
            (ACTIVATIONS, "up", num_bytes, 2_000),
            (LABELS, "up", 40, 40),
            (GRADIENTS, "down", 2_010, 2_000),
        )
    ]
    tables = {
        MESSAGES_FILE: pa.Table.from_pylist([dict(zip(OLD_COLUMNS, row, strict=True)) for row in messages])
    }
    tables[EVALUATIONS_FILE] = pa.Table.from_pylist([asdict(one) for one in recording.evaluations])
    if version > 1:
        tables[PROBES_FILE] = pa.Table.from_pylist([asdict(one) for one in recording.measurements])
    folder.mkdir()
    for name, table in tables.items():
        pq.write_table(table, folder / name)
    header: dict[str, Any] = {
        "format": version,
        "key": recording.key,
        "status": recording.status,
        "rounds": len(rounds),
        "messages": len(messages),
        "probes": len(recording.measurements) if version > 1 else 0,
        "activation_shape": [4, 5, 5],
        "costs": COSTS,
        "learning": recording.learning,
        "provenance": recording.provenance,
    }
    if version > 2:
        header |= {"test_set": asdict(recording.test_set), "formats": [*map(asdict, recording.formats)]}  # type: ignore[call-overload]
        header["files"] = dict.fromkeys(tables, "")
    (folder / HEADER_FILE).write_text(json.dumps(header), encoding="utf-8")
    edit_header(folder)
    return folder


@pytest.fixture(params=[1, 2, 3])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    """A folder with a recording of an older format, and which."""
    return save_older(tmp_path / "older", request.param), request.param


def test_recordings_of_older_formats_are_read_as_steps(older: tuple[Path, int]) -> None:
    folder, version = older
    fields: dict[str, Any] = {"measured_codecs": ()}
    if version < 3:
        fields |= {"test_set": None, "formats": ()}
    if version < 2:
        fields["measurements"] = []
    assert_same(load(folder), recording_of(**fields))


def test_an_older_recording_is_saved_in_todays_format(older: tuple[Path, int], tmp_path: Path) -> None:
    converted = load(older[0])
    save(converted, tmp_path / "now")
    assert json.loads((tmp_path / "now" / HEADER_FILE).read_text())["format"] == FORMAT_VERSION
    assert_same(load(tmp_path / "now"), converted)


@pytest.mark.parametrize(
    ("name", "column", "row", "value"),
    [
        (EVALUATIONS_FILE, "accuracy", 0, 2.0),
        (EVALUATIONS_FILE, "round", 1, 7),
        (MESSAGES_FILE, "num_bytes", 3, -1),
        (MESSAGES_FILE, "num_bytes", 3, None),
        (MESSAGES_FILE, "raw_bytes", 3, 2**63 - 1),
        (MESSAGES_FILE, "extra_bytes", 3, 10_000),
        (MESSAGES_FILE, "client", 3, 10),
        (MESSAGES_FILE, "samples", 3, -5),
        (MESSAGES_FILE, "round", 0, 2),
        (MESSAGES_FILE, "turn", 0, 1),
        (MESSAGES_FILE, "direction", 0, "sideways"),
        (MESSAGES_FILE, "kind", 0, ""),
    ],
)
def test_a_value_out_of_range_in_an_older_format_is_named(
    older: tuple[Path, int], name: str, column: str, row: int, value: object
) -> None:
    edit_value(older[0], name, column, row, value)
    with pytest.raises(RecordingError, match=f"{name}: {column}: "):
        load(older[0])


OLD_HEADERS = {
    "activation_shape[0]": {"activation_shape": [0, 5]},
    "activation_shape": {"activation_shape": 3},
    "costs.client_backward_flops": {"costs": {"client_forward_flops": 1.0}},
    "costs.client_forward_flops": {"costs": {**COSTS, "client_forward_flops": -1.0}},
    "costs.server_backward_flops": {"costs": {**COSTS, "server_backward_flops": math.nan}},
    "costs.decode_bytes.activations": {"costs": {**COSTS, "decode_bytes": {ACTIVATIONS: math.inf}}},
}


@pytest.mark.parametrize(("field", "changes"), OLD_HEADERS.items(), ids=OLD_HEADERS)
def test_a_header_field_of_an_older_format_out_of_range_is_named(
    older: tuple[Path, int], field: str, changes: dict[str, Any]
) -> None:
    edit_header(older[0], **changes)
    with pytest.raises(RecordingError, match=re.escape(f"{HEADER_FILE}: {field}")):
        load(older[0])


def test_missing_rounds_turns_and_messages_of_an_older_format_are_noticed(tmp_path: Path) -> None:
    def folder(name: str, keep: Callable[[pa.Table], pa.Table]) -> Path:
        path = save_older(tmp_path / name, 3)
        edit(path, MESSAGES_FILE, keep)
        edit_header(path, messages=len(pq.read_table(path / MESSAGES_FILE)))
        return path

    def without(number: int) -> Callable[[pa.Table], pa.Table]:
        return lambda table: table.filter(pa.compute.not_equal(table["round"], number))

    with pytest.raises(RecordingError, match="round: rounds are missing or out of order"):
        load(folder("middle", without(2)))
    with pytest.raises(RecordingError, match="of 6 rounds and 2 measurements, 5 and 2 are there"):
        load(folder("last", without(6)))
    with pytest.raises(RecordingError, match="turn: turns are missing or out of order"):
        load(folder("turn", lambda table: table.slice(3)))
    path = save_older(tmp_path / "message", 3)
    edit(path, MESSAGES_FILE, lambda table: table.slice(0, len(table) - 1))
    with pytest.raises(RecordingError, match="of 27 messages, 26 are there"):
        load(path)


@pytest.mark.parametrize("name", [MESSAGES_FILE, EVALUATIONS_FILE, PROBES_FILE, HEADER_FILE])
def test_no_bit_of_a_file_of_format_3_can_flip_without_a_word(tmp_path: Path, name: str) -> None:
    folder = save_older(tmp_path / "older", 3)
    whole, content = load(folder), (folder / name).read_bytes()
    for position in range(0, len(content), len(content) // 60):
        flipped = bytes([content[position] ^ 1])
        (folder / name).write_bytes(content[:position] + flipped + content[position + 1 :])
        with contextlib.suppress(RecordingError):
            assert_same(load(folder), whole)


def test_a_client_may_take_two_turns_in_a_round(tmp_path: Path) -> None:
    twice = [[(0, 10, 5), (0, 10, 5)]]
    folder = save_older(tmp_path / "older", 3, [*twice, *AGAIN])
    steps = load(folder).steps
    assert steps.rows["num_bytes"][steps.sent(ACTIVATIONS)][:2].tolist() == [10, 10]
    recording = recording_of([*twice, *AGAIN])
    save(recording, tmp_path / "now")
    assert_same(load(tmp_path / "now"), recording)


# --- sums


def test_bytes_by_link_and_by_kind_are_those_of_the_messages() -> None:
    recording = recording_of()
    steps, num_bytes = recording.steps, recording.steps.rows["num_bytes"]
    up, down = (steps.total("num_bytes", steps.crosses(link)) for link in ("uplink", "downlink"))
    assert up.tolist() == [150 + 40 + 151 + 40, 160 + 40, 170 + 40 + 171 + 40]
    assert down.tolist() == [2 * 2_010, 2_010, 2 * 2_010]
    assert num_bytes[steps.sent(ACTIVATIONS)].tolist() == [150, 151, 160, 170, 171]
    assert set(num_bytes[steps.sent(LABELS)].tolist()) == {40}
    assert set(num_bytes[steps.sent(GRADIENTS)].tolist()) == {2_010}
    assert not steps.sent("of nobody").any()
    assert recording.totals(up).tolist() == [0, 381, 581, 1_002, 1_202, 1_583, 1_783]


@pytest.mark.parametrize("shape", [(), (3,), (10, 16, 8, 8)])
def test_a_shape_is_read_as_it_was_written(shape: tuple[int, ...]) -> None:
    assert parse_shape(shape_text(shape)) == shape


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (recording_of().evaluations[0], "round"),
        (recording_of().formats[0], "kind"),
        (recording_of().measurements[0], "value"),
        (Message(LABELS, 40, 40), "num_bytes"),
        (Piece("encode"), "flops"),
    ],
)
def test_records_are_frozen(record: object, name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(record, name, 3)
