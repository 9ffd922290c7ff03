"""Trainings on machines that do not see the study's folder: all goes through a place that they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from listening import Log
from trainings import recorded

from slsim.errors import DiskError
from slsim.events import Started
from slsim.study import run
from slsim.study.crews import Here
from slsim.study.failures import AllFailed

Write = Callable[[dict[str, Any]], Path]

FAILS = """
from pathlib import Path

from slsim.learning.hooks import Hook

LOOKS = []


class Fails(Hook):
    def measure(self, look):
        LOOKS.append(1)
        if len(LOOKS) > 15 and Path(__file__).with_name("fail").exists():  # the checkpoint is of round 12
            raise ArithmeticError("no number")
        yield "activations", "largest", look.received.abs().max()
"""


def test_checkpoints_errors_and_recordings_come_through_the_place_and_leave_nothing_in_it(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(FAILS)
    tiny["training"] |= {"hooks": [f"{tmp_path / 'own.py'}:Fails"]}
    path, place = write(tiny), tmp_path / "place"
    share, log = f"file://{place}", Log()
    (tmp_path / "fail").touch()
    with pytest.raises(AllFailed) as caught:
        run(path, tmp_path / "results", executor=Here(), share=share)
    assert [failure.label for failure in caught.value.failures] == [
        "identity",
        "QU (3 bits)",
        "MS (90 %, 2 bits)",
    ]
    assert "ArithmeticError: no number" in caught.value.failures[0].file.read_text()
    assert [one.suffixes[-2:] for one in place.iterdir()] == [[".checkpoint", ".zip"]]
    (tmp_path / "fail").unlink()
    study = run(path, tmp_path / "results", executor=Here(), share=share, tell=log)
    begun = [event.done for event in log.events if isinstance(event, Started)]
    assert begun == [12, 0, 0]  # the other two failed before they had a checkpoint
    assert list(place.iterdir()) == []
    assert recorded(study.path) == recorded(run(path, tmp_path / "here").path)


def test_a_place_that_cannot_be_reached_is_one_clear_error(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    with pytest.raises(DiskError, match="cannot use the shared place nowhere://x/.*Protocol not known"):
        run(write(tiny), tmp_path / "results", executor=Here(), share="nowhere://x")
