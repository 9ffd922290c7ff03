"""docs/reference/results.md: it has every column that a study writes, and no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from slsim.saved import COLUMNS, SERIES
from slsim.study import run

TEXT = (Path(__file__).parents[1] / "docs" / "reference" / "results.md").read_text("utf-8")
EVERYTHING = {
    "codec.uplink": ["identity", {"name": "qu", "bits": 3}],
    "network.uplink": ["1 Mbps", "100 Mbps"],
}


def rows(text: str) -> Iterator[str]:
    """The names in the first cells of the tables in `text`, those of a family written out."""
    for cell in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", cell)
        whole = [name for name in names if not name.startswith("…")]
        ends = [name[1:] for name in names if name.startswith("…")]
        yield from (name + end for name in whole for end in ["", *ends])


def described(table: str) -> list[str]:
    return list(rows(TEXT.partition(f"\n## {table}.csv\n")[2].partition("\n## ")[0]))


@pytest.fixture(scope="module")
def written(tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a sweep over a number, and a hook; its target is reached."""
    training = {**tiny_document["training"], "hooks": [{"name": "leakage", "samples": 8, "every": 20}]}
    document = {**tiny_document, "training": training, "sweep": EVERYTHING}
    return run(document, tmp_path_factory.mktemp("results")).path


def columns_of(path: Path) -> set[str]:
    """The columns of a table, but for the label beside a swept number."""
    return {column for column in pd.read_csv(path, nrows=0) if not column.endswith(SERIES)}


def test_every_table_has_a_section() -> None:
    assert sorted(re.findall(r"^## (\w+)\.csv$", TEXT, re.MULTILINE)) == sorted(COLUMNS)
    assert all(len(described(table)) == len(set(described(table))) > 0 for table in COLUMNS)


def test_the_columns_of_a_study_are_described_and_no_others(written: Path) -> None:
    tables = sorted(written.glob("*.csv"))
    assert {path.stem for path in tables} == set(COLUMNS) - {"errors", "partition"}
    for path in tables:
        assert (path.stem, columns_of(path) ^ set(described(path.stem))) == (path.stem, set())


def test_the_columns_of_a_recording_are_described_and_no_others(written: Path) -> None:
    (folder, *_) = (written / "trainings").iterdir()
    files = sorted(folder.glob("*.parquet"))
    assert len(files) == 4
    for file in files:
        table = TEXT.partition(f"| column of `{file.name}` |")[2].partition("\n\n")[0]
        assert (file.name, set(pq.read_schema(file).names) ^ set(rows(table))) == (file.name, set())


def test_the_columns_of_other_commands_are_described(
    tiny: dict[str, Any],
    write: Callable[[dict[str, Any]], Path],
    command: Callable[..., Any],
    tmp_path: Path,
) -> None:
    tiny["training"] |= {"max_rounds": 2}
    scenario = write(tiny)
    for name, table in (("errors", "errors"), ("partition", "partition")):
        assert command(name, scenario).returncode == 0
        columns = columns_of(tmp_path / "results" / "tiny" / f"{table}.csv")
        assert {c for c in columns if not re.fullmatch(r"class_[1-9]\d*", c)} == set(described(table))
