"""Every registered protocol does what it says of itself, and its rehearsal writes what a first round does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trainings import normalizing_net, scenario_of, table_of, trained

from slsim import protocols
from slsim.learning.data import load_data
from slsim.recording import SERVER, Round, Steps
from slsim.recording.kinds import ALL_REDUCE, HEAD, PHASES
from slsim.scenario import Scenario
from slsim.study.preparing import prepare
from slsim.study.rehearsing import Foreseen, rehearsal

ACROSS, WEIGHTS = {"activations", "labels", "gradients"}, {"weights", "statistics"}
OWN = {"client gradients", "statistics"}
U_SHAPED = {"activations", "features", "feature gradients", "gradients"}

# A protocol with the kinds that it sends; of each that is registered there is one at least.
CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "splitfed": ({}, ACROSS),
    "splitfed by the server": ({"aggregation": "server"}, ACROSS | OWN),
    "splitfed in a ring": ({"aggregation": "all-reduce"}, ACROSS | OWN),
    "splitfed local": ({"protocol": {"name": "splitfed", "local_epochs": 2}}, ACROSS | WEIGHTS),
    "splitfed-v2": ({}, ACROSS | WEIGHTS),
    "sequential": ({}, ACROSS | WEIGHTS),
    "fedavg": ({}, WEIGHTS),
    "centralized": ({}, set()),
    "u-shaped": ({}, U_SHAPED),
    "u-shaped by the server": ({"aggregation": "server"}, U_SHAPED | OWN),
    "u-shaped in a ring": ({"aggregation": "all-reduce"}, U_SHAPED | OWN),
}
FIXED = {  # of a size that is known before
    "uplink": {"name": "qu", "bits": 3},
    "downlink": "cast",
    "weights": "cast",
}


def scenario(document: dict[str, Any], folder: Path, name: str, codec: dict[str, Any]) -> Scenario:
    """Batch normalization in all parts, and clients of uneven sizes."""
    protocol = name.partition(" ")[0]
    head = {"head_cut": 2} if protocol == "u-shaped" else {}
    heads = {"head_uplink": "cast", "head_downlink": {"name": "qu", "bits": 4}} if head and codec else {}
    return scenario_of(
        document,
        data={**document["data"], "partition": {"dirichlet": 0.7}},
        model={"name": normalizing_net(folder), "cut": 1, **head},
        clients={"count": 3, "batch_size": 16},
        codec={**codec, **heads},
        training={"protocol": protocol, "max_rounds": 2, **CASES[name][0]},
    )


def test_every_protocol_is_here() -> None:
    assert {name.partition(" ")[0] for name in CASES} == set(protocols.registry.names())


@pytest.mark.parametrize("name", CASES)
def test_a_training_does_and_sends_what_its_protocol_says(
    tiny: dict[str, Any], tmp_path: Path, name: str
) -> None:
    asked = scenario(tiny, tmp_path, name, {})
    protocol = asked.training.protocol.create()
    exchange, steps = trained(asked)
    table = table_of(steps)
    on_client, on_server = protocol.computing
    for who, parts in ((table["who"] != SERVER, on_client), (table["who"] == SERVER, on_server)):
        own = table[who & (table["work"] != "")]
        assert set(own["work"]) - {"encode", "decode"} == set(parts)
    messages, work = table[table["work"] == ""], table[table["work"] != ""]
    assert set(messages["kind"]) == CASES[name][1]
    for column in ("num_bytes", "raw_bytes", "extra_bytes"):
        assert (messages[column] >= 0).all()
        assert (work[column] == 0).all()
    assert (messages["num_bytes"] > 0).all()
    assert (work[["samples", "elements", "flops", "memory_bytes"]] >= 0).all(axis=None)
    groups = {phase.name: phase.group for phase in (*PHASES, HEAD, ALL_REDUCE)}
    assert set(table["phase"]) <= groups.keys()
    assert exchange.phases == {phase: groups[phase] for phase in exchange.phases}
    assert set(exchange.phases) == set(table["phase"])
    assert ((messages["who"] != SERVER) | (messages["to"] != SERVER)).all()
    assert (messages["who"] != messages["to"]).all()
    assert (table["client"] >= 0).all()


def first_round(events: Iterator[Any]) -> Any:
    return next(event.rows for event in events if isinstance(event, Round))


@pytest.mark.parametrize("codec", [{}, FIXED], ids=["identity", "fixed"])
@pytest.mark.parametrize("name", CASES)
def test_a_rehearsal_writes_the_steps_of_the_first_round(
    tiny: dict[str, Any], tmp_path: Path, name: str, codec: dict[str, Any]
) -> None:
    asked = scenario(tiny, tmp_path, name, codec)
    prepared = prepare(asked)
    from_data = Foreseen.from_data(asked, load_data(asked))
    rehearsals = [rehearsal(asked, foreseen) for foreseen in (Foreseen.of(prepared), from_data)]
    real, *rehearsed = (
        table_of(Steps.of([first_round(asked.training.protocol.create().learn(exchange))], exchange.words))
        for exchange in (prepared, *rehearsals)
    )
    assert all(real.equals(one) for one in rehearsed)
