"""Run the notebooks in examples/ and write their outputs into them.

python scripts/run_notebooks.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST_S = 600


def executed(path: Path, folder: Path) -> Any:
    """The notebook at `path` with its outputs, run in `folder`. Raises `CellExecutionError` where a cell
    fails."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=LONGEST_S, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    return notebook


if __name__ == "__main__":
    for example in sorted(EXAMPLES.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as place:
            nbformat.write(executed(example, Path(place)), example)
        print(example.name)
