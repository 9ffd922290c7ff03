"""The Recording: written, read again, summed, and refused when it is damaged."""

import contextlib
import json
import math
import re
import tempfile
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import RecordingError
from slsim.recording import (
    ACTIVATIONS,
    EVALUATIONS_FILE,
    FORMAT_VERSION,
    GRADIENTS,
    HEADER_FILE,
    LABELS,
    MESSAGES_FILE,
    Costs,
    Evaluation,
    Message,
    Recording,
    RoundRecord,
    TestSet,
    Turn,
    schema,
)

COSTS = Costs(
    client_forward_flops=1e6,
    client_backward_flops=2e6,
    server_forward_flops=3e6,
    server_backward_flops=6e6,
    encode_bytes={ACTIVATIONS: 8.25, GRADIENTS: 8.0},
    decode_bytes={ACTIVATIONS: 4.25, GRADIENTS: 8.0},
)


def turn(client: int, activations: int, samples: int = 5) -> Turn:
    """A turn whose activations took that many bytes."""
    return Turn(
        client,
        samples,
        (
            Message(ACTIVATIONS, "up", activations, 2_000),
            Message(LABELS, "up", 40, 40),
            Message(GRADIENTS, "down", 2_010, 2_000),
        ),
    )


RECORDING = Recording(
    key="0123abcd",
    learning={"seed": 3, "codec": {"uplink": {"name": "ms", "bits": 2}}, "list": [1, 2.5, None, "é"]},
    costs=COSTS,
    activation_shape=(4, 5, 5),
    rounds=[
        RoundRecord((turn(0, 150), turn(1, 151))),
        RoundRecord((turn(1, 160),)),
        RoundRecord((turn(2, 170, samples=3), turn(0, 171))),
    ],
    evaluations=[Evaluation(1, 0.3, 0.1, 0.11, 2.302585), Evaluation(3, 1.0, 0.75, 1 / 3, 0.5)],
    test_set=TestSet(samples=60, classes=4, chance=0.25),
    provenance={"host": "here", "versions": {"torch": "2.14.1"}},
)


@pytest.fixture
def folder(tmp_path):
    """A folder with a saved recording."""
    RECORDING.save(tmp_path)
    return tmp_path


def test_what_was_saved_is_loaded(folder):
    assert Recording.load(folder) == RECORDING
    assert {path.name for path in folder.iterdir()} == {HEADER_FILE, MESSAGES_FILE, EVALUATIONS_FILE}


def test_a_recording_without_rounds_or_evaluations(tmp_path):
    empty = replace(RECORDING, rounds=[], evaluations=[])
    empty.save(tmp_path)
    assert Recording.load(tmp_path) == empty


def test_a_diverged_training_keeps_its_status_and_its_infinite_loss(tmp_path):
    last = Evaluation(3, 1.0, 0.1, 0.1, math.inf)
    diverged = replace(RECORDING, status="diverged", evaluations=[last])
    diverged.save(tmp_path)
    assert Recording.load(tmp_path) == diverged


def test_saving_again_replaces(folder):
    shorter = replace(RECORDING, rounds=RECORDING.rounds[:1], evaluations=[])
    shorter.save(folder)
    assert Recording.load(folder) == shorter


def test_large_byte_counts_are_kept_exactly(tmp_path):
    large = replace(RECORDING, rounds=[RoundRecord((turn(0, 2**53 + 1),))], evaluations=[])
    large.save(tmp_path)
    assert Recording.load(tmp_path).rounds[0].turns[0].message(ACTIVATIONS).num_bytes == 2**53 + 1


def test_any_tool_can_read_the_messages(folder):
    table = pq.read_table(folder / MESSAGES_FILE)
    assert table.column_names == [
        "round",
        "turn",
        "client",
        "samples",
        "kind",
        "direction",
        "num_bytes",
        "raw_bytes",
        "extra_bytes",
    ]
    rows = table.to_pylist()
    assert len(rows) == 15  # 5 turns of 3 messages
    assert rows[0] == {
        "round": 1,
        "turn": 0,
        "client": 0,
        "samples": 5,
        "kind": ACTIVATIONS,
        "direction": "up",
        "num_bytes": 150,
        "raw_bytes": 2_000,
        "extra_bytes": 0,
    }
    assert [row["round"] for row in rows] == [1] * 6 + [2] * 3 + [3] * 6


MESSAGE = st.builds(
    Message,
    st.sampled_from([ACTIVATIONS, LABELS, GRADIENTS]),
    st.sampled_from(["up", "down"]),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
TURN = st.builds(Turn, st.integers(0, 9), st.integers(1, 500), st.lists(MESSAGE, min_size=1).map(tuple))
ROUND = st.builds(
    RoundRecord,
    st.lists(TURN, min_size=1, max_size=4, unique_by=lambda turn: turn.client).map(tuple),
)
SHARE = st.floats(0, 1)
EVALUATION = st.builds(
    Evaluation,
    st.integers(1, 5),
    st.floats(0, 1e6),
    SHARE,
    SHARE,
    st.floats(allow_nan=False),
)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(ROUND, max_size=5), st.lists(EVALUATION, max_size=4))
def test_any_recording_is_loaded_as_it_was_saved(rounds, evaluations):
    in_order = {one.round: one for one in sorted(evaluations, key=lambda one: one.round)}
    kept = [one for one in in_order.values() if one.round <= len(rounds)]
    recording = replace(RECORDING, rounds=rounds, evaluations=kept)
    with tempfile.TemporaryDirectory() as folder:
        recording.save(Path(folder))
        assert Recording.load(Path(folder)) == recording


# --- damaged folders


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def edit_header(folder: Path, **changes) -> None:
    """Changes the header's fields, as somebody who knows how its hashes are made."""
    header = {**json.loads((folder / HEADER_FILE).read_text(encoding="utf-8")), **changes}
    header["files"] = {name: schema.sha256((folder / name).read_bytes()) for name in header["files"]}
    header["hash"] = schema.header_hash(header)
    (folder / HEADER_FILE).write_text(json.dumps(header), encoding="utf-8")


def as_version(folder: Path, version: int) -> None:
    """The recording as an older slsim saved it: without hashes, formats and test set."""
    header = json.loads((folder / HEADER_FILE).read_text(encoding="utf-8"))
    for later in ("files", "hash", "formats", "test_set", "probes"):
        del header[later]
    (folder / HEADER_FILE).write_text(json.dumps({**header, "format": version}), encoding="utf-8")


def edit_table(folder: Path, name: str, column: str, row: int, value: object) -> None:
    """Changes one value of a table, and the hashes with it."""
    table = pq.read_table(folder / name)
    rows = table.to_pylist()
    rows[row][column] = value
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), folder / name)
    edit_header(folder)


def drop_round(folder: Path, number: int) -> None:
    table = pq.read_table(folder / MESSAGES_FILE)
    kept = [row for row in table.to_pylist() if row["round"] != number]
    pq.write_table(type(table).from_pylist(kept, schema=table.schema), folder / MESSAGES_FILE)
    edit_header(folder)


def drop_key(folder: Path, key: str) -> None:
    header = json.loads((folder / HEADER_FILE).read_text(encoding="utf-8"))
    del header[key]
    header["hash"] = schema.header_hash(header)
    (folder / HEADER_FILE).write_text(json.dumps(header), encoding="utf-8")


DAMAGES = {
    "messages truncated": lambda folder: truncate(folder / MESSAGES_FILE),
    "evaluations truncated": lambda folder: truncate(folder / EVALUATIONS_FILE),
    "header truncated": lambda folder: truncate(folder / HEADER_FILE),
    "messages missing": lambda folder: (folder / MESSAGES_FILE).unlink(),
    "evaluations missing": lambda folder: (folder / EVALUATIONS_FILE).unlink(),
    "header missing": lambda folder: (folder / HEADER_FILE).unlink(),
    "messages empty": lambda folder: (folder / MESSAGES_FILE).write_bytes(b""),
    "messages are text": lambda folder: (folder / MESSAGES_FILE).write_text("round,client\n1,0\n"),
    "header is not json": lambda folder: (folder / HEADER_FILE).write_text("{key: 3"),
    "header is not utf-8": lambda folder: (folder / HEADER_FILE).write_bytes(b'{"key": "\xff"}'),
    "header is a list": lambda folder: (folder / HEADER_FILE).write_text("[1, 2]"),
    "header without key": lambda folder: drop_key(folder, "key"),
    "header without rounds": lambda folder: drop_key(folder, "rounds"),
    "header without format": lambda folder: drop_key(folder, "format"),
    "costs incomplete": lambda folder: edit_header(folder, costs={"client_forward_flops": 1.0}),
    "shape is no list": lambda folder: edit_header(folder, activation_shape=3),
    "first round missing": lambda folder: drop_round(folder, 1),
    "middle round missing": lambda folder: drop_round(folder, 2),
    "last round missing": lambda folder: drop_round(folder, 3),
    "a round more was promised": lambda folder: edit_header(folder, rounds=4),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_recording_names_its_folder_and_what_to_do(folder, damage):
    damage(folder)
    with pytest.raises(RecordingError) as caught:
        Recording.load(folder)
    assert str(folder) in str(caught.value)
    assert "run the scenario again" in str(caught.value)


@pytest.mark.parametrize("name", [MESSAGES_FILE, EVALUATIONS_FILE, HEADER_FILE])
def test_no_bit_of_a_file_can_flip_without_a_word(folder, name):
    content = (folder / name).read_bytes()
    for position in range(0, len(content), len(content) // 60):
        flipped = bytes([content[position] ^ 1])
        (folder / name).write_bytes(content[:position] + flipped + content[position + 1 :])
        with contextlib.suppress(RecordingError):
            assert Recording.load(folder) == RECORDING  # a blank that became another, say


HEADERS = {
    "key": {"key": ""},
    "status": {"status": "weird"},
    "rounds": {"rounds": -1},
    "activation_shape[0]": {"activation_shape": [0, 5]},
    "costs.client_forward_flops": {"costs": {**asdict(COSTS), "client_forward_flops": -1.0}},
    "costs.server_backward_flops": {"costs": {**asdict(COSTS), "server_backward_flops": math.nan}},
    "costs.decode_bytes.activations": {"costs": {**asdict(COSTS), "decode_bytes": {ACTIVATIONS: math.inf}}},
    "test_set": {"test_set": {"samples": 60, "classes": 4, "chance": 1.5}},
    "provenance.wall_s": {"provenance": {"wall_s": "long"}},
}


@pytest.mark.parametrize(("field", "changes"), HEADERS.items(), ids=HEADERS)
def test_a_header_field_out_of_range_is_named(folder, field, changes):
    edit_header(folder, **changes)
    with pytest.raises(RecordingError, match=re.escape(f"{HEADER_FILE}: {field}")):
        Recording.load(folder)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("name", "column", "row", "value"),
    [
        (EVALUATIONS_FILE, "accuracy", 0, 2.0),
        (EVALUATIONS_FILE, "accuracy_without_codec", 1, math.nan),
        (EVALUATIONS_FILE, "round", 0, -1),
        (EVALUATIONS_FILE, "round", 1, 1),
        (EVALUATIONS_FILE, "round", 1, 4),
        (EVALUATIONS_FILE, "epoch", 0, math.inf),
        (EVALUATIONS_FILE, "training_loss", 0, math.nan),
        (MESSAGES_FILE, "num_bytes", 3, -1),
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
def test_a_value_out_of_range_is_named(tmp_path, version, name, column, row, value):
    replace(RECORDING, learning={"clients": {"count": 10}}).save(tmp_path)
    edit_table(tmp_path, name, column, row, value)
    if version < 3:
        as_version(tmp_path, version)
    with pytest.raises(RecordingError, match=f"{name}: {column}: "):
        Recording.load(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_recordings_of_older_versions_can_be_read(folder, version):
    as_version(folder, version)
    assert Recording.load(folder) == replace(RECORDING, test_set=None)


def test_missing_rounds_are_noticed(folder):
    drop_round(folder, 2)
    with pytest.raises(RecordingError, match="round: rounds are missing or out of order"):
        Recording.load(folder)
    drop_round(folder, 3)
    with pytest.raises(RecordingError, match="of 3 rounds, 15 messages and 0 measurements, 1, 6 and 0"):
        Recording.load(folder)


def test_a_recording_of_another_format_names_both_versions(folder):
    edit_header(folder, format=FORMAT_VERSION + 1)
    with pytest.raises(RecordingError) as caught:
        Recording.load(folder)
    assert str(folder) in str(caught.value)
    assert f"format {FORMAT_VERSION + 1}" in str(caught.value)
    assert f"this slsim reads {FORMAT_VERSION}" in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(RecordingError, match="nowhere cannot be read"):
        Recording.load(tmp_path / "nowhere")


# --- sums


def test_bytes_of_a_turn_by_direction():
    assert turn(0, 150).num_bytes("up") == 150 + 40
    assert turn(0, 150).num_bytes("down") == 2_010


def test_bytes_of_a_round_are_those_of_its_turns():
    record = RECORDING.rounds[0]
    assert record.num_bytes("up") == 150 + 40 + 151 + 40
    assert record.num_bytes("down") == 2 * 2_010
    assert RoundRecord(()).num_bytes("up") == 0


@pytest.mark.parametrize(
    ("kind", "num_bytes", "direction"),
    [(ACTIVATIONS, 150, "up"), (LABELS, 40, "up"), (GRADIENTS, 2_010, "down")],
)
def test_the_message_of_a_kind(kind, num_bytes, direction):
    message = turn(0, 150).message(kind)
    assert (message.kind, message.num_bytes, message.direction) == (kind, num_bytes, direction)


@pytest.mark.parametrize(
    ("record", "name"),
    [(turn(0, 1), "client"), (turn(0, 1).messages[0], "num_bytes"), (COSTS, "client_forward_flops")],
)
def test_records_are_frozen(record, name):
    with pytest.raises(FrozenInstanceError):
        setattr(record, name, 3)


def test_a_client_may_take_two_turns_in_a_round(tmp_path):
    turn = Turn(0, 5, (Message(ACTIVATIONS, "up", 10, 20),))
    recording = replace(RECORDING, rounds=[RoundRecord((turn, turn))], evaluations=[])
    recording.save(tmp_path)
    assert Recording.load(tmp_path).rounds == [RoundRecord((turn, turn))]


def test_a_missing_turn_is_noticed(folder):
    table = pq.read_table(folder / MESSAGES_FILE)
    pq.write_table(table.slice(3), folder / MESSAGES_FILE)
    edit_header(folder)
    with pytest.raises(RecordingError, match="turn: turns are missing or out of order"):
        Recording.load(folder)


def test_a_missing_column_is_noticed(folder):
    table = pq.read_table(folder / MESSAGES_FILE)
    pq.write_table(table.drop_columns(["num_bytes"]), folder / MESSAGES_FILE)
    edit_header(folder)
    with pytest.raises(RecordingError, match="num_bytes: values are missing"):
        Recording.load(folder)
