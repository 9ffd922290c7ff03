"""The recordings of a study as they lie in its folder, found by what each says that it learned: neither the
data nor the code that it was learned with is needed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from slsim.errors import RecordingError, SlsimError, StudyError
from slsim.own_code import is_own_code, own_code, without_folder
from slsim.recording import Recording, read_header
from slsim.recording.header import AnyHeader
from slsim.registry import registry_of
from slsim.results import StudyFolder
from slsim.scenario import Case, Scenario
from slsim.study.keys import ELSEWHERE, STATED, Names
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
        headers = self._headers()
        self._wanted = _wanted(cases, [header.learning for header in headers.values()])
        for learned, names in self._candidates(headers).items():
            self._load(learned, names[-1])

    def of(self, scenario: Scenario) -> Named:
        """The training of a scenario; `NOTHING` where it is not there."""
        return self._found.get(self._wanted.get(_text(scenario.learning_table()), ""), NOTHING)

    def nothing(self) -> SlsimError:
        """What to say where no case can be played."""
        if self.damaged:
            return self.damaged[0]
        path = self._folder.path
        if self._folder.is_replay and not self._folder.trainings.is_dir():
            return StudyError(f"{path} is a replay, whose trainings are in its study: move that as a whole")
        return StudyError(f"{path} has no finished training yet; `slsim run` its scenario again")

    def _load(self, learned: str, name: str) -> None:
        try:
            recording = self._folder.load_training(name)
        except RecordingError as error:
            self.damaged.append(error)
        else:
            self._found[learned] = Named(name, recording.key)
            self.recordings[recording.key] = recording

    def _headers(self) -> dict[str, AnyHeader]:
        """The headers of all trainings, by their folders' names, the one that counts last: there are several
        of what was learned where data changed."""
        listed = self._folder.trainings_listed()
        found = {}
        for name in sorted(self._there(), key=lambda name: (name in listed, self._written_s(name), name)):
            try:
                found[name] = read_header(self._folder.training(name))
            except (OSError, ValueError):
                if name in listed or not listed:
                    self._load("", name)  # which says what is wrong
        return found

    def _candidates(self, headers: Mapping[str, AnyHeader]) -> dict[str, list[str]]:
        """The folders of each thing learned that is wanted."""
        found: dict[str, list[str]] = {}
        for name, header in headers.items():
            learned = _text(header.learning)
            learned = learned if learned in self._wanted else _with_new_defaults(header.learning)
            if learned in self._wanted:
                found.setdefault(self._wanted[learned], []).append(name)
        return found

    def _there(self) -> Iterable[str]:
        if not self._folder.trainings.is_dir():
            return []
        listed = self._folder.trainings_listed()
        names = [path.name for path in self._folder.trainings.iterdir()]
        ours = [name for name in names if name in listed or self._folder.looks_like_training(name)]
        return [name for name in ours if finished(self._folder, name)]

    def _written_s(self, name: str) -> float:
        try:
            return self._folder.training(name).stat().st_mtime
        except OSError:  # another process replaces it just now
            return 0.0


class _Paths:
    """The parameters of components that are files or folders: of slsim's own and installed ones as they say,
    of others as the recordings have it."""

    def __init__(self, recorded: Iterable[Mapping[str, Any]]) -> None:
        self._known: dict[str, set[str]] = {}
        for table in recorded:
            for component in _components(table):
                name, own = component.get("name"), self._known
                paths = {key for key, value in component.items() if str(value).startswith(ELSEWHERE)}
                if isinstance(name, str) and paths:
                    own.setdefault(without_folder(name), set()).update(paths)

    def __call__(self, kind: str, name: str) -> Collection[str]:
        is_ours = not is_own_code(name) and registry_of(kind).knows(name)
        return STATED.paths(kind, name) if is_ours else self._known.get(without_folder(name), ())


def _components(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every table below `value`."""
    if isinstance(value, Mapping):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _components(item)


# Up to version 0.1 recordings called code by its path, and said nothing of its content.
_OLDER = Names(digest=lambda _: "", paths=_Paths([]))
_WRITTEN = Names(digest=STATED.digest, paths=_Paths([]))


def _wanted(cases: Sequence[Case], recorded: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the cases need, as recordings call it: by each text that a recording of it may have, and by the
    scenario's own."""
    names = Names(digest=STATED.digest, paths=_Paths(recorded))
    scenarios = [one for case in cases for one in (case.scenario, case.scenario.baseline())]
    tables = {_text(table): table for table in (one.learning_table() for one in scenarios)}
    texts = {written: _text(names.of(table)) for written, table in tables.items()}
    older = {_text(_OLDER.of(table)): texts[written] for written, table in tables.items()}
    return older | {text: text for text in texts.values()} | texts


def learned_text(scenario: Scenario) -> str:
    """All that is learned from, beside the content of data, as text: equal for what is equal."""
    return _text(_WRITTEN.learned(scenario))


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
            return _text(_OLDER.learned(Scenario.model_validate({"name": "recorded", **table})))
    except (SlsimError, ValidationError):
        return ""
