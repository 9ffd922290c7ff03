"""What tells trainings apart: equal for what is learned from the same, wherever its files lie."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slsim.errors import ScenarioError
from slsim.scenario import plan
from slsim.study.keys import check_names, learned, training_key

OWN = """
from pathlib import Path
from torch import nn
from layers import WIDTH
from slsim.codecs import Identity
from slsim.learning.data.files import Npz
from slsim.learning.hooks import Hook
from slsim.protocols.splitfed import SplitFed

class Mine(Identity):
    strength: int = 1
    text: str = "a/b"
    table: Path | None = None

class Data(Npz):
    "Mine."

class Look(Hook):
    def measure(self, look):
        return []

class Order(SplitFed):
    "Mine."

def net(image_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.Linear(WIDTH, num_classes))
"""
Document = dict[str, Any]


@pytest.fixture
def document(tiny: Document, tmp_path: Path) -> Document:
    """A scenario of which everything that is learned from is of one's own, in the folder `here`."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "own.py").write_text(OWN)
    (here / "layers.py").write_text("WIDTH = 8\n")
    for name in ("images.npz", "table.npy"):
        (here / name).write_bytes(b"")
    tiny["data"] = {"name": "own.py:Data", "path": "images.npz"}
    tiny["model"] = {"name": "own.py:net", "cut": 2}
    tiny["codec"] = {"uplink": {"name": "own.py:Mine", "table": "table.npy"}}
    tiny["training"] |= {"hooks": ["own.py:Look"], "protocol": "own.py:Order"}
    tiny["sweep"] = {}
    return tiny


def key_of(document: Document, folder: Path) -> str:
    return training_key(plan(document, "test", folder).cases[0].scenario)


def test_a_key_is_equal_wherever_the_files_lie(
    document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    key = key_of(document, here)
    here.rename(there)
    assert key_of(document, there) == key
    monkeypatch.chdir(there)
    assert key_of(document, tmp_path) == key  # beside no scenario: in the working directory
    monkeypatch.chdir(tmp_path)
    absolute = copy.deepcopy(document)
    absolute["data"] = {"name": f"{there}/own.py:Data", "path": str(there / "images.npz")}
    absolute["model"]["name"] = "there/own.py:net"
    absolute["codec"]["uplink"] = {"name": f"{there}/own.py:Mine", "table": "there/table.npy"}
    absolute["training"] |= {"hooks": [f"{there}/own.py:Look"], "protocol": f"{there}/own.py:Order"}
    assert key_of(absolute, tmp_path) == key


def test_what_is_learned_from_names_no_folder(document: Document, tmp_path: Path) -> None:
    table = learned(plan(document, "test", tmp_path / "here").cases[0].scenario)
    assert str(tmp_path) not in str(table)
    assert table["data"]["path"] == "…/images.npz"
    assert table["codec"]["uplink"]["text"] == "a/b"
    assert table["model"]["name"].startswith("own.py:net@")


@pytest.mark.parametrize("table", ["data", "model", "codec", "hooks", "protocol"])
def test_a_key_differs_where_code_or_its_neighbour_is_edited(
    document: Document, tiny_document: Document, tmp_path: Path, table: str
) -> None:
    """Whichever component the code is of."""
    here, plain = tmp_path / "here", copy.deepcopy(tiny_document)
    plain["sweep"] = {}
    of_training = table in ("hooks", "protocol")
    if of_training:
        plain["training"][table] = document["training"][table]
    else:
        plain[table] = document[table]
    keys = [key_of(plain, here)]
    (here / "layers.py").write_text("WIDTH = 9\n")
    keys.append(key_of(plain, here))
    (here / "own.py").write_text(OWN + "# edited\n")
    keys.append(key_of(plain, here))
    assert len(set(keys)) == 3


Change = Callable[[Document], object]
CHANGES: dict[str, Change] = {
    "another parameter": lambda d: d["codec"]["uplink"].update(strength=2),
    "a text that is no path": lambda d: d["codec"]["uplink"].update(text="c/b"),
    "another file": lambda d: d["codec"]["uplink"].update(table="other.npy"),
    "other data": lambda d: d["data"].update(path="others.npz"),
    "another cut": lambda d: d["model"].update(cut=1),
    "another seed": lambda d: d.update(seed=1),
    "no hooks": lambda d: d["training"].update(hooks=[]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_key_differs_where_something_else_is_learned_from(
    document: Document, tmp_path: Path, change: Change
) -> None:
    key = key_of(document, tmp_path / "here")
    change(document)
    assert key_of(document, tmp_path / "here") != key


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(name="other"),
        lambda d: d.update(network={"uplink": "1 Mbps"}),
        lambda d: d["clients"].update(device="a100"),
        lambda d: d["training"].update(target_accuracy=0.5),
    ],
)
def test_a_key_is_equal_where_only_time_differs(document: Document, tmp_path: Path, change: Change) -> None:
    key = key_of(document, tmp_path / "here")
    change(document)
    assert key_of(document, tmp_path / "here") == key


def test_a_study_refuses_two_data_files_of_one_name(tiny: Document, tmp_path: Path) -> None:
    tiny["sweep"] = {"data.path": ["a/images.npz", "b/images.npz"]}
    cases = plan(tiny, "test", tmp_path).cases
    with pytest.raises(ScenarioError, match=r"data.path: .*a/images.npz and .*b/images.npz have one name"):
        check_names(cases, "test")
    tiny["sweep"] = {"data.path": ["a/images.npz", "b/others.npz"]}
    check_names(plan(tiny, "test", tmp_path).cases, "test")
