"""Hooks: one of one's own in a file, what it may do wrong, and that no hook changes what is learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from trainings import normalizing_net, scenario_of, table_of

import slsim
from slsim.errors import ScenarioError, SlsimError
from slsim.events import silent
from slsim.learning.hooks.distances import distance_correlation
from slsim.learning.hooks.look import Look
from slsim.recording import Recording, load
from slsim.scenario import Scenario
from slsim.study.job import train
from slsim.study.preparing import prepare
from slsim.study.training import Training

Write = Callable[[dict[str, Any]], Path]

SPREAD = '''
from slsim.learning.hooks import Hook


class Spread(Hook):
    """How far the activations spread."""

    def measure(self, look):
        yield "activations", "deviation", float(look.activations.std())
        yield "activations", "largest", look.received.abs().max()
        yield "labels", "distinct", len(set(look.labels.tolist()))
        yield "labels", "nothing", float("nan")
'''


@pytest.fixture
def spread(tmp_path: Path) -> str:
    """The name of a hook in a file."""
    (tmp_path / "own.py").write_text(SPREAD)
    return f"{tmp_path / 'own.py'}:Spread"


def recorded(scenario: Scenario) -> tuple[torch.Tensor, Recording]:
    """What was learned, and the recording."""
    exchange, recording = train(Training.of(scenario), silent)
    return exchange.whole_weights(), recording


# A hook of one's own.


def test_the_rows_of_a_hook_in_a_file_are_in_the_table_and_in_the_recording(
    tiny: dict[str, Any], write: Write, tmp_path: Path, spread: str
) -> None:
    tiny["training"] |= {"epochs": 1, "hooks": [{"name": Path(spread).name, "every": 4}]}
    study = slsim.run(write(tiny), tmp_path / "results")
    table = pd.read_csv(study.path / "measurements.csv")
    assert list(table) == ["run", "round", "client", "part", "quantity", "value"]
    assert set(table["run"]) == set(study.summary["run"])
    pairs = [("activations", "deviation"), ("activations", "largest"), ("labels", "distinct")]
    for run, recording in zip(study.runs, study.summary["run"], strict=True):
        own = table[table["run"] == recording]
        assert own["round"].tolist() == [number for number in (0, 4, 8, 12) for _ in pairs]
        assert list(zip(own["part"], own["quantity"], strict=True)) == pairs * 4
        assert own["value"].tolist() == pytest.approx([one.value for one in run.recording.measurements])
        kept = load(study.path / "trainings" / run.training)
        assert kept.measurements == run.recording.measurements
    assert (study.path / "figures" / "measurements.svg").exists()
    assert all(check.passed for check in study.check())


def test_a_hook_looks_at_the_mini_batch_that_comes_next(tiny: dict[str, Any], spread: str) -> None:
    """With the codec, as in evaluation."""
    scenario = scenario_of(
        tiny, codec={"uplink": {"name": "qu", "bits": 3}}, training={"hooks": spread, "max_rounds": 3}
    )
    exchange = prepare(scenario)
    look = Look(exchange)
    (batch, *_) = exchange.sampler.one_each(0)
    assert (look.round, look.client) == (0, batch.client)
    assert look.labels.tolist() == exchange.images.y_train[batch.indices].tolist()
    received = exchange.codings.of("activations")
    expected = received.decode(received.encode(look.activations))
    assert torch.equal(look.received, expected)
    _, recording = recorded(scenario)
    first = {row.quantity: row.value for row in recording.measurements if row.round == 0}
    assert first["deviation"] == pytest.approx(float(look.activations.std()))
    assert first["largest"] == pytest.approx(float(expected.abs().max()))


@pytest.mark.parametrize("every", [1, 3, 5, 100])
def test_every_is_kept(tiny: dict[str, Any], spread: str, every: int) -> None:
    """Before the first round too; after the last only where its turn is."""
    training = {"max_rounds": 10, "hooks": [{"name": spread, "every": every}]}
    _, recording = recorded(scenario_of(tiny, training=training))
    found = [row.round for row in recording.measurements if row.quantity == "largest"]
    assert found == list(range(0, 11, every))


def test_leakage_is_the_distance_correlation_of_test_images(tiny: dict[str, Any]) -> None:
    hooks = [{"name": "leakage", "samples": 20, "every": 100}]
    scenario = scenario_of(tiny, codec={"uplink": {"name": "sp", "sparsity": 0.9}}, training={"hooks": hooks})
    _, recording = recorded(scenario)
    found = {row.quantity: row.value for row in recording.measurements}
    look = Look(prepare(scenario))
    images = look.test_images(20)
    assert len(images) == 20
    activations = look.activations_of(images)
    received = look.received_of(activations)
    assert found["distance_correlation_without_codec"] == pytest.approx(
        distance_correlation(images, activations)
    )
    assert found["distance_correlation"] == pytest.approx(distance_correlation(images, received))
    assert 0 < found["distance_correlation"] < found["distance_correlation_without_codec"] <= 1


# What it may do wrong.

BAD = """
from slsim.learning.hooks import Hook

class Bad(Hook):
    def measure(self, look):
        {}
"""
ROWS = {
    "two values": 'yield "activations", 1.0',
    "a number as part": 'yield 1, "deviation", 1.0',
    "an empty part": 'yield "", "deviation", 1.0',
    "no text as quantity": 'yield "activations", None, 1.0',
    "a text as value": 'yield "activations", "deviation", "many"',
    "no value": 'yield "activations", "deviation", None',
    "many values": 'yield "activations", "deviation", look.activations',
    "a value beyond floats": 'yield "activations", "deviation", 10**400',
    "a part that cannot be written": r'yield "\ud800", "deviation", 1.0',
    "a number": "yield 5",
}
FAILS = {
    "no rows": "return None",
    "a number": "return 5",
    "raises": 'raise ValueError("boom")',
    "raises later": 'yield "a", "b", 1.0; raise ValueError("boom")',
    "exits": "exit(3)",
    "misses": "look.nothing_like_that",
}


def told(tiny: dict[str, Any], folder: Path, body: str) -> str:
    """The error of a training with a hook that has this body."""
    (folder / "own.py").write_text(BAD.format(body))
    training = {"max_rounds": 2, "hooks": f"{folder / 'own.py'}:Bad"}
    with pytest.raises(SlsimError) as found:
        recorded(scenario_of(tiny, training=training))
    return str(found.value)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_is_none_is_one_error_that_names_the_hook(
    tiny: dict[str, Any], tmp_path: Path, name: str
) -> None:
    text = told(tiny, tmp_path, ROWS[name])
    assert "hook own.py:Bad" in text
    assert "rows are (part, quantity, value), two texts and a number" in text
    assert "\n" not in text


@pytest.mark.parametrize("name", FAILS)
def test_what_a_hook_raises_is_one_error_that_names_the_hook(
    tiny: dict[str, Any], tmp_path: Path, name: str
) -> None:
    text = told(tiny, tmp_path, FAILS[name])
    assert "hook own.py:Bad" in text
    assert "\n" not in text
    if "boom" in FAILS[name]:
        assert text.endswith("in measure: ValueError: boom")


# Hooks change nothing that is learned.

DRAWING_HOOK = '''
import torch
from slsim.learning.hooks import Hook


class Drawing(Hook):
    """Draws from torch's generator, seeds it anew, and changes what it was given."""

    def measure(self, look):
        torch.rand(3)
        look.received_of(look.activations_of(look.test_images(7)))
        look.encoded(look.activations)
        look.generator("mine").random(5)
        torch.manual_seed(5)
        torch.nn.functional.dropout(look.activations)
        yield "activations", "first", look.activations.mul_(2).flatten()[0]
        yield "images", "mean", look.images.zero_().mean()
        look.labels.zero_()
'''


@pytest.mark.parametrize("protocol", ["splitfed", "splitfed-v2", "fedavg", "centralized"])
def test_hooks_change_nothing_that_is_learned(
    tiny: dict[str, Any], tmp_path: Path, spread: str, protocol: str
) -> None:
    """Weights, steps and evaluations, bit for bit, with layers, augmentation and codecs that draw, and with
    batch normalization."""
    (tmp_path / "drawing.py").write_text(DRAWING_HOOK)
    hooks: list[Any] = [spread, {"name": "leakage", "samples": 8}, f"{tmp_path / 'drawing.py'}:Drawing"]
    if protocol == "splitfed":
        hooks.append({"name": "theory", "every": 2, "draws": 8})
    found = []
    for chosen in ([], hooks):
        scenario = scenario_of(
            tiny,
            data={**tiny["data"], "augment": {"flip": True, "crop": 1}},
            model={"name": normalizing_net(tmp_path, drop=0.2), "cut": 1},
            codec={
                "uplink": {"name": "randk", "sparsity": 0.5},
                "downlink": {"name": "qsgd", "bits": 4},
                "weights": {"name": "qsgd", "bits": 6},
            },
            training={"protocol": protocol, "max_rounds": 3, "evaluate_every": 1, "hooks": chosen},
        )
        found.append(recorded(scenario))
    (weights, plain), (measured_weights, measured) = found
    assert torch.equal(weights, measured_weights)
    assert plain.evaluations == measured.evaluations
    assert table_of(plain.steps).equals(table_of(measured.steps))
    assert plain.rounds.tolist() == measured.rounds.tolist()
    assert not plain.measurements
    assert {row.quantity for row in measured.measurements} >= {"deviation", "first", "distance_correlation"}


RUNNING_HOOK = """
import torch
from slsim.learning.hooks import Hook


class Running(Hook):
    def measure(self, look):
        logits = look.server_module(look.client_module(look.images))
        loss = torch.nn.functional.cross_entropy(logits, look.labels)
        loss.backward()
        yield "server", "loss", float(loss.detach())
        look.client_module.eval()
        with torch.no_grad():
            next(look.server_module.parameters()).zero_()
"""


def test_a_hook_may_run_the_parts_of_the_model(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Neither batch normalization nor gradients notice."""
    (tmp_path / "running.py").write_text(RUNNING_HOOK)
    model = {"name": normalizing_net(tmp_path), "cut": 1}
    weights = []
    for hooks in ([], [f"{tmp_path / 'running.py'}:Running"]):
        learned, recording = recorded(
            scenario_of(tiny, model=model, training={"max_rounds": 3, "hooks": hooks})
        )
        weights.append(learned)
    assert torch.equal(*weights)
    assert len(recording.measurements) == 4


# In scenarios.


def test_probes_of_older_scenarios_are_the_hook_theory(tiny: dict[str, Any], spread: str) -> None:
    older = scenario_of(tiny, training={"probes": {"every": 2, "draws": 8}})
    hooks = [{"name": "theory", "every": 2, "draws": 8}]
    assert older == scenario_of(tiny, training={"hooks": hooks})
    table = older.learning_table()["training"]
    assert table["hooks"] == hooks
    assert "probes" not in table
    both = scenario_of(tiny, training={"probes": {"every": 2}, "hooks": spread})
    assert [hook.name.rpartition(":")[2] for hook in both.training.hooks] == ["Spread", "theory"]
    with pytest.raises(ScenarioError, match=r"training\.probes"):
        scenario_of(tiny, training={"probes": 2})


def test_one_hook_may_stand_without_a_list(tiny: dict[str, Any]) -> None:
    expected = scenario_of(tiny, training={"hooks": [{"name": "leakage", "every": 1, "samples": 256}]})
    assert scenario_of(tiny, training={"hooks": "leakage"}) == expected
    assert scenario_of(tiny, training={"hooks": {"name": "leakage"}}) == expected
    assert scenario_of(tiny).training.hooks == ()
    words = r'training\.hooks\[0\]: there is no hook "leak"; did you mean "leakage"'
    with pytest.raises(ScenarioError, match=words):
        scenario_of(tiny, training={"hooks": "leak"})


@pytest.mark.parametrize(
    "protocol",
    ["fedavg", "sequential", "splitfed-v2", "centralized", {"name": "splitfed", "local_epochs": 1}],
)
def test_a_hook_that_needs_shared_weights_is_refused_where_there_are_none(
    tiny: dict[str, Any], tmp_path: Path, protocol: Any
) -> None:
    text = SPREAD.replace("    def", "    needs_shared_weights = True\n\n    def")
    (tmp_path / "sharing.py").write_text(text)
    for hook in ("theory", f"{tmp_path / 'sharing.py'}:Spread"):
        name = hook.rpartition(":")[2]
        words = f"training: the hook {name}.* looks at rounds of one step from weights that all share"
        with pytest.raises(ScenarioError, match=words) as found:
            scenario_of(tiny, training={"protocol": protocol, "hooks": hook})
        assert (protocol if isinstance(protocol, str) else protocol["name"]) in str(found.value)
    for averaging in ("splitfed", "u-shaped"):
        model = {**tiny["model"], **({"head_cut": "deep"} if averaging == "u-shaped" else {})}
        scenario_of(tiny, model=model, training={"protocol": averaging, "hooks": "theory"})
