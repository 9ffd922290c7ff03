"""Saved tables are read with their columns and types, and what is wrong with one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from slsim import saved
from slsim.errors import StudyError
from slsim.report.figures import draw
from slsim.results import StudyFolder

BREAKDOWN = (
    "run,setting,seed,client_forward_s,encode_s,uplink_s,server_wait_s,server_compute_s,downlink_s,decode_s,"
    "client_backward_s,barrier_wait_s,round_s,bottleneck,bottleneck_share\n"
)


def test_labels_stay_text_and_numbers_are_numbers() -> None:
    rows = "NA,NA,0,1,1,1,1,1,1,1,1,1,9,devices,0.5\n007,007,0,1,1,1,1,1,1,1,1,1,9e0,uplink,1\n"
    table = saved.parse("breakdown", BREAKDOWN + rows)
    assert list(table["run"]) == ["NA", "007"]
    assert list(table["round_s"]) == [9.0, 9.0]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("runs", "x\n", "the column run is missing"),
        ("summary", "x\n", "the column setting is missing"),
        ("summary", "", "No columns to parse from file"),
        ("breakdown", BREAKDOWN, "it has no rows"),
        (
            "breakdown",
            BREAKDOWN + "ms,ms,0" + ",1" * 9 + ",inf,uplink,1\n",
            "the column round_s: 'inf' in row 1 is not",
        ),
        (
            "breakdown",
            BREAKDOWN + "ms,ms,0" + ",1" * 10 + ",uplink\n",
            "bottleneck_share: '' in row 1 is not a number",
        ),
        ("breakdown", BREAKDOWN + "ms,ms,0" + ",1" * 12 + ",7\n", "Length of header"),
        (
            "errors",
            "series,codec,lossless,bytes,compression_ratio,relative_error\na,b,yes,1,1,1\n",
            "'yes' in row 1",
        ),
        (
            "errors",
            "series,codec,lossless,bytes,compression_ratio,relative_error,distortion\na,b,True,1,1,1,x\n",
            "the column distortion: 'x' in row 1 is not a number",
        ),
        ("partition", "client,samples,class_0,class_1\n0,5,3,two\n", "the column class_1: 'two' in row 1"),
    ],
)
def test_a_damaged_table_names_the_column(name: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        saved.parse(name, text)


@pytest.mark.parametrize("name", ["summary", "curves", "breakdown"])
@pytest.mark.parametrize("content", [b"x\n", b"\xff\xfe", b"", b'run,"'])
def test_figures_of_a_damaged_table_are_one_error(tiny_study: Path, name: str, content: bytes) -> None:
    (tiny_study / f"{name}.csv").write_bytes(content)
    with pytest.raises(
        StudyError, match=rf"{name}\.csv cannot be read \(.*\); running its scenario restores it"
    ):
        draw(StudyFolder.open(tiny_study))
