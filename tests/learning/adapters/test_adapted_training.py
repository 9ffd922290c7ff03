"""A training through an adapter: what crosses, what it is charged with, and what it is compared with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import evaluated, learn, one_round, scenario_of, state_of, table_of

from slsim.errors import ScenarioError
from slsim.learning.adapters import registry
from slsim.learning.hooks.look import Look
from slsim.learning.hooks.theory import Theory
from slsim.learning.loop import Loop
from slsim.recording import CLIENT_GRADIENTS, Recording
from slsim.scenario import Scenario, plan, setting_labels, training_labels
from slsim.study import run
from slsim.study.comparing import compare
from slsim.study.preparing import prepare
from slsim.study.rehearsing import Foreseen, rehearsal
from slsim.study.training import Training

BOTTLENECK = {"name": "bottleneck", "channels": 2, "stride": 2}
C3 = {"name": "c3", "samples": 3}
PROJECTION = {"name": "projection", "ratio": 4}
CNN = {"name": "cnn", "channels": 4, "cut": "shallow"}  # 4×4×4 activations of the 8×8 images


def adapted(tiny: dict[str, Any], adapter: Any, protocol: Any = "splitfed", **tables: Any) -> Scenario:
    model = {**CNN, "adapter": adapter, **({"head_cut": 3} if protocol == "u-shaped" else {})}
    training = {**tiny["training"], "protocol": protocol, "max_rounds": 2, **tables.pop("training", {})}
    return scenario_of(tiny, **{"model": model, "training": training, **tables})


def test_a_round_of_a_bottleneck_with_codes_of_8_bits_by_hand(tiny: dict[str, Any]) -> None:
    scenario = adapted(tiny, BOTTLENECK, codec={"uplink": {"name": "qu", "bits": 8}})
    table = table_of(one_round(scenario, prepare(scenario)))
    up, down = (table[table["kind"] == kind] for kind in ("activations", "gradients"))
    codes = 5 * 2 * 2 * 2  # samples of 2 channels, 2×2
    messages = up[up["work"] == ""]
    assert messages["num_bytes"].tolist() == [20 + codes] * 4
    assert down[down["work"] == ""]["num_bytes"].tolist() == [12 + 4 * codes] * 4
    for ways in (up, down):
        assert set(ways[ways["work"] == ""]["raw_bytes"]) == {4 * 5 * 4 * 4 * 4}, "the bare activations"
        assert set(ways["shape"]) == {"5x2x2x2"}
        assert set(ways[ways["work"] != ""]["elements"]) == {codes}, "what the codec is charged with"
    convolution, narrowing = 2 * 4 * 9 * 8 * 8, 2 * (2 * 4 * 2 * 2) * (2 * 2)
    forward = table[table["work"] == "client forward"]
    assert set(forward["flops"]) == {5 * (convolution + narrowing)}


def test_the_weights_of_the_encoder_are_the_clients_and_sent_as_such(tiny: dict[str, Any]) -> None:
    scenario = adapted(tiny, BOTTLENECK, {"name": "splitfed", "local_epochs": 1}, training={"max_rounds": 1})
    table = table_of(one_round(scenario, prepare(scenario)))
    convolution, narrowing, normalization = 4 * 9 + 4, 2 * 4 * 2 * 2 + 2, 2 * 2
    weights, statistics = (
        table[(table["kind"] == kind) & (table["work"] == "")] for kind in ("weights", "statistics")
    )
    assert set(weights["raw_bytes"]) == {4 * (convolution + narrowing + normalization)}
    assert set(statistics["raw_bytes"]) == {4 * (2 * 2 + 1)}, "means, variances and a counter"


def test_rows_of_c3_are_of_one_client_and_the_last_may_stand_for_fewer(tiny: dict[str, Any]) -> None:
    scenario = adapted(tiny, C3, clients={"count": 4, "batch_size": 7})
    exchange = prepare(scenario)
    table = table_of(one_round(scenario, exchange))
    messages = table[(table["kind"] == "activations") & (table["work"] == "")]
    assert messages["num_bytes"].tolist() == [12 + 3 * 4 * 64] * 4, "⌈7 / 3⌉ rows"
    assert messages["raw_bytes"].tolist() == [4 * 7 * 64] * 4
    assert 0 <= evaluated(exchange).accuracy <= 1, "60 test images in batches of 7"


@pytest.mark.parametrize("adapter", [BOTTLENECK, C3, PROJECTION], ids=lambda one: one["name"])
@pytest.mark.parametrize("protocol", ["splitfed", "u-shaped", "sequential"])
def test_a_rehearsal_foresees_the_first_round(tiny: dict[str, Any], adapter: Any, protocol: str) -> None:
    aggregation = {} if protocol == "sequential" else {"aggregation": "server"}
    clients = {"count": 2, "batch_size": 7}
    scenario = adapted(tiny, adapter, protocol, clients=clients, training=aggregation)
    real = prepare(scenario)
    foreseen = Foreseen.from_data(scenario, scenario.data.component.create().load())
    tables = [table_of(one_round(scenario, exchange)) for exchange in (real, rehearsal(scenario, foreseen))]
    assert tables[0].equals(tables[1])
    gradients = tables[0][tables[0]["kind"] == CLIENT_GRADIENTS]
    assert len(gradients) or not aggregation


@pytest.mark.parametrize("adapter", [C3, BOTTLENECK], ids=lambda one: one["name"])
def test_clients_as_one_batch_learn_as_one_after_another(tiny: dict[str, Any], adapter: Any) -> None:
    """With batches of several sizes, whose gradients count by samples."""
    data = {**tiny["data"], "partition": {"power_law": 1.2}}
    scenario = adapted(tiny, adapter, data=data, clients={"count": 4, "batch_size": 31})
    together, apart = prepare(scenario), prepare(scenario)
    apart.parts.manner = dataclasses.replace(apart.parts.manner, client_apart=True, server_apart=True)
    for exchange in (together, apart):
        assert len(list(learn(scenario, exchange))) == 2
    assert not together.parts.manner.notices
    for one, other in zip(state_of(together), state_of(apart), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", registry.names())
def test_an_adapter_is_trained_and_resumed_bit_for_bit(
    name: str, tiny: dict[str, Any], tmp_path: Path
) -> None:
    training = Training.of(adapted(tiny, name, training={"max_rounds": 3, "evaluate_every": 1}))

    def begun() -> Loop:
        exchange = prepare(training.scenario)
        recording = Recording(training.key, {}, test_set=exchange.images.test_set, words=exchange.words)
        return Loop(exchange, training.scenario.training.protocol.create().learn, recording)

    whole, first, second = begun(), begun(), begun()
    before = [one.detach().clone() for one in state_of(whole.exchange)]
    list(whole.run())
    next(first.run())
    second.restore(first.state())
    list(second.run())
    assert any(not torch.equal(*pair) for pair in zip(before, state_of(whole.exchange), strict=True))
    assert all(map(torch.equal, state_of(whole.exchange), state_of(second.exchange)))


@pytest.mark.parametrize("adapter", [BOTTLENECK, C3], ids=lambda one: one["name"])
def test_hooks_see_the_code_that_crosses(tiny: dict[str, Any], adapter: Any) -> None:
    scenario = adapted(tiny, adapter, codec={"uplink": {"name": "qu", "bits": 8}})
    look = Look(prepare(scenario))
    shape = (5, 2, 2, 2) if adapter is BOTTLENECK else (2, 4, 4, 4)
    assert look.activations.shape == look.received.shape == shape
    assert not torch.equal(look.activations, look.received)
    found = {(part, name): value for part, name, value in Theory(draws=8).measure(look)}
    for part in ("client", "server"):
        assert 0 < found[part, "error"] <= found[part, "bound"] * 1.01


MIXING = """
from torch import nn
from slsim.learning.adapters import Adapter

class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)

class Mixing(Adapter):
    def build(self, shape):
        return Centred(), nn.Identity()
"""


def test_an_own_adapter_that_looks_across_clients_takes_them_one_by_one(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(MIXING)
    scenario = adapted(tiny, f"{tmp_path}/own.py:Mixing")
    manner = prepare(scenario).parts.manner
    assert (manner.client_apart, manner.server_apart) == (True, False)
    assert manner.notices[0].startswith("the encoder of the adapter own.py:Mixing gives other numbers for")
    assert scenario.scheme.name == "Mixing"


@pytest.mark.parametrize("name", registry.names())
def test_an_adapter_is_trained_in_half_precision_too(name: str, tiny: dict[str, Any]) -> None:
    scenario = adapted(tiny, name, training={"precision": "bfloat16", "max_rounds": 1})
    exchange = prepare(scenario)
    before = [one.detach().clone() for one in state_of(exchange)]
    one_round(scenario, exchange)
    assert any(not torch.equal(*pair) for pair in zip(before, state_of(exchange), strict=True))
    assert 0 <= evaluated(exchange).accuracy <= 1


def test_the_baseline_has_no_adapter(tiny: dict[str, Any]) -> None:
    scenario, bare = adapted(tiny, C3), adapted(tiny, "none")
    assert not scenario.is_baseline
    assert scenario.baseline().table() == bare.table()
    assert bare.is_baseline
    assert "adapter" not in bare.learning_table()["model"]
    assert scenario.without_codecs().model.adapter is not None


@pytest.mark.parametrize(
    ("adapter", "training", "fault"),
    [
        (C3, {"protocol": "fedavg"}, "model.adapter: fedavg 1 sends no activations"),
        ("bottelneck", {}, 'there is no adapter "bottelneck"; did you mean "bottleneck"'),
        ({"name": "projection", "ratio": 1}, {}, "model.adapter.ratio"),
        (C3, {"hooks": "leakage"}, "training.hooks: leakage 256 1 compares"),
    ],
)
def test_what_does_not_go_with_an_adapter_is_told(
    tiny: dict[str, Any], adapter: Any, training: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ScenarioError, match=fault):
        adapted(tiny, adapter, **{"training": training, "protocol": training.get("protocol", "splitfed")})


def test_a_study_of_adapters_is_labelled_checked_and_opened_again(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["model"] = CNN
    tiny["training"] |= {"max_rounds": 2, "evaluate_every": 1}
    tiny["sweep"] = {"model.adapter": ["none", BOTTLENECK, C3], "codec.uplink": [{"name": "qu", "bits": 8}]}
    study = run(tiny, tmp_path)
    assert not study.failures
    labels = [
        "QU (8 bits)",
        "bottleneck (2 channels, stride 2) + QU (8 bits)",
        "C3 (3 samples) + QU (8 bits)",
    ]
    assert list(study.runs["setting"]) == labels
    assert list(study.runs["codec_name"]) == ["qu", "bottleneck", "c3"]
    assert set(study.runs["conditions"]) == {""}
    assert list(study.runs["compression_ratio"].round(2)) == [3.76, 21.33, 8.65]
    assert {one.name for one in study.path.joinpath("trainings").iterdir() if one.is_dir()} >= {
        Training.of(case.scenario).name for case in plan(tiny, "tiny", tmp_path).cases
    }
    assert all(check.passed for check in study.check())
    compared = compare([study])
    assert list(compared["codec"]) == labels
    assert set(compared["conditions"]) == {""}


def test_settings_and_trainings_that_differ_in_the_adapter_alone_are_told_apart(tiny: dict[str, Any]) -> None:
    tiny["model"] = CNN
    narrow = [{**BOTTLENECK, "channels": channels} for channels in (1, 2)]
    tiny["sweep"] = {"model.adapter": [*narrow, "none"], "codec.uplink": ["identity", "sp"]}
    cases = plan(tiny, "tiny", Path()).cases
    one, two = "bottleneck (1 channel, stride 2)", "bottleneck (2 channels, stride 2)"
    assert setting_labels(cases)[:2] == [one, f"{one} + SP (95.875 %)"]
    assert setting_labels(cases)[2:] == [two, f"{two} + SP (95.875 %)", "identity", "SP (95.875 %)"]
    assert training_labels([case.scenario for case in cases])[:2] == setting_labels(cases)[:2]
    assert Training.of(cases[1].scenario).label == "bottleneck 1 2 + sp 0.95875"


def test_a_sweep_that_has_no_adapter_anywhere_is_called_by_its_codecs(tiny: dict[str, Any]) -> None:
    points = [{"uplink": "identity", "downlink": "identity"}, {"uplink": "sp", "downlink": "qu"}]
    tiny["sweep"] = [
        {"model.adapter": ["none"], **{f"codec.{key}": [name] for key, name in point.items()}}
        for point in points
    ]
    cases = plan(tiny, "tiny", Path()).cases
    assert setting_labels(cases) == ["identity, downlink identity", "SP (95.875 %), downlink QU (3 bits)"]
    assert [case.values["model.adapter"] for case in cases] == ["none", "none"]


@pytest.mark.parametrize("codec", ["delta", "ics"])
def test_a_codec_that_goes_by_samples_needs_a_row_of_each(codec: str, tiny: dict[str, Any]) -> None:
    scenario = adapted(tiny, BOTTLENECK, codec={"uplink": codec}, clients={"count": 2, "batch_size": 7})
    exchange = prepare(scenario)
    assert len(list(learn(scenario, exchange))) == 2
    assert 0 <= evaluated(exchange).accuracy <= 1
    with pytest.raises(ScenarioError, match=rf"codec\.uplink: {codec} .* remembers or learns .* c3 3 sends"):
        adapted(tiny, C3, codec={"uplink": codec})


def test_gradients_follow_the_mask_of_a_code(tiny: dict[str, Any]) -> None:
    codec = {"uplink": {"name": "sp", "sparsity": 0.5}, "downlink": "masked"}
    scenario = adapted(tiny, C3, codec=codec, clients={"count": 2, "batch_size": 7})
    foreseen = Foreseen.from_data(scenario, scenario.data.component.create().load())
    tables = [
        table_of(one_round(scenario, exchange))
        for exchange in (prepare(scenario), rehearsal(scenario, foreseen))
    ]
    assert tables[0].equals(tables[1])
    back = tables[0][(tables[0]["kind"] == "gradients") & (tables[0]["work"] == "")]
    assert set(back["raw_bytes"]) == {4 * 7 * 64}
    assert set(back["num_bytes"]) == {12 + 4 * 3 * 64 // 2}, "of half of three rows' places"
