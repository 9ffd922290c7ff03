"""What tells trainings apart: a key of all that is learned from, wherever its files lie.

Code of one's own is known by its file's name and a hash of its content, "own.py:Half@1a2b3c4d"; a file or
folder of data by its name alone, "…/tiny.npz", for it may be large, or on another machine. What the data hold
is compared by fingerprints (see `fingerprints.py`), which a recording keeps beside its key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from slsim.errors import Fault, ScenarioError
from slsim.own_code import is_own_code, without_folder
from slsim.registry import registry_of
from slsim.scenario import Case, Scenario
from slsim.study.inputs import code_digest, stated_digest

ELSEWHERE = "…/"  # in place of the folder of a path


def _as_it_is(path: Path) -> str:
    try:
        return code_digest(path)
    except OSError:  # gone since the scenario was read
        return stated_digest(path)


def _as_stated(path: Path) -> str:
    """Of what a study has copied, the copy's own name tells: it may have been edited since."""
    return stated_digest(path) or _as_it_is(path)


def _registered(kind: str, name: str) -> Collection[str]:
    paths: Collection[str] = registry_of(kind).entry(name).paths()
    return paths


@dataclass(frozen=True)
class Names:
    """How files are called in what is learned from: `digest` is of a file of code, `paths` gives the
    parameters of a component (kind, name) that are files or folders."""

    digest: Callable[[Path], str] = _as_it_is
    paths: Callable[[str, str], Collection[str]] = _registered

    def learned(self, scenario: Scenario) -> dict[str, Any]:
        """All that is learned from, beside the content of data, as a table."""
        return self.of(scenario.learning_table())

    def of(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """A scenario's learning table, its files called by these names."""
        training = table["training"]
        named = {
            **table,
            "data": self._without_folders("data", table["data"]),
            "model": self._model(table["model"]),
            "codec": {key: self._without_folders("codec", one) for key, one in table["codec"].items()},
            "training": {
                **training,
                "protocol": self._without_folders("protocol", training["protocol"]),
                "hooks": [self._without_folders("hook", one) for one in training["hooks"]],
            },
        }
        return {key: self._with_digests(value) for key, value in named.items()}

    def _model(self, table: Mapping[str, Any]) -> dict[str, Any]:
        named = self._without_folders("model", table)
        if "adapter" in table:
            named["adapter"] = self._without_folders("adapter", table["adapter"])
        return named

    def _without_folders(self, kind: str, component: Mapping[str, Any]) -> dict[str, Any]:
        paths = self.paths(kind, component["name"])
        return {key: _elsewhere(value) if key in paths else value for key, value in component.items()}

    def _with_digests(self, value: Any) -> Any:
        """Every component that is code in a file, wherever in a table, called by its content."""
        if isinstance(value, (list, tuple)):
            return [self._with_digests(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        return {
            key: self._code(item)
            if key == "name" and isinstance(item, str) and is_own_code(item)
            else self._with_digests(item)
            for key, item in value.items()
        }

    def _code(self, name: str) -> str:
        file, _, attribute = name.rpartition(":")
        if "@" in attribute:  # as a recording calls it
            return name
        digest = self.digest(Path(file).resolve())
        return f"{without_folder(name)}@{digest}" if digest else without_folder(name)


def _elsewhere(value: Any) -> Any:
    return f"{ELSEWHERE}{PurePath(value).name}" if isinstance(value, str) else value


CURRENT = Names()
STATED = Names(digest=_as_stated)


def learned(scenario: Scenario) -> dict[str, Any]:
    """All that is learned from, beside the content of data: what a recording keeps as `learning`."""
    return CURRENT.learned(scenario)


def training_key(scenario: Scenario) -> str:
    """Eight hexadecimal digits of a hash over `learned`."""
    return hashlib.sha256(json.dumps(learned(scenario), sort_keys=True).encode()).hexdigest()[:8]


def check_names(cases: Sequence[Case], source: str) -> None:
    """Raises `ScenarioError` where two files or folders that are learned from have one name: the trainings of
    a study could not be told apart."""
    known: dict[tuple[str, str], Path] = {}
    for case in cases:
        for key, value in _paths(case.scenario):
            path = Path(value).resolve()
            other = known.setdefault((key, path.name), path)
            if other != path:
                what = f"{other} and {path} have one name, by which trainings are told apart; rename one"
                raise ScenarioError([Fault(key, what)], source)


def _paths(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """The files and folders that are learned from, each with its dotted key."""
    training = scenario.training
    choices = {"data": scenario.data.component, "model": scenario.model.component}
    choices |= {f"codec.{key}": choice for key, choice in scenario.codec.choices().items()}
    choices |= {"training.protocol": training.protocol}
    choices |= {"model.adapter": scenario.model.adapter} if scenario.model.adapter else {}
    choices |= {f"training.hooks[{place}]": hook for place, hook in enumerate(training.hooks)}
    for key, choice in choices.items():
        for name in _registered(choice.kind, choice.name):
            if isinstance(value := choice.params.get(name), str):
                yield f"{key}.{name}", value
