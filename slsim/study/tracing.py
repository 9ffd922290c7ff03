"""A run's rounds as a trace: which run and which rounds are meant, and how large the trace is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slsim import atomic
from slsim.analysis import Run
from slsim.atomic import describing_disk_errors
from slsim.clock import Stage
from slsim.clock.slices import slices
from slsim.errors import StudyError
from slsim.named import chosen
from slsim.recording import SERVER
from slsim.report.trace_events import trace_events

MOST_EVENTS = 1_000_000  # of a trace: Perfetto takes such a one in seconds
ROUNDS = re.compile(r"\s*(?:([0-9]+)|([0-9]*)\s*:\s*([0-9]*))\s*")


def trace(runs: Sequence[Run], run: str, rounds: str, output: str | Path | None = None) -> dict[str, Any]:
    """See `Study.trace`. Raises `StudyError` where it is not clear which run or rounds are meant, or where
    the trace would be too large, and `DiskError` where it cannot be written."""
    label = chosen(run, [one.label for one in runs], "run")
    traced = next(one for one in runs if one.label == label)
    numbers = chosen_rounds(rounds, traced.recording.num_rounds)
    stage = Stage.of(traced.scenario)
    _check_size(traced, stage, numbers)
    about = {"study": traced.scenario.name, "run": traced.label, "rounds": f"{numbers[0]} to {numbers[-1]}"}
    found = trace_events(slices(traced.recording, stage, numbers), about)
    if output is not None:
        with describing_disk_errors(Path(output)):
            atomic.write(Path(output), json.dumps(found, ensure_ascii=False, separators=(",", ":")))
    return found


def chosen_rounds(asked: str, count: int) -> list[int]:
    """The rounds, counted from 0, that "0:3", "5:" or "5" are of `count`. Raises `StudyError`."""
    match = ROUNDS.fullmatch(asked)
    if match is None:
        raise StudyError(
            f'"{asked}" are no rounds: give a range such as 0:3, the first three, or 5: or 5; they are '
            "counted from 0"
        )
    one, begin, end = match.groups()
    first, last = (int(one), int(one) + 1) if one else (int(begin or 0), int(end or count))
    numbers = list(range(first, min(last, count)))
    if not numbers:
        raise StudyError(f'no round is in "{asked}": the run has {count}, counted from 0')
    return numbers


def _check_size(run: Run, stage: Stage, numbers: Sequence[int]) -> None:
    """Raises `StudyError` for rounds of too many events."""
    sizes = np.cumsum(_events(run, stage)[run.recording.rounds[np.asarray(numbers)]])
    if sizes[-1] > MOST_EVENTS:
        fit = int(np.searchsorted(sizes, MOST_EVENTS, side="right"))
        some = f"{fit} of them fit" if fit else "not even one of them fits"
        raise StudyError(
            f'{len(numbers):,} rounds of "{run.label}" have up to {sizes[-1]:,} events, and a trace holds '
            f"{MOST_EVENTS:,}: {some}"
        )


def _events(run: Run, stage: Stage) -> np.ndarray[Any, np.dtype[np.int64]]:
    """At most so many events has each distinct round: of a transfer a slice on the client and on each link,
    and an arrow through them; of work at the server a wait, and a slice on both; of each step a wait."""
    steps, topology = run.recording.steps, stage.topology
    rows = steps.rows
    longest = max(len(route) for route in (*topology.uplinks, *topology.downlinks, ("up", "down")))
    counts = np.where(steps.are_messages, 1 + 2 * longest + 2, np.where(rows["who"] == SERVER, 3, 1))
    first = ~rows["joined"]
    found = np.bincount(steps.round_of[first], weights=1 + counts[first], minlength=len(steps))
    return found.astype(np.int64)
