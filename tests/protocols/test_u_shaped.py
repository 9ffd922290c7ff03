"""`u-shaped`: the steps of a round, each message through its own codec, and what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import evaluated, normalizing_net, one_round, scenario_of, sent, table_of, trained

from slsim.errors import ScenarioError
from slsim.learning.exchange import Exchange
from slsim.recording import SERVER, Steps
from slsim.scenario import Scenario
from slsim.study.preparing import prepare

CLIENTS, BATCH = 3, 5
UP, DOWN = (4, 4, 4), (16, 1, 1)  # a sample's activations and features, of the cnn below on 8×8 images
MODEL = {"name": "cnn", "channels": 4, "cut": 1, "head_cut": 3}
DROPPED = {"name": "sp", "sparsity": 1.0}  # everything


def u_shaped(document: dict[str, Any], **tables: Any) -> Scenario:
    training = {"protocol": "u-shaped", "max_rounds": 4, "learning_rate": 0.02, **tables.pop("training", {})}
    clients = {"count": CLIENTS, "batch_size": BATCH}
    return scenario_of(document, **{"model": MODEL, "clients": clients, "training": training, **tables})


def header(*shape: int) -> int:
    """8 fixed bytes, and one for each dimension below 128."""
    return 8 + len(shape)


def first_round(scenario: Scenario) -> Steps:
    return one_round(scenario, prepare(scenario))


# Who does what in a step: what it is called, and the work or the message of each row.
STEP_BY_STEP = [
    ("client", "client forward", ["client forward"]),
    ("client", "encode", ["encode activations"]),
    ("client", "uplink", ["activations"]),
    ("server", "server compute", ["decode activations", "server forward", "encode features"]),
    ("server", "downlink", ["features"]),
    ("client", "decode", ["decode features"]),
    ("client", "head", ["head forward", "head backward"]),
    ("client", "encode", ["encode feature gradients"]),
    ("client", "uplink", ["feature gradients"]),
    ("server", "server compute", ["decode feature gradients", "server backward", "encode gradients"]),
    ("server", "downlink", ["gradients"]),
    ("client", "decode", ["decode gradients"]),
    ("client", "client backward", ["client backward"]),
]


def test_the_steps_of_a_round_are_these_for_every_client(tiny: dict[str, Any]) -> None:
    table = table_of(first_round(u_shaped(tiny)))
    assert set(table["section"]) == {0}
    assert set(table["waits_for"]) == {-1}
    for client in range(CLIENTS):
        own = table[table["lane"] == client]
        assert set(own["client"]) == {client}
        found: list[tuple[str, str, list[str]]] = []
        for row in own.itertuples():
            what = f"{row.work} {row.kind}".strip()
            if row.joined:
                found[-1][2].append(what)
            else:
                found.append(("server" if row.who == SERVER else "client", row.phase, [what]))
        assert found == STEP_BY_STEP
        assert set(own["samples"]) == {0, BATCH}
        ends = own[own["work"] == ""][["who", "to"]].to_numpy().tolist()
        assert ends == [[client, SERVER], [SERVER, client]] * 2


def test_work_has_the_flops_of_its_part_and_the_elements_of_its_tensor(tiny: dict[str, Any]) -> None:
    scenario = u_shaped(tiny)
    model = prepare(scenario).parts.model
    table = table_of(first_round(scenario))
    for part in ("client", "server", "head"):
        for way in ("forward", "backward"):
            own = table[table["work"] == f"{part} {way}"]
            assert set(own["flops"]) == {BATCH * getattr(getattr(model, f"{part}_flops"), way)}
            assert set(own["samples"]) == {BATCH}
    sizes = {"activations": 64, "features": 16, "feature gradients": 16, "gradients": 64}
    for kind, elements in sizes.items():
        assert set(table[(table["kind"] == kind) & (table["work"] != "")]["elements"]) == {BATCH * elements}


def test_bytes_are_those_of_the_formula_and_labels_are_in_no_message(tiny: dict[str, Any]) -> None:
    scenario = u_shaped(tiny)
    steps = first_round(scenario)
    up, down = (header(BATCH, *shape) + 4 * BATCH * 64 // (1 if shape == UP else 4) for shape in (UP, DOWN))
    assert sent(steps) == {
        ("activations", "up"): CLIENTS * up,
        ("features", "down"): CLIENTS * down,
        ("feature gradients", "up"): CLIENTS * down,
        ("gradients", "down"): CLIENTS * up,
    }
    exchange = prepare(scenario)
    at_server = exchange.upload(exchange.forward(exchange.sampler.one_each(0)), labels=False)
    assert at_server.labels is None


def test_each_of_the_four_messages_has_a_codec_of_its_own(tiny: dict[str, Any]) -> None:
    codecs = {
        "uplink": {"name": "qu", "bits": 2},
        "head_downlink": {"name": "qu", "bits": 3},
        "head_uplink": "cast",
        "downlink": {"name": "qu", "bits": 4},
    }
    table = table_of(first_round(u_shaped(tiny, codec=codecs)))
    messages = table[table["work"] == ""]
    up, down = BATCH * 64, BATCH * 16
    expected = {
        "activations": header(BATCH, *UP) + 8 + up * 2 // 8,
        "features": header(BATCH, *DOWN) + 8 + down * 3 // 8,
        "feature gradients": header(BATCH, *DOWN) + down * 2,
        "gradients": header(BATCH, *UP) + 8 + up * 4 // 8,
    }
    for kind, num_bytes in expected.items():
        own = messages[messages["kind"] == kind]
        assert own["num_bytes"].tolist() == [num_bytes] * CLIENTS
        assert set(own["raw_bytes"]) == {4 * (up if "activations" in kind or kind == "gradients" else down)}
        coding = table[(table["kind"] == kind) & (table["work"] != "")]
        assert set(coding["codec"]) == set(own["codec"]) == {"cast" if kind == "feature gradients" else "qu"}


@pytest.mark.parametrize(
    ("key", "learning"),
    [
        ("uplink", {"client", "server", "head"}),
        ("head_downlink", {"client", "server", "head"}),
        ("head_uplink", {"head"}),
        ("downlink", {"server", "head"}),
    ],
)
def test_what_a_codec_drops_does_not_arrive(tiny: dict[str, Any], key: str, learning: set[str]) -> None:
    """In forward passes zeros arrive: of the layers that receive them only biases learn."""
    scenario = u_shaped(tiny, codec={key: DROPPED})
    before, exchange = prepare(scenario).parts.model, prepare(scenario)
    one_round(scenario, exchange)
    moved = {}
    for part in ("client", "server", "head"):
        pairs = zip(
            getattr(before, part).named_parameters(),
            getattr(exchange.parts.model, part).parameters(),
            strict=True,
        )
        moved[part] = {name for (name, one), other in pairs if not torch.equal(one, other)}
    assert {part for part, names in moved.items() if names} == learning
    first = {"uplink": "server", "head_downlink": "head"}.get(key)
    if first is not None:
        weight = next(name for name, _ in getattr(before, first).named_parameters())
        assert weight.endswith("weight")
        assert weight not in moved[first]


def whole_state(exchange: Exchange) -> dict[str, torch.Tensor]:
    """Weights and buffers by their names in the whole model."""
    model = exchange.parts.model
    parts = [part for part in (model.client, model.server, model.head) if part is not None]
    return {name: value for part in parts for name, value in part.state_dict().items()}


@pytest.mark.parametrize("partition", ["iid", {"dirichlet": 0.5}])
@pytest.mark.parametrize("net", ["cnn", "normalizing"])
def test_with_identity_codecs_it_learns_what_splitfed_does(
    tiny: dict[str, Any], tmp_path: Path, net: str, partition: Any
) -> None:
    """The same model at the same cut: only where the loss is computed differs."""
    model = {"name": normalizing_net(tmp_path)} if net == "normalizing" else {"name": "cnn", "channels": 4}
    cuts = {"cut": 1, "head_cut": 2 if net == "normalizing" else 3}
    tables = {"data": {**tiny["data"], "partition": partition}, "clients": {"count": 4, "batch_size": 8}}
    training = {"max_rounds": 20, "learning_rate": 0.02}
    ours, _ = trained(u_shaped(tiny, **tables, model={**model, **cuts}, training=training))
    theirs, _ = trained(scenario_of(tiny, **tables, model={**model, "cut": 1}, training=training))
    expected = whole_state(theirs)
    for name, value in whole_state(ours).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5)
    assert whole_state(ours).keys() == expected.keys()
    assert evaluated(ours).accuracy == pytest.approx(evaluated(theirs).accuracy, abs=0.02)


@pytest.mark.parametrize(
    ("protocol", "model", "words"),
    [
        ("u-shaped", {"cut": 1}, r"model\.head_cut: u-shaped needs a second cut"),
        ("u-shaped", {"cut": 2, "head_cut": 2}, "head_cut: 2 is not above the cut, 2"),
        ("u-shaped", {"cut": "medium", "head_cut": "shallow"}, "'shallow' is not above the cut, 'medium'"),
        ("u-shaped", {"cut": 1, "head_cut": "top"}, r"model\.head_cut: no such cut: 'top'"),
        ("u-shaped", {"cut": 1, "head_cut": 5}, r"model.*head_cut.*5"),
        (
            "splitfed",
            {"cut": 1, "head_cut": 2},
            r"model\.head_cut: splitfed has no head on the clients; leave head_cut out",
        ),
        (
            "fedavg",
            {"cut": 1, "head_cut": 2},
            r"model\.head_cut: fedavg 1 has no head on the clients; leave head_cut out",
        ),
    ],
)
def test_a_head_cut_that_does_not_fit_is_one_clear_error(
    tiny: dict[str, Any], protocol: str, model: dict[str, Any], words: str
) -> None:
    with pytest.raises(ScenarioError, match=words):
        scenario_of(tiny, model={"name": "cnn", **model}, training={"protocol": protocol})
