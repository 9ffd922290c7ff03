"""The hook "theory": held against arithmetic, and against what must not be significant."""

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
from listening import CtrlC
from torch import nn
from trainings import normalizing_net
from trainings import scenario_of as plain_scenario_of
from trainings import table_of as steps_table

import slsim
from slsim.checks import check_bounds
from slsim.codecs import create
from slsim.errors import DataError, RecordingError, ScenarioError
from slsim.events import silent
from slsim.learning.hooks.bias import estimate_bias
from slsim.learning.hooks.gradient_errors import lipschitz, quantities
from slsim.learning.hooks.look import Look
from slsim.learning.hooks.surface import Surface, largest_singular_value, norm, undisturbed
from slsim.recording import Measurement, Recording, load, save
from slsim.recording.columns import MEASUREMENTS_FILE
from slsim.scenario import Scenario
from slsim.study.checkpoint import Checkpoint
from slsim.study.job import train
from slsim.study.preparing import prepare
from slsim.study.training import Training

Write = Callable[[dict[str, Any]], Path]

DRAWING = [{"name": "qsgd", "bits": 3}, {"name": "randk", "sparsity": 0.5}, {"name": "rt", "sparsity": 0.8}]
FIXED = [{"name": "identity"}, {"name": "ms", "sparsity": 0.9, "bits": 2}, {"name": "sp", "sparsity": 0.8}]


def theory(every: int = 2, draws: int = 8) -> list[dict[str, Any]]:
    return [{"name": "theory", "every": every, "draws": draws}]


def scenario_of(document: dict[str, Any], **tables: Any) -> Scenario:
    """One case of `document`, measured every two rounds."""
    training = {"epochs": 1, "target_accuracy": 0.5, "hooks": theory()}
    return plain_scenario_of(document, **{"training": training, **tables})


def table_of(rows: list[Measurement]) -> dict[tuple[str, str], float]:
    return {(row.part, row.quantity): row.value for row in rows}


def measured(scenario: Scenario, draws: int) -> dict[tuple[str, str], float]:
    """What is measured before the first round."""
    rows = quantities(Look(prepare(scenario)), draws)
    return {(part, quantity): value for part, quantity, value in rows}


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


# The hook looks at the uplink's codec; the downlink's only changes the weights that it looks at, so that it
# is tried with one codec that draws and one that does not.
@pytest.mark.parametrize(
    ("codec", "downlink"),
    [(codec, "identity") for codec in (*DRAWING, *FIXED)] + [(DRAWING[0], "qu"), (FIXED[1], "qu")],
    ids=lambda value: value if isinstance(value, str) else value["name"],
)
def test_the_bound_holds_wherever_it_is_measured(
    tiny: dict[str, Any], codec: dict[str, Any], downlink: str
) -> None:
    training = {"epochs": 1, "target_accuracy": 0.5, "hooks": theory(every=4)}
    scenario = scenario_of(tiny, codec={"uplink": codec, "downlink": downlink}, training=training)
    _, recording = train(Training.of(scenario), silent)
    rounds = sorted({row.round for row in recording.measurements})
    assert rounds == list(range(0, recording.num_rounds + 1, 4))
    for number in rounds:
        found = table_of([row for row in recording.measurements if row.round == number])
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
    found = measured(scenario_of(tiny, codec={"uplink": {"name": "randk", "sparsity": 0.75}}), draws=256)
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


def test_measuring_changes_nothing_that_is_learned(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Weights, statistics, evaluations and steps, bit for bit, with layers that draw and normalize."""
    tables = {
        "model": {"name": normalizing_net(tmp_path, drop=0.2), "cut": 1},
        "codec": {"uplink": DRAWING[0]},
        "data": {**tiny["data"], "augment": {"flip": True}},
    }
    training = {"epochs": 1, "target_accuracy": 0.5, "evaluate_every": 3}
    found = []
    for hooks in ([], theory()):
        torch.manual_seed(11)
        scenario = scenario_of(tiny, **tables, training={**training, "hooks": hooks})
        exchange, recording = train(Training.of(scenario), silent)
        found.append((exchange.whole_weights(), recording))
    (plain, without), (measured, with_hook) = found
    assert torch.equal(plain, measured)
    assert without.evaluations == with_hook.evaluations
    assert without.rounds.tolist() == with_hook.rounds.tolist()
    assert steps_table(without.steps).equals(steps_table(with_hook.steps))
    assert not without.measurements
    rows = with_hook.measurements
    bounds = {(row.round, row.part): row.value for row in rows if row.quantity == "bound"}
    errors = {(row.round, row.part): row.value for row in rows if row.quantity == "error"}
    assert bounds
    assert all(errors[key] <= bounds[key] * (1 + 1e-4) for key in bounds)


def test_the_error_is_of_the_draw_that_training_makes(tiny: dict[str, Any]) -> None:
    scenario = scenario_of(tiny, codec={"uplink": DRAWING[1]})
    exchange = prepare(scenario)
    activations = exchange.forward(exchange.sampler.one_each(0))
    error = exchange.upload(activations).values - activations.values
    own = error.detach()[: activations.counts[0]]
    assert measured(scenario, draws=8)["activations", "error"] == pytest.approx(norm(own), rel=1e-4)


def test_an_interrupted_training_goes_on_with_its_measurements(tiny: dict[str, Any], tmp_path: Path) -> None:
    training = {"epochs": 2, "target_accuracy": 0.5, "hooks": theory(every=4)}
    asked = Training.of(scenario_of(tiny, codec={"uplink": DRAWING[1]}, training=training))
    _, whole = train(asked, silent)
    with pytest.raises(KeyboardInterrupt):
        train(asked, CtrlC(17), Checkpoint(tmp_path / "half.pt"))
    _, resumed = train(asked, silent, Checkpoint(tmp_path / "half.pt"))
    assert resumed.measurements == whole.measurements
    assert [row.round for row in whole.measurements if row.quantity == "alpha"] == [0, 4, 8, 12, 16, 20, 24]


@pytest.mark.parametrize("parameters", [{"every": 0}, {"every": 2, "draws": 7}, {"every": 2, "x": 1}])
def test_senseless_parameters_are_refused(tiny: dict[str, Any], parameters: dict[str, int]) -> None:
    """Also as older scenarios write them."""
    for training in ({"hooks": {"name": "theory", **parameters}}, {"probes": parameters}):
        with pytest.raises(ScenarioError, match=r"training\.hooks"):
            scenario_of(tiny, training=training)


@pytest.mark.parametrize(
    "message",
    ["derivative for aten::thing is not implemented", "a function marked with @once_differentiable"],
)
def test_a_layer_without_second_derivatives_is_told(message: str) -> None:
    with pytest.raises(DataError, match=r"leave it out of training\.hooks"), undisturbed(torch.device("cpu")):
        raise RuntimeError(message)


@pytest.fixture(scope="module")
def recorded(tiny_document: dict[str, Any]) -> Recording:
    """Of a training with an unbiased codec."""
    return train(Training.of(scenario_of(tiny_document, codec={"uplink": DRAWING[0]})), silent)[1]


def test_a_recording_keeps_what_was_measured(recorded: Recording, tmp_path: Path) -> None:
    save(recorded, tmp_path)
    assert load(tmp_path).measurements == recorded.measurements
    (tmp_path / MEASUREMENTS_FILE).unlink()
    with pytest.raises(RecordingError):
        load(tmp_path)


def test_a_run_leaves_a_table_and_a_figure(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    tiny["training"] |= {"epochs": 1, "hooks": theory(every=4)}
    tiny["sweep"] = {"codec.uplink": [DRAWING[0], FIXED[0]]}
    study = slsim.run(write(tiny), tmp_path / "results")
    table = pd.read_csv(study.path / "measurements.csv")
    assert list(table) == ["run", "round", "client", "part", "quantity", "value"]
    assert set(table["run"]) == set(study.summary["run"])
    assert {"theory.png", "theory.svg"} <= {path.name for path in (study.path / "figures").iterdir()}
    checks = [check for check in study.check() if check.subject.startswith("gradient errors")]
    assert len(checks) == 4  # two codecs, two halves
    assert all(check.passed for check in study.check())
    assert sum("95 % confidence" in check.note for check in checks) == 2


def test_a_bound_below_the_error_is_found(recorded: Recording) -> None:
    assert all(check.passed for check in check_bounds("it", recorded))
    rows = [
        replace(one, value=one.value / 1e6) if (one.part, one.quantity) == ("server", "bound") else one
        for one in recorded.measurements
    ]
    changed = replace(recorded, measurements=rows)
    assert [check.passed for check in check_bounds("it", changed)] == [True, False]
