"""What the documents show can be used as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from rounds import Sent, Turn, costs, steps_of

from slsim.clock import Clock
from slsim.learning.data import load_data
from slsim.learning.partition import partition_samples
from slsim.network import topology
from slsim.results import StudyFolder
from slsim.scenario import load, plan

DOCS = Path(__file__).parents[1] / "docs"
NETWORKS = re.findall(r"```toml\n(network = .*?)```", (DOCS / "network.md").read_text("utf-8"), re.DOTALL)


def test_the_document_on_networks_shows_some() -> None:
    assert len(NETWORKS) >= 10


@pytest.mark.parametrize("text", NETWORKS)
def test_every_network_that_is_shown_can_be_built(text: str, tmp_path: Path) -> None:
    trace = "time_s,rate\n0,20 Mbps\n12.5,3 Mbps\n"
    (tmp_path / "traces").mkdir()
    for name in ("lte.csv", "traces/a.csv", "traces/b.csv"):
        (tmp_path / name).write_text(trace)
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


def test_the_recipe_of_an_lte_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace that it makes, the scenario, and two rounds of fifty phones on its clock."""
    recipe = (DOCS / "network.md").read_text("utf-8").partition("### An LTE cell for fifty phones")[2]
    (script,) = re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)
    scenario_text = re.findall(r"```toml\n(.*?)```", recipe, re.DOTALL)[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "docs/network.md", "exec"), {})
    (tmp_path / "cell.toml").write_text(scenario_text)
    (case,) = load(tmp_path / "cell.toml").cases
    assert [file.name for file in case.scenario.network.files()] == ["cell.csv"]

    messages = (
        Sent("activations", "up", 30_000, 320_000),
        Sent("labels", "up", 10, 10),
        Sent("gradients", "down", 320_000, 320_000),
    )
    turns = [Turn(client, 10, messages) for client in range(50)]
    traffic = {"activations": 8e4, "gradients": 8e4}
    steps, rounds = steps_of([turns, turns], costs((1e6, 2e6, 3e6, 6e6), traffic, traffic))
    timeline = Clock.of(case.scenario).run(steps, rounds)
    cell = timeline.links["tree1.0.down"]
    assert cell.num_bytes > 2 * 50 * 320_000
    assert timeline.makespan_s > 8 * cell.num_bytes / 75e6


def test_the_first_page_has_numbers_of_the_reference_results() -> None:
    text = (DOCS / "index.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)`, [^|]* \| ([\d.]+) s \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    summary = StudyFolder.open(DOCS.parent / "results" / "reference" / "quickstart").load_table("summary")
    known = summary.set_index("codec_name")[["time_to_target_s", "traffic_multiplier", "total_multiplier"]]
    assert len(rows) == 3
    for codec, *shown in rows:
        assert [float(one) for one in shown] == known.loc[codec].round(2).tolist()
