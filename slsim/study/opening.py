"""The recordings of a study as they lie in its folder, found by what each says that it learned: neither the
data nor the code that it was learned with is needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slsim.errors import RecordingError, SlsimError, StudyError
from slsim.own_code import own_code
from slsim.recording import Recording, read_header
from slsim.results import StudyFolder
from slsim.scenario import Case, Scenario
from slsim.study.reuse import finished

LEARNED = ("seed", "data", "model", "codec", "clients", "training")
CLIENTS = ("count", "batch_size", "per_round")  # what is learned from in [clients]
TIMED = ("network", "server")  # what a training that simulated time ends learns from too, and in [clients]:
TIMED_CLIENTS = ("device",)


@dataclass(frozen=True)
class Named:
    """A training of a study: the name of its folder, and its key."""

    name: str
    key: str


NOTHING = Named("", "")  # in place of a training that is not there


class Stored:
    """The trainings that `cases` need, as far as they are there. `damaged` has an error for each of them that
    cannot be read."""

    def __init__(self, folder: StudyFolder, cases: Sequence[Case]) -> None:
        self._folder = folder
        self.recordings: dict[str, Recording] = {}
        self.damaged: list[RecordingError] = []
        self._found: dict[str, Named] = {}
        scenarios = [one for case in cases for one in (case.scenario, case.scenario.baseline())]
        for learned, names in self._candidates({learned_text(one) for one in scenarios}).items():
            self._load(learned, names[-1])

    def of(self, scenario: Scenario) -> Named:
        """The training of a scenario; `NOTHING` where it is not there."""
        return self._found.get(learned_text(scenario), NOTHING)

    def nothing(self) -> SlsimError:
        """What to say where no case can be played."""
        if self.damaged:
            return self.damaged[0]
        return StudyError(f"{self._folder.path} has no finished training yet; `slsim run` its scenario again")

    def _load(self, learned: str, name: str) -> None:
        try:
            recording = self._folder.load_training(name)
        except RecordingError as error:
            self.damaged.append(error)
        else:
            self._found[learned] = Named(name, recording.key)
            self.recordings[recording.key] = recording

    def _candidates(self, wanted: set[str]) -> dict[str, list[str]]:
        """The folders of each thing learned that is wanted, the one that counts last: there are several where
        code or data changed."""
        listed = self._folder.trainings_listed()
        found: dict[str, list[str]] = {}
        for name in sorted(self._names(), key=lambda name: (name in listed, self._written_s(name), name)):
            try:
                learning = read_header(self._folder.training(name)).learning
            except (OSError, ValueError):
                if name in listed or not listed:
                    self._load("", name)  # which says what is wrong
                continue
            learned = _text(learning)
            learned = learned if learned in wanted else _with_new_defaults(learning)
            if learned in wanted:
                found.setdefault(learned, []).append(name)
        return found

    def _names(self) -> Iterable[str]:
        if not self._folder.trainings.is_dir():
            return []
        names = [path.name for path in self._folder.trainings.iterdir()]
        return [name for name in names if finished(self._folder, name)]

    def _written_s(self, name: str) -> float:
        try:
            return self._folder.training(name).stat().st_mtime
        except OSError:  # another process replaces it just now
            return 0.0


def learned_text(scenario: Scenario) -> str:
    """All that is learned from, beside the content of files, as text: equal for what is equal."""
    return _text(scenario.learning_table())


def _text(learning: Mapping[str, Any]) -> str:
    return json.dumps(learning, sort_keys=True, default=str)


def _with_new_defaults(learning: Mapping[str, Any]) -> str:
    """`learned_text` of what an older slsim recorded, whose scenarios had fewer keys; empty where this one
    does not know it any more."""
    by_time = "time" in (learning.get("training", {}).get("stop") or {})
    tables, in_clients = (*LEARNED, *(TIMED * by_time)), (*CLIENTS, *(TIMED_CLIENTS * by_time))
    table = {key: learning[key] for key in tables if key in learning}
    if isinstance(clients := table.get("clients"), dict):
        table["clients"] = {key: clients[key] for key in in_clients if key in clients}
    try:
        with own_code("never"):
            return learned_text(
                Scenario.model_validate({"name": "recorded", **table}, context={"folder": Path()})
            )
    except (SlsimError, ValidationError):
        return ""
