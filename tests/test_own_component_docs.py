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


def test_the_codec_passes_the_conformance_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = (code for file, code, _ in EXAMPLES if file == "half.py")
    (tmp_path / "half.py").write_text(code)
    (check,) = re.findall(r"```python\n(from half import .*?)```", TEXT, re.DOTALL)
    monkeypatch.syspath_prepend(tmp_path)
    exec(check, {})
