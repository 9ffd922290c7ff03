"""Cases of a plan with their recordings, on the clock."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import pandas as pd
from pydantic import ValidationError

from slsim import analysis
from slsim.analysis import AS_STATED, SUPPOSED, Lost, Run
from slsim.devices import AS_STATED as STATED_COSTS
from slsim.errors import SlsimError
from slsim.recording import Recording
from slsim.scenario import Case, Scenario, run_labels, setting_labels
from slsim.scenario.axes import Axis, axes
from slsim.scenario.keys import with_key
from slsim.study.clocks import Clocks
from slsim.study.failures import Failure
from slsim.study.training import Training


class Named(Protocol):
    """What tells a training apart: its folder's name, and its key."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...


Of = Callable[[Scenario], Named]


@dataclass(frozen=True, repr=False)
class Played:
    """The cases of a plan as far as they are there: those that were played, and those that failed.
    `recordings` are by key, `of` says which training a scenario has: with them, the same trainings are played
    again."""

    cases: tuple[Run | Lost, ...]
    recordings: Mapping[str, Recording]
    of: Of
    clocks: Clocks
    sent: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The cases that were played."""
        return tuple(case for case in self.cases if isinstance(case, Run))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The numbers that are swept."""
        return axes([Case(case.values, case.scenario) for case in self.cases])

    def speed_ups(self, setting: str, axis: Axis, value: float, assuming: str) -> dict[str, float] | None:
        """What `Probe` asks for: a setting at another number of an axis."""
        runs = [run for run in self.runs if run.setting == setting]
        try:
            found = [self._speed_up(replace(run, scenario=_at(run, axis, value)), assuming) for run in runs]
        except (SlsimError, ValidationError):  # a number that makes no sense here
            return None
        return analysis.estimated(found)

    def _speed_up(self, run: Run, assuming: str) -> float:
        costs = STATED_COSTS if assuming == AS_STATED else SUPPOSED[assuming]
        keys = self.of(run.scenario).key, self.of(run.scenario.baseline()).key
        return analysis.speed_up(run, self.clocks.timed(*keys, run.scenario, costs))


def _at(run: Run, axis: Axis, value: float) -> Scenario:
    """The scenario of a run with another number on an axis."""
    *parents, last = axis.key.split(".")
    tables: list[Any] = [run.scenario]
    for name in parents:
        tables.append(getattr(tables[-1], name, None))
    if isinstance(getattr(tables[-1], last, None), float):  # as it is resolved: in base units
        changed: Any = value
        for table, name in zip(reversed(tables), reversed([*parents, last]), strict=True):
            changed = table.model_copy(update={name: changed})
        return cast(Scenario, changed)
    document = with_key(run.scenario.table(), axis.key, axis.text(value))
    return Scenario.model_validate(document, context={"folder": Path()})


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collection of cyclic garbage: what is made meanwhile stays, and the collector would look
    through all of it many times."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@uncollected()
def play(
    cases: Sequence[Case],
    recordings: Mapping[str, Recording],
    of: Of = Training.of,
    *,
    failures: Sequence[Failure] = (),
    failed: Callable[[str, SlsimError], object] | None = None,
    clocks: Clocks | None = None,
) -> Played:
    """Each case's recording on its clock, and its baseline's; of those whose trainings are among `failures`,
    why they failed; cases whose trainings are not there (yet) are left out. Where a number is swept, the
    times if devices cost less and more are there too. `of` says which training a scenario has; `recordings`
    are by its key. `failed` is told the label of a case whose clock fails, and why; without it, that is
    raised."""
    reasons = {failure.training: failure.reason for failure in failures}
    player = _Player(recordings, of, clocks or Clocks(), suppose=bool(axes(cases)))
    played: list[Run | Lost] = []
    for case, label, setting in zip(cases, run_labels(cases), setting_labels(cases), strict=True):
        training = player.of(case.scenario)
        lost = Lost(label, setting, case.values, case.scenario, training.name, reasons.get(training.name, ""))
        if training.key not in recordings:
            played += [lost] if lost.reason else []
            continue
        try:
            played.append(player.run(case, label, setting))
        except SlsimError as error:
            if failed is None:
                raise
            failed(label, error)
            played.append(replace(lost, reason=str(error)))
    return Played(tuple(played), recordings, player.of, player.clocks, player.sent)


class _Player:
    """Makes runs of cases."""

    def __init__(self, recordings: Mapping[str, Recording], of: Of, clocks: Clocks, suppose: bool) -> None:
        self.recordings, self.of, self.clocks = recordings, of, clocks
        self.sent = {key: analysis.cumulative(recording) for key, recording in recordings.items()}
        self._suppose = suppose
        clocks.know(recordings)

    def run(self, case: Case, label: str, setting: str) -> Run:
        training, baseline = self.of(case.scenario), self.of(case.scenario.baseline())
        run = Run(
            label=label,
            setting=setting,
            values=case.values,
            scenario=case.scenario,
            training=training.name,
            recording=self.recordings[training.key],
            timeline=self.clocks.timeline(training.key, case.scenario),
            baseline=self.recordings.get(baseline.key),
            sent=self.sent[training.key],
            baseline_sent=self.sent.get(baseline.key),
            baseline_timeline=self.clocks.baseline(baseline.key, case.scenario),
            baseline_training=baseline.name if baseline.key in self.recordings else "",
        )
        if not self._suppose:
            return run
        return replace(run, supposed=self.clocks.supposed(run, training.key, baseline.key))
