"""Trainings on a real Ray cluster of two nodes, of which one is killed in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from listening import Log
from ray.cluster_utils import Cluster
from trainings import recorded

from slsim.events import Event, Notice, Saved, Started
from slsim.study import run

Write = Callable[[dict[str, Any]], Path]

MEMORY = 100 * 1024**2  # of a node's object store
DAWDLES = """
import time
from pathlib import Path

from slsim.learning.hooks import Hook


LOOKS = []


class Dawdles(Hook):
    def measure(self, look):
        LOOKS.append(1)  # one a round
        while len(LOOKS) > 15 and Path(__file__).with_name("wait").exists():  # the checkpoint is of round 12
            time.sleep(0.01)
        yield "activations", "largest", look.received.abs().max()
"""


class Nodes:
    """A cluster of two nodes, each with a core."""

    def __init__(self) -> None:
        arguments = {"num_cpus": 1, "object_store_memory": MEMORY}
        head = {**arguments, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._second = self._cluster.add_node(**arguments)
        self.address = self._cluster.address

    def kill_the_second(self) -> None:
        self._cluster.remove_node(self._second, allow_graceful=False)

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    there = Nodes()
    monkeypatch.setenv("RAY_ADDRESS", there.address)
    yield there
    there.end()


class Killer(Log):
    """Kills the second node when trainings on both have a checkpoint and wait for `wait` to go, which it does
    when it is told that one is lost."""

    def __init__(self, nodes: Nodes, wait: Path) -> None:
        super().__init__()
        self._nodes, self._wait = nodes, wait
        self._saved: set[str] = set()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if isinstance(event, Saved) and self._wait.exists():
            self._saved.add(event.label)
            if len(self._saved) == 2:
                self._nodes.kill_the_second()
        if isinstance(event, Notice):
            self._wait.unlink()


@pytest.mark.processes
def test_a_training_whose_node_is_killed_is_resumed_on_the_other_and_ends_as_if_nothing_had_been(
    tiny: dict[str, Any], write: Write, tmp_path: Path, nodes: Nodes
) -> None:
    (tmp_path / "own.py").write_text(DAWDLES)
    tiny["training"] |= {"hooks": [f"{tmp_path / 'own.py'}:Dawdles"]}
    path = write(tiny)
    undisturbed = run(path, tmp_path / "here")
    wait = tmp_path / "wait"
    wait.touch()
    killer = Killer(nodes, wait)
    study = run(path, tmp_path / "results", tell=killer, on="ray")
    begun = [(event.label, event.done) for event in killer.events if isinstance(event, Started)]
    resumed = [label for label, done in begun if done > 0]
    assert len(begun) == 4
    assert len(resumed) == 1
    assert any(notice.startswith(f"{resumed[0]}: its process was lost") for notice in killer.notices)
    assert sorted(killer.trained) == ["MS (90 %, 2 bits)", "QU (3 bits)", "identity"]
    assert not study.failures
    assert recorded(study.path) == recorded(undisturbed.path)
