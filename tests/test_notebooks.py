"""The notebooks in examples/ run from their source, without an error."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.ipynb"))


def test_there_are_two() -> None:
    assert [path.stem for path in EXAMPLES] == ["compare_codecs", "own_trace_and_codec"]


@pytest.mark.processes
@pytest.mark.filterwarnings("default")  # of the notebook's machinery, not of slsim: that is another process
@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = runpy.run_path(str(ROOT / "scripts" / "run_notebooks.py"))["executed"](path, tmp_path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert any((tmp_path / "results").iterdir())


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_its_outputs_are_there_and_name_no_place(path: Path) -> None:
    text = path.read_text("utf-8")
    assert '"image/png"' in text
    assert not any(place in text for place in ("/home/", "/root/", "/tmp/", "/Users/", "/work/"))
