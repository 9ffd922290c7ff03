"""What can be known before anything is trained: a rehearsed round of each case on its clock, and that the
scenario that will be written down reads back as the same cases."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

import tomli_w

from slsim import boundary
from slsim.errors import Fault, ScenarioError, SlsimError
from slsim.recording import Steps
from slsim.scenario import Case, Plan, Scenario, plan, run_labels
from slsim.scenario.sweep import text
from slsim.study.failures import told_by_cause
from slsim.study.one_round import play_round
from slsim.study.rehearsing import Foreseen, first_round, rehearsal
from slsim.study.training import Manners, Training, prepare

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
    """Plays one round of each case on its clock without training it, those whose training (a key) is there
    already left out; models that are tried are added to `known`. Raises `ScenarioError` with what cannot be
    played, by run; `DataError` when data or model are at fault."""
    rehearsals: dict[str, Foreseen] = {}
    played: set[str] = set()
    faults: dict[str, Fault] = {}
    for case, label in zip(cases, run_labels(cases), strict=True):
        if Training.of(case.scenario).key in trained:
            continue
        table = case.scenario.table()
        clock = text({key: item for key, item in table.items() if key not in ("name", "training")})
        clock += case.scenario.training.protocol.label + case.scenario.training.aggregation
        if clock in played:
            continue
        played.add(clock)
        learner = text([table["data"], table["model"], table["seed"], table["clients"]["count"]])
        if learner not in rehearsals:
            rehearsals.clear()  # one at a time: there may be many, and each may be large
            with told_by_cause(case.scenario):
                rehearsals[learner] = Foreseen.of(prepare(case.scenario, device, known))
        try:
            play_one(case.scenario, rehearsals[learner])
        except SlsimError as error:
            faults.setdefault(str(error), Fault(label, str(error)))
    if faults:
        raise ScenarioError(faults.values())


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
