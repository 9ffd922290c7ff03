"""Trainings that fail: one reason each, which names what failed, and the traceback in a file."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slsim import own_files
from slsim.boundary import told
from slsim.errors import SlsimError, StudyError, TrainingError
from slsim.results import StudyFolder
from slsim.scenario import Scenario


@dataclass(frozen=True)
class Failure:
    """A training that failed (the name of its folder), why, and the file that has the traceback."""

    label: str
    reason: str
    file: Path
    training: str = ""

    def __str__(self) -> str:
        return f"{self.label}: {self.reason} (traceback: {self.file})"


class AllFailed(StudyError):
    """No training of a study could be done: there are no tables."""

    exit_status = 1

    def __init__(self, failures: list[Failure]) -> None:
        self.failures = tuple(failures)
        super().__init__("no training could be done:\n" + "\n".join(map(str, failures)))


def noted(error: SlsimError, label: str, name: str, folder: StudyFolder) -> Failure:
    """The failure of a training, with its traceback saved."""
    file = folder.save_error(name, "".join(traceback.format_exception(error)))
    return Failure(label, str(error), file, name)


@contextmanager
def told_by_cause(scenario: Scenario) -> Iterator[None]:
    """Turns what is no error of slsim's into a `TrainingError` that says what failed, and in which file of
    the user's own; a lack of memory by its type."""
    try:
        yield
    except (SlsimError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        from slsim.learning.memory import lacks_memory

        if lacks_memory(error):
            reason = "the memory does not suffice; a smaller model, mini-batch or data set may"
            raise TrainingError(f"{reason} ({told(error)})") from error
        place = _own_place(error, scenario)
        raise TrainingError(f"{place}{own_files.plain(told(error))}") from error


def _own_place(error: BaseException, scenario: Scenario) -> str:
    """The innermost place in a file of the user's own that an error went through: "model net.py:own, in
    forward, line 12: "; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if own_files.is_own(frame.filename)]
    if not own:
        return ""
    names = [scenario.model.component, scenario.data.component, scenario.training.protocol]
    kinds = {choice.name.rpartition(":")[0]: choice for choice in names if ".py:" in choice.name}
    choice = kinds.get(own[-1].filename)
    file = Path(own[-1].filename).name
    who = f"{choice.kind} {file}:{choice.name.rpartition(':')[2]}" if choice else file
    return f"{who}, in {own[-1].name}, line {own[-1].lineno}: "


def failed_before(folder: StudyFolder) -> tuple[Failure, ...]:
    """The trainings that failed when a study was run, as its manifest has them."""
    listed = StudyFolder.of(folder.trainings.parent).load_manifest().get("failed", {})
    known = listed.items() if isinstance(listed, dict) else ()
    return tuple(
        Failure(label, str(one["reason"]), folder.error_file(str(one["training"])), str(one["training"]))
        for label, one in known
        if isinstance(one, dict) and one.keys() >= {"training", "reason"}
    )
