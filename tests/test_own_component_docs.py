"""docs/own-components.md: each of its examples is a component that a study can be run with."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from slsim.registry import kinds
from slsim.study import run

TEXT = (Path(__file__).parents[1] / "docs" / "own-components.md").read_text("utf-8")
# A file, and the lines of a scenario that stand next below it.
EXAMPLES = re.findall(
    r"```python\n# (\w+\.py)\n(.*?)```\n(?:(?!```python).)*?```toml\n(.*?)```", TEXT, re.DOTALL
)


def merged(document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`document` with the tables of `change`; a component named there is another one."""
    both = {**document, **change}
    for name in document.keys() & change.keys():
        if isinstance(document[name], dict) and "name" not in change[name]:
            both[name] = document[name] | change[name]
    return both


@pytest.mark.parametrize(("file", "code", "lines"), EXAMPLES, ids=[file for file, *_ in EXAMPLES])
def test_an_example_can_be_trained_with(
    file: str,
    code: str,
    lines: str,
    tiny: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).write_text(code)
    del tiny["sweep"]
    tiny["training"] |= {"max_rounds": 2}
    study = run(merged(tiny, tomllib.loads(lines)), tmp_path / "results")
    assert not study.failures
    assert len(study.runs) == 1
    assert file in (study.path / "scenario.toml").read_text("utf-8")


def test_each_kind_has_an_example() -> None:
    headings = re.findall(r"^## An? (.*)$", TEXT, re.MULTILINE)
    assert sorted({"data set": "data"}.get(one, one) for one in headings) == kinds()


@pytest.mark.parametrize("name", ["half", "means", "narrow"])
def test_what_has_a_conformance_suite_passes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = (code for file, code, _ in EXAMPLES if file == f"{name}.py")
    (tmp_path / f"{name}.py").write_text(code)
    (check,) = re.findall(rf"```python\n(from {name} import .*?)```", TEXT, re.DOTALL)
    monkeypatch.syspath_prepend(tmp_path)
    exec(check, {})
