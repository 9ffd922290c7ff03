"""The API page and the docstrings behind it: every example runs, and everything that is shown has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from slsim import devices

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text("utf-8")
SHOWN = re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "slsim").rglob("*.py")
    if ">>>" in path.read_text("utf-8")
)
# Plain values, which others give: the functions that give them have the examples.
VALUES = {"Run", "Forecast", "Plan", "Case", "Line", "Pause", "Quantity"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory in which the quickstart's scenario and results are."""
    shutil.copytree(ROOT / "results" / "reference" / "quickstart", tmp_path / "results" / "quickstart")
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    monkeypatch.chdir(tmp_path)
    yield
    devices.registry._entries.pop("lightning", None)  # what the page registers


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("repository")
def test_the_examples_in_docstrings_are_right(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.usefixtures("repository")
def test_the_examples_of_the_page_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(block, {"__name__": "page"})


def shown(path: str) -> object:
    """The object that a line `::: path` shows; a module is none."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name, None)


def test_all_that_is_shown_has_an_example() -> None:
    objects = {path: one for path in SHOWN if (one := shown(path)) is not None and not inspect.ismodule(one)}
    assert len(objects) > 25
    without = [path for path, one in objects.items() if ">>>" not in inspect.getsource(one)]  # type: ignore[arg-type]
    assert [path for path in without if path.rpartition(".")[2] not in VALUES] == []
