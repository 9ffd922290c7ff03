"""The tables of `slsim errors` on the terminal."""

from __future__ import annotations

import math
from io import StringIO
from typing import Any

import pandas as pd
from rich.console import Console

from slsim import saved
from slsim.report.codec_errors import print_errors

OLD = """series,codec,lossless,bytes,compression_ratio,relative_error
QU,QU (2 bits),False,100,8.0,0.25
QU,QU (2 bits),True,80,10.0,0.25
"""
STAGES = {"none": 4000, "zstd": 2000, "context": 1000}


def printed(table: pd.DataFrame) -> list[str]:
    console = Console(file=StringIO(), width=80)
    print_errors(console, table, [])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def row(codec: str, stage: str, distortion: float = 0.25) -> dict[str, Any]:
    """A codec that sends, in each of 10 epochs, so many bytes of 10 samples, each 500 raw bytes."""
    num_bytes = STAGES[stage]
    return {
        **{"series": codec, "codec": codec, "stage": stage, "lossless": stage != "none"},
        **{"bytes": num_bytes, "compression_ratio": 32_000 / num_bytes, "relative_error": distortion**0.5},
        **{"bits_per_element": num_bytes / 1000, "distortion": distortion, "gaussian_bits": 1.0},
        **{"entropy_bits": 1.2, "context_entropy_bits": 0.9},
        **{"bytes_per_sample": num_bytes / 10, "times_raw_data": num_bytes / 10 / 50},
    }


def test_an_older_table_without_limits_is_printed_without_them() -> None:
    lines = printed(saved.parse("errors", OLD))
    assert "│ QU (2 bits) │   0.250 │ 8.00× │ 10.00× │" in lines
    assert not any("Limits" in line or "D/σ²" in line for line in lines)


def test_limits_stand_beside_what_the_best_stage_sends_within_80_columns() -> None:
    rows = [row("MS (99 %, 2 bits, centroid)", stage) for stage in STAGES]
    given = {**row("identity", "none", distortion=0), "gaussian_bits": math.inf}
    lines = printed(pd.DataFrame([*rows, given]))
    assert "│ MS (99 %, 2 bits, centroid) │   0.500 │ 8.00× │ 16.00× │  32.00× │" in lines
    assert "│ MS (99 %, 2 bits, centroid) │ 0.250 │ 1.00 │  1.20 │    0.90 │  1.00 │  2.00 │" in lines
    assert "│ identity                    │   0.000 │ 8.00× │      – │       – │" in lines
    assert "│ identity                    │     0 │ 4.00 │  1.20 │    0.90 │   INF │  8.00 │" in lines
    assert max(map(len, lines)) <= 80


def test_the_raw_data_are_the_floor_which_says_nothing_about_privacy() -> None:
    text = " ".join(printed(pd.DataFrame([row("QU", "none")])))
    assert "The raw data, once, would be 50.0 bytes a sample and epoch" in text
    assert "says nothing about privacy" in text
