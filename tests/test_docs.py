"""What the documents show can be used as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from slsim.learning.data import load_data
from slsim.learning.partition import partition_samples
from slsim.network import topology
from slsim.scenario import plan

DOCS = Path(__file__).parents[1] / "docs"
NETWORKS = re.findall(r"```toml\n(network = .*?)```", (DOCS / "network.md").read_text("utf-8"), re.DOTALL)


def test_the_document_on_networks_shows_some() -> None:
    assert len(NETWORKS) >= 10


@pytest.mark.parametrize("text", NETWORKS)
def test_every_network_that_is_shown_can_be_built(text: str, tmp_path: Path) -> None:
    (tmp_path / "lte.csv").write_text("time_s,rate\n0,20 Mbps\n12.5,3 Mbps\n")
    document = {"name": "shown", "data": {"name": "fashion-mini"}, "model": {"name": "cnn", "cut": "medium"}}
    (case,) = plan({**document, **tomllib.loads(text)}, "docs/network.md", tmp_path).cases
    built = topology.build(case.scenario.network, clients=10)
    assert len(built.uplinks) == len(built.downlinks) == 10


def test_the_data_that_is_shown_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "data.md").read_text("utf-8")
    arrays, own = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(arrays, {})
    (tmp_path / "own.py").write_text(own)
    tables = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    for table, clients, sizes in zip(tables, (4, 5), ([15] * 4, [20, 20, 20, 20, 10]), strict=True):
        document = {"name": "shown", "model": {"name": "mlp", "cut": 1}, **tomllib.loads(table)}
        (case,) = plan(document, "docs/data.md", tmp_path).cases
        parts = partition_samples(case.scenario.data.partition, load_data(case.scenario), clients, seed=0)
        assert [part.size for part in parts] == sizes
