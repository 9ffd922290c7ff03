"""docs/scenarios.md: what it shows can be used as it stands, and it has every key."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slsim.scenario import Plan, Scenario, override, plan
from slsim.scenario.choice import Table
from slsim.scenario.ranges import points
from slsim.scenario.schema import json_schema
from slsim.scenario.settings import parse_settings
from slsim.study.training import trainings_of

TEXT = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text("utf-8")
BASE: dict[str, Any] = {
    "name": "shown",
    "data": {"name": "fashion-mini"},
    "model": {"name": "cnn", "cut": "medium"},
}
FIRST, *OTHERS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


def shown(document: dict[str, Any]) -> Plan:
    return plan({**BASE, **document}, "docs/scenarios.md", Path())


def test_the_first_scenario_has_as_many_runs_and_trainings_as_is_said() -> None:
    cases = shown(tomllib.loads(FIRST)).cases
    assert len(cases) == 180
    assert len(trainings_of(cases)) == 9


@pytest.mark.parametrize(
    ("text", "settings", "seeds"),
    list(zip(OTHERS, [1, 1, 1, 1, 6, 3, 20 * 4 * 6], [5, 5, 3, 3, 1, 1, 1], strict=True)),
)
def test_each_part_of_a_scenario_is_read(text: str, settings: int, seeds: int) -> None:
    found = shown(tomllib.loads(text))
    assert (len(found.settings), len(found.seeds)) == (settings, seeds)


def test_each_range_has_the_values_that_stand_beside_it() -> None:
    ranges = re.findall(r'^\| `"(.*? \.\. .*?)"` \| (.*?): ', TEXT, re.MULTILINE)
    assert len(ranges) == 5
    for text, values in ranges:
        assert ", ".join(map(str, points(text))) == values


def test_the_settings_of_the_commands_are_read() -> None:
    commands = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    assert commands
    counts = []
    for line in commands[1].splitlines():
        words = shlex.split(line)
        settings = parse_settings(words[at + 1] for at, word in enumerate(words) if word == "--set")
        counts.append(len(plan(override(BASE, settings), "docs/scenarios.md", Path()).cases))
    assert counts == [1, 6, 2, 20]


def test_the_program_runs() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(program, {})


def test_every_key_has_a_line() -> None:
    lines = re.findall(r"^\| (`.*?) \|", TEXT.partition("## Keys")[2].partition("## Seeds")[0], re.MULTILINE)
    told = set(re.findall(r"`([a-z_.]+)`", " ".join(lines)))
    keys = {"seeds", "sweep", "data", "model"}
    for name, info in Scenario.model_fields.items():
        table = info.annotation
        if isinstance(table, type) and issubclass(table, Table):
            keys |= {f"{name}.{key}" for key in table.model_fields if key != "component"}
        else:
            keys.add(name)
    assert told == keys


def test_the_schema_speaks_in_sentences() -> None:
    def described(value: object) -> Iterator[str]:
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in items:
            yield from described(item)
        if isinstance(value, dict) and isinstance(text := value.get("description"), str):
            yield text

    found = set(described(json_schema()))
    assert len(found) > 100
    named = [text for text in found if not text[0].isupper() and text[0] != "[" and not text[0].isdigit()]
    assert named == []
    # A device's is its name and its figures.
    assert [
        text for text in found if text[-1] not in ".…" and not re.search(r"[0-9] (.B/s|GFLOPS)", text)
    ] == []
