"""`slsim partition`: what a training would share out, told before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from slsim.learning.partition import partition_samples
from slsim.scenario import load

Write = Callable[[dict[str, Any]], Path]
Command = Callable[..., Any]


def test_it_prints_and_saves_what_a_training_shares_out(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    path = write(tiny)
    done = command("partition", path, "--set", "data.partition={ power_law = 1.0 }", "--set", "seed=3")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = tmp_path / "results" / "tiny"
    assert {file.name for file in (folder / "figures").iterdir()} == {"partition.png", "partition.svg"}
    table = pd.read_csv(folder / "partition.csv")
    assert list(table) == ["client", "samples", "class_0", "class_1", "class_2", "class_3"]
    assert sorted(table["samples"], reverse=True) == [115, 58, 38, 29]  # 240 · 12/25 = 115.2, and so on
    scenario = load(path, {"data.partition": {"power_law": 1.0}, "seed": 3}).cases[0].scenario
    data = scenario.data.component.create().load()
    parts = partition_samples(scenario.data.partition, data, scenario.clients.count, scenario.seed)
    for number, part in enumerate(parts):
        held = table.filter(like="class_").iloc[number].tolist()
        assert held == np.bincount(data.y_train[part], minlength=4).tolist()
        assert " ".join(map(str, [number, part.size, *held])) in " ".join(done.stdout.split())
    assert "240 samples over 4 clients: smallest 29, median 48, largest 115" in done.stdout
    assert "Table and figure: results/tiny" in done.stdout


def test_plot_draws_the_picture_again(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    command("partition", write(tiny))
    picture = tmp_path / "results" / "tiny" / "figures" / "partition.svg"
    before = picture.read_bytes()
    picture.unlink()
    done = command("plot", "results/tiny")
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes() == before


def test_a_partition_that_cannot_be_is_one_clear_error(
    tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command
) -> None:
    tiny["data"]["partition"] = {"power_law": 1.2}
    tiny["clients"]["count"] = 241
    done = command("partition", write(tiny))
    assert done.returncode == 2
    assert "240 samples are not one for each of 241 clients; ask for fewer clients" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_data_that_is_not_there_says_where_to_get_it(
    name: str, tiny: dict[str, Any], write: Write, command: Command
) -> None:
    tiny["data"] = {"name": name, "root": "nowhere"}
    done = command("partition", write(tiny))
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "https://" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_images(tiny: dict[str, Any], write: Write, tmp_path: Path, command: Command) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("n01440764", "n01443537", "n01484850"):
            for number in range(4):
                path = tmp_path / "images" / split / name / f"{number}.JPEG"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    tiny["data"] = {"name": "imagenet", "root": "images", "size": 8, "partition": {"shards": 1}}
    tiny["clients"]["count"] = 3
    done = command("partition", write(tiny))
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "results" / "tiny" / "partition.csv")
    assert sorted(map(tuple, table.filter(like="class_").to_numpy())) == [(0, 0, 4), (0, 4, 0), (4, 0, 0)]
    assert "are 66.7 % away" in " ".join(done.stdout.split())
