"""Foresee what a study takes: its trainings and clocks, bytes, time, memory and disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slsim.clock import Clock, Timeline
from slsim.errors import DataError, Fault, ScenarioError, SlsimError
from slsim.events import silent
from slsim.forecast import CaseForecast, Forecast, State, TrainingForecast
from slsim.recording import Steps
from slsim.results import StudyFolder
from slsim.scenario import Case, Plan, Scenario, setting_labels
from slsim.study.checkpoint import rounds_in
from slsim.study.crews import Staffing
from slsim.study.durations import evaluations_in, training_s, wall_s
from slsim.study.estimating import disk_bytes, held_bytes, memory_bytes
from slsim.study.failures import told_by_cause
from slsim.study.finding import There
from slsim.study.measuring import Measured, measure
from slsim.study.placing import folder_for
from slsim.study.preparing import Manners
from slsim.study.rehearsing import Foreseen, learner_name
from slsim.study.running import plan_of
from slsim.study.step_sizes import FirstRound
from slsim.study.stopping import depends_on
from slsim.study.training import Training, trainings_of

if TYPE_CHECKING:
    from slsim.learning.data import Dataset

Told = Callable[[str], object]
FEW_TURNS = 5_000  # of clients, which SimPy plays in the time that the clock's compiled code takes to load


def plan(
    scenario: str | Path | Mapping[str, Any] | Plan,
    results: str | Path = "results",
    *,
    overrides: Mapping[str, Any] | None = None,
    measure: bool = True,
    workers: int | None = None,
) -> Forecast:
    """Foresee what `slsim.run` would do with the same arguments; nothing is trained or written. With
    `measure`, a few steps of each kind of training are taken to see how long they last.

    Raises `ScenarioError` for a scenario that cannot be run.

    Example:
        >>> import slsim
        >>> forecast = slsim.plan("scenarios/quickstart.toml", measure=False)
        >>> [(case.label, round(case.ratio, 1)) for case in forecast.cases[:2]]
        [('identity', 1.0), ('QU (3 bits)', 10.6)]
    """
    asked = plan_of(scenario, overrides or {})
    return foresee(asked, Path(results), measured=measure, staffing=Staffing(workers=workers))


def foresee(
    asked: Plan,
    results: Path,
    *,
    measured: bool = True,
    any_version: bool = False,
    staffing: Staffing | None = None,
    tell: Told = lambda _: None,
) -> Forecast:
    """Foresee a study of `asked`, whose folder is in `results`; what `any_version` of slsim has trained
    counts as finished where that is said. `tell` is told what is measured just then, as a text. Raises
    `ScenarioError` for what no clock can play; `DataError` or the like where data or model are at fault in
    all of the cases."""
    folder, trainings = folder_for(asked, results), trainings_of(asked.cases)
    planner = _Planner(asked, folder, trainings, measured, any_version, staffing or Staffing(), tell)
    cases = planner.cases(asked.cases)
    if faults := [Fault(label, problem) for label, problem in planner.faults.items()]:
        raise ScenarioError(faults, asked.name)
    if planner.reason is not None:
        raise planner.reason
    foreseen = planner.trainings()
    left = [training for training, one in zip(trainings, foreseen, strict=True) if one.is_left]
    workers = planner.staffing.crew(left, silent).workers
    return Forecast(
        name=asked.name,
        folder=folder.path,
        trainings=tuple(foreseen),
        cases=tuple(cases),
        runs=len(asked.cases),
        clocks=planner.clocks(asked.cases),
        workers=workers,
        wall_s=wall_s(foreseen, workers),
        notes=tuple(planner.notes),
    )


@dataclass(frozen=True)
class _Kind:
    """What trainings that differ in their seed alone share: sizes, and the time of a step."""

    data: Dataset
    is_loaded: bool
    foreseen: Foreseen
    first: FirstRound
    missing: str


class _Planner:
    """Looks at each kind of training once."""

    def __init__(
        self,
        asked: Plan,
        folder: StudyFolder,
        trainings: Sequence[Training],
        measured: bool,
        any_version: bool,
        staffing: Staffing,
        tell: Told,
    ) -> None:
        self._asked, self._folder, self._trainings = asked, folder, trainings
        self._numbers = {training.key: number for number, training in enumerate(trainings)}
        self._measured, self._any_version = measured, any_version
        self.staffing, self._tell = staffing, tell
        self._data: dict[str, tuple[Dataset, bool]] = {}
        self._foreseen: dict[str, Foreseen] = {}
        self._kinds: dict[str, _Kind | SlsimError] = {}
        self._times: dict[str, Measured | str] = {}
        self._known: Manners = {}
        self._drawn: set[str] = set()
        self._played: dict[str, Timeline] = {}
        self._by_events = False
        self.faults: dict[str, str] = {}

    # Sizes.

    @property
    def reason(self) -> SlsimError | None:
        """Why nothing is known of any training; None where something is."""
        reasons = [kind for kind in self._kinds.values() if isinstance(kind, SlsimError)]
        return reasons[0] if reasons and len(reasons) == len(self._kinds) else None

    def kind(self, scenario: Scenario) -> _Kind | SlsimError:
        """The kind of a scenario's training, or why its sizes are not known."""
        name = kind_name(scenario)
        if name not in self._kinds:
            try:
                with told_by_cause(scenario):
                    self._kinds[name] = self._seen(scenario)
            except SlsimError as error:
                self._kinds[name] = error
        return self._kinds[name]

    def _seen(self, scenario: Scenario) -> _Kind:
        data, is_loaded = self._dataset(scenario)
        foreseen = self._foresee(scenario, data)
        source, missing = scenario.data.component.create(), ""
        try:
            source.check_there()
        except DataError as error:
            missing = str(error)
        return _Kind(data, is_loaded, foreseen, FirstRound.of(scenario, foreseen), missing)

    def _dataset(self, scenario: Scenario) -> tuple[Dataset, bool]:
        """The data set's sizes, or itself where it does not say them; and which of them it is."""
        from slsim.learning.data import load_data

        choice = scenario.data.component
        name = _text(scenario.table()["data"])
        if name not in self._data:
            outline = choice.create().outline()
            self._data[name] = (load_data(scenario), True) if outline is None else (outline, False)
        return self._data[name]

    def _foresee(self, scenario: Scenario, data: Dataset) -> Foreseen:
        name = learner_name(scenario)
        if name not in self._foreseen:
            self._foreseen[name] = Foreseen.from_data(scenario, data)
        return self._foreseen[name]

    # Cases.

    def cases(self, cases: Sequence[Case]) -> list[CaseForecast]:
        """Foresee the first seed of each setting. What no clock can play is noted in `faults`."""
        settings: dict[str, tuple[Case, str]] = {}
        for case, label in zip(cases, setting_labels(cases), strict=True):
            settings.setdefault(_text(case.values), (case, label))
        turns = sum(case.scenario.clients.count for case, _ in settings.values())
        self._by_events = not self._measured and turns <= FEW_TURNS
        return [self._case(case.scenario, label) for case, label in settings.values()]

    def _case(self, scenario: Scenario, label: str) -> CaseForecast:
        number, kind = self._numbers[Training.of(scenario).key], self.kind(scenario)
        if isinstance(kind, SlsimError):
            return CaseForecast(label, number, problem=str(kind))
        clock = _text([kind_name(scenario), clock_name(scenario)])
        if clock not in self._played:
            try:
                with told_by_cause(scenario):
                    self._played[clock] = self._timeline(scenario, kind.first.steps)
            except SlsimError as error:
                self.faults[label] = str(error)
                return CaseForecast(label, number, problem=str(error))
        return kind.first.case(label, number, self._played[clock])

    def _timeline(self, scenario: Scenario, steps: Steps) -> Timeline:
        clock, once = Clock.of(scenario), np.zeros(1, np.int64)
        return clock.run_with_events(steps, once) if self._by_events else clock.run(steps, once)

    def clocks(self, cases: Sequence[Case]) -> int:
        """How many different clocks go over the trainings."""
        return len({_text([Training.of(one.scenario).key, clock_name(one.scenario)]) for one in cases})

    # Trainings.

    def trainings(self) -> list[TrainingForecast]:
        """Foresee each training, by number."""
        there = There.of(self._asked, self._folder, self._trainings, self._any_version).recordings.keys()
        return [self._training(one, one.key in there) for one in self._trainings]

    def _training(self, training: Training, there: bool) -> TrainingForecast:
        scenario, before = training.scenario, depends_on(training)
        done = self._rounds_done(training)
        state: State = "finished" if there else "begun" if done else "to do"
        forecast = TrainingForecast(
            number=self._numbers[training.key],
            label=training.label,
            state=state,
            threads=scenario.training.threads,
            done=0 if there else done,
            may_stop=scenario.stop is not None,
            needs=None if before is None else self._numbers[before.key],
        )
        kind = self.kind(scenario)
        if isinstance(kind, SlsimError):
            return replace(forecast, problem=str(kind))
        return self._sized(forecast, training, kind)

    def _sized(self, forecast: TrainingForecast, training: Training, kind: _Kind) -> TrainingForecast:
        scenario, first, model = training.scenario, kind.first, kind.foreseen.model
        evaluations = evaluations_in(scenario, first, first.rounds)
        disk = disk_bytes(scenario, model, first, first.rounds, evaluations)
        forecast = replace(
            forecast,
            rounds=first.rounds,
            memory_bytes=memory_bytes(scenario, model, kind.data, first),
            disk_bytes=disk.recording,
            checkpoint_bytes=disk.checkpoint,
            problem=kind.missing,
        )
        if not (self._measured and forecast.is_left):
            return forecast
        times = self._time(training, kind)
        if isinstance(times, str):
            return replace(forecast, problem=forecast.problem or times)
        forecast = replace(forecast, wall_s=training_s(scenario, kind.data, first, times, forecast.done))
        if times.peak_bytes is None:
            return forecast
        beside = 0 if kind.is_loaded else held_bytes(kind.data)
        return replace(forecast, memory_bytes=times.peak_bytes + beside, memory_measured=True)

    def _time(self, training: Training, kind: _Kind) -> Measured | str:
        scenario, name = training.scenario, kind_name(training.scenario)
        if name not in self._times:
            self._tell(training.label)
            if not kind.is_loaded:
                self._drawn.add(scenario.data.component.name)
            flops = float(kind.first.steps.rows["flops"].sum())
            try:
                self._times[name] = measure(
                    scenario, kind.data, kind.is_loaded, flops, self._known, self.staffing.device
                )
            except SlsimError as error:
                self._times[name] = str(error)
        return self._times[name]

    def _rounds_done(self, training: Training) -> int:
        return rounds_in(self._folder.checkpoint(training.name))

    @property
    def notes(self) -> list[str]:
        """How the numbers came about."""
        if not self._drawn:
            return []
        return [f"Times were measured with random images in place of {', '.join(sorted(self._drawn))}."]


def kind_name(scenario: Scenario) -> str:
    """What trainings that differ in their seed alone share."""
    return _text({key: item for key, item in scenario.learning_table().items() if key != "seed"})


def clock_name(scenario: Scenario) -> str:
    """What tells a scenario's clock apart from others."""
    table = scenario.table()
    return _text([table["network"], table["clients"], table["server"]])


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
