"""A study from scenario file to tables: what is trained, what is reused, what is the same twice."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from listening import CtrlC, Log

import slsim
from slsim.errors import ReplayError, ScenarioError, StudyError
from slsim.recording import load, save, tables_of
from slsim.results import StudyFolder
from slsim.study import Interrupted, run

Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def study(tiny_study: Path) -> slsim.Study:
    """A finished study of `tiny` in results/tiny, opened."""
    return slsim.open_study(tiny_study)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_a_folder_with_everything(study: slsim.Study, tmp_path: Path) -> None:
    assert study.path == tmp_path / "results" / "tiny"
    found = files(study.path)
    figures = {
        f"figures/{name}.{kind}" for name in ("accuracy_over_time", "gantt") for kind in ("png", "svg")
    }
    assert {"scenario.toml", "manifest.json", "runs.csv", "curves.csv", "round.csv", *figures} <= found
    trainings = sorted((study.path / "trainings").iterdir())
    assert [folder.name.rpartition("-")[0] for folder in trainings] == ["identity", "ms-0.9-2", "qu-3"]
    for folder in trainings:
        assert files(folder) == {
            "recording.json",
            "steps.parquet",
            "rounds.parquet",
            "evaluations.parquet",
        }
    manifest = json.loads((study.path / "manifest.json").read_text())
    assert manifest["seed"] == 0
    assert manifest["versions"]["slsim"] == slsim.__version__
    assert manifest["wall_s"] > 0
    assert {"platform", "machine", "processor", "cpus"} == set(manifest["host"])
    assert len(manifest["training_wall_s"]) == 3


def test_the_summary_has_a_row_a_run_and_its_arithmetic_holds(study: slsim.Study) -> None:
    summary = study.runs.set_index("run")
    assert list(summary.index) == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]
    identity = summary.loc["identity"]
    assert identity["traffic_multiplier"] == 1.0
    assert identity["held_accuracy"] >= 0.8
    assert identity["speed_up"] == 1.0
    # 240 images over 4 clients: 60 each, 12 rounds an epoch, 3 epochs; 5 samples of 16 floats a message.
    assert identity["rounds"] == 36
    header = 10  # 8 fixed bytes and two dimensions
    assert identity["uplink_bytes"] == 36 * 4 * (5 * 16 * 4 + header + 5)
    assert identity["downlink_bytes"] == 36 * 4 * (5 * 16 * 4 + header)
    assert summary.loc["MS (90 %, 2 bits)", "compression_ratio"] == pytest.approx(
        320 / (math.ceil(2 * 80 / 8) + 4 * 8 + header)
    )
    for _, row in summary.iterrows():
        assert row["bytes_to_target"] == row["uplink_bytes_to_target"] + row["downlink_bytes_to_target"]
        assert row["time_to_target_s"] <= row["makespan_s"]


def test_tables_on_disk_are_the_tables_in_memory(study: slsim.Study) -> None:
    saved = StudyFolder.open(study.path).load_table("runs")
    pd.testing.assert_frame_equal(saved, study.runs, check_dtype=False)
    pd.testing.assert_frame_equal(slsim.open_study(study.path).runs, study.runs)


def test_running_again_reuses_what_is_finished_and_fresh_does_not(
    study: slsim.Study, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    again, fresh = Log(), Log()
    second = run(write(tiny), tmp_path / "results", tell=again)
    assert (again.trained, again.reused) == ([], ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"])
    pd.testing.assert_frame_equal(second.runs, study.runs)
    run(write(tiny), tmp_path / "results", fresh=True, tell=fresh)
    assert (fresh.trained, fresh.reused) == (["identity", "QU (3 bits)", "MS (90 %, 2 bits)"], [])


def test_a_recording_of_another_version_can_be_opened_but_is_trained_again(
    study: slsim.Study, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    others = [{"slsim": "0.0.1"}, {"slsim_code": "00000000"}, {"slsim_code": None}]
    for folder, other in zip((study.path / "trainings").iterdir(), others, strict=True):
        recording = load(folder)
        versions = {**recording.provenance["versions"], **other}
        recording.provenance["versions"] = {name: one for name, one in versions.items() if one is not None}
        save(recording, folder)
    pd.testing.assert_frame_equal(slsim.open_study(study.path).runs, study.runs)
    log = Log()
    run(write(tiny), tmp_path / "results", tell=log)
    assert log.trained == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]


def test_only_what_changes_learning_trains_again(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    log = Log()
    tiny["sweep"]["network.uplink"] = ["1 Mbps", "10 Mbps"]
    tiny["sweep"]["clients.device"] = ["atlas-200-dk", "raspberry-pi-4"]
    study = run(write(tiny), tmp_path / "results", tell=log)
    assert len(study.played) == 12
    assert len(log.trained) == 3
    times = study.runs.set_index("run")["makespan_s"]
    ms = "MS (90 %, 2 bits)"
    assert times[f"{ms}, 1 Mbps, device atlas-200-dk"] > times[f"{ms}, 10 Mbps, device atlas-200-dk"]


def test_the_same_seed_gives_the_same_and_another_seed_other_results(
    study: slsim.Study, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    same = run(write(tiny), tmp_path / "same")
    pd.testing.assert_frame_equal(same.runs, study.runs)
    for run_before, run_now in zip(study.played, same.played, strict=True):
        assert tables_of(run_before.recording) == tables_of(run_now.recording)
        assert run_before.recording.evaluations == run_now.recording.evaluations
        assert list(run_before.timeline.round_ends_s) == list(run_now.timeline.round_ends_s)
    other = run(write({**tiny, "seed": 1}), tmp_path / "other")
    for run_before, run_now in zip(study.played, other.played, strict=True):
        assert run_before.recording.evaluations != run_now.recording.evaluations


def test_a_baseline_target_trains_the_baseline_first_even_when_it_is_not_asked_for(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    tiny["training"]["target_accuracy"] = "baseline - 5%"
    tiny["sweep"] = {"codec.uplink": [{"name": "ms", "sparsity": 0.9}]}
    log = Log()
    study = run(write(tiny), tmp_path / "results", tell=log)
    assert log.trained == ["identity", "MS (90 %, 2 bits)"]
    (row,) = study.runs.to_dict("records")
    (one,) = study.played
    baseline, its_time = one.baseline, one.baseline_timeline
    assert baseline is not None
    assert its_time is not None
    assert one.baseline_outcome is not None
    accuracies = [evaluation.accuracy for evaluation in baseline.evaluations]
    held = max(map(min, itertools.pairwise(accuracies)))
    assert row["target_accuracy"] == held - 0.05
    its_target_s = its_time.round_ends_s[one.baseline_outcome.round - 1]  # of a run that is no row
    assert row["speed_up"] == its_target_s / row["time_to_target_s"]


def test_a_target_never_reached_has_no_costs_and_says_why(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    tiny["sweep"] = {"codec.uplink": ["identity", {"name": "sp", "sparsity": 1.0}]}
    study = run(write(tiny), tmp_path / "results")
    row = study.runs.set_index("run").loc["SP (100 %)"]
    assert (row["target_state"], row["target_reason"]) == ("not reached", "below it at all 6 evaluations")
    costs = ["time_to_target_s", "bytes_to_target", "rounds_to_target", "traffic_multiplier", "speed_up"]
    assert row[costs].isna().all()
    saved = (study.path / "runs.csv").read_text()
    assert "inf" not in saved
    assert all(check.passed for check in study.check())


def test_one_baseline_whatever_the_downlinks_codec(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    """Uncompressed in both directions: identity up with another codec down is no baseline."""
    tiny["training"]["target_accuracy"] = "baseline - 10%"
    codecs = ["identity", {"name": "qu", "bits": 4}]
    tiny["sweep"] = {"codec.uplink": codecs, "codec.downlink": codecs}
    summary = run(write(tiny), tmp_path / "results").runs.set_index("run")
    assert list(summary.index) == [
        f"{up}, downlink {down}" for up in ("identity", "QU (4 bits)") for down in ("identity", "QU (4 bits)")
    ]
    baseline = summary.loc["identity, downlink identity"]
    assert set(summary["baseline"]) == {baseline["training"]}
    assert summary["target_accuracy"].nunique() == 1
    for _, row in summary.iterrows():
        assert row["speed_up"] == baseline["time_to_target_s"] / row["time_to_target_s"]


def test_without_a_baseline_there_are_no_multipliers(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    tiny["training"]["target_accuracy"] = 0.5
    tiny["codec"] = {"downlink": {"name": "qu", "bits": 4}}
    summary = run(write(tiny), tmp_path / "results").runs
    assert (summary["target_state"] == "reached").all()
    assert (summary["baseline"] == "").all()
    assert summary[["traffic_multiplier", "speed_up"]].isna().all(axis=None)


def test_a_diverged_baseline_gives_no_target(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    tiny["training"] |= {"target_accuracy": "baseline - 2%", "learning_rate": 1e30}
    study = run(write(tiny), tmp_path / "results")
    assert list(study.runs["target_state"]) == ["no target"] * 3
    assert study.runs["target_reason"].str.startswith("the uncompressed run diverged in round").all()
    costs = ["target_accuracy", "time_to_target_s", "bytes_to_target", "traffic_multiplier", "speed_up"]
    assert study.runs[costs].isna().all(axis=None)
    assert all(check.passed for check in study.check())


def test_rates_are_told_with_what_other_device_costs_would_make_of_them(study: slsim.Study) -> None:
    runs = study.replay({"network.uplink": ["1 Mbps", "10 Gbps"]}).runs.set_index("run")
    assert list(runs["uplink_bps_series"].unique()) == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]
    assert set(runs["uplink_bps"]) == {1e6, 1e10}
    slow = runs.loc["QU (3 bits), 1 Mbps"]
    assert slow["speed_up_if_cheap"] > slow["speed_up"] > slow["speed_up_if_dear"]
    identity = runs[runs["uplink_bps_series"] == "identity"]
    assert (identity[["speed_up", "speed_up_if_cheap", "speed_up_if_dear"]] == 1).all(axis=None)


def test_a_replay_may_ask_for_a_target_confirmed_more_often(study: slsim.Study) -> None:
    longer = study.replay({"training.target_window": 13})
    reason = "evaluated 6 times, training.target_window asks for 7 of 13 evaluations in a row"
    assert list(longer.runs["target_reason"]) == [reason] * 3


def test_nobody_reaches_the_target_of_a_replay_over_rates(study: slsim.Study) -> None:
    never = study.replay({"training.target_window": 13, "network.uplink": ["10 Mbps", "100 Mbps"]})
    assert (never.runs["target_state"] == "not reached").all()
    assert (never.path / "figures" / "time_to_target_over_uplink.svg").is_file()
    assert (never.path / "manifest.json").is_file()
    assert all(check.passed for check in never.check())


def test_two_codecs_of_one_name_are_two_in_the_summary(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "half.py").write_text(OWN_CODEC)
    tiny["sweep"] = {"codec.uplink": ["a/half.py:Half", "b/half.py:Half"]}
    tiny["training"] |= {"max_rounds": 1}
    summary = run(write(tiny), tmp_path / "results").runs
    assert summary["codec"].nunique() == 2


def test_a_training_that_diverges_is_recorded_and_the_sweep_goes_on(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    tiny["sweep"] = {"training.learning_rate": [1e30, 0.05]}
    study = run(write(tiny), tmp_path / "results")
    assert list(study.runs["status"]) == ["diverged", "finished"]
    assert study.runs["rounds"].iloc[0] < study.runs["rounds"].iloc[1] == 36
    assert all(check.passed for check in study.check())


def test_trainings_of_one_codec_are_told_apart(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    tiny["sweep"] = {"training.learning_rate": [0.01, 0.05], "seed": [0]}
    log = Log()
    run(write(tiny), tmp_path / "results", tell=log)
    assert sorted(log.trained) == ["identity, learning rate 0.01", "identity, learning rate 0.05"]


def test_ctrl_c_keeps_what_is_finished_and_running_again_does_the_rest(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted, match="1 of 3 trainings are finished and kept in .*tiny; run the same"):
        run(write(tiny), tmp_path / "results", tell=CtrlC(5, "QU (3 bits)"))
    path = tmp_path / "results" / "tiny"
    assert list(slsim.open_study(path).runs["run"]) == ["identity"]
    assert [folder.name.partition("-")[0] for folder in (path / "trainings").iterdir()] == ["identity"]
    log = Log()
    study = run(write(tiny), tmp_path / "results", tell=log)
    assert (log.reused, log.trained) == (["identity"], ["QU (3 bits)", "MS (90 %, 2 bits)"])
    assert len(study.played) == 3


def test_a_scenario_error_writes_nothing(tiny: dict[str, Any], write: Write, tmp_path: Path) -> None:
    tiny["network"] = {"uplink": "100"}
    with pytest.raises(ScenarioError):
        run(write(tiny), tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_damaged_recording_is_named_and_nothing_else_is_lost(
    study: slsim.Study, tiny: dict[str, Any], write: Write
) -> None:
    (damaged,) = (study.path / "trainings").glob("qu-3-*")
    (damaged / "steps.parquet").write_bytes(b"PAR1 nonsense")
    opened = slsim.open_study(study.path)
    assert list(opened.runs["run"]) == ["identity", "MS (90 %, 2 bits)"]
    assert [check.subject for check in opened.check() if not check.passed] == ["recordings"]
    (error,) = opened.replay({"network.uplink": "1 Mbps"}).damaged
    assert f"{damaged.name} cannot be read (steps.parquet: its hash" in str(error)
    log = Log()
    run(write(tiny), study.path.parent, tell=log)
    assert (log.trained, log.reused) == (["QU (3 bits)"], ["identity", "MS (90 %, 2 bits)"])
    (notice,) = log.notices
    assert notice.startswith(str(error))
    assert notice.endswith(f"it is kept as {damaged.name}.damaged")
    pd.testing.assert_frame_equal(slsim.open_study(study.path).runs, study.runs)


def test_a_full_disk_is_one_clear_error(
    study: slsim.Study, tiny: dict[str, Any], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(
        StudyError, match=r"cannot write .*: No space left on device\. What was finished is kept"
    ):
        run(write({**tiny, "seed": 5}), study.path.parent)
    assert len(list((study.path / "trainings").iterdir())) == 3


def test_replaying_answers_for_other_links_without_training(study: slsim.Study) -> None:
    faster = study.replay({"network.uplink": "20 Mbps"})
    assert list(faster.runs["run"]) == ["identity", "QU (3 bits)", "MS (90 %, 2 bits)"]
    assert (faster.runs["makespan_s"] > study.runs["makespan_s"]).all()
    unchanged = ["held_accuracy", "rounds_to_target", "bytes_to_target", "traffic_multiplier"]
    pd.testing.assert_frame_equal(faster.runs[unchanged], study.runs[unchanged])
    assert faster.path.parent == study.path / "replays"
    assert "trainings" not in {path.name for path in faster.path.iterdir()}


def test_a_replay_is_what_a_run_would_have_given(
    study: slsim.Study, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    tiny["network"] = {"uplink": "3 Mbps", "sharing": "shared"}
    tiny["server"] = {"device": "raspberry-pi-4"}
    run_anew = run(write(tiny), tmp_path / "anew")
    overrides = {"network.uplink": "3 Mbps", "network.sharing": "shared", "server.device": "raspberry-pi-4"}
    pd.testing.assert_frame_equal(study.replay(overrides).runs, run_anew.runs)


def test_a_replay_can_be_opened_checked_and_replayed(study: slsim.Study) -> None:
    replayed = study.replay({"network.uplink": ["1 Mbps", "1 Gbps"]})
    opened = slsim.open_study(replayed.path)
    pd.testing.assert_frame_equal(opened.runs, replayed.runs)
    assert all(check.passed for check in opened.check())
    back = opened.replay({"network.uplink": "100 Mbps"})
    assert list(back.runs["makespan_s"]) == list(study.runs["makespan_s"])
    assert (replayed.path / "figures" / "time_to_target_over_uplink.svg").is_file()


@pytest.mark.parametrize(
    "change", [{"training.epochs": 4}, {"seed": 2}, {"codec.uplink": "identity", "model.hidden": 8}]
)
def test_a_replay_refuses_what_only_training_can_answer(study: slsim.Study, change: dict[str, Any]) -> None:
    with pytest.raises(ReplayError, match="changes what is learned"):
        study.replay(change)


def test_a_replay_may_pick_a_codec_that_was_trained(study: slsim.Study) -> None:
    picked = study.replay({"codec.uplink": {"name": "qu", "bits": 3}, "training.target_accuracy": 0.5})
    assert list(picked.runs["run"]) == ["QU (3 bits)"]


def test_a_replays_mistakes_are_told_like_a_scenarios(study: slsim.Study) -> None:
    with pytest.raises(ScenarioError, match="network.uplink: '20' has no unit"):
        study.replay({"network.uplink": "20"})


def test_no_study_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is no study: it has no scenario.toml"):
        slsim.open_study(tmp_path)


def labels(runs: Sequence[Any]) -> list[str]:
    return [one.label for one in runs]


def test_codecs_of_one_name_are_told_apart_by_their_parameters(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    tiny["sweep"] = {"codec.uplink": [{"name": "qu", "bits": 2}, {"name": "qu", "bits": 4}, "identity"]}
    tiny["training"]["epochs"] = 1
    assert labels(run(write(tiny), tmp_path / "results").played) == ["QU (2 bits)", "QU (4 bits)", "identity"]


OWN_CODEC = '''
import math
import numpy as np
from slsim.codecs import Codec

class Half(Codec):
    """float16: half the bytes."""

    def encode_values(self, values, shape, rng):
        return values.astype("<f2").tobytes()

    def decode_values(self, content, shape):
        return np.frombuffer(content, "<f2").astype(np.float32)

    def body_bytes(self, shape):
        return 2 * math.prod(shape)
'''


def test_a_users_own_codec_runs_by_file_and_trains_again_when_the_file_changes(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "half.py").write_text(OWN_CODEC)
    tiny["sweep"] = {"codec.uplink": ["half.py:Half"]}
    study = run(write(tiny), tmp_path / "results")
    assert list(study.runs["run"]) == ["Half"]
    assert study.runs["compression_ratio"].iloc[0] == pytest.approx(320 / 170)
    assert all(check.passed for check in study.check())
    (tmp_path / "half.py").write_text(OWN_CODEC + "# changed\n")
    log = Log()
    run(write(tiny), tmp_path / "results", tell=log)
    assert log.trained == ["Half"]


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "meta"])
def test_a_device_that_is_not_there_is_one_clear_error(
    tiny: dict[str, Any], write: Write, tmp_path: Path, device: str
) -> None:
    with pytest.raises(StudyError, match=rf"torch cannot compute on device '{device}' \(.*\); cpu is always"):
        run(write(tiny), tmp_path / "results", device=device)
    assert not list((tmp_path / "results" / "tiny").glob("trainings/*"))


TIRED = """
import numpy as np
from slsim.devices import Device

class Tired(Device):
    "Fails over the rounds of a whole training that differ, of which one has not shown it."

    def piece_seconds(self, work):
        if np.size(work.samples) > 6:
            raise RuntimeError("tired")
        return 0.001 + 0 * work.samples
"""


def test_a_device_that_fails_over_a_whole_training_costs_its_own_run_alone(
    tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    (tmp_path / "tired.py").write_text(TIRED)
    tiny["clients"]["per_round"] = 2  # of 4: rounds differ by who takes part
    tiny["sweep"] = {"clients.device": ["atlas-200-dk", "tired.py:Tired"]}
    with pytest.warns(UserWarning, match=r"device tired\.py:Tired, in piece_seconds: RuntimeError: tired"):
        study = run(write(tiny), tmp_path / "results")
    assert [run.label for run in study.played] == ["identity, device atlas-200-dk"]
    assert list(study.runs["status"]) == ["finished", "failed"]
    assert list(study.summary["target_state"]) == ["reached", "failed"]
    assert "RuntimeError: tired" in study.runs["failure"].iloc[1]
    (failure,) = study.failures
    assert "RuntimeError: tired" in failure.file.read_text()
