"""A run that the system killed is resumed from its checkpoint, and ends as one that was not, bit for bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tomli_w
from listening import Log
from resumption import PROTOCOLS, assert_same, document_of, training_of

from slsim.events import silent
from slsim.recording import load, tables_of
from slsim.results import StudyFolder
from slsim.study import run
from slsim.study.checkpoint import Checkpoint
from slsim.study.job import train

KILLED = """
import json, os, signal, sys, warnings
from pathlib import Path
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
from slsim.events import RoundDone
from slsim.study import checkpoint, run

def killer(at):
    def tell(event):
        if isinstance(event, RoundDone) and str(event.rounds) == at:
            os.kill(os.getpid(), signal.SIGKILL)
    return tell

def kill_within_a_round(saves):
    "After so many saves, of which every pause has one."
    checkpoint.LONGEST_S, left = 0, [saves]
    save = checkpoint.Checkpoint.save
    def saving(*arguments):
        save(*arguments)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.Checkpoint.save = saving

runs = json.loads(sys.argv[1])
warm_up = runs[0][1] + " warm-up"
run(Path(runs[0][0]), Path(warm_up), overrides={"training.max_rounds": 2})  # imports, before the forks
for path, results, at in runs:
    if (child := os.fork()) == 0:
        if "." in at:
            kill_within_a_round(int(at.partition(".")[2]))
        run(Path(path), Path(results), tell=killer(at), workers=1)
        os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (path, status)
"""
KILLED_AT = {  # the round; or, within one, the rounds that are over and the number of saves
    "splitfed": ("21", 16),
    "splitfed local": ("2.31", 2),
    "splitfed-v2": ("2.31", 2),
    "sequential": ("1.17", 1),  # between a participant's last step and the hand-over
    "fedavg": ("0.12", 0),
    "centralized": ("17", 16),
    "u-shaped": ("13", 8),
}


def short_document(tiny: dict[str, Any], protocol: str) -> dict[str, Any]:
    """40 images each: 8 rounds of steps an epoch, or 2 of passes."""
    clients = {"count": 6, "per_round": 3, "batch_size": 10}
    return document_of(tiny, protocol, clients=clients, data={**tiny["data"], "augment": {"flip": True}})


@pytest.fixture(scope="module")
def killed(tiny_document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scenario of each protocol, and its results when the system had killed the run."""
    folder = tmp_path_factory.mktemp("killed")
    runs = []
    for protocol, (at, _) in KILLED_AT.items():
        path = folder / f"{protocol}.toml"
        path.write_text(tomli_w.dumps(short_document(tiny_document, protocol)), encoding="utf-8")
        runs.append((str(path), str(folder / protocol), at))
    command = [sys.executable, "-W", "error", "-c", KILLED, json.dumps(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_run_killed_by_the_system_goes_on(
    tiny: dict[str, Any], killed: Path, tmp_path: Path, protocol: str
) -> None:
    """SIGKILL, so many rounds, or checkpoints, into a training whose last checkpoint has `kept` rounds."""
    path, results, kept = killed / f"{protocol}.toml", killed / protocol, KILLED_AT[protocol][1]
    training = training_of(short_document(tiny, protocol))
    file = StudyFolder.of(results / "tiny").checkpoint(training.name)
    parts = file.with_suffix(".parts")
    left = {entry.name for entry in file.parent.iterdir()}
    assert left == {file.name, parts.name, f".lock-{training.name}"}
    whole = train(training, silent)
    shutil.copy(file, tmp_path / "c.pt")
    shutil.copytree(parts, tmp_path / "c.parts")
    assert_same(train(training, silent, Checkpoint(tmp_path / "c.pt")), whole)
    log = Log()
    study = run(path, results, tell=log)
    assert log.rounds == list(range(kept + 1, whole[0].progress.total_rounds + 1))
    assert tables_of(study.runs[0].recording) == tables_of(whole[1])
    assert tables_of(load(file.parent / training.name)) == tables_of(whole[1])
    assert [entry.name for entry in file.parent.iterdir()] == [training.name]  # the checkpoint is gone
    if protocol in ("splitfed", "splitfed-v2"):
        unbroken = run(path, tmp_path / "unbroken")
        pd.testing.assert_frame_equal(study.summary, unbroken.summary)
