"""Every command that README and the documents show is one that slsim has, with options that it has; what a
command printed is held to it by a test, or has its date."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from slsim import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCES = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")
# What a page names that was run for its numbers.
MEASURED = re.compile(r"\$ (?!git|make|source|pip)|benchmarks/\w+\.py|`slsim (?:run|errors|plan) scenarios/")
WITHOUT_OUTPUTS = {  # pages whose commands stand for themselves, or whose outputs a test holds to them
    *("README.md", "CONTRIBUTING.md", "docs/workers.md", "docs/plan.md", "docs/paper.md"),
}
PLACEHOLDERS = {"K": "3", "…": ""}  # of a number, and of what is left out
GROUP: Any = get_command(cli.app)


def lines_of(page: Path) -> list[str]:
    """The commands of slsim in a page's blocks, each as one line."""
    found = []
    for language, block in FENCES.findall(page.read_text("utf-8")):
        if language in ("console", "sh", ""):
            joined = block.replace("\\\n", " ")
            found += re.findall(r"^(?:\$ )?(?:sudo )?(?:\S*/)?(slsim [^\n|>#]*)", joined, re.MULTILINE)
    return found


def spans_of(page: Path) -> list[str]:
    """The commands of slsim within a page's text."""
    text = FENCES.sub("", page.read_text("utf-8"))
    return re.findall(r"`(slsim [a-z][^`]*)`", text)


def parse(line: str) -> None:
    """Parse a command without running it. Raises click's errors for an unknown command or option, and for
    what is missing."""
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(line)[1:]]
    context = GROUP.make_context("slsim", list(filter(None, words)))
    name, command, rest = GROUP.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, rest, parent=context)


COMMANDS = [(page.name, line) for page in PAGES for line in lines_of(page)]
SPANS = sorted({span for page in PAGES for span in spans_of(page)})


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_in_a_block_is_one(page: str, line: str) -> None:
    parse(line)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 25
    assert len(SPANS) > 40


@pytest.mark.parametrize("span", SPANS)
def test_a_command_in_the_text_has_its_options(span: str) -> None:
    name, *words = re.sub(r"\[[^\]]*\]", "", span).split()[1:]
    command = GROUP.commands[name]
    options = {option for one in command.params for option in one.opts}
    asked = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert asked <= options


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_what_was_measured_has_its_date(page: Path) -> None:
    text = page.read_text("utf-8")
    if page.relative_to(ROOT).as_posix() not in WITHOUT_OUTPUTS and MEASURED.search(text):
        assert DATE.search(text), "say of which day the outputs are"
