"""docs/claims.md shows what slsim prints, and names every key."""

from __future__ import annotations

import doctest
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from slsim import claims
from slsim.claims import checking, formula, loading
from slsim.claims.accounting import Accounting, Recount
from slsim.claims.tables import ClaimTable, Column, Row
from slsim.report.claims import print_beside, print_claims
from slsim.study import open_study
from slsim.study.claimed import measured_in

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
(MINE,) = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)


def printed(do: Callable[[Console], None]) -> str:
    """What is printed on a terminal of 80 columns."""
    file = io.StringIO()
    do(Console(file=file, width=80, color_system=None))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def checked(*names: str | Path) -> str:
    found = [(claim, claims.check(claim)) for claim in map(claims.load, names)]
    return printed(lambda console: print_claims(console, found))


def test_the_whole_output_is_shown_in_80_columns() -> None:
    text = checked(*claims.shipped())
    assert f"$ slsim check\n{text}\n```" in DOCS
    assert max(map(len, text.splitlines())) <= 80


def test_the_claim_that_is_shown_gives_the_output_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(MINE)
    assert f"$ slsim check --claim mine.toml\n{checked('mine.toml')}\n```" in DOCS
    Path("mine.toml").write_text(MINE.replace('"4.4"', '"4.3"'))
    failing = checked("mine.toml")
    start = failing.index("FAIL")
    assert failing[start : failing.index("\n\n", start)] in DOCS


def test_the_study_beside_a_claim_is_the_reference_study() -> None:
    claim = claims.load("mask-encoded-sparsification")
    found = measured_in(open_study(ROOT / "results" / "reference" / "quickstart"))
    assert printed(lambda console: print_beside(console, claim, found)) in DOCS


@pytest.mark.parametrize("table", [ClaimTable, Accounting, Column, Row, Recount])
def test_every_key_is_explained(table: Any) -> None:
    keys = DOCS.partition("| key | is |")[2].partition("## ")[0]
    missing = [name for name in table.model_fields if not re.search(rf"\b{name}\b", keys)]
    assert missing == []


@pytest.mark.parametrize("module", [formula, loading, checking])
def test_the_examples_of_docstrings_are_right(module: Any) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


def test_checking_what_ships_imports_nothing_heavy_and_succeeds(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom slsim import cli\nsys.argv = ['slsim', 'check']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    print('EXIT', end.code)\n"
        "print('HEAVY', *sorted({'torch', 'pandas', 'matplotlib', 'pyarrow', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True, timeout=120
    )
    *_, summary, ended, heavy = done.stdout.splitlines()
    assert (summary, ended, heavy.strip()) == ("77 checks, 0 failed, 1 unread", "EXIT 0", "HEAVY")
