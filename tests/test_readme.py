"""The README shows what slsim prints: its tables are those of the committed reference results."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from slsim.codecs import registry
from slsim.report.answers import print_answers
from slsim.report.breakdowns import print_breakdown
from slsim.report.study_tables import Tables
from slsim.results import StudyFolder
from slsim.study import open_study
from slsim.testing import check_codec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference" / "quickstart"
(REPLAY,) = (REFERENCE / "replays").iterdir()


def stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


def rendered(path: Path) -> str:
    """A study's table as `slsim` prints it on a terminal of 80 columns."""
    tables = Tables.of(StudyFolder.open(path))
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_answers(console, tables.summary, tables.crossovers)
    assert isinstance(console.file, io.StringIO)
    return stripped(console.file.getvalue())


@pytest.mark.parametrize("path", [REFERENCE, REPLAY], ids=["quickstart", "replay"])
def test_the_tables_are_those_of_the_reference_results(path: Path) -> None:
    assert rendered(path) in README


def test_the_average_round_is_that_of_the_reference_results() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_breakdown(console, StudyFolder.open(REFERENCE).load_table("breakdown"))
    assert isinstance(console.file, io.StringIO)
    assert stripped(console.file.getvalue()) in README


@pytest.mark.parametrize("path", [REFERENCE, REPLAY], ids=["quickstart", "replay"])
def test_the_reference_results_pass_their_checks(path: Path) -> None:
    assert [check for check in open_study(path).check() if not check.passed] == []


def test_no_reference_result_names_a_folder_of_the_machine_that_made_it() -> None:
    """Keys are of contents, so a path may be shortened to the file's name."""
    texts = [file for end in ("toml", "json") for file in REFERENCE.parent.rglob(f"*.{end}")]
    assert {file.relative_to(REFERENCE.parent).parts[0] for file in texts} > {REFERENCE.name}
    assert [str(file) for file in texts if re.search(r'"(/|[A-Z]:\\)', file.read_text("utf-8"))] == []


def test_its_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_codec_it_shows_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = (
        code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "@register" in code
    )
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))  # what it registers goes with the test
    exec(compile(source, "README.md", "exec"), {"__name__": "readme"})
    half = registry.create("half")
    check_codec(half)
    assert half.nominal_ratio((100,)) == 2.0
