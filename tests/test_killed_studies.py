"""A study with several workers, killed at random moments, workers and parent, ends as if it had not been."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from slsim.study import run

WORKERS = 3  # that are killed at each attempt, and at last the process that conducts the study
ATTEMPTS = 5  # which makes 20 kills, unless the study ends before
TIMES = ("wall_s", "training_wall_s", "date", "command", "hash")  # the hash is over the others, too
LONGEST_S = 0.4  # of real time, from the first training's begin to a kill, and to the next

KILLER = """
import json, os, random, signal, sys, time, warnings
from contextlib import suppress
from pathlib import Path
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
from slsim.events import Started
from slsim.results import StudyFolder
from slsim.study import run

scenario, results, attempts, most, longest = json.loads(sys.argv[1])
rng = random.Random(attempts)
run(Path(scenario), Path(results + " warm-up"), overrides={"training.max_rounds": 2}, workers=1)  # imports

def finished():
    "The trainings that are there, and when each was written."
    trainings = Path(results, "tiny", "trainings").glob("*/recording.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in trainings if path.parent.name[0] != "."}

def workers(pid):
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for path in tasks for child in path.read_text().split()]
    except OSError:
        return []

def begin():
    "A process that conducts the study; what it writes to when a training begins."
    hears, tells = os.pipe()
    if (child := os.fork()) == 0:
        tell = lambda event: isinstance(event, Started) and os.write(tells, b".")
        os._exit(0 if not run(Path(scenario), Path(results), workers=2, tell=tell).failures else 1)
    os.close(tells)
    return child, hears

kept, killed = {}, []
for attempt in range(attempts):
    child, hears = begin()
    os.read(hears, 1)
    for _ in range(most):
        time.sleep(rng.uniform(0, longest))
        with suppress(ProcessLookupError, IndexError):
            os.kill(rng.choice(workers(child)), signal.SIGKILL)
            killed.append("worker")
    time.sleep(rng.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    now = finished()
    assert kept.items() <= now.items(), (kept, now)  # nothing finished was trained again
    kept = now
    if not os.WIFSIGNALED(status):
        break  # so fast a machine that it is done already
    killed.append("parent")
child, _ = begin()
assert os.waitpid(child, 0)[1] == 0
assert kept.items() <= finished().items()
print(json.dumps(killed))
"""


@pytest.fixture(scope="module")
def document(tiny_document: dict[str, Any]) -> dict[str, Any]:
    return {**tiny_document, "seed": [0, 1, 2], "training": {**tiny_document["training"], "epochs": 24}}


@pytest.mark.processes
def test_a_study_that_is_killed_again_and_again_ends_byte_for_byte_as_one_that_was_not(
    document: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(tomli_w.dumps(document), encoding="utf-8")
    arguments = json.dumps([str(path), str(tmp_path / "killed"), ATTEMPTS, WORKERS, LONGEST_S])
    killed = subprocess.run([sys.executable, "-c", KILLER, arguments], capture_output=True, text=True)
    assert killed.returncode == 0, killed.stderr
    victims = json.loads(killed.stdout)
    assert victims.count("worker") >= WORKERS
    assert victims.count("parent") >= 1
    undisturbed = run(path, tmp_path / "undisturbed", workers=1).path
    assert contents(tmp_path / "killed" / "tiny") == contents(undisturbed)


def contents(study: Path) -> dict[str, Any]:
    """Of all files of a study, by path, without the times at which they were made. Figures are drawn from
    the tables, and left out: those of the undisturbed study were not rendered."""
    found: dict[str, Any] = {}
    for path in study.rglob("*"):
        name = path.relative_to(study).as_posix()
        if path.is_file() and not name.startswith("figures/"):
            found[name] = path.read_bytes()
            if path.suffix == ".json":
                found[name] = without_times(json.loads(found[name]))
    return found


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return value
