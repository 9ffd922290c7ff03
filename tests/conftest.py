"""What the tests share: a data set and a scenario so small that a training takes a fraction of a second."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 training and 60 test images, 8×8, of 4 classes: a bright quadrant in noise. Easy to learn."""
    rng = np.random.default_rng(7)

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 4
        pixels = rng.integers(0, 120, size=(count, 8, 8))
        for image, label in zip(pixels, labels, strict=True):
            row, column = 4 * (label // 2), 4 * (label % 2)
            image[row : row + 4, column : column + 4] += 100
        return pixels.astype(np.uint8), labels.astype(np.uint8)

    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    (x_train, y_train), (x_test, y_test) = images(240), images(60)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: such small models gain nothing from more

CODECS = [{"name": "identity"}, {"name": "qu", "bits": 3}, {"name": "ms", "sparsity": 0.9, "bits": 2}]


@pytest.fixture
def tiny(tiny_npz: Path) -> dict[str, Any]:
    """The document of a scenario that is learned in seconds: 3 codecs, 4 clients, 8×8 images."""
    return {
        "name": "tiny",
        "data": {"name": "npz", "path": str(tiny_npz)},
        "model": {"name": "mlp", "hidden": 16, "cut": "shallow"},
        "clients": {"count": 4, "batch_size": 5},
        "training": {"epochs": 3, "evaluate_every": 6, "target_accuracy": 0.8},
        "sweep": {"codec.uplink": CODECS},
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes a document as a scenario file and gives its path."""

    def to_file(document: dict[str, Any], name: str = "scenario.toml") -> Path:
        path = tmp_path / name
        path.write_text(tomli_w.dumps(document), encoding="utf-8")
        return path

    return to_file
