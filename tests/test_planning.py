"""What `slsim plan` foresees, what it prints, and its array job for Slurm."""

from __future__ import annotations

import copy
import io
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from listening import CtrlC, Log
from rich.console import Console
from typer.testing import CliRunner

import slsim
from slsim.cli import app
from slsim.errors import DataError, SlsimError, StudyError
from slsim.events import Event, Waiting
from slsim.forecast import TrainingForecast
from slsim.locks import training_lock
from slsim.report.plans import print_plan, ranges
from slsim.results import StudyFolder
from slsim.scenario import Plan, plan
from slsim.study import Interrupted, conduct, conduct_only, foresee, run
from slsim.study.durations import wall_s
from slsim.study.training import trainings_of

ROOT = Path(slsim.__file__).parent.parent
FIXED = [{"name": "identity"}, {"name": "qu", "bits": 3}, {"name": "sp", "sparsity": 0.9}]
Write = Callable[[dict[str, Any]], Path]


def planned(document: dict[str, Any]) -> Plan:
    return plan(copy.deepcopy(document), "test", Path())


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"aggregation": "server"},
        {"aggregation": "all-reduce"},
        {"protocol": "splitfed-v2"},
        {"protocol": "sequential"},
        {"protocol": "u-shaped"},
    ],
    ids=lambda table: "-".join(table.values()) or "splitfed",
)
def test_predicted_bytes_are_those_that_training_then_measures(
    tiny: dict[str, Any], training: dict[str, Any], tmp_path: Path
) -> None:
    tiny["sweep"]["codec.uplink"] = FIXED
    tiny["codec"] = {"downlink": {"name": "qu", "bits": 4}}
    tiny["training"] |= {"epochs": 1, **training}
    if training.get("protocol") == "u-shaped":
        tiny["model"]["head_cut"] = 2
    forecast = foresee(planned(tiny), tmp_path, measured=False)
    study = run(planned(tiny), tmp_path)
    for case, done in zip(forecast.cases, study.played, strict=True):
        assert case.up.is_fixed
        assert case.down.is_fixed
        steps = done.recording.steps.only(0)
        assert case.up.nominal == steps.total("num_bytes", steps.crosses("uplink"))[0]
        assert case.down.nominal == steps.total("num_bytes", steps.crosses("downlink"))[0]
        assert case.round_s == pytest.approx(done.timeline.round_ends_s[0], rel=1e-9)
        assert forecast.trainings[case.training].rounds == done.recording.num_rounds
        assert case.label == done.label


def test_what_depends_on_data_lies_within_its_bounds(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["sweep"]["codec.uplink"] = [{"name": "ms", "sparsity": 0.9, "bits": 2}]
    tiny["training"]["epochs"] = 1
    (case,) = foresee(planned(tiny), tmp_path, measured=False).cases
    (done,) = run(planned(tiny), tmp_path).played
    steps = done.recording.steps.only(0)
    assert not case.up.is_fixed
    assert case.up.least <= steps.total("num_bytes", steps.crosses("uplink"))[0] <= case.up.most
    assert case.least_ratio < case.ratio


def test_it_says_what_is_there_and_what_was_begun(tiny: dict[str, Any], tmp_path: Path) -> None:
    asked = planned(tiny)
    before = foresee(asked, tmp_path, measured=False)
    assert [one.state for one in before.trainings] == ["to do"] * 3
    assert list(tmp_path.iterdir()) == []  # nothing is written
    with pytest.raises(Interrupted):
        conduct(asked, tmp_path, tell=CtrlC(30, "QU (3 bits)"), staffing=slsim.study.Staffing(workers=1))
    half = foresee(asked, tmp_path, measured=False)
    assert [(one.state, one.done) for one in half.trainings] == [("finished", 0), ("begun", 24), ("to do", 0)]
    run(asked, tmp_path)
    after = foresee(asked, tmp_path)
    assert after.left == ()
    assert after.wall_s == 0


def test_some_steps_are_measured(tiny: dict[str, Any], tmp_path: Path) -> None:
    forecast = foresee(planned(tiny), tmp_path)
    assert all(0 < one.wall_s < 60 for one in forecast.trainings)
    assert 0 < forecast.wall_s < 180
    assert all(one.memory_bytes > 1e8 for one in forecast.trainings)
    assert list(tmp_path.iterdir()) == []


def test_all_scenarios_that_ship_are_planned_without_the_large_libraries() -> None:
    """Their data need not be there."""
    code = """
import sys
from pathlib import Path
from slsim.scenario import load
from slsim.study import foresee
for file in sorted(Path("scenarios").rglob("*.toml")):
    forecast = foresee(load(file), Path("nowhere"), measured=False)
    assert forecast.cases and all(one.steps and one.bottleneck for one in forecast.cases), file
    assert all(one.rounds and one.disk_bytes > 0 < one.memory_bytes for one in forecast.trainings), file
sys.exit(", ".join({"torch", "pandas", "numba", "matplotlib"} & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_fits_80_columns_with_many_settings_too(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["sweep"]["network.uplink"] = [f"{rate} Mbps" for rate in range(1, 41)]
    tiny["sweep"]["clients.batch_size"] = [4, 5]
    console = Console(file=io.StringIO(), width=80)
    forecast = foresee(planned(tiny), tmp_path, measured=False)
    print_plan(console, forecast)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(len(line) for line in text.splitlines() if not line.startswith("Results:")) <= 80
    assert "tiny: 6 trainings (none is there yet), 240 clocks, 240 runs" in text
    assert "210 more settings" in text
    assert len(forecast.cases) == 240


def test_what_cannot_be_known_is_told(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["data"] = {"name": "npz", "path": "nix.npz"}
    with pytest.raises(DataError, match=r"nix\.npz"):
        foresee(planned(tiny), tmp_path)
    tiny["data"] = {"name": "cifar10"}
    tiny["training"]["max_rounds"] = 3
    forecast = foresee(planned(tiny), tmp_path)  # its sizes are known, and random images are measured with
    assert all("cifar-10" in one.problem and one.wall_s > 0 for one in forecast.trainings)
    assert "random images in place of cifar10" in forecast.notes[0]


@pytest.mark.parametrize(("workers", "expected_s"), [(1, 10.0), (2, 5.0), (4, 5.0)])
def test_the_wall_time_of_all(workers: int, expected_s: float) -> None:
    """Of 2, 3, 4 and 1 s, of which the third waits for the first."""
    seconds = [1.0, 3.0, 4.0, 2.0]
    trainings = [
        TrainingForecast(number, "", "to do", 1, wall_s=one, needs=0 if number == 2 else None)
        for number, one in enumerate(seconds)
    ]
    assert wall_s(trainings, workers) == expected_s
    assert math.isnan(wall_s([TrainingForecast(0, "", "to do", 1)], workers))


# One training alone, and Slurm.


def test_numbers_are_written_as_slurm_does() -> None:
    assert ranges([1, 2, 3]) == "1-3"
    assert ranges([1, 3, 4, 5, 9]) == "1,3-5,9"


def test_one_training_is_done_and_before_it_what_its_target_is_taken_from(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["training"] |= {"target_accuracy": "baseline - 10%", "stop": {"target": True}}
    asked = planned(tiny)
    done = conduct_only(asked, tmp_path, 3)
    assert (done.label, done.state, done.planned, done.there) == ("MS (90 %, 2 bits)", "trained", 3, 2)
    states = [one.state for one in foresee(asked, tmp_path, measured=False).trainings]
    assert states == ["finished", "to do", "finished"]
    assert conduct_only(asked, tmp_path, 1).state == "found"
    assert not (tmp_path / "tiny" / "summary.csv").exists()
    with pytest.raises(StudyError, match="no training 4: tiny has 3"):
        conduct_only(asked, tmp_path, 4)


@pytest.mark.processes
def test_the_array_job_runs_in_a_shell_and_the_whole_run_collects(
    tiny: dict[str, Any], write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tiny)
    conduct_only(planned(tiny), tmp_path / "a place", 2)
    arguments = [str(file), "--set", "training.epochs=3", "--results", "a place"]
    printed = CliRunner().invoke(app, ["plan", *arguments, "--slurm", "--no-measure"])
    assert printed.exit_code == 0
    script = tmp_path / "job.sh"
    script.write_text(printed.stdout)
    (array,) = re.findall(r"^#SBATCH --array=(.*)$", printed.stdout, re.MULTILINE)
    (loop,) = re.findall(r"^#   (for .* done)$", printed.stdout, re.MULTILINE)
    assert (array, "in 1 3; do" in loop) == ("1,3", True)
    slsim_here = tmp_path / "bin" / "slsim"
    slsim_here.parent.mkdir()
    slsim_here.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m slsim "$@"\n')
    slsim_here.chmod(0o755)
    environment = {**os.environ, "PATH": f"{slsim_here.parent}:{os.environ['PATH']}"}
    looped = loop.replace("FILE", str(script))
    ended = subprocess.run(
        ["bash", "-c", looped], env=environment, capture_output=True, text=True, check=False
    )
    assert "3 of 3 are there" in ended.stdout, ended.stdout + ended.stderr
    whole = CliRunner().invoke(app, ["run", *arguments])
    assert whole.exit_code == 0
    assert "rounds" not in whole.output.partition("An average round")[0].partition("reused")[0]
    assert (tmp_path / "a place" / "tiny" / "summary.csv").is_file()
    nothing = CliRunner().invoke(app, ["plan", *arguments, "--slurm"])
    assert (nothing.exit_code, nothing.stdout) == (0, "")


def test_the_array_job_uses_what_the_plan_counts_as_finished(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    arguments = ["plan", str(write(tiny)), "--results", str(tmp_path / "r"), "--slurm", "--no-measure"]
    for option in ("", "--any-version"):
        printed = CliRunner().invoke(app, [*arguments, *[option] * bool(option)])
        assert printed.exit_code == 0
        assert ("--any-version" in printed.stdout) == bool(option)


def test_one_training_that_fails_says_why(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def net(image_shape, num_classes):\n    raise ValueError('no way')\n")
    tiny["sweep"] = {"model": [{"name": "mlp", "cut": "shallow"}, {"name": f"{own}:net", "cut": 1}]}
    results = ["--results", str(tmp_path / "results")]
    failed = CliRunner().invoke(app, ["run", str(write(tiny)), "--only", "2", *results])
    assert isinstance(failed.exception, SlsimError), failed.output
    assert "no way" in str(failed.exception)
    assert CliRunner().invoke(app, ["run", str(write(tiny)), "--only", "1", *results]).exit_code == 0


def test_an_uncompressed_run_that_another_process_does_is_waited_for(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["training"] |= {"target_accuracy": "baseline - 10%", "stop": {"target": True}}
    asked, log = planned(tiny), Log()
    baseline = trainings_of(asked.cases)[0]
    with ExitStack() as stack:
        folder = StudyFolder.of(tmp_path / "tiny").training(baseline.name)
        stack.enter_context(training_lock(folder))

        def tell(event: Event) -> None:
            log(event)
            if isinstance(event, Waiting):
                stack.close()

        assert conduct_only(asked, tmp_path, 2, tell=tell).there == 2
    assert [one.label for one in log.events if isinstance(one, Waiting)] == ["identity"]
    assert log.trained == ["identity", "QU (3 bits)"]
