"""What tests of resumed trainings share: a small scenario of each protocol, and what must be equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slsim.events import Event, RoundDone, silent
from slsim.learning.exchange import Exchange
from slsim.learning.loop import Loop
from slsim.recording import STEP, Recording, tables_of
from slsim.scenario import plan
from slsim.study import checkpoint
from slsim.study.checkpoint import Checkpoint
from slsim.study.job import train
from slsim.study.training import Training

Trained = tuple[Exchange, Recording]
PROTOCOLS: dict[str, Any] = {
    "splitfed": "splitfed",
    "splitfed local": {"name": "splitfed", "local_epochs": 1},
    "splitfed-v2": {"name": "splitfed-v2", "local_epochs": 1},
    "sequential": "sequential",
    "fedavg": "fedavg",
    "centralized": "centralized",
    "u-shaped": "u-shaped",
}
ONE_STEP = ("splitfed", "centralized", "u-shaped")  # a round, which has no pause


def document_of(tiny: dict[str, Any], protocol: str, **tables: Any) -> dict[str, Any]:
    """Random draws wherever there can be some: participants, codec, augmentation, batches."""
    document = {key: value for key, value in tiny.items() if key != "sweep"}
    draws = {"name": "rt", "sparsity": 0.5}
    codecs: dict[str, Any] = {"uplink": draws, "weights": {"name": "qsgd"}}
    model = tables.pop("model", {"name": "mlp", "hidden": 16, "cut": 1})
    if protocol == "u-shaped":
        codecs |= {"head_downlink": draws, "head_uplink": {"name": "qu", "bits": 4}}
        model = {**model, "head_cut": 2}
    return {
        **document,
        "data": {**tiny["data"], "augment": {"flip": True}, "partition": {"dirichlet": 1.0}},
        "model": model,
        "clients": {"count": 6, "per_round": 3, "batch_size": 10},
        "codec": codecs,
        "training": {
            "protocol": PROTOCOLS[protocol],
            "epochs": 3,
            "learning_rate": 0.02,
            "momentum": 0.9,
            "target_accuracy": 0.5,
            "hooks": [{"name": "leakage", "every": 2, "samples": 8}],
        },
        **tables,
    }


def training_of(document: dict[str, Any]) -> Training:
    return Training.of(plan(document, "test", Path()).cases[0].scenario)


def state_of(trained: Trained) -> dict[str, str]:
    """Hashes over weights, momentum and everything else that is kept."""
    state = Loop(trained[0], None, trained[1]).state()
    return {key: checkpoint._hash(value) for key, value in state.items()}


def assert_same(one: Trained, other: Trained) -> None:
    """Steps in all columns, rounds, evaluations, measurements, and the state, bit for bit."""
    first, second = one[1], other[1]
    assert first.evaluations == second.evaluations
    assert first.measurements == second.measurements
    assert first.rounds.tolist() == second.rounds.tolist()
    for name in STEP.names or ():
        assert first.steps.rows[name].tobytes() == second.steps.rows[name].tobytes()
    assert first.words == second.words
    assert tables_of(first) == tables_of(second)
    assert first.formats == second.formats
    assert first.phases == second.phases
    assert state_of(one) == state_of(other)


class Always(Checkpoint):
    """A checkpoint after every round and every step within one."""

    def due(self, epoch_ended: bool) -> bool:
        del epoch_ended
        return True


def interrupted(training: Training, file: Path, rounds: int) -> Trained:
    """A training that is interrupted after so many rounds, and resumed from its checkpoint in another
    process' place."""
    left = iter(range(rounds, -1, -1))

    def stops(event: Event) -> None:
        if isinstance(event, RoundDone) and not next(left):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(training, stops, Always(file))
    return train(training, silent, Always(file))
