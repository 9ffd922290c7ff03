"""What the tests share: a data set and a scenario so small that a training takes a fraction of a second."""

from __future__ import annotations

import copy
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tomli_w


def pytest_collection_finish() -> None:
    """What is imported by now stays: looking through it for garbage, and often, took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


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


@pytest.fixture(scope="session")
def tiny_document(tiny_npz: Path) -> dict[str, Any]:
    """What `tiny` is a copy of."""
    return {
        "name": "tiny",
        "data": {"name": "npz", "path": str(tiny_npz)},
        "model": {"name": "mlp", "hidden": 16, "cut": "shallow"},
        "clients": {"count": 4, "batch_size": 5},
        "training": {"epochs": 3, "evaluate_every": 6, "target_accuracy": 0.8},
        "sweep": {"codec.uplink": CODECS},
    }


@pytest.fixture
def tiny(tiny_document: dict[str, Any]) -> dict[str, Any]:
    """The document of a scenario that is learned in seconds: 3 codecs, 4 clients, 8×8 images."""
    return copy.deepcopy(tiny_document)


@pytest.fixture(scope="session")
def tiny_results(tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study of `tiny`, played once for all tests: `tiny_study` gives a copy."""
    from slsim.study import run

    folder = tmp_path_factory.mktemp("study")
    folder.joinpath("scenario.toml").write_text(tomli_w.dumps(tiny_document), encoding="utf-8")
    return run(folder / "scenario.toml", folder / "results").path


@pytest.fixture
def tiny_study(tiny_results: Path, tmp_path: Path) -> Path:
    """The folder of a finished study of `tiny`, results/tiny in `tmp_path`: the test's own, to be changed."""
    return shutil.copytree(tiny_results, tmp_path / "results" / "tiny")


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Drawing takes longer than a tiny training does, so a study whose tables were drawn before, for
    whichever test, gets the same files once more. That the same tables give the same files is proven on
    what draws them, in `test_figures.py`."""
    from slsim.report.figures import draw_runs
    from slsim.results import StudyFolder
    from slsim.study import study

    drawn: dict[tuple[tuple[str, bytes], ...], dict[str, bytes]] = {}

    def remembering(folder: StudyFolder) -> list[str]:
        tables = tuple((path.name, path.read_bytes()) for path in sorted(folder.path.glob("*.csv")))
        if tables not in drawn:
            drawn[tables] = {name: (folder.figures / name).read_bytes() for name in draw_runs(folder)}
        else:
            folder.figures.mkdir(exist_ok=True)
            for name, content in drawn[tables].items():
                (folder.figures / name).write_bytes(content)
        return list(drawn[tables])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "figures", SimpleNamespace(draw_runs=remembering))
        yield


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes a document as a scenario file and gives its path."""

    def to_file(document: dict[str, Any], name: str = "scenario.toml") -> Path:
        path = tmp_path / name
        path.write_text(tomli_w.dumps(document), encoding="utf-8")
        return path

    return to_file


WAITING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"}


@pytest.fixture
def waits() -> Any:
    """A context that counts, in `seen`, what would wait for an accelerator: numbers brought to the host, and
    results whose size only their values tell."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Waits(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name, lists = func.name(), [arg for arg in args if isinstance(arg, (list, tuple))]
            masks = [i for own in lists for i in own if isinstance(i, torch.Tensor) and i.dtype == torch.bool]
            if name in WAITING or (name.startswith("aten::index") and masks):
                self.seen.append(name)
            return func(*args, **(kwargs or {}))

    return Waits()
