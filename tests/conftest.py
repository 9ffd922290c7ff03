"""What the tests share: a data set and a scenario so small that a training takes a fraction of a second."""

from __future__ import annotations

import copy
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tomli_w

MEMORY = Path("/dev/shm")  # Linux's folder in memory


def pytest_configure() -> None:
    """Keep the tests' folders in memory, where there is room: slsim asks the disk to have each checkpoint,
    recording and table, and tests waited for it. `--basetemp` and pytest's own variable go first."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 * 2**30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


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
def one_core() -> Iterator[None]:
    """By default trainings run in this process: to begin others takes longer than a tiny training does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slsim.study.crews.cores", lambda: 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[None]:
    """A run's figures are chosen from its tables and saved as empty files: drawing them takes longer than a
    tiny training does. `report/` tests what figures show; `test_cli.py` that a run draws them."""
    from slsim.report.figures import drawing
    from slsim.results import StudyFolder
    from slsim.study import study

    def empty(place: Path, name: str, _each: Any, _width_in: float, formats: Sequence[str]) -> list[str]:
        place.mkdir(parents=True, exist_ok=True)
        names = [f"{name}.{kind}" for kind in formats]
        for file in names:
            (place / file).write_bytes(b"")
        return names

    def draw_runs(folder: StudyFolder) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(drawing, "_saved", empty)
            return drawing.draw_runs(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "figures", SimpleNamespace(draw_runs=draw_runs))
        yield


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """The command line in `tmp_path`, within this process: a process of its own imports torch for seconds."""
    from slsim import cli
    from slsim.cli.options import console

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "width", 100)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")  # else the command sets a variable for good

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["slsim", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


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
