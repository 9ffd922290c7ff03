"""The sanity checks pass on an honest study and name what is wrong with a changed one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slsim
from slsim.recording import ACTIVATIONS, LABELS, STEP, load, save
from slsim.study import run
from slsim.verdict import Check


@pytest.fixture
def study(tiny_study: Path) -> slsim.Study:
    return slsim.open_study(tiny_study)


def checked(path: Path) -> tuple[list[Check], list[Check]]:
    """All checks of the study, and those that failed."""
    checks = slsim.open_study(path).check()
    return checks, [check for check in checks if not check.passed]


def change(study: slsim.Study, training: str, number: int, client: int, kind: str) -> None:
    """Adds a byte to what a client sent in one round, and saves it as if it had been recorded so."""
    (folder,) = (study.path / "trainings").glob(f"{training}-*")
    recording = load(folder)
    changed = replace(recording)  # which has no rounds yet
    for at, place in enumerate(recording.rounds, 1):
        steps = recording.steps.only(place)
        rows = np.zeros(len(steps.rows), STEP)
        for name in STEP.names or ():
            rows[name] = steps.rows[name]
        if at == number:
            rows["num_bytes"] += steps.sent(kind) & (steps.clients == client)
        changed.add_round(rows)
    save(changed, folder)


def test_an_honest_study_passes_and_every_check_shows_its_arithmetic(study: slsim.Study) -> None:
    checks, failed = checked(study.path)
    assert failed == []
    subjects = [check.subject for check in checks]
    # 3 trainings × 3 kinds of messages; 3 runs × (multiplier, bytes and busy time of two links, makespan,
    # their row); 3 settings × their row
    assert len(checks) == 3 * 3 + 3 * 7 + 3 + 6
    sizes = next(check for check in checks if "ms" in check.subject and "activations" in check.subject)
    # 5 samples of 16: d = 80; 2 bits each: 20 bytes; k = 8: 32 bytes; 36 rounds of 4 clients.
    assert "144 messages; d = 80: ceil(2·d / 8) + 4·8 = 52 bytes + 10 of header" in sizes.arithmetic
    assert "ratio 320 / 62 = 5.161, measured 46,080 / 8,928 = 5.161" in sizes.arithmetic
    assert "busy time of uplink0, identity" in subjects
    carried = next(check for check in checks if check.subject == "bytes on the uplinks of identity")
    # 144 messages of 330 + 5 bytes, each in one segment
    assert "48,240 bytes + 144 segments × 66 bytes of header = 57,744" in carried.arithmetic
    assert all(check.arithmetic for check in checks)


def test_one_changed_byte_count_fails_and_is_named(study: slsim.Study) -> None:
    change(study, "ms", 17, 2, ACTIVATIONS)
    failed = {check.subject: check.note for check in checked(study.path)[1]}
    (subject,) = (subject for subject in failed if subject.startswith("bytes of ms"))
    assert "round 17, client 2, activations: (63, 320), the format says (62, 320)" in failed[subject]
    assert "runs.csv, MS (90 %, 2 bits)" in failed


def test_a_changed_label_count_fails(study: slsim.Study) -> None:
    change(study, "identity", 1, 0, LABELS)
    subjects = [check.subject for check in checked(study.path)[1]]
    assert any(subject.startswith("bytes of identity") and subject.endswith("labels") for subject in subjects)


@pytest.mark.parametrize("name", ["runs", "summary"])
def test_a_changed_table_fails_and_names_the_column(study: slsim.Study, name: str) -> None:
    table = getattr(study, name).copy()
    table.loc[2, "makespan_s"] *= 2
    table.to_csv(study.path / f"{name}.csv", index=False)
    (check,) = checked(study.path)[1]
    assert check.subject == f"{name}.csv, MS (90 %, 2 bits)"
    assert "makespan_s" in check.note


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("curves", "accuracy"),
        ("breakdown", "uplink_s"),
        ("links", "wire_bytes"),
        ("frontier", "accuracy"),
    ],
)
def test_a_changed_number_in_any_table_fails_and_names_row_and_column(
    study: slsim.Study, name: str, column: str
) -> None:
    table = getattr(study, name).copy()
    table.loc[1, column] *= 1.001
    table.to_csv(study.path / f"{name}.csv", index=False)
    (check,) = checked(study.path)[1]
    assert check.subject == f"{name}.csv"
    assert check.note.startswith(f"row 2: {column}: ")
    table.iloc[:-1].to_csv(study.path / f"{name}.csv", index=False)
    (check,) = checked(study.path)[1]
    assert check.arithmetic == f"{len(table) - 1:,} rows, expected {len(table):,}"


def test_a_changed_crossover_fails(study: slsim.Study) -> None:
    swept = study.replay({"network.uplink": ["100 kbps", "1 Gbps"]})
    assert all(check.passed for check in swept.check())
    table = swept.crossovers.copy()
    table.loc[0, "direction"] = "always"
    table.to_csv(swept.path / "crossovers.csv", index=False)
    (check,) = checked(swept.path)[1]
    assert check.note.startswith("row 1: direction: always saved, ")


def test_a_multiplier_above_the_formats_own_ratio_is_noted_not_failed(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    """As if the baseline had learned late: the codec then saved more traffic than its format can."""
    tiny["training"]["target_accuracy"] = 0.5
    study = slsim.open_study(run(write(tiny), tmp_path / "results").path)
    runs = {one.label: one for one in study.played}
    ms, identity = runs["MS (90 %, 2 bits)"], runs["identity"]
    late = [evaluation for evaluation in identity.recording.evaluations if evaluation.round > 18]
    identity.recording.evaluations[:] = late
    (check,) = (
        check for check in study.check() if check.subject == "traffic multiplier of MS (90 %, 2 bits)"
    )
    assert check.passed
    assert ms.baseline is identity.recording  # the late one
    assert "above the format's own ratio, 6.15" in check.note
    assert "one seed does not prove that" in check.note


def test_where_sizes_depend_on_the_data_a_multiplier_lies_between_the_messages_ratios(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    """The ratio up to the target is not that of the whole training."""
    tiny["training"] |= {"epochs": 2, "target_accuracy": 0.5}
    tiny["sweep"] = {"codec.uplink": ["identity", "sl-acc"]}
    checks, failed = checked(run(write(tiny), tmp_path / "results").path)
    assert failed == []
    (check,) = (one for one in checks if one.subject == "traffic multiplier of SL-ACC")
    found = re.match(r"measured (\S+); .*, by the messages' sizes (\S+) to (\S+)$", check.arithmetic)
    assert found
    measured, low, high = map(float, found.groups())
    assert 0.99 * low <= measured <= 1.01 * high
    assert low < high


def test_a_changed_state_of_the_target_fails_too(study: slsim.Study) -> None:
    summary = study.runs.copy()
    summary["target_state"] = ["reached", "not reached", "reached"]
    summary.to_csv(study.path / "runs.csv", index=False)
    (check,) = checked(study.path)[1]
    assert check.note == "target_state: not reached saved, reached from the recording"


def test_shared_links_pass_too(study: slsim.Study) -> None:
    shared = study.replay(
        {"network.sharing": "shared", "network.uplink": "1 Mbps", "network.downlink": "300 kbps"}
    )
    assert [check for check in shared.check() if not check.passed] == []


def test_a_table_that_is_missing_fails_and_the_rest_is_checked(study: slsim.Study) -> None:
    (study.path / "summary.csv").unlink()
    checks, failed = checked(study.path)
    assert [check.subject for check in failed] == ["summary.csv"]
    assert len(checks) > 20
