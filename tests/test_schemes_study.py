"""docs/schemes-study.md and README.md print the rows that the script prints from the committed tables."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    name: (ROOT / name).read_text("utf-8").splitlines() for name in ("docs/schemes-study.md", "README.md")
}
STUDIES = sorted((ROOT / "results" / "reference").glob("schemes*"))


@pytest.fixture(scope="module")
def printed() -> dict[str, list[str]]:
    """Of each study, the lines of its tables."""
    make = runpy.run_path(str(ROOT / "scripts" / "make_schemes_table.py"))["lines"]
    return {study.name: list(make(study)) for study in STUDIES}


def test_the_page_has_every_row_of_every_study(printed: dict[str, list[str]]) -> None:
    assert len(printed) > 1
    for study, lines in printed.items():
        table = [line for line in lines if line.startswith("|")]
        assert len(table) > 3
        assert [(study, line) for line in table if line not in PAGES["docs/schemes-study.md"]] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_row_of_its_own(page: str, printed: dict[str, list[str]]) -> None:
    """Rows of these tables have a ratio in their fourth cell."""
    known = {line for lines in printed.values() for line in lines}
    rows = [line for line in PAGES[page] if line.startswith("|") and line.count("× |") == 3]
    assert rows
    assert [row for row in rows if row not in known] == []
