"""The nine scenario files of scenarios/paper: the settings of *Mask-Encoded Sparsification* (ECAI 2024)."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import slsim
from slsim.errors import DataError
from slsim.learning.models.sizes import CutSize, cut_sizes
from slsim.recording import parse_shape
from slsim.scenario import Augmentation, Scenario, load
from slsim.scenario.schedule import Schedule
from slsim.scenario.schema import json_schema

Command = Callable[..., Any]

FOLDER = Path(__file__).parents[2] / "scenarios" / "paper"
CUTS = ("shallow", "medium", "deep")
COSINE = Schedule("cosine")
RESNET18_STEPS = Schedule("steps", (60.0, 120.0, 160.0), 0.2)
RESNET34_STEPS = Schedule("steps", (30.0, 60.0), 0.1)

# data, model, its layers on the client at each cut, what crosses there for a sample, and the training
SETTINGS: dict[str, dict[str, Any]] = {
    "cifar10-vgg19": {
        "layers": (2, 8, 15),
        "shapes": ((64, 16, 16), (256, 4, 4), (512, 2, 2)),
        "training": (200, 5e-4, COSINE),
        "augment": Augmentation(crop=4, flip=True),
    },
    "cifar100-resnet18": {
        "layers": (2, 5, 7),
        "shapes": ((64, 32, 32), (128, 16, 16), (256, 8, 8)),
        "training": (200, 5e-4, RESNET18_STEPS),
        "augment": Augmentation(crop=4, flip=True),
    },
    "imagenet-resnet34": {
        "layers": (2, 8, 14),
        "shapes": ((64, 56, 56), (128, 28, 28), (256, 14, 14)),
        "training": (90, 1e-4, RESNET34_STEPS),
        "augment": Augmentation(flip=True),
    },
}
NAMES = [f"{setting}-{cut}" for setting in SETTINGS for cut in CUTS]
LABELS = ["identity", "qu 3", "sp 0.95875", "rt 0.95875 0.1", "ms 0.99 2"]
RATIOS = {"identity": 1.00, "qu": 10.67, "sp": 13.79, "rt": 13.79, "ms": 13.79}  # of float32


def parts(name: str) -> tuple[dict[str, Any], int]:
    """What is expected of a file's setting, and which of the three cuts it has."""
    setting, _, cut = name.rpartition("-")
    return SETTINGS[setting], CUTS.index(cut)


def scenarios(name: str) -> list[Scenario]:
    return [case.scenario for case in load(FOLDER / f"{name}.toml").cases]


@pytest.fixture(scope="module")
def sizes() -> dict[str, CutSize]:
    """What crosses at each file's cut: computed with shapes alone, nothing is trained or drawn."""
    models = {name.rpartition("-")[0]: scenarios(name)[0].model.component for name in NAMES}
    return {
        f"{setting}-{size.cut}": size
        for setting, model in models.items()
        for size in cut_sizes(model.create())
    }


def test_there_are_nine_and_each_is_called_like_its_file() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.toml")) == sorted(NAMES)
    for name in NAMES:
        assert load(FOLDER / f"{name}.toml").name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_the_papers_setting(name: str) -> None:
    expected, _ = parts(name)
    data, model, cut = name.split("-")
    every = scenarios(name)
    assert [scenario.codec.uplink.label for scenario in every] == LABELS
    for scenario in every:
        assert scenario.data.component.table()["name"] == data
        assert scenario.data.component.params["root"] == "data"
        assert scenario.data.partition.kind == "iid"
        assert scenario.data.augment == expected["augment"]
        assert (scenario.model.component.name, scenario.model.cut) == (model, cut)
        assert scenario.codec.downlink.name == "identity"
        assert scenario.clients.count == 10
        assert [share.device.name for share in scenario.clients.device] == ["atlas-200-dk"]
        assert scenario.server.device.name == "rtx-3090"
        assert (scenario.network.uplink, scenario.network.downlink) == (100e6, 100e6)
        training = scenario.training
        assert training.protocol.name == "splitfed"
        assert (training.epochs, training.weight_decay, training.schedule) == expected["training"]
        assert (training.learning_rate, training.momentum) == (0.1, 0.9)
        assert training.target_accuracy == "baseline"


@pytest.mark.parametrize("name", NAMES)
def test_ten_equal_mini_batches_are_as_near_to_256_as_they_can_be(name: str) -> None:
    clients = scenarios(name)[0].clients
    totals = {size: abs(clients.count * size - 256) for size in range(1, 60)}
    assert clients.batch_size == min(totals, key=lambda size: totals[size]) == 26


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_tensor_crosses_its_cut(name: str, sizes: dict[str, CutSize]) -> None:
    expected, cut = parts(name)
    assert sizes[name].layers == expected["layers"][cut]
    assert sizes[name].activation_shape == expected["shapes"][cut]


@pytest.mark.parametrize("name", NAMES)
def test_codecs_are_as_small_as_the_paper_says(name: str) -> None:
    """32 bits an element against 3 (QU), and against 2.32 (MS, SP, RT), at the activations of a batch."""
    expected, cut = parts(name)
    for scenario in scenarios(name):
        uplink = scenario.codec.uplink
        shape = (scenario.clients.batch_size, *expected["shapes"][cut])
        codec = uplink.create()
        assert round(codec.nominal_ratio(shape), 2) == RATIOS[uplink.name]
        header = codec.num_bytes(shape) - codec.body_bytes(shape)
        assert 0 < header <= 32


def test_the_documented_bytes_are_those_of_the_formats() -> None:
    lines = (FOLDER.parents[1] / "docs" / "paper.md").read_text(encoding="utf-8").splitlines()
    for name in NAMES:
        expected, cut = parts(name)
        shape = (26, *expected["shapes"][cut])
        encoded = {s.codec.uplink.name: s.codec.uplink.create().num_bytes(shape) for s in scenarios(name)}
        assert encoded["ms"] == encoded["sp"] == encoded["rt"]
        sizes = [f"{10 * encoded[codec]:,}" for codec in ("identity", "qu", "ms")]
        ratios = [f"{4 * math.prod(shape) / encoded[codec]:.3f}" for codec in ("qu", "ms")]
        shown = "×".join(map(str, shape[1:]))
        assert f"| {' | '.join([f'`{name}`', shown, *sizes, *ratios])} |" in lines


def test_the_schema_accepts_them() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    for name in NAMES:
        validator.validate(tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


def test_one_of_them_trains_on_a_subset_with_the_override_that_its_comment_gives(
    tmp_path: Path, command: Command
) -> None:
    """VGG19 of an eighth of the channels, cut deep, on random images: 64×2×2 cross for a sample."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "subset.npz",
        x_train=rng.integers(0, 256, (80, 32, 32, 3), dtype=np.uint8),
        y_train=np.arange(80) % 10,
        x_test=rng.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8),
        y_test=np.arange(10),
    )
    text = (FOLDER / "cifar10-vgg19-deep.toml").read_text(encoding="utf-8")
    (override,) = (line for line in text.splitlines() if line.startswith("#   --set 'data="))
    setting = override.removeprefix("#   --set ").strip("'")
    small = ("--set", "model.width=0.125", "--set", "clients.batch_size=4")
    path = FOLDER / "cifar10-vgg19-deep.toml"
    done = command("run", path, "--set", setting, *small, "--max-steps", "2")
    assert done.returncode == 0, done.stderr
    study = slsim.open_study(tmp_path / "results" / "cifar10-vgg19-deep")
    assert all(check.passed for check in study.check())
    assert [run.recording.num_rounds for run in study.played] == [2] * 5
    every = [run.recording.steps for run in study.played]
    shapes = {shape for steps in every for shape in steps.text("shape")[steps.sent("activations")]}
    assert {parse_shape(shape)[1:] for shape in shapes} == {(64, 2, 2)}
    assert {run.scenario.data.component.name for run in study.played} == {"npz"}
    assert {run.scenario.data.augment for run in study.played} == {Augmentation(crop=4, flip=True)}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cifar10-vgg19-medium", r"cifar-10-python\.tar\.gz"),
        ("cifar100-resnet18-medium", r"cifar-100-python\.tar\.gz"),
        ("imagenet-resnet34-medium", r"image-net\.org/download\.php"),
    ],
)
def test_where_the_data_are_missing_it_is_told_where_to_get_them_and_nothing_is_written(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=told):
        slsim.run(FOLDER / f"{name}.toml")
    assert list(tmp_path.iterdir()) == []


def test_missing_data_exit_with_status_2_and_one_line(tmp_path: Path, command: Command) -> None:
    done = command("run", FOLDER / "cifar10-vgg19-medium.toml")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "download = true" in line
    assert list(tmp_path.iterdir()) == []
