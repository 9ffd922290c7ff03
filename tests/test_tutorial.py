"""docs/tutorial.md: its files and commands, one after another, do what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slsim.cli.options import console

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: title=\"(.*?)\")?\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
FIRST = "make quickstart"  # this block is run by the continuous integration
FEW = ["--max-steps", "10"]  # rounds of each training here; the page's take half a minute


def commands(block: str) -> list[tuple[list[str], list[str]]]:
    """The commands of a block, each with the lines that it prints, but for "…" where some are left out."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    lines = [part.rstrip("\n").split("\n") for part in parts]
    return [(shlex.split(first), [line for line in printed if line != "…"]) for first, *printed in lines]


def write(title: str, content: str) -> None:
    """A file; "mine.toml, from [sweep] on" replaces its end."""
    name, _, start = title.removesuffix(" on").partition(", from ")
    kept = Path(name).read_text("utf-8").partition(start)[0] if start else ""
    Path(name).write_text(kept + content, "utf-8")


def in_order(lines: list[str], printed: str) -> bool:
    """Whether `printed` has all lines in this order, blanks at their ends aside."""
    left = iter(line.rstrip() for line in printed.splitlines())
    return all(line.rstrip() in left for line in lines)


def test_the_tutorial(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not depend on training is printed as the page has it."""
    shutil.copytree(ROOT / "results" / "reference" / "quickstart", tmp_path / "results" / "quickstart")
    monkeypatch.setattr(console, "width", 80)
    monkeypatch.syspath_prepend(tmp_path)
    ran = 0
    for language, title, content in BLOCKS:
        if title:
            write(title, content)
        elif language == "python":
            exec(content, {})
        elif language == "console" and FIRST not in content:
            for (program, *words), lines in commands(content):
                assert program == "slsim"
                done = command(*words, *(FEW if words[0] == "run" else []))
                assert (words, done.returncode, done.stderr) == (words, 0, done.stderr)
                if words[0] != "run" and "trace" not in content:
                    assert in_order(lines, done.stdout), done.stdout
                ran += 1
    assert ran == 7
    assert (tmp_path / "results" / "mine" / "replays").is_dir()
