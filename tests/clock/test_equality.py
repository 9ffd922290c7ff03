"""The times of rounds are those that the clock gave before recordings had steps.

`before_steps/` has recordings of format 3 of six protocols, which trained on its `data.npz`, and the times of
their rounds on 36 stages, as slsim gave them when protocols told the clock what to do (`times.json.gz`).
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import slsim
from slsim.analysis.runs import curves
from slsim.clock import Clock
from slsim.events import silent
from slsim.recording import STEP, Steps, load
from slsim.recording.steps import TEXTS
from slsim.scenario import Scenario, plan
from slsim.study.job import train
from slsim.study.training import Training

BEFORE = Path(__file__).with_name("before_steps")
GIVEN = json.loads(gzip.decompress((BEFORE / "times.json.gz").read_bytes()))
REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "quickstart"
STAGES = [(devices, network) for devices in GIVEN["clients"] for network in GIVEN["networks"]]
EXACT = 1e-12  # relative


def scenario(protocol: str, devices: str = "rated", network: str = "own") -> Scenario:
    """What was learned, and a stage to play it on."""
    tiny, others = GIVEN["tiny"], GIVEN["clients"][devices]
    clients = {**tiny["clients"], **others.get("clients", {})}
    if protocol in GIVEN["per_round"]:
        clients["per_round"] = GIVEN["per_round"][protocol]
    document = {
        **tiny,
        **others,
        "data": {**tiny["data"], "path": str(BEFORE / "data.npz")},
        "training": GIVEN["protocols"][protocol],
        "clients": clients,
        "network": GIVEN["networks"][network],
    }
    (case,) = plan(document, "before steps", BEFORE).cases
    return case.scenario


@pytest.mark.parametrize("protocol", GIVEN["protocols"])
def test_older_recordings_take_the_times_that_they_took(protocol: str) -> None:
    """All but `splitfed-v2`, whose server did not keep to the order in which it had learned."""
    recording = load(BEFORE / protocol)
    for stage in STAGES:
        timeline, before = Clock.of(scenario(protocol, *stage)).play(recording), GIVEN["times"][protocol]
        due = before[", ".join(stage)]
        assert timeline.alarm == ""
        num_bytes = {name: use.num_bytes for name, use in timeline.links.items()}
        assert num_bytes == pytest.approx({name: link[0] for name, link in due["links"].items()}, rel=EXACT)
        if protocol == "splitfed-v2":
            assert (np.abs(timeline.round_ends_s / due["round_ends_s"] - 1) > 1e-6).all(), stage
            continue
        assert timeline.round_ends_s == pytest.approx(due["round_ends_s"], rel=EXACT), stage
        busy_s = {name: use.busy_s for name, use in timeline.links.items()}
        assert busy_s == pytest.approx({name: link[1] for name, link in due["links"].items()}, rel=EXACT)
        for name in ("average_round", "critical_round"):
            round_s = getattr(timeline, name)()
            assert round_s == pytest.approx(due[name], rel=0, abs=EXACT * sum(due[name].values())), stage


def by_lanes(steps: Steps) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of steps, texts as they are, each round's lanes one after another."""
    rows = steps.rows
    order = np.lexsort((np.arange(len(rows)), rows["lane"], rows["section"], steps.round_of))
    columns = {name: steps.text(name) if name in TEXTS else rows[name] for name in STEP.names or ()}
    return {name: values[order] for name, values in columns.items()}


@pytest.mark.parametrize("protocol", GIVEN["protocols"])
def test_what_is_learned_now_has_the_steps_of_what_was_learned_before(protocol: str) -> None:
    before = load(BEFORE / protocol)
    _, now = train(Training.of(scenario(protocol)), silent)
    assert now.rounds.tolist() == before.rounds.tolist()
    assert now.steps.offsets.tolist() == before.steps.offsets.tolist()
    due = by_lanes(before.steps)
    for name, values in by_lanes(now.steps).items():
        exact = values.dtype.kind != "f"  # what codecs cost is computed anew
        same = values == due[name] if exact else np.isclose(values, due[name], EXACT, 0.0, equal_nan=True)
        assert same.all(), (name, values[~same], due[name][~same])
    for stage in (("timed", "fifo"), ("two places", "tree")):
        clock = Clock.of(scenario(protocol, *stage))
        assert clock.play(now).round_ends_s == pytest.approx(clock.play(before).round_ends_s, rel=EXACT)


@pytest.mark.parametrize(
    "folder", [REFERENCE, *sorted((REFERENCE / "replays").iterdir())], ids=["run", "replay"]
)
def test_the_reference_results_have_the_times_that_they_had(folder: Path) -> None:
    study = slsim.open_study(folder)
    assert study.alarms == {}
    found, saved = curves(study.runs), pd.read_csv(folder / "curves.csv")
    assert found["run"].tolist() == saved["run"].tolist()
    assert found["sim_s"].to_numpy() == pytest.approx(saved["sim_s"].to_numpy(), rel=EXACT)
    saved = pd.read_csv(folder / "summary.csv")
    assert study.summary["run"].tolist() == saved["run"].tolist()
    for column in ("time_to_target_s", "makespan_s"):
        due = pytest.approx(saved[column].to_numpy(), rel=EXACT, nan_ok=True)
        assert study.summary[column].to_numpy() == due, column
