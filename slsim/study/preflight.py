"""What can be known before anything is trained: a rehearsed round of each case on its clock, and that the
scenario that will be written down reads back as the same cases."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

import tomli_w

from slsim import boundary
from slsim.errors import Fault, ScenarioError, SlsimError, StudyError
from slsim.recording import Steps
from slsim.scenario import Case, Plan, Scenario, plan, run_labels
from slsim.scenario.normal_form import text
from slsim.study.failures import told_by_cause
from slsim.study.one_round import play_round
from slsim.study.preparing import Manners, prepare
from slsim.study.rehearsing import Foreseen, first_round, learner_name, rehearsal
from slsim.study.training import Training
from slsim.threads import computing_with

MOST_READ_BACK = 200  # cases


def check_document(asked: Plan) -> None:
    """Raises `ScenarioError` when the scenario that will be saved would not read back as the same cases."""
    try:
        written = tomli_w.dumps(asked.document())
        written.encode()
    except (ValueError, TypeError) as error:
        raise ScenarioError(
            [Fault("", f"cannot be written as TOML in UTF-8: {error}")], asked.name
        ) from error
    if len(asked.cases) <= MOST_READ_BACK and _read_back(written, asked) != asked.cases:
        what = "does not read back as the same cases; does a component of one's own change its parameters?"
        raise ScenarioError([Fault("", what)], asked.name)


def _read_back(written: str, asked: Plan) -> tuple[Case, ...]:
    return plan(tomllib.loads(written), asked.name, Path()).cases


def rehearse(
    cases: Sequence[Case], trained: Collection[str], device: str = "cpu", known: Manners | None = None
) -> None:
    """Play one round of each case on its clock without training it, those whose training (a key) is there
    already left out, and of several seeds the first; models that are tried are added to `known`. Raises
    `ScenarioError` with what cannot be played, by run; `DataError` or the like when data or model are at
    fault in all of them: where they are in some, those trainings fail, and the others are done; `StudyError`
    for a device that torch cannot compute on."""
    due = [
        (case, label)
        for case, label in zip(cases, run_labels(cases), strict=True)
        if Training.of(case.scenario).key not in trained
    ]
    rehearsal, faults = _Rehearsal(device, known), dict[str, Fault]()
    unprepared: list[SlsimError] = []
    for case, label in due:
        try:
            rehearsal.play(case.scenario)
        except _UnpreparedError as error:
            unprepared.append(error.reason)
        except StudyError:
            raise
        except SlsimError as error:
            faults.setdefault(str(error), Fault(label, str(error)))
    if faults:
        raise ScenarioError(faults.values())
    if unprepared and len(unprepared) == len(due) == len(cases):
        raise unprepared[0]


class _UnpreparedError(Exception):
    """Data or model of a case are at fault."""

    def __init__(self, reason: SlsimError) -> None:
        self.reason = reason


class _Rehearsal:
    """Plays each clock once, and prepares each model with its data once."""

    def __init__(self, device: str, known: Manners | None) -> None:
        self._device, self._known = device, known
        self._prepared: dict[str, Foreseen | SlsimError] = {}
        self._played: dict[str, SlsimError | None] = {}

    def play(self, scenario: Scenario) -> None:
        """Play one round. Raises `SlsimError`; `_UnpreparedError` where there is nothing to play."""
        table = scenario.table()
        clock = text({key: item for key, item in table.items() if key not in ("name", "seed", "training")})
        clock += scenario.training.protocol.label + scenario.training.aggregation
        if clock in self._played:
            if reason := self._played[clock]:
                raise _UnpreparedError(reason)
            return
        self._played[clock] = None
        prepared = self._prepare(scenario, learner_name(scenario))
        if isinstance(prepared, SlsimError):
            self._played[clock] = prepared
            raise _UnpreparedError(prepared)
        play_one(scenario, prepared)

    def _prepare(self, scenario: Scenario, learner: str) -> Foreseen | SlsimError:
        """Data and model, or why there are none. Raises `StudyError` for what concerns all cases."""
        if learner not in self._prepared:
            self._prepared.clear()  # one at a time: there may be many, and each may be large
            try:
                with computing_with(scenario.training.threads), told_by_cause(scenario):
                    self._prepared[learner] = Foreseen.of(prepare(scenario, self._device, self._known))
            except StudyError:
                raise
            except SlsimError as error:
                self._prepared[learner] = error
        return self._prepared[learner]


def play_one(scenario: Scenario, foreseen: Foreseen) -> None:
    """Plays the first round of a scenario's protocol on its clock, with the sizes that the codecs' formats
    foresee, on the model and the data of this case or of another. What a codec or a protocol of one's own
    cannot do without tensors is left to its training. Raises `SlsimError`."""
    protocol, exchange = scenario.training.protocol.create(), rehearsal(scenario, foreseen)
    try:
        rows = first_round(exchange, protocol)
    except SlsimError:
        return
    except Exception:
        if boundary.is_outside(type(protocol)):
            return
        raise
    play_round(scenario, Steps.of([rows], exchange.words))
