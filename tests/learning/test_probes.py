"""Theory probes: held against arithmetic, against what must not be significant, and they leave no trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import slsim
from slsim.checks import check_bounds
from slsim.codecs import create
from slsim.errors import DataError, RecordingError, ScenarioError
from slsim.learning.bias import estimate_bias
from slsim.learning.probes import lipschitz, measure
from slsim.learning.surface import Surface, largest_singular_value, norm, undisturbed
from slsim.recording import PROBES_FILE, Measurement, Recording
from slsim.scenario import Scenario, plan
from slsim.study.checkpoint import Checkpoint
from slsim.study.training import Silent, Training, prepare, train

Write = Callable[[dict[str, Any]], Path]

DRAWING = [{"name": "qsgd", "bits": 3}, {"name": "randk", "sparsity": 0.5}, {"name": "rt", "sparsity": 0.8}]
FIXED = [{"name": "identity"}, {"name": "ms", "sparsity": 0.9, "bits": 2}, {"name": "sp", "sparsity": 0.8}]


def scenario_of(document: dict[str, Any], **tables: Any) -> Scenario:
    """One case of `document`, probed every two rounds."""
    document = {key: value for key, value in document.items() if key != "sweep"}
    training = {"epochs": 1, "target_accuracy": 0.5, "probes": {"every": 2, "draws": 8}}
    return plan({**document, "training": training, **tables}, "test", Path()).cases[0].scenario


def table_of(rows: list[Measurement]) -> dict[tuple[str, str], float]:
    return {(row.part, row.quantity): row.value for row in rows}


def by_hand() -> Surface:
    """Client: one sample, a = W x + b with x = (3, 4), so that ‖J‖ = ‖(3, 4, 1)‖ = √26. Server: logits a."""
    torch.manual_seed(5)
    server = nn.Linear(3, 3, bias=False)
    server.weight.data = torch.eye(3)
    return Surface(nn.Linear(2, 3), server, torch.tensor([[3.0, 4.0]]), torch.tensor([1]))


def test_the_derivatives_of_a_logistic_server_are_those_worked_out_by_hand() -> None:
    surface = by_hand()
    a = surface.activations
    p = torch.softmax(a[0], 0)
    g, g_s = surface.gradients(a)
    residual = p - torch.tensor([0.0, 1.0, 0.0])
    assert torch.allclose(g[0], residual)  # with logits a, ∂L/∂a = softmax(a) - y
    assert torch.allclose(g_s.view(3, 3), torch.outer(residual, a[0]))
    assert surface.jacobian_norm(g) == pytest.approx(math.sqrt(26), rel=1e-4)
    within, across = surface.hessian_norms(a, torch.tensor([[0.3, -0.2, 0.9]]))
    hessian = torch.diag(p) - torch.outer(p, p)
    assert within == pytest.approx(float(torch.linalg.matrix_norm(hessian, 2)), rel=1e-3)
    eye = torch.eye(3)
    columns = [torch.outer(hessian[:, i], a[0]) + torch.outer(residual, eye[i]) for i in range(3)]
    matrix = torch.stack([column.flatten() for column in columns], dim=1)
    assert across == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-3)


def test_the_client_gradient_is_what_backward_gives() -> None:
    torch.manual_seed(1)
    client, server = nn.Sequential(nn.Linear(4, 6), nn.ReLU()), nn.Linear(6, 3)
    images, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 1, 0])
    surface = Surface(client, server, images, labels)
    own, server_side = surface.gradients(surface.activations)
    nn.functional.cross_entropy(server(client(images)), labels).backward()
    expected = [torch.cat([p.grad.flatten() for p in half.parameters()]) for half in (client, server)]  # type: ignore[union-attr]
    assert torch.allclose(surface.client_gradient(own), expected[0], atol=1e-6)
    assert torch.allclose(server_side, expected[1], atol=1e-6)


def test_a_jump_that_no_second_derivative_shows_is_in_the_slope() -> None:
    """ReLU feeds a logistic loss; the whole segment below the kink is flat, the whole above nearly so."""
    server = nn.Sequential(nn.ReLU(), nn.Linear(1, 2, bias=False))
    server[1].weight.data = torch.tensor([[1e-3], [-1e-3]])
    client = nn.Linear(1, 1, bias=False)
    client.weight.data = torch.tensor([[-1.0]])
    surface = Surface(client, server, torch.ones(1, 1), torch.tensor([0]))
    error = torch.full((1, 1), 2.0)
    found = lipschitz(surface, error, error)
    before, after = (surface.gradients(surface.activations + t * error)[0] for t in (0, 1))
    change = norm(after - before)
    assert found.hessian[0] * 2.0 < change / 100
    assert found.constants[0] * 2.0 >= change


def test_the_power_method_is_never_below_its_start_nor_above_the_norm() -> None:
    torch.manual_seed(0)
    for _ in range(20):
        matrix, start = torch.randn(7, 5), torch.randn(5)
        value = largest_singular_value(lambda v, m=matrix: m @ v, lambda u, m=matrix: m.T @ u, start)
        assert norm(matrix @ start) / norm(start) <= value * (1 + 1e-6)
        assert value <= float(torch.linalg.matrix_norm(matrix, 2)) * (1 + 1e-5)
    assert largest_singular_value(torch.zeros_like, torch.zeros_like, torch.ones(3)) == 0


# Probes look at the uplink's codec; the downlink's only changes the weights that they look at, so that it
# is tried with one codec that draws and one that does not.
@pytest.mark.parametrize(
    ("codec", "downlink"),
    [(codec, "identity") for codec in (*DRAWING, *FIXED)] + [(DRAWING[0], "qu"), (FIXED[1], "qu")],
    ids=lambda value: value if isinstance(value, str) else value["name"],
)
def test_the_bound_holds_wherever_it_is_measured(
    tiny: dict[str, Any], codec: dict[str, Any], downlink: str
) -> None:
    training = {"epochs": 1, "target_accuracy": 0.5, "probes": {"every": 4, "draws": 8}}
    scenario = scenario_of(tiny, codec={"uplink": codec, "downlink": downlink}, training=training)
    _, recording = train(Training.of(scenario), Silent())
    rounds = sorted({row.round for row in recording.probes})
    assert rounds == list(range(0, len(recording.rounds) + 1, 4))
    for number in rounds:
        found = table_of([row for row in recording.probes if row.round == number])
        for part in ("client", "server"):
            assert found[part, "error"] <= found[part, "bound"] * (1 + 1e-5)
            assert ("bias_low" in {q for p, q in found if p == part}) == (codec in DRAWING)
            if codec in FIXED:
                assert found[part, "bias"] == found[part, "error"]
        if codec["name"] == "identity":
            assert found["activations", "alpha"] == 1
            assert found["server", "error"] == found["server", "bound"] == 0


def test_alpha_of_randk_is_one_minus_its_variance(tiny: dict[str, Any]) -> None:
    """E ‖ε‖² = (d / k - 1) ‖a‖²: with a quarter kept, alpha = 1 - 3."""
    document = scenario_of(tiny, codec={"uplink": {"name": "randk", "sparsity": 0.75}})
    found = table_of(measure(prepare(document), draws=256))
    assert found["activations", "alpha"] == pytest.approx(-2, abs=0.15)


def gradient_draws(codec: str, gradient: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Errors of `gradient` at 200 draws of an unbiased codec."""
    a, rng = torch.linspace(-1, 2, 64), np.random.default_rng(3)
    chosen = create("qsgd", bits=3) if codec == "qsgd" else create("randk", sparsity=0.5)
    draws = [gradient(chosen.decode(chosen.encode(a, rng))) - gradient(a) for _ in range(200)]
    return torch.stack(draws)


@pytest.mark.parametrize("codec", ["qsgd", "randk"])
def test_a_linear_gradient_is_not_biased_and_another_is(codec: str) -> None:
    """Theorem 1: what biases the gradient is that it is not linear in the activations."""
    torch.manual_seed(2)
    matrix = torch.randn(10, 64)
    linear = estimate_bias(gradient_draws(codec, lambda a: matrix @ a))
    assert not linear.significant
    curved = estimate_bias(gradient_draws(codec, lambda a: torch.tanh(matrix @ a)))
    assert curved.significant


@pytest.mark.parametrize("rank", [1, 3, 50])
def test_pure_noise_is_rarely_called_a_bias(rank: int) -> None:
    """One-sided 2.5 %; of 400 the least probable count that this allows has a chance below 1 in 1000."""
    torch.manual_seed(rank)
    calls = sum(estimate_bias(torch.randn(64, rank)).significant for _ in range(400))
    assert calls <= 21


def test_the_interval_covers_a_bias_that_is_known() -> None:
    torch.manual_seed(0)
    bias = 0.2 * torch.ones(25)  # of norm 1
    found = [estimate_bias(torch.randn(64, 25) + bias) for _ in range(200)]
    assert sum(one.low <= 1 <= one.high for one in found) >= 180
    assert np.mean([one.value**2 for one in found]) == pytest.approx(1, abs=0.05)


NORMALIZING = """
from torch import nn

def net(image_shape, num_classes):
    block = nn.Sequential(nn.Conv2d(image_shape[0], 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    hidden = nn.Sequential(nn.Conv2d(6, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.2))
    return nn.Sequential(block, hidden, nn.Sequential(nn.Flatten(), nn.Linear(54, num_classes)))
"""


@pytest.fixture
def awkward(tmp_path: Path) -> dict[str, Any]:
    """A model with batch normalization in both halves and with draws of torch's in one."""
    (tmp_path / "normalizing.py").write_text(NORMALIZING)
    return {"name": f"{tmp_path / 'normalizing.py'}:net", "cut": 1}


def test_probing_changes_nothing_that_is_learned(tiny: dict[str, Any], awkward: dict[str, Any]) -> None:
    """Weights, statistics, evaluations and messages, bit for bit, with layers that draw and normalize."""
    tables = {
        "model": awkward,
        "codec": {"uplink": DRAWING[0]},
        "data": {**tiny["data"], "augment": {"flip": True}},
    }
    training = {"epochs": 1, "target_accuracy": 0.5, "evaluate_every": 3}
    found = []
    for probes in ({}, {"probes": {"every": 2, "draws": 8}}):
        torch.manual_seed(11)
        scenario = scenario_of(tiny, **tables, training={**training, **probes})
        trainer, recording = train(Training.of(scenario), Silent())
        found.append((trainer.whole_weights(), recording))
    (plain, without), (probed, with_probes) = found
    assert torch.equal(plain, probed)
    assert without.evaluations == with_probes.evaluations
    assert without.rounds == with_probes.rounds
    assert not without.probes
    bounds = {(row.round, row.part): row.value for row in with_probes.probes if row.quantity == "bound"}
    errors = {(row.round, row.part): row.value for row in with_probes.probes if row.quantity == "error"}
    assert bounds
    assert all(errors[key] <= bounds[key] * (1 + 1e-4) for key in bounds)


def test_the_error_is_of_the_draw_that_training_makes(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, codec={"uplink": DRAWING[1]})
    trainer = prepare(scenario)
    found = table_of(measure(trainer, draws=8))
    batches = trainer.sampler.one_each(0)
    activations = trainer.forward(batches)
    payload = trainer.encode(batches, activations)[0]
    own = activations.detach()[: batches[0].indices.size]
    assert found["activations", "error"] == pytest.approx(
        norm(trainer.uplink.decode(payload) - own), rel=1e-4
    )


class CtrlC(Silent):
    """Stops a training in its second epoch."""

    def round_finished(self, label: str, rounds_done: int, accuracy: float | None) -> None:
        if rounds_done == 17:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_with_its_probes(tiny: dict[str, Any], tmp_path: Path) -> None:
    training = {"epochs": 2, "target_accuracy": 0.5, "probes": {"every": 4, "draws": 8}}
    asked = Training.of(scenario_of(tiny, codec={"uplink": DRAWING[1]}, training=training))
    _, whole = train(asked, Silent())
    with pytest.raises(KeyboardInterrupt):
        train(asked, CtrlC(), Checkpoint(tmp_path / "half.pt"))
    _, resumed = train(asked, Silent(), Checkpoint(tmp_path / "half.pt"))
    assert resumed.probes == whole.probes
    assert [row.round for row in whole.probes if row.quantity == "alpha"] == [0, 4, 8, 12, 16, 20, 24]


def test_only_rounds_of_one_step_can_be_probed(tiny: dict[str, Any]) -> None:
    for protocol in ("sequential", "splitfed-v2", {"name": "splitfed", "local_epochs": 1}):
        with pytest.raises(ScenarioError, match=r"training\.probes: probes look at rounds of one step"):
            scenario_of(tiny, training={"protocol": protocol, "probes": {"every": 2}})


@pytest.mark.parametrize(
    "probes", [{"every": 0}, {"every": 2, "draws": 7}, {"draws": 8}, {"every": 2, "x": 1}]
)
def test_senseless_probes_are_refused(tiny: dict[str, Any], probes: dict[str, int]) -> None:
    with pytest.raises(ScenarioError, match=r"training\.probes"):
        scenario_of(tiny, training={"probes": probes})


def test_without_probes_a_scenario_is_told_apart_as_before(tiny: dict[str, Any]) -> None:
    plain = scenario_of(tiny, training={"epochs": 1})
    assert "probes" not in plain.learning_table()["training"]
    assert scenario_of(tiny).learning_table()["training"]["probes"] == {"every": 2, "draws": 8}


@pytest.mark.parametrize(
    "message",
    ["derivative for aten::thing is not implemented", "a function marked with @once_differentiable"],
)
def test_a_layer_without_second_derivatives_is_told(message: str) -> None:
    with pytest.raises(DataError, match="leave training.probes out"), undisturbed(torch.device("cpu")):
        raise RuntimeError(message)


@pytest.fixture(scope="module")
def probed(tiny_document: dict[str, Any]) -> Recording:
    """Of a training with an unbiased codec."""
    return train(Training.of(scenario_of(tiny_document, codec={"uplink": DRAWING[0]})), Silent())[1]


def test_a_recording_keeps_what_probes_found(probed: Recording, tmp_path: Path) -> None:
    probed.save(tmp_path)
    assert Recording.load(tmp_path).probes == probed.probes
    (tmp_path / PROBES_FILE).unlink()
    with pytest.raises(RecordingError):
        Recording.load(tmp_path)


def test_a_run_leaves_a_table_and_a_figure(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    tiny["training"] |= {"epochs": 1, "probes": {"every": 4, "draws": 8}}
    tiny["sweep"] = {"codec.uplink": [DRAWING[0], FIXED[0]]}
    study = slsim.run(write(tiny), tmp_path / "results")
    table = pd.read_csv(study.path / "probes.csv")
    assert list(table) == ["run", "round", "client", "part", "quantity", "value"]
    assert set(table["run"]) == set(study.summary["run"])
    assert {"probes.png", "probes.svg"} <= {path.name for path in (study.path / "figures").iterdir()}
    checks = [check for check in study.check() if check.subject.startswith("gradient errors")]
    assert len(checks) == 4  # two codecs, two halves
    assert all(check.passed for check in study.check())
    assert sum("95 % confidence" in check.note for check in checks) == 2


def test_a_bound_below_the_error_is_found(probed: Recording) -> None:
    assert all(check.passed for check in check_bounds("it", probed))
    probes = [
        replace(one, value=one.value / 1e6) if (one.part, one.quantity) == ("server", "bound") else one
        for one in probed.probes
    ]
    changed = replace(probed, probes=probes)
    assert [check.passed for check in check_bounds("it", changed)] == [True, False]
