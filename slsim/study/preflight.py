"""What can be known before anything is trained: one synthetic round of each case on its clock, and that the
scenario that will be written down reads back as the same cases."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from slsim import boundary
from slsim.errors import ComponentError, Fault, ScenarioError, SlsimError
from slsim.recording import (
    ACTIVATIONS,
    GRADIENTS,
    LABELS,
    WEIGHTS,
    Costs,
    Message,
    RoundRecord,
    Turn,
)
from slsim.scenario import Case, Choice, Plan, Scenario, plan, run_labels
from slsim.scenario.sweep import text
from slsim.simulation.costs import CODEC_OF
from slsim.study.failures import told_by_cause
from slsim.study.one_round import play_record
from slsim.study.training import Manners, Training, prepare

if TYPE_CHECKING:
    from slsim.learning.trainer import Trainer

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
    """Plays one synthetic round of each case on its clock, those whose training (a key) is there already left
    out; models that are tried are added to `known`. Raises `ScenarioError` with what cannot be played, by
    run; `DataError` when data or model are at fault."""
    trainers: dict[str, Trainer] = {}
    played: set[str] = set()
    faults: dict[str, Fault] = {}
    for case, label in zip(cases, run_labels(cases), strict=True):
        if Training.of(case.scenario).key in trained:
            continue
        table = case.scenario.table()
        clock = text({key: item for key, item in table.items() if key not in ("name", "training")})
        clock += case.scenario.training.protocol.label
        if clock in played:
            continue
        played.add(clock)
        learner = text([table["data"], table["model"], table["seed"], table["clients"]["count"]])
        if learner not in trainers:
            trainers.clear()  # one at a time: there may be many, and each may be large
            with told_by_cause(case.scenario):
                trainers[learner] = prepare(case.scenario, device, known)
        try:
            play_one(case.scenario, trainers[learner])
        except SlsimError as error:
            faults.setdefault(str(error), Fault(label, str(error)))
    if faults:
        raise ScenarioError(faults.values())


def play_one(scenario: Scenario, trainer: Trainer) -> None:
    """A round as the scenario's protocol makes them, full mini-batches and sizes by the codecs' formats, on
    its clock. A codec that cannot say its sizes is left to its training. Raises `SlsimError`."""
    codec = scenario.codec
    trainer.uplink, trainer.downlink = codec.uplink.create(), codec.downlink.create()
    trainer.weights_codec = codec.weights.create()
    try:
        costs = trainer.costs()
        record = synthetic_round(scenario, trainer)
    except SlsimError:
        return
    _check_costs(costs, scenario)
    play_record(_played(scenario), costs, record)


def _played(scenario: Scenario) -> Scenario:
    """The scenario with a protocol whose rounds are known: `splitfed` stands in for a third party's."""
    if not boundary.is_outside(type(scenario.training.protocol.create())):
        return scenario
    training = scenario.training.model_copy(update={"protocol": Choice("protocol", "splitfed", {})})
    return scenario.model_copy(update={"training": training})


def synthetic_round(scenario: Scenario, trainer: Trainer) -> RoundRecord:
    """The first round that the scenario's protocol would make."""
    protocol = _played(scenario).training.protocol.create()
    on_client, on_server = protocol.computing
    participants = trainer.sampler.participants(0) if on_client else [0]
    turns: list[Turn] = []
    for client in participants:
        samples = min(scenario.clients.batch_size, trainer.sampler.parts[client].size)
        travels = bool(on_client) and not protocol.one_step_a_round
        size = trainer.client.size if on_server else trainer.client.size + trainer.server.size
        messages = _exchange(trainer, samples) if on_client and on_server else ()
        turns += [_weights(trainer, client, size, "down")] if travels else []
        turns += [Turn(client, samples, messages)]
        turns += [_weights(trainer, client, size, "up")] if travels else []
    return RoundRecord(tuple(turns))


def _exchange(trainer: Trainer, samples: int) -> tuple[Message, ...]:
    shape = (samples, *trainer.model.activation_shape)
    raw = 4 * math.prod(shape)
    return (
        Message(ACTIVATIONS, "up", trainer.uplink.num_bytes(shape), raw),
        Message(LABELS, "up", samples, samples),
        Message(GRADIENTS, "down", trainer.downlink.num_bytes(shape), raw),
    )


def _weights(trainer: Trainer, client: int, size: int, direction: Any) -> Turn:
    return Turn(client, 0, (Message(WEIGHTS, direction, trainer.weights_codec.num_bytes((size,)), 4 * size),))


def _check_costs(costs: Costs, scenario: Scenario) -> None:
    """Raises `ComponentError` for a cost that is no number, not finite or below 0."""
    for path, cost in _numbers("", asdict(costs)):
        if isinstance(cost, (int, float)) and not isinstance(cost, bool) and 0 <= cost < math.inf:
            continue
        direction = next((which for kind, which in CODEC_OF.items() if kind in path), None)
        who = (
            f"codec {getattr(scenario.codec, direction).name.rpartition('/')[2]}"
            if direction
            else "the model"
        )
        what = f"gave {boundary.shown(cost)} as {path}; costs must be at least 0 and finite"
        raise ComponentError(f"{who}, in its costs: {what}")


def _numbers(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(f"{path} {key}".strip(), item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(path, item)
    elif not isinstance(value, str) and value is not None:
        yield path, value
